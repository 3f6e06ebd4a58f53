"""Does what the session says of news: reports, output, and a peer that sleeps until it has an answer.

They are about calls, and settle a call only by an error. The connection carries them out by `DONE_BY`.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

from workerlib._rpc.outgoing_call import Pending


def _on_report(connection: Any, call: int, values: tuple[Any, ...]) -> None:
    pending: Pending | None = connection._calls.get(call)
    if pending is None or pending.on_report is None or pending.done():
        return
    try:
        outcome = pending.on_report(*values)
        # Most return None, and reports come as often as they like.
        if outcome is not None and inspect.isawaitable(outcome):
            task = asyncio.ensure_future(outcome)
            connection.reporting.add(task)
            task.add_done_callback(partial(_has_reported, connection, pending))
    except Exception as error:
        pending.has_failed_report = True
        pending.set_result((False, [error]))


def _has_reported(connection: Any, pending: Pending, task: asyncio.Future[Any]) -> None:
    connection.reporting.discard(task)
    if task.cancelled() or (error := task.exception()) is None or pending.has_failed_report:
        # The call has one outcome: the first of such errors.
        return
    pending.has_failed_report = True
    if not pending.done():
        pending.set_result((False, [error]))
    else:
        text = "the on_report of a call that has ended raised an exception"
        connection._loop.call_exception_handler({"message": text, "exception": error, "future": task})


def _on_bad_report(connection: Any, call: int, error: BaseException) -> None:
    pending: Pending | None = connection._calls.get(call)
    if pending is not None and pending.on_report is not None and not pending.done():
        pending.set_result((False, [error]))


def _on_output(connection: Any, stream: str, text: str) -> None:
    try:
        connection.on_output(stream, text)
    except Exception as error:
        text = "on_output raised an exception"
        connection._loop.call_exception_handler({"message": text, "exception": error})


def _on_blocked(connection: Any, calls: list[int]) -> None:
    if connection.wakeup is not None:
        connection.wakeup.begin(calls)
    for served in filter(None, map(connection._served.get, calls)):
        served.is_blocking = True
        for pending in list(connection._calls.values()):
            if pending.parent is served and not pending.done():
                pending.set_result((False, [connection.deadlock(pending.name)]))


DONE_BY: dict[str, Callable[..., None]] = {
    "report": _on_report,
    "bad_report": _on_bad_report,
    "output": _on_output,
    "blocked": _on_blocked,
}
"""The functions that do the session's steps, by name."""
