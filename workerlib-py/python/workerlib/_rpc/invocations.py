"""Runs the other side's calls of callbacks, and takes in the answers of this side's: a part of the driver.

`Connection` hands on here what its session says of invocations; `References` has the objects. A sync callback
runs at once, before anything else that has arrived is looked at, so that callbacks run in the order of their
calls and before the return of the function that called them. An async callback becomes a task.
"""

from __future__ import annotations

import asyncio
import contextvars
import types
from typing import Any

from workerlib._errors import RevokedError
from workerlib._native import Unfinished, dismantle
from workerlib._rpc.incoming_call import Served, current_call
from workerlib._rpc.outgoing_call import Pending
from workerlib._rpc.serving import answer_error
from workerlib._values.async_adapters import finish
from workerlib._values.streams import is_awaitable

Connection = Any
"""A `Connection`, whose module needs this one."""

_MOST_ERRORS = 4_096
"""The number of errors of a call's callbacks that are kept: as many invocations may be without an answer."""


class Invocation(Served):
    """A call of a callback of this side's, which the other side has made."""

    number = 0
    """The number of the callback."""
    is_orphaned = False
    """Whether the function that made it has returned, and nobody takes the answer."""


# The other side's invocations.


def on_invoke(  # noqa: PLR0917 - what the session says of it
    connection: Connection, call: int, number: int, member: str, arguments: list[Any], is_deep: bool
) -> None:
    """Runs an invocation by the other side."""
    served = Invocation(call, connection)
    connection._served[call] = served
    served.number, served.has_begun = number, True
    given = connection.references.given[number]
    if connection._brought:
        connection.references.adopt(served)
    was_hearing, connection._is_hearing = connection._is_hearing, True
    result: list[Any] = []
    context = given.context.copy()
    try:
        context.run(current_call.set, served)
        result.append(context.run(connection._guard.run, served, given.find(member), *arguments))
    # KeyboardInterrupt and SystemExit are the function's outcome too, as those of a call.
    except BaseException as error:
        fail_invocation(connection, served, error)
    else:
        if result[0] is None:
            _end(connection, served)
            connection._session.hear(call)
        elif is_awaitable(result[0]):
            context.run(finish_invocation, connection, served, result, None)
        else:
            _answer(connection, served, result, context)
    finally:
        connection._is_hearing = was_hearing
        if is_deep:
            dismantle(arguments)


def _answer(
    connection: Connection, served: Invocation, result: list[Any], context: contextvars.Context
) -> None:
    """Answers with the result of a sync callback."""
    try:
        wrapped = connection._table.adapters.wrap_result(result[0])
        answered = connection._session.return_value(served.call, wrapped)
    except BaseException as error:
        fail_invocation(connection, served, error)
        return
    if type(answered) is Unfinished:
        context.run(finish_invocation, connection, served, result, answered)
        return
    _end(connection, served)
    connection._transmit()
    if answered is True:
        dismantle(result)


def finish_invocation(
    connection: Connection, served: Invocation, result: list[Any], answered: Unfinished | None
) -> None:
    """Has a task await what a callback has returned, or the adapters that its result needs.

    It is called in the context of the callback.

    Args:
        connection: The connection.
        served: The invocation.
        result: A list of the awaitable, or of the result.
        answered: The result whose adapters have to be awaited.
    """
    if answered is None:
        finishing = _finish(connection, served, result)
    else:
        finishing = _finish_answer(connection, served, answered)
    # The function may have closed the connection.
    given = connection.references.given.get(served.number)
    name = None if given is None else f"workerlib: {given.name}"
    served.task = asyncio.Task(finishing, loop=connection._loop, name=name)
    served.has_begun = False


