"""The tables of docs/reliability.md are those of a run of this suite."""

from __future__ import annotations

from pathlib import Path

import pytest
from fault_page import Records

from engines import ENGINE
from repeated import IS_FULL

HERE = Path(__file__).parent


def _is_whole(session: pytest.Session) -> bool:
    """Tells whether every test of this folder runs."""
    files = {item.path.name for item in session.items}
    return (
        IS_FULL
        and not session.config.option.keyword
        and files == {path.name for path in HERE.glob("test_*.py")}
    )


@pytest.mark.parametrize("table", ["functions", "others"])
def test_the_table(request: pytest.FixtureRequest, records: Records, table: str) -> None:
    """Each fault of this run stands in a table, with what the caller sees; a whole run has made each row."""
    if ENGINE != "chromium":
        pytest.skip("the tables are Chromium's")
    getattr(records, table).check(is_whole=_is_whole(request.session))
