"""The pytest plugin of all tests in a browser: the browser, the two sites, and an end for what freezes.

Environment: WORKERLIB_SITE_ISOLATED and WORKERLIB_SITE_PLAIN are the addresses of two running servers of the same
site, with and without isolation headers; WORKERLIB_ENGINE is chromium (the default), firefox or webkit; CHROMIUM,
FIREFOX, WEBKIT_DRIVER and WEBKIT_BROWSER are paths. `cargo xtask test --only browser firefox webkit patterns` sets them.

A whole suite runs in Chromium; what is marked `every_engine` runs in the others too. What is marked `one_site` runs on
the plain site only: it tells nothing that isolation could change.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from types import FrameType

import pytest

from engines import AnyBrowser, launch

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


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out the second site of what is marked `one_site`."""
    again = [item for item in items if item.get_closest_marker("one_site") and _site(item) == "isolated"]
    config.hook.pytest_deselected(items=again)
    items[:] = [item for item in items if item not in again]


def _site(item: pytest.Item) -> object:
    return item.callspec.params.get("site") if isinstance(item, pytest.Function) else None


@pytest.fixture(scope="session")
def browser() -> Iterator[AnyBrowser]:
    """The browser, one for the whole run."""
    with launch(os.environ.get("WORKERLIB_ENGINE", "chromium")) as launched:
        yield launched


@pytest.fixture(scope="session", params=SITES)
def site(request: pytest.FixtureRequest) -> str:
    """The address of the site, once with isolation headers and once without."""
    variable = SITES[request.param]
    address = os.environ.get(variable)
    if not address:
        pytest.fail(f"{variable} is not set: run `cargo xtask test --only browser`, which starts the servers")
    return address.rstrip("/")
