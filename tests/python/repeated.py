"""The pytest plugin that leaves repetitions to `cargo xtask test --full`, as CI runs it (docs/adr/0068).

A test, or a parameter of one, that is marked `repeated` checks what another test or another run checks too. The mark may name
the engines and the sites where that is so, such as `repeated("webkit", "firefox isolated")`; the test then runs everywhere
else. The variable WORKERLIB_FULL says that nothing is left out: `cargo xtask test` sets it for `--full`, for `--rerun-failed`, and where
the user has named tests.
"""

from __future__ import annotations

import os

import pytest

IS_FULL = os.environ.get("WORKERLIB_FULL") == "1"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out the repetitions, unless everything is to run."""
    if IS_FULL:
        return
    left_out = [item for item in items if _places_of_run(item) & _places(item)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def _places_of_run(item: pytest.Item) -> set[str]:
    """Tells where a test runs, in each of the ways in which a mark can say it."""
    engine, site = os.environ.get("WORKERLIB_ENGINE", "chromium"), _site(item)
    return {"everywhere", engine, site, f"{engine} {site}"}


def _places(item: pytest.Item) -> set[str]:
    """Tells where a test is a repetition."""
    marks = list(item.iter_markers("repeated"))
    return {place for mark in marks for place in mark.args or ("everywhere",)}


def _site(item: pytest.Item) -> str:
    """Tells on which site of `in_browser.py` a test runs, if on any."""
    has_parameters = isinstance(item, pytest.Function) and hasattr(item, "callspec")
    return str(item.callspec.params.get("site", "")) if has_parameters else ""
