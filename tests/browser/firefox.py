"""Firefox, by Marionette: WebDriver's commands over a socket, built into every Firefox."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from webdriver import SCRIPT_MILLISECONDS, START_SECONDS, Output, WebDriverBrowser, WebDriverError, terminate

# Errors of the browser's own scripts are not the page's: they name an address of the browser's, its loader of
# settings, which has no network here, or nothing at all. A page's rejection with `undefined` has no name either;
# Chromium tells of those.
_OWN = r"resource:|chrome:|RSLoader:|, line 0: uncaught exception: undefined"
CONSOLE = re.compile(rf"^(?:console\.|JavaScript )(?P<type>\w+): (?!{_OWN})(?P<text>.*)$")
PREFERENCES = {
    "marionette.port": 0,
    # Where `Output` reads.
    "devtools.console.stdout.content": True,
    "browser.dom.window.dump.enabled": True,
    # A fresh profile asks the network for much, and shows pages of its own.
    "app.normandy.enabled": False,
    "app.update.disabledForTesting": True,
    "browser.aboutwelcome.enabled": False,
    "browser.safebrowsing.update.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "browser.startup.homepage_override.mstone": "ignore",
    "datareporting.policy.dataSubmissionEnabled": False,
    "extensions.update.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    # This very address tells Firefox to ask nothing.
    "services.settings.server": "data:,#remote-settings-dummy/v1",
    "toolkit.telemetry.enabled": False,
    "toolkit.telemetry.server": "data:,",
}


class MarionetteDriver:
    """A Firefox with its one session."""

    def __init__(self, proxy: dict[str, Any] | None) -> None:
        self._profile = tempfile.TemporaryDirectory(prefix="workerlib-firefox-", ignore_cleanup_errors=True)
        lines = [
            f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in PREFERENCES.items()
        ]
        Path(self._profile.name, "user.js").write_text("\n".join(lines))
        program = os.environ.get("FIREFOX", "firefox-esr")
        self._process = subprocess.Popen(
            [program, "--headless", "--no-remote", "--marionette", "--profile", self._profile.name],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        self.output = Output(self._process, CONSOLE)
        self._socket: socket.socket | None = None
        self._ids = itertools.count(1)
        try:
            self._socket = socket.create_connection(("127.0.0.1", self._port()))
            self._socket.settimeout(SCRIPT_MILLISECONDS / 1000 + 10)
            self._receive()
            self.command("NewSession", {"proxy": proxy} if proxy else {})
        except BaseException:
            self.close()
            raise

    def command(self, name: str, parameters: dict[str, Any]) -> Any:
        """Sends [0, id, name, parameters] with its length in front; the answer is [1, id, error, result]."""
        assert self._socket is not None
        text = json.dumps([0, next(self._ids), f"WebDriver:{name}", parameters]).encode()
        self._socket.sendall(b"%d:%s" % (len(text), text))
        _, _, error, result = self._receive()
        if error:
            raise WebDriverError(f"{error['error']}: {error['message']}")
        return result["value"] if isinstance(result, dict) and "value" in result else result

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        terminate(self._process)
        self._profile.cleanup()

    def _receive(self) -> Any:
        assert self._socket is not None
        digits = b""
        while (digit := self._take(1)) != b":":
            digits += digit
        return json.loads(self._take(int(digits)))

    def _take(self, count: int) -> bytes:
        assert self._socket is not None
        data = bytearray()
        while len(data) < count:
            piece = self._socket.recv(count - len(data))
            if not piece:
                raise WebDriverError("Firefox ended")
            data += piece
        return bytes(data)

    def _port(self) -> int:
        end = time.monotonic() + START_SECONDS
        while True:
            with contextlib.suppress(OSError, ValueError):
                return int(Path(self._profile.name, "MarionetteActivePort").read_text())
            if self._process.poll() is not None or time.monotonic() > end:
                raise WebDriverError("Firefox did not start")
            time.sleep(0.05)


def firefox() -> WebDriverBrowser:
    """Names the browser; each context starts one."""
    return WebDriverBrowser(MarionetteDriver)
