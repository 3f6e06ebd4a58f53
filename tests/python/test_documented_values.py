"""Reads the table of docs/values.md: what the document says about a value is what happens to it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import workerlib

from exact import assert_same
from trip import round_trip

DOCUMENT = Path(__file__).parents[2] / "docs" / "values.md"
# A Python expression in backquotes, then `same` or what else happens, in backquotes.
ROWS = re.findall(r"^\| `(.+?)` \| (same|`.+?`) \|", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)


def test_the_table_was_read() -> None:
    """An empty table would test nothing."""
    assert len(ROWS) > 30
    assert {"same", "`UnsendableError`"} < {outcome for _, outcome in ROWS}


@pytest.mark.parametrize(("expression", "outcome"), ROWS, ids=[expression for expression, _ in ROWS])
def test_the_document_is_right(expression: str, outcome: str) -> None:
    """The value in column 1 arrives as column 2 says."""
    value = eval(expression)
    if outcome == "`UnsendableError`":
        with pytest.raises(workerlib.UnsendableError):
            round_trip(value)
    elif outcome == "same":
        assert_same(round_trip(value), value)
    else:
        assert_same(round_trip(value), eval(outcome.strip("`")))
