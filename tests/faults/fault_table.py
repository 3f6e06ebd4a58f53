"""The tables of docs/reliability.md: a suite that injects faults writes them, and checks that they are those of its run."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reliability.md"
END = "<!-- its end -->"
IS_WRITTEN = "WORKERLIB_WRITE_RELIABILITY"
"""The variable that has a run write its tables."""

Cells = dict[tuple[str, ...], dict[str, str]]
"""The cells of a table: the row by the texts of its first columns, then the column."""


@dataclass
class FaultTable:
    """A table of the page, and the rows of this run."""

    name: str
    keys: tuple[str, ...]
    """The columns that say which fault a row is about."""
    columns: tuple[str, ...]
    """The other columns."""
    cells: Cells = field(default_factory=dict)

    def add(self, key: tuple[str, ...], cells: dict[str, str]) -> None:
        """Adds cells to the row of a fault, by their columns."""
        self.cells.setdefault(key, {}).update(cells)

    def check(self, *, is_whole: bool) -> None:
        """Compares the cells of this run with those of the page, or writes them.

        A time differs from run to run, so it is not compared.

        Args:
            is_whole: Whether this run has injected every fault of the table: then the page has no others.
        """
        start = f"<!-- {self.name}: written by the suite if {IS_WRITTEN} is set -->\n"
        before, found, rest = PAGE.read_text().partition(start)
        assert found, f"{PAGE} has no table {self.name!r}"
        table, _, after = rest.partition(END)
        documented = self._read(table)
        if os.environ.get(IS_WRITTEN):
            written = {} if is_whole else documented
            for key, row in self.cells.items():
                written[key] = {**written.get(key, {}), **row}
            PAGE.write_text(before + start + "\n" + self._text(written) + "\n" + END + after)
            return
        seen, said = _without_times(self.cells), _without_times(documented)
        undocumented, gone = seen - said, said - seen if is_whole else set()
        assert not undocumented, f"run the suite with {IS_WRITTEN}=1: {sorted(undocumented)}"
        assert not gone, f"nothing of this run made these cells of {PAGE.name}: {sorted(gone)}"

    def _read(self, table: str) -> Cells:
        lines = [line for line in table.splitlines() if line.startswith("|")]
        rows = [[cell.strip() for cell in line.strip("|").split(" |")] for line in lines[2:]]
        number = len(self.keys)
        return {tuple(row[:number]): dict(zip(self.columns, row[number:], strict=True)) for row in rows}

    def _text(self, cells: Cells) -> str:
        lines = [[*self.keys, *self.columns], ["---"] * (len(self.keys) + len(self.columns))]
        lines += [
            [*key, *(row.get(column, "") for column in self.columns)] for key, row in sorted(cells.items())
        ]
        return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _without_times(cells: Cells) -> set[tuple[tuple[str, ...], str, str]]:
    """Lists the cells that hold more than a time."""
    texts = (
        (key, column, re.sub(r",? ?\d+\.\d\d s", "", text))
        for key, row in cells.items()
        for column, text in row.items()
    )
    return {cell for cell in texts if cell[2]}
