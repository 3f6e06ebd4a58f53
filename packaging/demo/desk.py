"""The files that were read, and the questions that can be asked about them.

Invariant: it holds parsed files by name and answers in steps (see steps.py); the worker and the page each have
a desk of their own. It does not know where it runs.
"""

from collections.abc import Iterator
from typing import Any

from bands import AlikeFlights, band_rows
from flights import BY_HOUR, flights_by_hour, summarise
from grouping import group
from steps import Steps, straight
from tables import Table, read_table


class Desk:
    """Parsed files by name, and what was derived from them."""

    def __init__(self) -> None:
        self._tables: dict[str, Table] = {}
        self._flights: dict[str, list[BY_HOUR]] = {}
        self.rows_begun = 0
        """How many rows of the last table by distance were begun."""

    def load(self, name: str, data: bytes | bytearray) -> Steps[dict[str, Any]]:
        """Reads a file and describes it; a file of the same name is replaced."""
        table = yield from read_table(name, data)
        self._tables[name] = table
        self._flights.pop(name, None)
        columns = [(column.name, column.kind) for column in table.columns.values()]
        return {
            "name": name,
            "rows": table.rows,
            "bytes": len(data),
            "columns": columns,
        }

    def delays(self, name: str, **question: Any) -> Steps[dict[str, Any]]:
        """Summarises a file of flights; flights.summarise tells what can be asked."""
        if name not in self._flights:
            self._flights[name] = yield from flights_by_hour(self._table(name))
        answer = yield from summarise(self._flights[name], **question)
        return answer

    def groups(self, name: str, by: str, value: str | None, how: str) -> Steps[dict[str, Any]]:
        """Groups any file by a column; grouping.group tells what can be asked."""
        answer = yield from group(self._table(name), by, value, how)
        return answer

    def bands(self, name: str) -> Iterator[Steps[dict[str, Any]]]:
        """Gives the work of each row of the table by distance, one after the other."""
        self.rows_begun = 0
        for steps in band_rows(self._by_hour(name)):
            self.rows_begun += 1
            yield steps

    def alike(self, name: str) -> AlikeFlights:
        """Makes the model of a file of flights: it finds those like a given one."""
        return AlikeFlights(self._by_hour(name))

    def _by_hour(self, name: str) -> list[BY_HOUR]:
        if name not in self._flights:
            self._flights[name] = straight(flights_by_hour(self._table(name)))
        return self._flights[name]

    def _table(self, name: str) -> Table:
        try:
            return self._tables[name]
        except KeyError:
            raise ValueError(f"no file named {name!r} was loaded") from None
