"""A Chromium whose pages can be hidden and frozen, as by a visitor who turns to another tab.

Playwright emulates focus in each of its pages, and such a page is always visible: its freezing has no effect either. So these
pages are none of playwright's: they are tabs of one window, driven by the DevTools protocol, behind as much of playwright's
interface as the suite uses. The browser has none of playwright's flags that keep a hidden page from being slowed down.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Browser, CDPSession

from webdriver import Message, WebDriverError

_KEEPS_HIDDEN_PAGES_AWAKE = [
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
]
_PAUSE = 0.02


class HideableTab:
    """A tab, as a page of playwright's."""

    def __init__(self, browser: CDPSession, target: str) -> None:
        """Attaches to a tab.

        Args:
            browser: The session of the whole browser.
            target: The tab's id.
        """
        self.url = "about:blank"
        self._browser = browser
        self._target = target
        self._listeners: list[Callable[[Any], None]] = []
        self._answers: dict[int, dict[str, Any]] = {}
        self._number = 0
        attached = browser.send("Target.attachToTarget", {"targetId": target, "flatten": False})
        self._session = attached["sessionId"]
        browser.on("Target.receivedMessageFromTarget", self._receive)
        self.command("Page.enable")
        self.command("Runtime.enable")

    def _receive(self, event: dict[str, Any]) -> None:
        if event["sessionId"] != self._session:
            return
        message = json.loads(event["message"])
        if "id" in message:
            self._answers[message["id"]] = message
        elif message["method"] == "Runtime.consoleAPICalled":
            told = message["params"]
            text = " ".join(str(one.get("value", one.get("description"))) for one in told["args"])
            for listener in self._listeners:
                listener(Message(told["type"], text))

    def command(self, method: str, parameters: dict[str, Any] | None = None) -> dict[str, Any]:
        """Carries out a command of the DevTools protocol in the tab, and returns its result."""
        self._number += 1
        number = self._number
        message = {"id": number, "method": method, "params": parameters or {}}
        told = {"sessionId": self._session, "message": json.dumps(message)}
        self._browser.send("Target.sendMessageToTarget", told)
        while number not in self._answers:
            time.sleep(_PAUSE)
            # Playwright delivers what has happened while it carries out a command.
            self._browser.send("Browser.getVersion")
        answer = self._answers.pop(number)
        if "error" in answer:
            raise WebDriverError(answer["error"]["message"])
        result: dict[str, Any] = answer["result"]
        return result

    def on(self, event: str, listener: Callable[[Any], None]) -> None:
        """Listens to the console; there is no other event."""
        if event == "console":
            self._listeners.append(listener)

    def goto(self, url: str, *, timeout: float) -> None:
        """Opens an address, and waits until the page has loaded."""
        self.command("Page.navigate", {"url": url})
        self.wait_for_function(
            "() => location.href !== 'about:blank' && document.readyState === 'complete'", timeout=timeout
        )
        self.url = url

    def evaluate(self, expression: str, argument: Any = None) -> Any:
        """Returns the value of an expression, or what it returns if it is a function, awaited."""
        script = f"""(async (argument) => {{
            const value = ({expression});
            return typeof value === "function" ? value(argument) : value;
        }})({json.dumps(argument)})"""
        parameters = {"expression": script, "awaitPromise": True, "returnByValue": True}
        answer = self.command("Runtime.evaluate", parameters)
        if "exceptionDetails" in answer:
            raise WebDriverError(str(answer["exceptionDetails"]))
        return answer["result"].get("value")

    def wait_for_function(self, expression: str, *, timeout: float) -> None:
        """Waits until a function returns something true."""
        end = time.monotonic() + timeout / 1000
        while not self.evaluate(f"() => Boolean(({expression})())"):
            if time.monotonic() > end:
                raise WebDriverError(f"{expression} was not true within {timeout / 1000} s")
            time.sleep(_PAUSE)

    def freeze(self, is_frozen: bool) -> None:
        """Freezes the page, which must be hidden, or has it go on."""
        self.command("Page.setWebLifecycleState", {"state": "frozen" if is_frozen else "active"})

    def show(self) -> None:
        """Brings the tab to the front, and so hides the one that was there."""
        self._browser.send("Target.activateTarget", {"targetId": self._target})


class HideableContext:
    """A browser context with one window, whose tabs hide each other."""

    def __init__(self, browser: CDPSession, proxy: dict[str, str]) -> None:
        """Opens a context of its own storage, behind a proxy."""
        self._browser = browser
        settings = {"proxyServer": proxy["server"], "proxyBypassList": proxy["bypass"]}
        self._id = browser.send("Target.createBrowserContext", settings)["browserContextId"]
        self._has_window = False

    def new_page(self) -> HideableTab:
        """Opens a further tab in the front of the window."""
        parameters = {
            "url": "about:blank",
            "browserContextId": self._id,
            "newWindow": not self._has_window,
        }
        self._has_window = True
        return HideableTab(self._browser, self._browser.send("Target.createTarget", parameters)["targetId"])

    def close(self) -> None:
        """Closes the window."""
        self._browser.send("Target.disposeBrowserContext", {"browserContextId": self._id})


class HideableBrowser:
    """A Chromium beside the suite's own, which makes contexts."""

    def __init__(self, beside: Browser, path: str, flags: list[str]) -> None:
        """Starts the browser.

        Args:
            beside: The suite's browser.
            path: The browser's program.
            flags: Its flags.
        """
        self._launched = beside.browser_type.launch(
            executable_path=path, args=flags, ignore_default_args=_KEEPS_HIDDEN_PAGES_AWAKE
        )
        self._session = self._launched.new_browser_cdp_session()

    def new_context(self, *, proxy: dict[str, str]) -> HideableContext:
        """Opens a context of its own."""
        return HideableContext(self._session, proxy)

    def close(self) -> None:
        """Ends the browser."""
        self._launched.close()
