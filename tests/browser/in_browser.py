"""The pytest plugin of all tests in a browser: the browser, and the two sites.

Environment: WORKERLIB_SITE_ISOLATED and WORKERLIB_SITE_PLAIN are the addresses of two running servers of the same
site, with and without isolation headers; WORKERLIB_ENGINE is chromium (the default), firefox or webkit; CHROMIUM,
FIREFOX, WEBKIT_DRIVER and WEBKIT_BROWSER are paths. `cargo xtask test --only browser firefox webkit patterns` sets them.

A whole suite runs in Chromium, on the plain site. A test that is marked `every_engine` runs in the other engines too, and
with other PyScripts (`--matrix`); a test that no engine can change, but a PyScript can, is marked `every_pyscript`.
Isolation gives pages and workers shared memory, by which workerlib interrupts functions, and changes how PyScript's own
objects reach a worker. A test that this can change is marked `isolation`, and runs on both sites: in each of its
engines, or in those that the mark names, `isolation("chromium")`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from engines import ENGINE, AnyBrowser, launch

SITES = {"plain": "WORKERLIB_SITE_PLAIN", "isolated": "WORKERLIB_SITE_ISOLATED"}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out the isolated site where isolation cannot change a test."""
    needless = [item for item in items if _site(item) == "isolated" and not _needs_isolation(item)]
    config.hook.pytest_deselected(items=needless)
    items[:] = [item for item in items if item not in needless]


def _site(item: pytest.Item) -> object:
    has_parameters = isinstance(item, pytest.Function) and hasattr(item, "callspec")
    return item.callspec.params.get("site") if has_parameters else None


def _needs_isolation(item: pytest.Item) -> bool:
    mark = item.get_closest_marker("isolation")
    return mark is not None and (not mark.args or ENGINE in mark.args)


@pytest.fixture(scope="session")
def browser() -> Iterator[AnyBrowser]:
    """The browser, one for the whole run."""
    with launch(ENGINE, shares_processes=True) as launched:
        yield launched


@pytest.fixture(scope="session", params=SITES)
def site(request: pytest.FixtureRequest) -> str:
    """The address of the site, without isolation headers and, where the test asks for it, with them."""
    variable = SITES[request.param]
    address = os.environ.get(variable)
    if not address:
        pytest.fail(f"{variable} is not set: run `cargo xtask test --only browser`, which starts the servers")
    return address.rstrip("/")
