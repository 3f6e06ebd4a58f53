"""Pages in JavaScript, in the browser and on the two sites of tests/browser/in_browser.py."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urljoin

import pytest
from playwright.sync_api import Browser, Route

import kept_snapshots
from engines import AnyBrowser
from pace import PACE

pytest_plugins = ["in_browser", "limits", "repeated"]

LOAD_MILLISECONDS = 120_000 * PACE


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the tests of one opened page behind each other; pytest does so only for tests with the same list of pages."""
    first: dict[object, int] = {}
    keys = {item: _page_of(item) or item for item in items}
    for index, item in enumerate(items):
        first.setdefault(keys[item], index)
    items.sort(key=lambda item: first[keys[item]])


def _page_of(item: pytest.Item) -> object:
    """Tells the page that a test's fixture `shown` opens, and its site."""
    parameters = (
        item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
    )
    return (parameters["site"], parameters["shown"]) if "shown" in parameters else None


class SharedContexts:
    """Browser contexts of Chromium's, each shared by pages of a site until the browser ends.

    The pages run in one process (tests/browser/engines.py), which makes each after the first much cheaper. If that process
    crashes, it takes all pages along, also the keeper of snapshots. The next page gets another context.
    """

    def __init__(self) -> None:
        self._made: dict[tuple[Browser, str], tuple[Any, Any]] = {}

    def of(self, browser: Browser, site: str) -> tuple[Any, Any]:
        """Gives the context of a site, and its keeper of snapshots."""
        key = browser, site
        if key not in self._made:
            context = browser.new_context()
            keeper = kept_snapshots.provide(context, site, has_interpreter=False)
            keeper.on("crash", lambda _: self._made.pop(key, None))
            self._made[key] = context, keeper
        return self._made[key]


_shared_contexts = SharedContexts()


class Page:
    """A page of tests/patterns/pages, and what its console said.

    Args:
        browser: The browser.
        site: The address of the site.
        has_snapshots: Whether workers start from the memory snapshots that other pages of this run have made, where there are
            some (tests/browser/kept_snapshots.py). In Chromium such a page shares its process and its storage with the others.
    """

    def __init__(self, browser: AnyBrowser, site: str, has_snapshots: bool = True) -> None:
        self.site = site
        self.console: list[str] = []
        self._keeper: Any = None
        # Only Chromium's pages tell of the snapshots that they have made.
        self._is_sharing = False
        if has_snapshots and isinstance(browser, Browser):
            self._is_sharing = True
            self._context, self._keeper = _shared_contexts.of(browser, site)
        else:
            self._context = browser.new_context()
        self._page = self._context.new_page()
        self._page.on("console", lambda message: self.console.append(message.text))

    def open(self, path: str, until: str = "() => window.ready") -> None:
        """Opens a page of the site, or of another by its whole address, and waits until an expression is true."""
        self._page.goto(urljoin(f"{self.site}/", path), timeout=LOAD_MILLISECONDS)
        self.wait_for(until)

    def wait_for(self, until: str) -> None:
        """Waits until an expression is true."""
        self._page.wait_for_function(until, timeout=LOAD_MILLISECONDS)

    def start_from_snapshot(self) -> None:
        """Has the gallery's pages start from a memory snapshot, as their workers do; in Chromium only."""
        kept_snapshots.provide_interpreter(self._keeper)
        interpreter = kept_snapshots.INTERPRETER
        self._page.route(
            "**/examples/page.toml",
            lambda route: route.fulfill(
                body=route.fetch().text().replace("../../pyodide/pyodide.mjs", interpreter)
            ),
        )

    def refuse(self, pattern: str) -> None:
        """Answers requests for addresses of a pattern by 404; in Chromium only."""
        self._page.route(pattern, lambda route: route.fulfill(status=404, body="not here"))

    def cut_off(self, pattern: str) -> None:
        """Breaks off the connection of requests for addresses of a pattern, as a network that is lost does; in Chromium only."""
        self._page.route(pattern, lambda route: route.abort("connectionfailed"))

    def move_site(self, folder: str) -> None:
        """Has the site's files in a folder of its host, and nothing anywhere else; in Chromium only."""
        root = f"{self.site}/"

        def answer(route: Route) -> None:
            if route.request.url.startswith(f"{root}{folder}/"):
                path = route.request.url.removeprefix(f"{root}{folder}/")
                route.fulfill(response=route.fetch(url=root + path))
            else:
                route.fulfill(status=404, body="not here")

        self._page.route(f"{root}**", answer)

    def show_as(self, scheme: str, width: int = 1280, height: int = 800) -> None:
        """Shows the page in light or dark mode and in a size; in Chromium only."""
        self._page.emulate_media(color_scheme=scheme)
        self._page.set_viewport_size({"width": width, "height": height})

    def run(self, script: str, argument: Any = None) -> Any:
        """Runs the body of an async function, whose parameter is `given`, and returns what it returns."""
        return self._page.evaluate(f"async (given) => {{ {script} }}", argument)

    def close(self) -> None:
        """Closes the page and its workers."""
        kept_snapshots.collect(self._keeper)
        if self._is_sharing:
            self._page.close()
        else:
            self._context.close()


@pytest.fixture
def new_page(browser: AnyBrowser, site: str) -> Iterator[Page]:
    """A page that has not been opened yet."""
    page = Page(browser, site)
    yield page
    page.close()


@pytest.fixture
def untouched_page(browser: AnyBrowser, site: str) -> Iterator[Page]:
    """The same in a browser without any memory snapshot."""
    page = Page(browser, site, has_snapshots=False)
    yield page
    page.close()


@pytest.fixture(scope="module")
def open_page(browser: AnyBrowser, site: str) -> Callable[[], Page]:
    """Makes pages that have not been opened yet, which a fixture of a module closes."""
    return functools.partial(Page, browser, site)


@pytest.fixture(scope="session")
def page(browser: AnyBrowser, site: str) -> Iterator[Page]:
    """One page, in which `sharedWorker()` gives a worker whose script is functions.py."""
    page = Page(browser, site)
    page.open("patterns/blank.html")
    yield page
    page.close()
