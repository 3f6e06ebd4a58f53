"""The shared suite between a page of PyScript's and its worker."""

from __future__ import annotations

import pytest

import shared_tests
from pyscript_page import PyScriptPage

# Chromium runs all of them on both sites. Isolation changes these in each engine: how functions end, and how they wait.
CHANGED = ("endings: ", "pages: ")


@pytest.mark.every_engine
@pytest.mark.parametrize(
    "name",
    shared_tests.with_marks(
        isolation=pytest.mark.isolation,
        repeated=pytest.mark.repeated("firefox isolated", "webkit isolated"),
        but=CHANGED,
    ),
)
def test_shared(bench: PyScriptPage, name: str) -> None:
    """All tests share the page and its worker, as the functions of a page do."""
    bench.run_shared(name)
