"""A PyScript page in a browser, its console, and the requests that it sends away from the site."""

from __future__ import annotations

import copy
import functools
import json
import os
import re
import socketserver
import threading
import time
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage
from playwright.sync_api import Error as PlaywrightError

import kept_snapshots
import shared_tests
from engines import AnyBrowser
from pace import PACE
from webdriver import Message, WebDriverError

LOAD_MILLISECONDS = 120_000 * PACE
# The PyScript of the site, if it is not the newest (`cargo xtask test --matrix`).
PYSCRIPT = tuple(map(int, os.environ.get("WORKERLIB_PYSCRIPT", "1000").split(".")))
_TESTS = Path(__file__).parents[1]
# The modules that pages can import.
SHARED_MODULES = [
    *(_TESTS / "python" / f"{name}.py" for name in ("pace", "exact", "alike", "values", "library_values")),
    *(
        _TESTS / "shared" / f"{name}.py"
        for name in (
            "expecting",
            *shared_tests.MODULES,
            "suite",
            "unaware",
            "configured",
            "pool_kills",
            "pool_states",
            *shared_tests.POOL_MODULES,
            "pools",
            "blocking_pools",
            "restarts",
            "worker_files",
        )
    ),
]


# Chromium itself asks this host about the fields of forms, at times that no page decides.
FOR_THE_BROWSER = "content-autofill."


