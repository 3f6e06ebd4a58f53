"""Makes the calls that `asyncio.gather()` starts, without a task for each.

`gather()` makes a task of each coroutine that it is given, and shows that task to nobody. For a call it gets
a `Gathered` instead: the future of the call itself, which ends as the task would.
`_channels/loop_shortcuts.py` knows when `gather()` asks for a task. This module decides nothing about the
state of a call, which is the session's.
"""

from __future__ import annotations

import asyncio
import operator
from collections.abc import Coroutine
from gc import get_referents
from typing import Any

from workerlib._native import Arrival
from workerlib._rpc.incoming_call import current_call
from workerlib._rpc.outgoing_call import Outcome, Pending, driver
from workerlib._values.async_adapters import restore

Connection = Any
"""A `Connection`, whose module needs this one."""


class Gathered(Pending):
    """The future of a call that `gather()` has started; its result is what the function returned."""

    connection: Any = None
    """The connection that makes the call, once the call has begun."""
    task: asyncio.Task[Any] | None = None
    """The task that does the rest, of a call that needs one."""

    def cancel(self, msg: Any | None = None) -> bool:
        """Cancels the call as its task would: a call that has not begun is not sent."""
        if self.task is not None:
            return self.task.cancel(msg)
        if self.connection is not None:
            return super().cancel(msg)
        self.is_cancelled = True
        self._message = msg
        return not self.done()

    def set_result(self, outcome: Outcome | None) -> None:
        """Takes in the outcome. `Direct` does the same where the function has returned."""
        assert outcome is not None
        returned, holder = outcome
        self._leave(returned)
        if not returned:
            # It is not raised here: the frames of its traceback would lead to this one, and to the future.
            self.fail(holder.pop())
        elif type(holder[0]) is Arrival:
            self.go_on(_restored(self.connection, holder))
        else:
            asyncio.Future.set_result(self, holder.pop())

    def end_cancelled(self) -> None:
        """Ends as a task whose coroutine was cancelled."""
        if not self.done():
            super().end_cancelled()
            if self.connection is not None:
                self._leave(False)

    def fail(self, error: BaseException) -> None:
        """Ends as a task whose coroutine has raised an error."""
        if isinstance(error, asyncio.CancelledError):
            asyncio.Future.cancel(self, *error.args[:1])
            return
        self.set_exception(error)
        if isinstance(error, (SystemExit, KeyboardInterrupt)):
            # It ends the program, which is the loop's matter.
            self.get_loop().call_soon(_raise, error)

    def go_on(self, rest: Coroutine[Any, Any, Any]) -> None:
        """Has a task do the rest of the call."""
        self.task = self.get_loop().create_task(rest)
        self.task.add_done_callback(self._end_as)
        if self.is_cancelled:
            self.task.cancel(self._message)

    def _end_as(self, task: asyncio.Task[Any]) -> None:
        try:
            error = task.exception()
        except asyncio.CancelledError as cancelled:
            error = cancelled
        if error is None:
            asyncio.Future.set_result(self, task.result())
        elif isinstance(error, asyncio.CancelledError):
            asyncio.Future.cancel(self, *error.args[:1])
        else:
            self.set_exception(error)

    def _leave(self, has_returned: bool) -> None:
        """Does what `Connection.call` does at its end."""
        connection = self.connection
        connection._calls.pop(self.call, None)
        self.callback_errors = None
        if self.timers:
            self.forget_timers()
        if not has_returned:
            connection._give_up(self.call, self)


class GatheredCalls:
    """The calls of one `gather()` over one connection, which begin together in one context."""

    def __init__(self, connection: Connection) -> None:
        """Makes one without calls.

        Args:
            connection: The connection, whose event loop runs.
        """
        self.connection = connection
        code = type(connection).call.__code__
        self._parameters = code.co_argcount + code.co_kwonlyargcount
        # The number of objects to which a call refers that has not started, with its arguments at the end.
        # It is 0 if the arguments are not there, and -1 before anybody has looked.
        self._referents = -1
        self._calls: list[tuple[Gathered, str, tuple[Any, ...], dict[str, Any]]] = []

    def add(self, coroutine: Coroutine[Any, Any, Any]) -> Gathered | None:
        """Takes over a call from its coroutine, which has not started.

        Args:
            coroutine: A coroutine of `Connection.call`.

        Returns:
            The future of the call. None if the call needs a task; the coroutine is as it was then.
        """
        # The collector's list of objects takes half the time of the frame's variables.
        given = get_referents(coroutine)
        if len(given) == self._referents:
            given = given[-self._parameters :]
        else:
            given = self._variables(coroutine, given)
            if len(given) != self._parameters:
                return None
        connection, function, args, kwargs, timeout, on_report, stream = given
        if (
            connection is not self.connection
            or timeout is not None
            or on_report is not None
            or stream is not None
        ):
            return None
        # It has ended, so that nobody else can start it, and nothing refers to the arguments.
        coroutine.close()
        gathered = Gathered()
        self._calls.append((gathered, function, args, kwargs))
        return gathered

    def _variables(self, coroutine: Coroutine[Any, Any, Any], referents: list[Any]) -> list[Any]:
        """Lists the variables of a coroutine; looks whether its referents are as good for the next ones."""
        frame = coroutine.cr_frame  # type: ignore[attr-defined]
        given = [] if frame is None else [*frame.f_locals.values()]
        if self._referents < 0 and len(given) == self._parameters:
            last = referents[-self._parameters :]
            is_same = len(last) == len(given) and all(map(operator.is_, last, given))
            self._referents = len(referents) if is_same else 0
        return given

    def begin(self) -> None:
        """Sends the calls, in the context in which `gather()` was called."""
        calls, self._calls = self._calls, []
        connection, running = self.connection, current_call.get()
        call, is_driven, parent = connection._session.call, driver.is_on, None
        # Each is forgotten when it has been sent: it may hold buffers, and the caller may resize what these
        # are of.
        calls.reverse()
        while calls:
            gathered, function, args, kwargs = calls.pop()
            if gathered.is_cancelled:
                gathered.end_cancelled()
                continue
            try:
                if running is not None:
                    parent = connection._parent(running, function)
                begun = (-1,) if is_driven else call(connection, function, args, kwargs, gathered, parent)
            except BaseException as error:
                connection.streams.withdraw()
                # Without this frame, which has the future, which has the error.
                trace = error.__traceback__
                gathered.fail(error.with_traceback(trace and trace.tb_next))
                # Frames of the traceback lead here, too.
                del gathered, trace
                continue
            if begun is not gathered:
                # It waits for its turn.
                if begun[0] >= 0:
                    connection._session.give_up(begun[0])
                gathered.go_on(connection.call(function, args, kwargs))


def connection_of(coroutine: Coroutine[Any, Any, Any]) -> Connection | None:
    """Returns the connection of a coroutine of `Connection.call`; None if the coroutine has ended."""
    frame = coroutine.cr_frame  # type: ignore[attr-defined]
    return None if frame is None else frame.f_locals["self"]


def may_gather(connection: Connection) -> bool:
    """Tells whether calls need no task. Adapters may ask which task runs, and may have to be awaited."""
    return (
        not connection.needs_deferred
        and connection._table.adapters.is_empty
        and asyncio.get_running_loop() is connection._loop
    )


async def _restored(connection: Connection, holder: list[Any]) -> Any:
    arrival = holder.pop()
    await restore(arrival, connection._table.adapters)
    value = arrival.result()
    connection._brought.clear()
    return value


def _raise(error: BaseException) -> None:
    raise error
