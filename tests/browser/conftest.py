"""The pages that tests share, in the browser and on the two sites of `in_browser.py`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from engines import AnyBrowser
from pyscript_page import PyScriptPage

pytest_plugins = ["in_browser"]


@pytest.fixture(scope="session")
def bench(browser: AnyBrowser, site: str) -> Iterator[PyScriptPage]:
    """The page with one worker, "bench": a console error fails the test in which it shows."""
    with PyScriptPage(browser, site, "bench.html") as page:
        yield page


@pytest.fixture
def own_bench(browser: AnyBrowser, site: str) -> Iterator[PyScriptPage]:
    """The same page for one test alone, which leaves behind what would burden others."""
    with PyScriptPage(browser, site, "bench.html") as page:
        yield page


@pytest.fixture(scope="session")
def swift(browser: AnyBrowser, site: str) -> Iterator[PyScriptPage]:
    """The page whose scripts never block."""
    with PyScriptPage(browser, site, "swift.html") as page:
        yield page


@pytest.fixture(scope="session")
def mishaps(browser: AnyBrowser, site: str) -> Iterator[PyScriptPage]:
    """The same page for tests whose workers fail, of which PyScript tells the console."""
    with PyScriptPage(browser, site, "bench.html", faultless=False) as page:
        yield page
