"""Starts, runs and answers the calls of the other side: a part of the driver.

`Connection` hands on here what its session says of calls that have arrived, and has the table of the calls
that run. Which of them start at once is decided by `_rpc/starts.py`, and whether a call may start by the
session.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import sys
import types
from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from functools import partial
from time import monotonic
from typing import Any, TypeGuard

from workerlib._exports import INTERNAL, Function
from workerlib._native import Arrival, Unfinished, dismantle
from workerlib._rpc.incoming_call import Served, current_call
from workerlib._rpc.remote_functions import not_exported
from workerlib._rpc.starts import started_by_loop, streams_without_task, without_task
from workerlib._values.async_adapters import finish, restore
from workerlib._values.exceptions import describe
from workerlib._values.safe_text import add_note, class_name, text_of
from workerlib._values.streams import is_awaitable

Connection = Any
"""A `Connection`, whose module needs this one."""

# The time in seconds that a function may compute before what has arrived meanwhile is taken in first.
_BRIEF = 0.001

# Before Python 3.12 no task takes its first step when it is made.
_HAS_EAGER_TASKS = sys.version_info >= (3, 12)


def start_call(
    connection: Connection, since: float | None, start: Callable[..., None], arguments: tuple[Any, ...]
) -> None:
    """Starts a call that has arrived, and says when the next one may start.

    Messages that arrive while a function runs are taken in before that: one may be a cancel.

    Args:
        connection: The connection over which it came.
        since: When the first of several was started that were there at the same time; None if no other waits.
        start: One of `STARTED_BY`.
        arguments: Its arguments, but for the first ones.
    """
    connection._session.holds_starts = True
    # The peer may have asked to be told, and a function that computes says nothing meanwhile.
    connection._transmit()
    name = arguments[1]
    function, has_callback = connection.functions.get(name), bool(connection._brought)
    if _HAS_EAGER_TASKS and connection.endpoint.starts_at_once(name, function, has_callback):
        start(connection, None, arguments)
        # Of a call that came alone others tell whether it took long: they have come while it ran.
        if connection._session.is_waiting if since is None else monotonic() - since > _BRIEF:
            connection._loop.call_later(0, connection._go_on)
        else:
            connection._session.holds_starts = False
        return
    since = since or monotonic()
    context = copy_context()
    context.run(started_by_loop.set, True)
    start(connection, context, arguments)
    # The task that was just made has its first step before this.
    connection._loop.call_soon(_has_started, connection, since, context=context.copy())


def _has_started(connection: Connection, since: float) -> None:
    # This is a copy of the call's context, and other calls may start now.
    started_by_loop.set(False)
    if monotonic() - since > _BRIEF:
        # A loop looks for what has arrived before it runs what is due, but after what is to run soon.
        connection._loop.call_later(0, connection._go_on)
    else:
        connection._go_on()


def _on_call(
    connection: Connection, context: Context | None, arrived: tuple[int, str, list[Any], bool]
) -> None:
    call, function, arguments, is_deep = arrived
    served = connection._served[call] = Served(call, connection)
    if connection._brought:
        connection.references.adopt(served)
    if (
        context is None
        and not connection.needs_deferred
        and served.brought is None
        and not function.startswith(INTERNAL)
        and not _is_async(connection.functions.get(function))
        # The function must not take the task of somebody else for its own.
        and asyncio.current_task(connection._loop) is None
    ):
        served.name = function
        if (exported := connection.functions.get(function)) is not None:
            # From the next call on, the native part does the same (`_rpc/direct_path.py`).
            without_task[function] = exported
        copy_context().run(_serve_at_once, connection, served, function, arguments, is_deep)
    else:
        _start(served, context, function, _serve(connection, served, function, arguments, is_deep, result=[]))


def _on_stream_call(
    connection: Connection, context: Context | None, arrived: tuple[int, str, list[Any], bool]
) -> None:
    call, function, arguments, is_deep = arrived
    served = connection._served[call] = Served(call, connection)
    exported = connection.functions.get(function)
    if context is None and _is_generator(exported):
        # From the next call on, the native part takes the first step (`_rpc/direct_path.py`).
        streams_without_task[function] = exported
    _start(served, context, function, connection.streams.serve(served, function, arguments, is_deep))


def _on_call_with_deferred(
    connection: Connection, context: Context | None, arrived: tuple[int, str, Arrival, bool]
) -> None:
    call, function, arrival, is_stream = arrived
    served = connection._served[call] = Served(call, connection)
    serving = _restore_and_serve(connection, served, function, arrival, is_stream)
    _start(served, context, function, serving)


def _start(
    served: Served, context: Context | None, function: str, serving: Coroutine[Any, Any, None]
) -> None:
    name = f"workerlib: {function}"
    loop = served.connection._loop
    # Pyodide's own create_task would add a callback that costs another turn of the loop.
    if context is None:
        task = asyncio.Task(serving, loop=loop, name=name, eager_start=True)  # type: ignore[call-arg]
        if not served.has_ended:
            served.task = task
    else:
        served.task = asyncio.Task(serving, loop=loop, name=name, context=context)


def _on_bad_call(
    connection: Connection, _context: Context | None, arrived: tuple[int, str, BaseException]
) -> None:
    _refuse(connection, *arrived)


def _refuse(connection: Connection, call: int, function: str, error: BaseException) -> None:
    add_note(error, f"The arguments of {function}() could not be read in the worker.")
    answer_error(connection, call, error)


async def _restore_and_serve(
    connection: Connection, served: Served, name: str, arrival: Arrival, is_stream: bool
) -> None:
    """Does what `_serve` does for a call whose arguments have to be restored first."""
    served.has_begun = True
    try:
        if served.is_cancelled:
            raise asyncio.CancelledError
        await restore(arrival, connection._table.adapters)
        arguments, is_deep = arrival.arguments()
        if connection._brought:
            connection.references.adopt(served)
    except BaseException as error:
        del connection._served[served.call]
        served.forget_task()
        _refuse(connection, served.call, name, error)
    else:
        if is_stream:
            await connection.streams.serve(served, name, arguments, is_deep)
        else:
            await _serve(connection, served, name, arguments, is_deep, result=[])


def _serve_at_once(
    connection: Connection, served: Served, name: str, arguments: list[Any], is_deep: bool
) -> None:
    """Does what `_serve` does without a task, unless the function gives an awaitable.

    A sync function needs no task, and to make a task takes a fifth of a small call. No adapter may be async.
    """
    served.has_begun = True
    current_call.set(served)
    result: list[Any] = []
    try:
        result.append(connection._guard.run(served, connection.exported(name), *arguments))
        if is_awaitable(result[0]):
            _go_on(served, name, _serve(connection, served, name, arguments, is_deep, result=result))
            return
        answered, unheard = _answer(connection, served, result)
        if type(answered) is Unfinished:
            # An adapter has given an awaitable, which no adapter has said before.
            end = partial(_end, connection, served, arguments, is_deep)
            _go_on(served, name, _finish(connection, served, result, (answered, unheard), end))
            return
        if answered is True:
            dismantle(result)
        connection._transmit()
    except BaseException as error:
        fail(connection, served, error)
    _end(connection, served, arguments, is_deep)


def hand_over(connection: Connection, served: Served, arguments: tuple[Any, Any], result: list[Any]) -> None:
    """Has a task await what a function has given that was called without one."""
    _go_on(served, served.name, _serve(connection, served, served.name, [*arguments], False, result=result))


def finish_later(
    connection: Connection,
    served: Served,
    arguments: tuple[Any, Any],
    result: list[Any],
    unfinished: Unfinished,
) -> None:
    """Has a task answer a call whose result needs an adapter that is awaited, against its word."""
    end = partial(_end, connection, served, [*arguments], False)
    _go_on(served, served.name, _finish(connection, served, result, (unfinished, None), end))


def _is_async(function: Function | None) -> bool:
    """Tells whether a function is an `async def`: it needs a task, which is made before it is called."""
    return type(function) is types.FunctionType and bool(function.__code__.co_flags & inspect.CO_COROUTINE)


def _is_generator(function: Function | None) -> TypeGuard[types.FunctionType]:
    """Tells whether a function is a sync one with a `yield`."""
    return type(function) is types.FunctionType and bool(function.__code__.co_flags & inspect.CO_GENERATOR)


async def _serve(
    connection: Connection,
    served: Served,
    name: str,
    arguments: list[Any],
    is_deep: bool,
    *,
    result: list[Any],
) -> None:
    """Runs a call of the other side and answers it.

    Args:
        connection: The connection that serves it.
        served: The call.
        name: The exported name.
        arguments: The positional and the keyword arguments, to which nothing else refers.
        is_deep: Whether Python would overflow the stack if it freed them.
        result: An empty list, or one with the awaitable that the function has given.
    """
    served.has_begun = True
    current_call.set(served)
    try:
        if served.is_cancelled and not result:
            raise asyncio.CancelledError
        if name.startswith(INTERNAL):
            internal = _internal_function(connection, name)
            result.append(await internal(connection, served, *arguments[0], **arguments[1]))
        else:
            if not result:
                # Not in a coroutine of its own: the function may raise StopIteration.
                result.append(connection._guard.run(served, connection.exported(name), *arguments))
            if type(result[0]) is types.CoroutineType:
                # As `await_result` does it, without a coroutine of its own.
                if served.is_answer_due:
                    connection._tell(served)
                result[0] = await connection.steps(served, result[0])
            elif is_awaitable(result[0]):
                await await_result(connection, served, result)
        answered, unheard = _answer(connection, served, result)
        if type(answered) is Unfinished:
            deferred = await finish(answered)
            answered = connection._session.return_with_deferred(served.call, answered, deferred, unheard)
        if answered is True:
            dismantle(result)
        connection._transmit()
    except BaseException as error:
        fail(connection, served, error)
    finally:
        _end(connection, served, arguments, is_deep)


def _go_on(served: Served, name: str, rest: Coroutine[Any, Any, None]) -> None:
    """Has the rest of a call run in a task, though it began without one."""
    _start(served, None, name, rest)
    if served.is_cancelled and served.task is not None:
        # The function has ended the connection, say, and given an awaitable after that.
        served.task.cancel()


def _answer(
    connection: Connection, served: Served, result: list[Any]
) -> tuple[bool | Unfinished, list[int] | None]:
    """Answers with a result.

    Returns:
        The answer of `Session.return_value`: whether Python would overflow the stack if it freed the result,
        or the result whose adapters have to be awaited first. Then the invocations whose answers nobody has
        taken.
    """
    if served.reporter is not None or connection.outlet is not None:
        connection._flush(served)
    unheard = None if served.replies is None else connection.references.unheard(served)
    wrapped = connection._table.adapters.wrap_result(result[0])
    return connection._session.return_value(served.call, wrapped, unheard), unheard


async def _finish(
    connection: Connection,
    served: Served,
    result: list[Any],
    answer: tuple[Unfinished, list[int] | None],
    end: Callable[[], None],
) -> None:
    """Answers a call whose function has returned, when the adapters of its result have been awaited."""
    current_call.set(served)
    unfinished, unheard = answer
    try:
        deferred = await finish(unfinished)
        if connection._session.return_with_deferred(served.call, unfinished, deferred, unheard):
            dismantle(result)
        connection._transmit()
    except BaseException as error:
        fail(connection, served, error)
    finally:
        end()


def fail(connection: Connection, served: Served, error: BaseException) -> None:
    """Answers a call with what its function raised, or what kept its result from being sent.

    KeyboardInterrupt and SystemExit are the function's outcome too: they must not end the worker.
    """
    with contextlib.suppress(Exception):
        connection._flush(served)
    if served.interrupt is not None:
        # The message that says the same may still be on its way.
        connection._session.note_cancel(served.call)
    answer_error(connection, served.call, served.failure or error, served.interrupt is not None)


def _end(connection: Connection, served: Served, arguments: list[Any], is_deep: bool) -> None:
    """Forgets a call that has been answered."""
    del connection._served[served.call]
    served.forget_task()
    if served.brought is not None:
        connection.references.leave(served)
    # They refer to the frames in which they were raised, and these frames to the call.
    served.interrupt = served.failure = None
    if is_deep:
        dismantle(arguments)


async def await_result(connection: Connection, served: Served, result: list[Any]) -> None:
    """Puts in the place of an awaitable that a user's function has returned what comes of it."""
    if served.is_answer_due:
        connection._tell(served)
    if type(result[0]) is types.CoroutineType:
        result[0] = await connection.steps(served, result[0])
    else:
        result[0] = await result[0]


