"""Settings of the browser suite: Chromium, the two sites (with and without isolation headers) and the shared pages.

Environment: WORKERLIB_SITE_ISOLATED and WORKERLIB_SITE_PLAIN are the addresses of two running servers of the same
site; CHROMIUM is the browser's path (default /usr/bin/chromium). `cargo xtask test --only browser` sets them.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from types import FrameType

import pytest
from playwright.sync_api import Browser, sync_playwright

from pyscript_page import PyScriptPage

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SITES = {"isolated": "WORKERLIB_SITE_ISOLATED", "plain": "WORKERLIB_SITE_PLAIN"}
LIMIT_SECONDS = 180


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Ends a test whose page has frozen: playwright would wait for its answer for ever."""

    def stop(signum: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"{item.nodeid} did not end within {LIMIT_SECONDS} s: is the page frozen?")

    previous = signal.signal(signal.SIGALRM, stop)
    signal.alarm(LIMIT_SECONDS)
    try:
        return (yield)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium, one for the whole run."""
    with sync_playwright() as playwright:
        path = os.environ.get("CHROMIUM", "/usr/bin/chromium")
        chromium = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session", params=SITES)
def site(request: pytest.FixtureRequest) -> str:
    """The address of the site, once with isolation headers and once without."""
    variable = SITES[request.param]
    address = os.environ.get(variable)
    if not address:
        pytest.fail(f"{variable} is not set: run `cargo xtask test --only browser`, which starts the servers")
    return address.rstrip("/")


@pytest.fixture(scope="session")
def bench(browser: Browser, site: str) -> Iterator[PyScriptPage]:
    """The page with one worker, "bench": a console error fails the test in which it shows."""
    with PyScriptPage(browser, site, "bench.html") as page:
        yield page


@pytest.fixture(scope="session")
def mishaps(browser: Browser, site: str) -> Iterator[PyScriptPage]:
    """The same page for tests whose workers fail, of which PyScript tells the console."""
    with PyScriptPage(browser, site, "bench.html", faultless=False) as page:
        yield page
