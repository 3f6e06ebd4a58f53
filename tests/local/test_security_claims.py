"""docs/security.md: each claim names its tests, and the tests are there."""

from __future__ import annotations

import re
from pathlib import Path

_ROOT = Path(__file__).parents[2]
_NAMED = re.compile(r"`((?:tests|workerlib-codec)/[\w./-]+)::([^`]+)`")


def test_each_claim_names_a_test_that_is_there() -> None:
    """A claim whose test was renamed or removed would be a promise that nobody holds."""
    text = (_ROOT / "docs" / "security.md").read_text()
    named = _NAMED.findall(text)
    assert len(named) > 20
    for file, test in named:
        assert test in (_ROOT / file).read_text(), f"{file} has no test {test}"


def test_each_row_of_claims_has_a_test() -> None:
    """The tables of claims have two columns, the second of which names tests."""
    text = (_ROOT / "docs" / "security.md").read_text()
    for table in text.split("| claim | shown by |")[1:]:
        rows = [line for line in table.partition("\n\n")[0].splitlines() if line.startswith("| ")]
        for row in rows:
            assert row.startswith("| ---") or _NAMED.search(row), row
