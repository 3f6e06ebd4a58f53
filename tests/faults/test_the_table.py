"""The table of docs/reliability.md is that of a run of this suite."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from fault_page import Records

from engines import ENGINE

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
START = "<!-- the table: written by the suite if WORKERLIB_WRITE_RELIABILITY is set -->\n"
END = "<!-- its end -->"
HEAD = "| where | fault | the caller sees | after |\n| --- | --- | --- | ---: |\n"


def test_the_table(records: Records) -> None:
    """Each fault of this run stands in the table, with what the caller sees; how soon differs from run to run."""
    if ENGINE != "chromium":
        pytest.skip("the table is Chromium's")
    before, _, rest = PAGE.read_text().partition(START)
    table, _, after = rest.partition(END)
    if os.environ.get("WORKERLIB_WRITE_RELIABILITY"):
        rows = [
            f"| {host} | {fault} | {seen} | {seconds:.2f} s |\n"
            for host, fault, seen, seconds in records.rows
        ]
        PAGE.write_text(before + START + "\n" + HEAD + "".join(rows) + "\n" + END + after)
        return
    documented = {
        tuple(cell.strip() for cell in row.split("|")[1:4]) for row in table.splitlines() if "|" in row
    }
    seen = {(host, fault, seen) for host, fault, seen, _ in records.rows}
    assert seen <= documented, f"run the suite with WORKERLIB_WRITE_RELIABILITY=1: {seen - documented}"
