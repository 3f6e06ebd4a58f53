"""Sends the calls of this side that need more than one step, and waits for their outcome.

A call needs more than one step if it waits for its turn, has a timeout, hears of reports, asks for a stream,
needs an async adapter, or is made by sync code that waits. `Session.call` sends every other call at once. The
`Connection` has the table of all calls, and ends each of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from workerlib._native import Unfinished
from workerlib._rpc.incoming_call import Served
from workerlib._rpc.outgoing_call import Outcome, Pending, driver, in_this_context
from workerlib._rpc.remote_functions import OnReport
from workerlib._rpc.streams_consumed import Stream

_T = TypeVar("_T")

Connection = Any
"""A `Connection`, whose module needs this one."""


async def send_in_steps(
    connection: Connection,
    begun: tuple[Any, ...],
    function: str,
    arguments: tuple[tuple[Any, ...], dict[str, Any]],
    options: tuple[float | None, OnReport | None, Stream[Any] | None],
    *,
    parent: Served | None,
) -> Outcome | None:
    """Sends a call that could not be sent as it began, and waits for its outcome.

    Args:
        connection: The connection.
        begun: Its id, whether its turn has come, and its unfinished frame if there is one.
        function: The exported name.
        arguments: The positional and the keyword arguments.
        options: The `timeout`, `on_report` and `stream` of `call`.
        parent: The other side's call whose function makes it; None if there is none.
    """
    call, is_ready, *unfinished = begun
    del begun
    timeout, on_report, stream = options
    outcome: Outcome | None = None if is_ready else await connection._expect_turn(call, function, timeout)
    if outcome is not None:
        return outcome
    # Before anything is sent: a channel that fails settles the call in no time.
    answer: Pending = connection._expect(call, function, timeout)
    answer.parent = parent
    if on_report is not None:
        answer.on_report = in_this_context(on_report)
    if driver.is_on:
        # The other side has to know before it does anything about the call.
        connection._session.block(call)
    reports_start = timeout is not None
    wrapped = connection._table.adapters.wrap_arguments(*arguments)
    credit = None if stream is None else connection.streams.begin_opening(stream, answer)
    if unfinished:
        sent = unfinished.pop()
    else:
        sent = connection._session.send(call, function, *wrapped, reports_start, credit)
    if type(sent) is Unfinished:
        await connection._send_with_deferred(call, function, sent, reports_start, credit)
    # It holds the buffers, and the caller may resize what they were taken from.
    del sent
    connection._transmit()
    return await answer


async def unless_settled(connection: Connection, call: int, work: Coroutine[Any, Any, _T]) -> _T | None:
    """Awaits what a call needs to be sent; None if it is settled before that is there."""
    task = asyncio.ensure_future(work)
    pending = connection._calls[call]

    def end(_: object) -> None:
        task.cancel()

    pending.add_done_callback(end)
    try:
        return await task
    except asyncio.CancelledError:
        if not pending.done() or _is_being_cancelled():
            raise
        return None
    finally:
        pending.remove_done_callback(end)
        task.cancel()


def _is_being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