def _internal_function(connection: Connection, name: str) -> Function:
    function: Function | None = None if connection._internal is None else connection._internal(name)
    if function is None:
        raise not_exported(name, connection.functions)
    return function


def answer_error(
    connection: Connection, call: int, error: BaseException, was_interrupted: bool = False
) -> None:
    connection.streams.withdraw()
    # By its type: `isinstance` would ask the exception for its `__class__`, which may raise.
    kind = type(error)
    may_be_cancelled = issubclass(kind, asyncio.CancelledError)
    may_be_cancelled |= was_interrupted and issubclass(kind, KeyboardInterrupt)
    if not (may_be_cancelled and connection._session.finish_cancelled(call)):
        try:
            connection._session.raise_error(call, connection.describe_error(error))
        except BaseException as failure:
            # After any failure at all, the caller must not wait for ever.
            text = f"{class_name(kind)} was raised and could not be sent: {text_of(failure, repr)}"
            connection._session.raise_error(call, describe(RuntimeError(text)))
    connection._carry_out()


STARTED_BY: dict[str, Callable[..., None]] = {
    "call": _on_call,
    "stream_call": _on_stream_call,
    "call_with_deferred": _on_call_with_deferred,
    "bad_call": _on_bad_call,
}
"""The functions that start a call of the other side, by the name of the step."""
