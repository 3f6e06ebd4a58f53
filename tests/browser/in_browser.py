"""The pytest plugin of all tests in a browser: the browser, the two sites, and an end for what freezes.

Environment: WORKERLIB_SITE_ISOLATED and WORKERLIB_SITE_PLAIN are the addresses of two running servers of the same
site, with and without isolation headers; WORKERLIB_ENGINE is chromium (the default), firefox or webkit; CHROMIUM,
FIREFOX, WEBKIT_DRIVER and WEBKIT_BROWSER are paths. `cargo xtask test --only browser firefox webkit patterns` sets them.

A whole suite runs in Chromium, on both sites but for what is marked `one_site`, which isolation cannot change. What is
marked `every_engine` runs in the others too, on the plain site, and if it is marked `isolation` on both: what isolation
changes in PyScript and in Python, Chromium has shown.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from types import FrameType

import pytest

from engines import AnyBrowser, launch
from pace import PACE

SITES = {"isolated": "WORKERLIB_SITE_ISOLATED", "plain": "WORKERLIB_SITE_PLAIN"}
ENGINE = os.environ.get("WORKERLIB_ENGINE", "chromium")
LIMIT_SECONDS = round(180 * PACE)


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
    """Leaves out the isolated site where a test does not need it."""
    needless = [item for item in items if _site(item) == "isolated" and _needs_one_site(item)]
    config.hook.pytest_deselected(items=needless)
    items[:] = [item for item in items if item not in needless]


def _site(item: pytest.Item) -> object:
    has_parameters = isinstance(item, pytest.Function) and hasattr(item, "callspec")
    return item.callspec.params.get("site") if has_parameters else None


def _needs_one_site(item: pytest.Item) -> bool:
    if ENGINE == "chromium":
        return item.get_closest_marker("one_site") is not None
    return item.get_closest_marker("isolation") is None


@pytest.fixture(scope="session")
def browser() -> Iterator[AnyBrowser]:
    """The browser, one for the whole run."""
    with launch(ENGINE) as launched:
        yield launched


@pytest.fixture(scope="session", params=SITES)
def site(request: pytest.FixtureRequest) -> str:
    """The address of the site, once with isolation headers and once without."""
    variable = SITES[request.param]
    address = os.environ.get(variable)
    if not address:
        pytest.fail(f"{variable} is not set: run `cargo xtask test --only browser`, which starts the servers")
    return address.rstrip("/")
