"""WebKitGTK, by its WebKitWebDriver (W3C WebDriver over HTTP), on a screen that nobody looks at."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import select
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pace import PACE
from webdriver import SCRIPT_MILLISECONDS, START_SECONDS, Output, WebDriverBrowser, WebDriverError, terminate

CONSOLE = re.compile(r"^CONSOLE (?:[A-Z-]+ )*?(?P<type>ERROR|WARN|LOG|INFO|DEBUG) (?P<text>.*)$")
# How long a driver that starts its browser may have none.
GONE_SECONDS = 3 * PACE
PATHS = {
    "SetTimeouts": "/timeouts",
    "Navigate": "/url",
    "ExecuteAsyncScript": "/execute/async",
    "NewSession": "",
    "NewWindow": "/window/new",
    "SwitchToWindow": "/window",
}
ENVIRONMENT = {
    # Without it, WebKitGTK has no SharedArrayBuffer even on an isolated page.
    "JSC_useSharedArrayBuffer": "1",
    # There is no desktop whose services could be asked, and no graphics card.
    "DBUS_SESSION_BUS_ADDRESS": "disabled:",
    "GSETTINGS_BACKEND": "memory",
    "GTK_A11Y": "none",
    "NO_AT_BRIDGE": "1",
    "LIBGL_ALWAYS_SOFTWARE": "1",
}


class HttpDriver:
    """A WebKitWebDriver with its one session."""

    def __init__(self, environment: dict[str, str], proxy: dict[str, Any] | None) -> None:
        self._session = ""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        program = environment.get("WEBKIT_DRIVER", "WebKitWebDriver")
        self._process = subprocess.Popen(
            [program, f"--port={self._port}", "--host=127.0.0.1"],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        self.output = Output(self._process, CONSOLE)
        options = {
            "binary": environment.get("WEBKIT_BROWSER", "MiniBrowser"),
            "args": ["--automation", "--enable-write-console-messages-to-stdout=true"],
        }
        capabilities: dict[str, Any] = {"webkitgtk:browserOptions": options}
        if proxy is not None:
            capabilities["proxy"] = proxy
        try:
            self._wait_until_up()
            answer = self.command("NewSession", {"capabilities": {"alwaysMatch": capabilities}})
        except BaseException:
            self.close()
            raise
        self._session = f"/{answer['sessionId']}"

    def command(self, name: str, parameters: dict[str, Any]) -> Any:
        return self._request("POST", PATHS[name], json.dumps(parameters))

    def close(self) -> None:
        if self._session:
            with contextlib.suppress(OSError, WebDriverError):
                self._request("DELETE", "", None)
        terminate(self._process)

    def _request(self, method: str, path: str, body: str | None) -> Any:
        limit = SCRIPT_MILLISECONDS / 1000 + 10 if self._session else START_SECONDS
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=limit)
        with contextlib.closing(connection):
            headers = {"Content-Type": "application/json"}
            connection.request(method, f"/session{self._session}{path}", body, headers)
            if not self._session:
                self._wait_for_browser(connection)
            response = connection.getresponse()
            value = json.loads(response.read())["value"]
        if response.status != http.client.OK:
            raise WebDriverError(f"{value['error']}: {value['message']}")
        return value

    def _wait_for_browser(self, connection: http.client.HTTPConnection) -> None:
        """Waits for the answer of a driver that starts its browser.

        MiniBrowser crashes now and then when it starts (it reads a variable of its environment that is gone), more often on a busy
        machine. The driver does not notice, and waits for ever.
        """
        end, seen = time.monotonic() + START_SECONDS, time.monotonic()
        while not select.select([connection.sock], [], [], 0.1)[0]:
            now = time.monotonic()
            if has_child(self._process.pid):
                seen = now
            elif now > seen + GONE_SECONDS:
                raise WebDriverError("the browser ended when it started")
            if now > end:
                raise WebDriverError("the browser did not come up")

    def _wait_until_up(self) -> None:
        end = time.monotonic() + START_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", self._port)).close()
                return
            except ConnectionRefusedError:
                if self._process.poll() is not None or time.monotonic() > end:
                    raise WebDriverError("WebKitWebDriver did not start") from None
                time.sleep(0.02)


def has_child(parent: int) -> bool:
    """Tells whether a process has another one that runs."""
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # Behind the program's name, in which there may be anything.
            state, owner, *_ = status.read_text().rpartition(")")[2].split()
            if int(owner) == parent and state != "Z":
                return True
    return False


def start(environment: dict[str, str], proxy: dict[str, Any] | None) -> HttpDriver:
    """Starts a session, up to five times if the browser does not come up, or another program takes the driver's port."""
    for _ in range(4):
        with contextlib.suppress(TimeoutError, WebDriverError):
            return HttpDriver(environment, proxy)
    return HttpDriver(environment, proxy)


@contextlib.contextmanager
def webkit() -> Iterator[WebDriverBrowser]:
    """Starts the screen, for as long as the block runs."""
    reading, writing = os.pipe()
    screen = subprocess.Popen(
        ["Xvfb", "-displayfd", str(writing), "-nolisten", "tcp", "-screen", "0", "1280x800x24"],
        pass_fds=[writing],
        stderr=subprocess.DEVNULL,
        text=True,
    )
    os.close(writing)
    try:
        # The screen's number and a line's end; nothing if Xvfb ended before it was up.
        number = Path(f"/dev/fd/{reading}").read_text().strip()
        if not number:
            raise WebDriverError("Xvfb did not start")
        environment = {**os.environ, **ENVIRONMENT, "DISPLAY": f":{number}"}
        yield WebDriverBrowser(lambda proxy: start(environment, proxy))
    finally:
        os.close(reading)
        terminate(screen)
