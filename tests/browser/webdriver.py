"""Browsers that are driven by WebDriver's commands, behind as much of playwright's interface as the suite uses.

Playwright drives Chromium as it is, but other engines only in builds of its own, which no distribution has. Each context
is a session with a browser process of its own. How commands get there is `firefox.py` and `webkit.py`.

This is no work for selenium: it drives Firefox by geckodriver only, which no distribution has, and reads no page's console.
"""

from __future__ import annotations

import re
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from pace import PACE

SCRIPT_MILLISECONDS = 1_500_000
START_SECONDS = 60 * PACE


class WebDriverError(Exception):
    """An error that the browser answered, or that a page's script raised."""


@dataclass
class Message:
    """A line of the page's console, as playwright's ConsoleMessage has it."""

    type: str
    text: str
    location: dict[str, str] = field(default_factory=dict)


class Driver(Protocol):
    """One session."""

    output: Output

    def command(self, name: str, parameters: dict[str, Any]) -> Any:
        """Carries out a command of WebDriver's, by its name in the standard, and returns its value."""

    def close(self) -> None:
        """Ends the session and its browser."""


class Output:
    """The standard output of a browser, which is where it tells of its pages' consoles.

    `console` matches such a line, with the groups `type` and `text`.
    """

    def __init__(self, process: subprocess.Popen[str], console: re.Pattern[str]) -> None:
        self.listeners: list[Callable[[Message], None]] = []
        self._process = process
        self._console = console
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                if match := self._console.match(line.rstrip()):
                    message = Message(match["type"].lower(), match["text"])
                    for listener in list(self.listeners):
                        listener(message)


class WebDriverPage:
    """A page of a session."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self.url = "about:blank"

    def on(self, event: str, listener: Callable[[Any], None]) -> None:
        """Listens to the console, in which errors of the page are too; there is no other event."""
        if event == "console":
            self._driver.output.listeners.append(listener)

    def goto(self, url: str, *, timeout: float) -> None:
        self._driver.command("SetTimeouts", {"pageLoad": int(timeout), "script": SCRIPT_MILLISECONDS})
        self._driver.command("Navigate", {"url": url})
        self.url = url

    def evaluate(self, expression: str, argument: Any = None) -> Any:
        """Returns the value of an expression, or what it returns if it is a function, awaited."""
        script = f"""
            const [argument, done] = arguments;
            (async () => {{
                const value = ({expression});
                return typeof value === "function" ? value(argument) : value;
            }})().then((value) => done({{ value }}), (error) => done({{ error: String(error) }}));
        """
        answer = self._driver.command("ExecuteAsyncScript", {"script": script, "args": [argument]})
        if "error" in answer:
            raise WebDriverError(answer["error"])
        return answer.get("value")

    def wait_for_function(self, expression: str, *, timeout: float) -> None:
        end = time.monotonic() + timeout / 1000
        while not self.evaluate(f"() => Boolean(({expression})())"):
            if time.monotonic() > end:
                raise WebDriverError(f"{expression} was not true within {timeout / 1000} s")
            time.sleep(0.05)


class WebDriverContext:
    """A session with a browser of its own, whose commands are for the page that was made last."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._has_page = False

    def new_page(self) -> WebDriverPage:
        """Takes the window that the browser has opened; for each further page, a new window."""
        if self._has_page:
            handle = self._driver.command("NewWindow", {"type": "window"})["handle"]
            self._driver.command("SwitchToWindow", {"handle": handle})
        self._has_page = True
        return WebDriverPage(self._driver)

    def close(self) -> None:
        self._driver.close()


class WebDriverBrowser:
    """Makes contexts."""

    def __init__(self, start: Callable[[dict[str, Any] | None], Driver]) -> None:
        self._start = start

    def new_context(self, *, proxy: dict[str, str] | None = None) -> WebDriverContext:
        return WebDriverContext(self._start(proxy and proxy_capability(proxy)))


def proxy_capability(proxy: dict[str, str]) -> dict[str, Any]:
    """Says in WebDriver's words what playwright's setting says."""
    address = proxy["server"].removeprefix("http://")
    bypass = [*proxy["bypass"].split(","), "127.0.0.1", "::1"]
    return {"proxyType": "manual", "httpProxy": address, "sslProxy": address, "noProxy": bypass}


def terminate(process: subprocess.Popen[str]) -> None:
    """Ends a process and waits for that."""
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
