"""Settings of the browser suite: the browser, the two sites (with and without isolation headers), the shared pages.

Environment: WORKERLIB_SITE_ISOLATED and WORKERLIB_SITE_PLAIN are the addresses of two running servers of the same
site; WORKERLIB_ENGINE is chromium (the default), firefox or webkit; CHROMIUM, FIREFOX, WEBKIT_DRIVER and WEBKIT_BROWSER
are paths. `cargo xtask test --only browser firefox webkit` sets them.

The whole suite runs in Chromium; what is marked `every_engine` runs in the others too.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from types import FrameType

import pytest

from engines import AnyBrowser, launch
from pyscript_page import PyScriptPage

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
def browser() -> Iterator[AnyBrowser]:
    """The browser, one for the whole run."""
    engine = os.environ.get("WORKERLIB_ENGINE", "chromium")
    with launch(engine) as launched:
        yield launched


@pytest.fixture(scope="session", params=SITES)
def site(request: pytest.FixtureRequest) -> str:
    """The address of the site, once with isolation headers and once without."""
    variable = SITES[request.param]
    address = os.environ.get(variable)
    if not address:
        pytest.fail(f"{variable} is not set: run `cargo xtask test --only browser`, which starts the servers")
    return address.rstrip("/")


@pytest.fixture(scope="session")
def bench(browser: AnyBrowser, site: str) -> Iterator[PyScriptPage]:
    """The page with one worker, "bench": a console error fails the test in which it shows."""
    with PyScriptPage(browser, site, "bench.html") as page:
        yield page


@pytest.fixture(scope="session")
def mishaps(browser: AnyBrowser, site: str) -> Iterator[PyScriptPage]:
    """The same page for tests whose workers fail, of which PyScript tells the console."""
    with PyScriptPage(browser, site, "bench.html", faultless=False) as page:
        yield page
