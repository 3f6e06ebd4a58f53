"""The pages that tests share, in the browser and on the two sites of `in_browser.py`.

They start from a memory snapshot, and so do their workers. The pages of tests whose subject is a start do not.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from engines import AnyBrowser
from pyscript_page import PyScriptPage

pytest_plugins = ["in_browser", "limits", "repeated"]


@pytest.fixture(scope="session")
def bench(browser: AnyBrowser, site: str) -> Iterator[PyScriptPage]:
    """The page with one worker, "bench": a console error fails the test in which it shows."""
    with PyScriptPage(browser, site, "bench.html", has_snapshot=True) as page:
        yield page


@pytest.fixture(scope="session")
def swift(browser: AnyBrowser, site: str) -> Iterator[PyScriptPage]:
    """The page whose scripts never block."""
    with PyScriptPage(browser, site, "swift.html", has_snapshot=True) as page:
        yield page


@pytest.fixture(scope="session")
def mishaps(browser: AnyBrowser, site: str) -> Iterator[PyScriptPage]:
    """The same page for tests whose workers fail, of which PyScript tells the console."""
    with PyScriptPage(browser, site, "bench.html", faultless=False, has_snapshot=True) as page:
        yield page


@pytest.fixture(scope="session")
def document(browser: AnyBrowser, site: str) -> Iterator[PyScriptPage]:
    """The seed document's page, whose worker is workerlib itself: Option #1."""
    with PyScriptPage(browser, site, "document/index.html", has_snapshot=True) as page:
        yield page


@pytest.fixture(scope="session")
def document_mishaps(browser: AnyBrowser, site: str) -> Iterator[PyScriptPage]:
    """The same page for workers that fail, or log to stderr, of which the console is told as of errors."""
    with PyScriptPage(browser, site, "document/index.html", faultless=False, has_snapshot=True) as page:
        yield page


@pytest.fixture(scope="session")
def spawn_mishaps(browser: AnyBrowser, site: str) -> Iterator[PyScriptPage]:
    """The page without PyScript, for spawned workers that fail, of which the browser tells the console."""
    with PyScriptPage(browser, site, "spawn.html", faultless=False, has_snapshot=True) as page:
        yield page
