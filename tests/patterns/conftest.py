"""Settings of the tests of pages in JavaScript: the browser, and a page of the site for each test module.

Environment: as for tests/browser, which also has what drives the engines. `cargo xtask test --only patterns` sets it.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from engines import AnyBrowser, launch

SITES = {"isolated": "WORKERLIB_SITE_ISOLATED", "plain": "WORKERLIB_SITE_PLAIN"}
LIMIT_SECONDS = 180
LOAD_MILLISECONDS = 60_000


class Page:
    """A page of tests/patterns/pages, and what its console said."""

    def __init__(self, browser: AnyBrowser, site: str) -> None:
        self.site = site
        self.console: list[str] = []
        self._context = browser.new_context()
        self._page = self._context.new_page()
        self._page.on("console", lambda message: self.console.append(message.text))

    def open(self, path: str, until: str = "() => window.ready") -> None:
        """Opens a page of the site and waits until an expression is true."""
        self._page.goto(f"{self.site}/{path}", timeout=LOAD_MILLISECONDS)
        self._page.wait_for_function(until, timeout=LOAD_MILLISECONDS)

    def run(self, script: str, argument: Any = None) -> Any:
        """Runs the body of an async function, whose parameter is `given`, and returns what it returns."""
        return self._page.evaluate(f"async (given) => {{ {script} }}", argument)

    def close(self) -> None:
        """Closes the page and its workers."""
        self._context.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Ends a test whose page has frozen."""

    def stop(*_: object) -> None:
        raise TimeoutError(f"{item.nodeid} did not end within {LIMIT_SECONDS} s: is the page frozen?")

    previous = signal.signal(signal.SIGALRM, stop)
    signal.alarm(LIMIT_SECONDS)
    try:
        return (yield)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous)


@pytest.fixture(scope="session")
def browser() -> Iterator[AnyBrowser]:
    """The browser, one for the whole run."""
    with launch(os.environ.get("WORKERLIB_ENGINE", "chromium")) as launched:
        yield launched


@pytest.fixture(scope="session", params=SITES)
def site(request: pytest.FixtureRequest) -> str:
    """The address of the site, once with isolation headers and once without."""
    return os.environ[SITES[request.param]].rstrip("/")


@pytest.fixture
def new_page(browser: AnyBrowser, site: str) -> Iterator[Page]:
    """A page that has not been opened yet."""
    page = Page(browser, site)
    yield page
    page.close()


@pytest.fixture(scope="session")
def page(browser: AnyBrowser, site: str) -> Iterator[Page]:
    """One page, in which `sharedWorker()` gives a worker whose script is functions.py."""
    page = Page(browser, site)
    page.open("patterns/blank.html")
    yield page
    page.close()
