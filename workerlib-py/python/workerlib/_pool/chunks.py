"""Many items of a map in one call: the worker's side runs them, the page's side hears of each outcome.

A small call costs a message each way and two iterations of an event loop. A chunk costs that once, and its
outcomes are reports of the chunk's call, which nobody answers. Results of quick items share a report, as far
as the page allows it (`Run.together` of `_pool/steps.py`): a death costs the items whose outcomes have not
been sent. An outcome that others have to wait for leaves before the next item begins.
"""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Any
from weakref import WeakKeyDictionary

from workerlib._errors import FrameError, UnsendableError
from workerlib._pool.places import placed
from workerlib._rpc.connection import Connection
from workerlib._rpc.incoming_call import Served
from workerlib._rpc.serving import await_result
from workerlib._values.streams import is_awaitable

_BREATH = 0.004
"""For how many seconds a chunk computes before the event loop has a turn, in which a cancel can arrive."""

OUTCOME = "workerlib:outcome"
"""The first value of each report of a chunk, since the user's function may report as well."""

# The kinds of outcomes. `TOGETHER` has a list of results, those of consecutive items.
RAISED, RETURNED, INTERRUPTED, NOT_BEGUN, TOGETHER = range(5)

_SOON = 0.001
"""For how many seconds a result may wait for the next ones, beside the time of the item that runs."""

_LONGEST = 1024
"""The greatest length of texts and bytes that share a report."""

_FEW = 32
"""The number of values, and the length of each, that a container may have which shares a report."""

_SCALARS = frozenset({int, float, bool, complex, type(None)})


_ends: WeakKeyDictionary[Connection, asyncio.Future[bool]] = WeakKeyDictionary()
"""Of each connection the end of the last chunk that has arrived: whether all of its items have run."""


async def run_chunk(  # noqa: PLR0917 - the arguments of a call
    connection: Connection,
    served: Served,
    name: str,
    items: list[Any],
    together: int,
    patience: float,
    follows: bool = False,
) -> float:
    """Runs a function for each item, in their order, and reports each outcome: the worker's side.

    If that takes long, the items that have not begun are left to the page, which has them run elsewhere.

    Args:
        connection: The connection to the page.
        served: The call that this is.
        name: The name of the export.
        items: The items, each the only argument of its call.
        together: The number of results that may share a report.
        patience: After how many seconds no further item begins.
        follows: Whether this chunk has been sent before the last one has ended. It begins behind that one, if
            all items of that one have run: so a death has its suspects among the items of one chunk.

    Returns:
        The time in seconds that it took.
    """
    before = _ends.get(connection)
    end = _ends[connection] = asyncio.get_running_loop().create_future()
    is_complete = False
    try:
        if follows and before is not None:
            if not before.done():
                try:
                    await asyncio.wait([before])
                except asyncio.CancelledError:
                    _report(connection, served, NOT_BEGUN, None)
                    raise
            if not before.result():
                return 0.0
        start = monotonic()
        is_complete = await _run_items(connection, served, name, items, together, start + patience)
        return monotonic() - start
    finally:
        end.set_result(is_complete)


async def _run_items(  # noqa: PLR0917 - those of a chunk
    connection: Connection, served: Served, name: str, items: list[Any], together: int, until: float
) -> bool:
    """Runs the items of a chunk; returns whether all have run."""
    function = connection.exported(name)
    guard = connection._guard
    breath = since = monotonic()
    unsent: list[Any] = []
    for number, item in enumerate(items, 1):
        result: list[Any] = []
        try:
            result.append(guard.run(served, function, (item,), {}))
            if type(result[0]) not in _SCALARS and is_awaitable(result[0]):
                # It may take long.
                _report_results(connection, served, unsent)
                await await_result(connection, served, result)
        except BaseException as error:
            _report_results(connection, served, unsent)
            if _is_cancelled(served):
                _report(connection, served, INTERRUPTED, None)
                raise
            _report(connection, served, RAISED, connection.describe_error(error))
        else:
            if together > 1 and _may_wait(result[0]):
                unsent.append(_copied(result.pop()))
            else:
                _report_results(connection, served, unsent)
                _report(connection, served, RETURNED, result.pop())
        if _is_cancelled(served):
            # The function has caught what interrupted it, and has an outcome.
            _report_results(connection, served, unsent)
            _report(connection, served, NOT_BEGUN, None)
            raise asyncio.CancelledError
        now = monotonic()
        if now > until and number < len(items):
            _report_results(connection, served, unsent)
            return False
        if len(unsent) >= together or now - since > _SOON:
            _report_results(connection, served, unsent)
            since = now
        if now - breath > _BREATH and number < len(items):
            try:
                await asyncio.sleep(0)
            except asyncio.CancelledError:
                _report_results(connection, served, unsent)
                _report(connection, served, NOT_BEGUN, None)
                raise
            breath = monotonic()
    _report_results(connection, served, unsent)
    return True


def _may_wait(result: Any) -> bool:
    """Tells whether a result can share a report: any page can read it, and it is small."""
    kind = type(result)
    if kind in _SCALARS:
        return True
    if kind is str or kind is bytes:
        return len(result) <= _LONGEST
    if kind is list or kind is tuple:
        return len(result) <= _FEW and all(map(_is_small, result))
    if kind is dict:
        return len(result) <= _FEW and all(map(_is_small, (*result, *result.values())))
    return False


def _is_small(value: Any) -> bool:
    kind = type(value)
    return kind in _SCALARS or ((kind is str or kind is bytes) and len(value) <= _FEW)


def _copied(result: Any) -> Any:
    """Returns a result that stays as it is, whatever the function does with it later."""
    return result.copy() if type(result) is list or type(result) is dict else result


def _is_cancelled(served: Served) -> bool:
    return served.interrupt is not None or served.cancels_heard > 0


def _report_results(connection: Connection, served: Served, results: list[Any]) -> None:
    """Reports the results that have not been sent."""
    if results:
        connection.report(served.call, (OUTCOME, TOGETHER, results))
        results.clear()


def _report(connection: Connection, served: Served, kind: int, value: Any) -> None:
    """Reports an outcome; a result that cannot be sent is replaced by the error that says so."""
    try:
        connection.report(served.call, (OUTCOME, kind, value))
    except BaseException as error:
        # The report is this module's own: its user knows a result.
        told = placed(error, "report[2]", "result") if isinstance(error, UnsendableError) else error
        connection.report(served.call, (OUTCOME, RAISED, connection.describe_error(told)))


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