class OffSiteProxy(AbstractContextManager["OffSiteProxy"]):
    """A proxy that refuses and notes every request of pages; browsers ask it for everything but their own machine."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        requests = self.requests

        class Refuse(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                first = self.rfile.readline(8192).decode("latin-1").strip()
                if first and FOR_THE_BROWSER not in first:
                    requests.append(first)
                self.wfile.write(
                    b"HTTP/1.1 502 off the site\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                )

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Refuse)
        self._server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _SharedContext:
    """A browser context of Chromium's for pages of a site that start from its memory snapshots, open until the browser ends.

    The pages run in one process (`engines.launch`), so that each after the first costs a third of its processor time. Errors of
    pages that have any on purpose may come with requests beyond the site, so those pages have a context of their own.
    """

    def __init__(self, browser: Browser, site: str) -> None:
        self.off_site = OffSiteProxy()
        self.context = _new_context(browser, self.off_site)
        self.keeper = kept_snapshots.provide(self.context, site)

    @classmethod
    @functools.cache
    def of(cls, browser: Browser, site: str, faultless: bool) -> _SharedContext:
        """Gives the context of a site for pages of a kind."""
        return cls(browser, site)


def _new_context(browser: AnyBrowser, proxy: OffSiteProxy) -> Any:
    return browser.new_context(proxy={"server": proxy.address, "bypass": "localhost"})


class PyScriptPage(AbstractContextManager["PyScriptPage"]):
    """One page of tests/browser/pages, in a browser context of its own or in one that it shares.

    Args:
        browser: The browser.
        site: The address of the site.
        path: The page.
        faultless: Whether a console error fails the test in which it shows.
        has_harness: Whether the page has harness.py, and is ready when that is.
        has_snapshot: Whether the context holds the site's memory snapshots before the page opens (kept_snapshots.py).
        keeps_storage: Whether the context keeps in every engine what the page stores, until the page's next visit.
        shares_context: Whether the page shares its context, and so its process and its storage, with other pages of the same
            `faultless`; in Chromium only. Without an argument, pages do that have snapshots.
    """

    def __init__(
        self,
        browser: AnyBrowser,
        site: str,
        path: str,
        *,
        faultless: bool = True,
        has_harness: bool = True,
        has_snapshot: bool = False,
        keeps_storage: bool = False,
        shares_context: bool | None = None,
    ) -> None:
        self.site = site
        self.console: list[str] = []
        self.faults: list[str] = []
        self.fetched: list[str] = []
        self._address = f"{site}/tests/{path}"
        self._faultless = faultless
        self._has_harness = has_harness
        self._keeper: Any = None
        self._is_sharing = False
        self.page: Any = None
        shares_context = has_snapshot if shares_context is None else shares_context
        if shares_context and isinstance(browser, Browser):
            self._is_sharing = True
            shared = _SharedContext.of(browser, site, faultless)
            self.off_site, self._context, self._keeper = shared.off_site, shared.context, shared.keeper
        else:
            self.off_site = OffSiteProxy()
            self._context = _new_context(browser, self.off_site)
        try:
            if has_snapshot and not self._is_sharing:
                self._keeper = kept_snapshots.provide(self._context, site)
            elif keeps_storage:
                kept_snapshots.hold(self._context, site)
            self._open()
        except BaseException:
            self.__exit__(None, None, None)
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        kept_snapshots.collect(self._keeper)
        if not self._is_sharing:
            self._context.close()
            self.off_site.__exit__()
        elif self.page is not None:
            self.page.close()

    def _open(self) -> None:
        self.page = self._context.new_page()
        self.page.on("console", self._note_console)
        self.page.on("pageerror", lambda error: self.faults.append(f"page error: {error}"))
        self.page.on("response", lambda answer: self._note_answer(answer.status, answer.url))
        self.visit()

    def tab(self) -> PyScriptPage:
        """Opens the page once more in another tab of the same browser context, which closes with this page; in Chromium only."""
        other = copy.copy(self)
        other.console, other.faults, other.fetched = [], [], []
        other._open()
        return other

    def visit(self) -> None:
        """Opens the page, or opens it again as a visitor does who comes back, and waits until it is ready."""
        self.page.goto(self._address, timeout=LOAD_MILLISECONDS)
        if not self._has_harness:
            return
        self.equip()

    def equip(self) -> None:
        """Waits until a document of the page has its harness, and gives it the machine's pace and the modules of the tests."""
        self.wait_for("() => window.harness")
        self.page.evaluate("pace => window.harness.set_pace(pace)", PACE)
        self.page.evaluate(
            "modules => modules.forEach(([name, source]) => window.harness.add_module(name, source))",
            [[module.stem, module.read_text()] for module in SHARED_MODULES],
        )

    def run(self, request: dict[str, Any]) -> None:
        """Runs a test function in the page (see in_page) and fails with its traceback if it fails."""
        __tracebackhide__ = True
        self._run("request => window.harness.run(request)", json.dumps(request))

    def run_shared(self, name: str, limit: float = 60) -> None:
        """Runs a test of tests/shared, by its name there, in the page within `limit` seconds of a fast machine."""
        __tracebackhide__ = True
        self._run("([name, limit]) => window.harness.run_shared(name, limit)", [name, limit * PACE])

    def _run(self, expression: str, argument: object) -> None:
        __tracebackhide__ = True
        self.console.clear()
        trouble = self.page.evaluate(expression, argument)
        if trouble:
            pytest.fail(f"in the page {self.page.url}:\n{trouble}{self._said()}", pytrace=False)
        if self._faultless and self.faults:
            faults, self.faults = self.faults, []
            pytest.fail("the page's console has errors:\n" + "\n".join(faults), pytrace=False)

    def wait_for_console(self, text: str) -> None:
        """Waits until the console says something that contains the text."""
        deadline = time.monotonic() + LOAD_MILLISECONDS / 1000
        while not any(text in line for line in self.console):
            assert time.monotonic() < deadline, f"{text!r} is not what {self.page.url} says{self._said()}"
            # It lets playwright deliver what has happened.
            self.page.wait_for_timeout(50)

    def wait_for(self, expression: str) -> None:
        """Waits until a JavaScript function returns something true in the page."""
        try:
            self.page.wait_for_function(expression, timeout=LOAD_MILLISECONDS)
        except (PlaywrightError, WebDriverError) as error:
            raise AssertionError(f"{self.page.url} did not get ready ({error}){self._said()}") from None

    def _said(self) -> str:
        # A JavaScript stack inside of Pyodide says nothing to a reader.
        lines = [
            line for line in "\n".join(self.console).splitlines() if not re.match(r"\s+at .*pyodide", line)
        ]
        said = "\nthe page's console:\n" + "\n".join(lines[-60:])
        # Errors of the page's start, say, which the console no longer shows.
        earlier = [fault for fault in self.faults if fault not in self.console]
        return said + ("\nits errors until now:\n" + "\n".join(earlier[-20:]) if earlier else "")

    def _note_console(self, message: ConsoleMessage | Message) -> None:
        text = f"{message.type}: {message.text} ({message.location.get('url', '')})"
        self.console.append(text)
        if message.type == "error" and not _is_old_pyscripts_own(text):
            self.faults.append(text)

    def _note_answer(self, status: int, url: str) -> None:
        self.fetched.append(url)
        if status >= 400:
            self.console.append(f"HTTP {status}: {url}")


def _is_old_pyscripts_own(error: str) -> bool:
    """Tells what PyScript before 0.7.12 says of itself for each worker with a configuration, where the page names a Pyodide.

    Its own Python modules cannot be imported there; all else works.
    """
    return PYSCRIPT < (0, 7, 12) and "/pyscript/magic_js.py" in error and "'str' object does not" in error
