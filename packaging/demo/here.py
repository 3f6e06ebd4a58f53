"""The same desk in the page's own Python, for comparison: what happens without a worker.

Invariant: the functions have the worker's names, arguments and answers, and run the same code, but in the page's
thread, as any plain Python function does: nothing on the page moves until it returns.
"""

from typing import Any

from clock import now
from desk import Desk
from steps import Steps, straight


class Here:
    """Answers as the worker's functions do."""

    def __init__(self) -> None:
        self._desk = Desk()

    async def load(self, name: str, data: bytes) -> tuple[Any, float, float]:
        """Reads a CSV or JSON file; its rows stay in the page's Python."""
        return _answer(self._desk.load(name, data))

    async def delays(self, name: str, **question: Any) -> tuple[Any, float, float]:
        """Filters and summarises a file of flights."""
        return _answer(self._desk.delays(name, **question))

    async def groups(self, name: str, by: str, value: str | None, how: str) -> tuple[Any, float, float]:
        """Groups a file's rows by one column and aggregates another."""
        return _answer(self._desk.groups(name, by, value, how))


def _answer(steps: Steps[Any]) -> tuple[Any, float, float]:
    began = now()
    return straight(steps), began, now()