async def _finish(connection: Connection, served: Invocation, result: list[Any]) -> None:
    """Awaits what an async callback returned, and answers with the outcome."""
    served.has_begun = True
    try:
        if served.is_cancelled:
            if type(result[0]) is types.CoroutineType:
                result[0].close()
            raise asyncio.CancelledError
        if type(result[0]) is types.CoroutineType:
            result[0] = await connection.steps(served, result[0])
        else:
            result[0] = await result[0]
        if result[0] is None:
            _end(connection, served)
            connection._session.hear(served.call)
        else:
            answered = connection._session.return_value(
                served.call, connection._table.adapters.wrap_result(result[0])
            )
            if type(answered) is Unfinished:
                answered = connection._session.return_with_deferred(
                    served.call, answered, await finish(answered)
                )
            _end(connection, served)
            connection._transmit()
            if answered is True:
                dismantle(result)
    except BaseException as error:
        fail_invocation(connection, served, error)
    connection._carry_out()


async def _finish_answer(connection: Connection, served: Invocation, answered: Unfinished) -> None:
    """Answers with a result of which an adapter is async."""
    served.has_begun = True
    try:
        if served.is_cancelled:
            raise asyncio.CancelledError
        connection._session.return_with_deferred(served.call, answered, await finish(answered))
        _end(connection, served)
    except BaseException as error:
        fail_invocation(connection, served, error)
    connection._carry_out()


def fail_invocation(connection: Connection, served: Invocation, error: BaseException) -> None:
    """Answers with an error, unless the other side has cancelled the invocation by that."""
    was_interrupted = served.interrupt is not None
    if was_interrupted:
        connection._session.note_cancel(served.call)
    error = served.failure or error
    given_with = connection._session.call_given(served.number)
    pending = None if given_with is None else connection._calls.get(given_with)
    if isinstance(pending, Pending) and pending.name:
        if pending.callback_errors is None:
            pending.callback_errors = {}
        errors = pending.callback_errors
        errors[served.call] = error
        if len(errors) > _MOST_ERRORS:
            del errors[next(iter(errors))]
    if served.is_orphaned and not issubclass(type(error), asyncio.CancelledError):
        connection._loop.call_exception_handler(
            {
                "message": "a callback raised after the return of the call that it was passed to",
                "exception": error,
            }
        )
    _end(connection, served)
    answer_error(connection, served.call, error, was_interrupted)
    served.interrupt = None


def _end(connection: Connection, served: Invocation) -> None:
    connection._served.pop(served.call, None)
    served.forget_task()
    # It refers to the frames in which it was raised, and these frames to the invocation.
    served.failure = None
    if served.brought is not None:
        connection.references.leave(served)


def on_bad_invoke(
    connection: Connection, call: int, number: int, _member: str, error: BaseException | None
) -> None:
    """Answers an invocation that must not run: the callback is unknown, or the arguments are unreadable."""
    if error is None:
        error = RevokedError(
            "the callback is not called any more: the call that it was passed to was cancelled"
        )
    answer_error(connection, call, error)


def on_gone(connection: Connection, number: int) -> None:
    """Forgets something that the other side cannot call any more."""
    connection.references.forget(number)


# This side's invocations.


def on_heard(connection: Connection, calls: list[int]) -> None:
    """Takes in that invocations of this side's returned None, or that the other side takes some again."""
    if not calls:
        connection.references.note_room()
    for call in calls:
        pending = connection._calls.get(call)
        if pending is not None and not pending.done():
            pending.set_result((True, [None]))


def on_unheard(connection: Connection, call: int, invocations: list[int]) -> None:
    """Takes in which answers nobody has taken, before the return of the call that asked for them.

    If one of them has raised here, that is the outcome of the call, as if the callback had raised within it.
    """
    pending = connection._calls.get(call)
    errors = (pending.callback_errors if isinstance(pending, Pending) else None) or {}
    for invocation in invocations:
        if invocation in errors:
            connection._settle(call, (False, [errors[invocation]]))
            break
    for invocation in invocations:
        served = connection._served.get(invocation)
        if isinstance(served, Invocation):
            served.is_orphaned = True
