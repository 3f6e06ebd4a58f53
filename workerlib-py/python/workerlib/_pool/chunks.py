"""Many items of a map in one call: the worker's side runs them, the page's side hears of each outcome.

A small call costs a message each way and two iterations of an event loop. A chunk costs that once, and each
outcome is a report of the chunk's call, which nobody answers. A report leaves before the next item begins, so
that a death costs the item that runs and no other.
"""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Any

from workerlib._errors import FrameError
from workerlib._rpc.connection import Connection
from workerlib._rpc.incoming_call import Served

_BREATH = 0.004
"""For how many seconds a chunk computes before the event loop has a turn, in which a cancel can arrive."""

OUTCOME = "workerlib:outcome"
"""The first value of each report of a chunk, since the user's function may report as well."""

# The kinds of outcomes.
RAISED, RETURNED, INTERRUPTED, NOT_BEGUN = range(4)


async def run_chunk(connection: Connection, served: Served, name: str, items: list[Any]) -> float:
    """Runs a function for each item, in their order, and reports each outcome: the worker's side.

    Args:
        connection: The connection to the page.
        served: The call that this is.
        name: The name of the export.
        items: The items, each the only argument of its call.

    Returns:
        How many seconds it took.
    """
    function = connection.exported(name)
    start = breath = monotonic()
    for item in items:
        result: list[Any] = []
        try:
            await connection.run_function(served, function, [(item,), {}], result)
        except BaseException as error:
            if _is_cancelled(served):
                _report(connection, served, INTERRUPTED, None)
                raise
            _report(connection, served, RAISED, connection.describe_error(error))
        else:
            _report(connection, served, RETURNED, result.pop())
        if _is_cancelled(served):
            # The function has caught what interrupted it, and has an outcome.
            _report(connection, served, NOT_BEGUN, None)
            raise asyncio.CancelledError
        if monotonic() - breath > _BREATH:
            try:
                await asyncio.sleep(0)
            except asyncio.CancelledError:
                _report(connection, served, NOT_BEGUN, None)
                raise
            breath = monotonic()
    return monotonic() - start


def _is_cancelled(served: Served) -> bool:
    return served.interrupt is not None or served.cancels_heard > 0


def _report(connection: Connection, served: Served, kind: int, value: Any) -> None:
    """Reports an outcome; a result that cannot be sent is replaced by the error that says so."""
    try:
        connection.report(served.call, (OUTCOME, kind, value))
    except BaseException as error:
        connection.report(served.call, (OUTCOME, RAISED, connection.describe_error(error)))


def read_outcome(connection: Connection, kind: int, value: Any) -> tuple[bool, Any]:
    """Reads an outcome that is an answer: the page's side.

    Args:
        connection: The connection to the worker.
        kind: `RETURNED` or `RAISED`.
        value: The result, or the description of the exception.

    Returns:
        Whether the item raised, and the result or the exception.
    """
    if kind == RETURNED:
        return False, value
    try:
        return True, connection.rebuild_error(value)
    except FrameError as unreadable:
        return True, unreadable
