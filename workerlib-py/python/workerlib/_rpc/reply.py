"""Provides `Reply`: the answer of a callback, which has been called when its `Reply` is there.

Calling a callback sends at once, so that sync code can call one too. The answer is taken by `await reply`, or
by `reply.result()` in sync code. A `Reply` is not a value: code that uses it as one gets a TypeError, instead
of a wrong result. An error in an answer that nobody takes ends the call that the
callback was passed to (`_rpc/references.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from typing import Any, Generic, TypeVar, cast

from workerlib._errors import ConnectionClosedError
from workerlib._rpc.incoming_call import Served
from workerlib._rpc.outgoing_call import Outcome, Pending, in_this_context
from workerlib._rpc.waiting import wait
from workerlib._values.exception_values import twin_of
from workerlib._values.exceptions import raise_remote
from workerlib._values.no_value import NoValue

_T_co = TypeVar("_T_co", covariant=True)


class ReplyState:
    """The progress of an invocation. Until the answer is there the connection has it, like a `Pending`."""

    # `References.invoke` makes them, and sets these fields.
    references: Any
    """The `References` of the connection."""
    id: int
    """The id of the invocation."""
    held: int
    """The number of what is called."""
    name: str
    """The name of the callback or of the method, for messages."""
    origin: Served | None
    """The call that the callback was passed to, if it runs."""

    is_ending = False
    """Whether its end has been asked for: that is done to the `Pending` that takes its place."""

    # Most invocations never change some of these fields, so they stand in the class.
    pending: Pending | None = None
    """The future of those who wait for the answer, once there are such. It takes the place of this state in
    the connection, and has the answer until one of them goes on, or somebody asks for it."""
    is_done = False
    """Whether the answer has been taken in."""
    is_taken = False
    """Whether somebody has asked for the answer."""
    is_abandoned = False
    """Whether nobody can ask for it any more."""
    is_reported = False
    """Whether the other side raises the error, if there is one."""
    on_report: None = None
    """Nobody hears what the callback reports: that is asked for by the `Pending` of a method's call."""
    value: Any = None
    error: BaseException | None = None

    def done(self) -> bool:
        """Tells whether the answer is there."""
        pending = self.pending
        if not self.is_done and pending is not None and pending.done():
            if pending.cancelled():
                self.finish(None, asyncio.CancelledError())
            else:
                self.set_result(pending.result())
        return self.is_done

    def set_result(self, outcome: Outcome | None) -> None:
        """Takes in the answer."""
        if outcome is None:
            return
        returned, holder = outcome
        if returned:
            self.finish(holder.pop(), None)
        else:
            self.finish(None, holder.pop())

    def end_cancelled(self) -> None:
        """Takes in that the invocation was cancelled, by the end of the connection."""
        self.finish(None, ConnectionClosedError("the connection was closed"))

    def finish(self, value: Any, error: BaseException | None) -> None:
        """Takes in the answer, a value or an error."""
        self.is_done = True
        self.value, self.error = value, error
        # It refers to this: the value would live until the collector runs.
        self.pending = None
        references, number, origin = self.references, self.id, self.origin
        references.replies.pop(number, None)
        if references.room is not None:
            references.note_room()
        connection = references.connection()
        if connection is not None and connection._calls.get(number) is self:
            del connection._calls[number]
        if origin is not None and origin.replies is not None:
            origin.replies.pop(number, None)
        if error is not None and self.is_abandoned:
            self.references.report(self, error)

    def expect(self, timeout: float | None, on_report: Callable[..., object] | None) -> None:
        """Prepares the wait for an answer that takes its time; the time counts from now.

        Args:
            timeout: How many seconds it may take.
            on_report: Is called with what the function reports.
        """
        connection = self.references.connection()
        # A channel that fails settles it in no time.
        if connection is None or self.is_done:
            return
        pending = self.pending = connection._expect(self.id, self.name, timeout)
        if on_report is not None:
            pending.on_report = in_this_context(on_report)
        pending.has_started()

    def leave(self, connection: Any) -> None:
        """Notes that a wait for the answer has been cancelled."""
        # The answer may be there, though nobody has taken it in.
        self.done()
        if connection._session.give_up(self.id):
            connection._carry_out()

    def abandon(self) -> None:
        """Notes that nobody can ask for the answer any more."""
        self.is_abandoned = True
        if self.error is not None:
            self.references.report(self, self.error)

    def take(self) -> Any:
        """Gives the answer, which is there: returns its value or raises its error."""
        self.is_taken = True
        error = self.error
        if error is None:
            return self.value
        # A second `take` raises another one. The frames that an error passes refer to the `Reply`, and so to
        # this state: with the error in it, they would keep each other alive.
        self.error = twin_of(error)
        try:
            raise_remote(error)
        finally:
            del error


class Reply(NoValue, Generic[_T_co]):
    """The answer of a callback that has been called: `await reply`, or `reply.result()` in sync code.

    The call was sent when the `Reply` was made. A `Reply` that nobody takes costs little, and that is the way
    to report progress. If the callback raises and nobody takes the `Reply`, the error ends the call that the
    callback was passed to, and is raised in its caller.

    A `Reply` has no value of its own. Its truth, comparison, arithmetic, iteration and hash raise TypeError.
    """

    __slots__ = ("__weakref__", "_state")

    _state: ReplyState
    _takes = True
    # Users get a `Reply` by calling a callback: `References.invoke` makes it.

    @property
    def _called(self) -> str:
        return self._state.name

    def done(self) -> bool:
        """Tells whether the answer is there."""
        return self._state.done()

    def result(self) -> _T_co:
        """Waits for the answer in sync code.

        Returns:
            The callback's result.

        Raises:
            CannotBlockError: If sync code cannot wait here; the message says what to change.
            ConnectionClosedError: If the connection ends before the answer.
            BaseException: Any exception of the callback.
        """
        if not self._state.done():
            return wait(self)
        value: _T_co = self._state.take()
        return value

    def __await__(self) -> Generator[Any, Any, _T_co]:  # noqa: PLR0912 - as it says below
        """Waits for the answer: returns what the callback returned, or raises what it raised.

        A cancel is passed on, as that of a call.
        """
        # All in one function of Python: a callback that is awaited has time for few.
        state = self._state
        if self._takes:
            state.is_taken = True
            # Nothing is left for `UntakenReply.__del__` to find out.
            self.__class__ = Reply
        # It may have come between the start of the wait and this first step, which may be one of a new task.
        if not state.is_done:
            references, number = state.references, state.id
            connection = references.connection()
            if connection is None:
                raise ConnectionClosedError(f"the connection ended before {state.name}() answered")
            calls, pending = connection._calls, state.pending
            if pending is None:
                # A future of the loop that runs, which takes half as long as if it was told the loop.
                loop = connection._loop
                pending = Pending() if asyncio._get_running_loop() is loop else Pending(loop=loop)
                state.pending = pending
                # As `Connection._await` does it.
                calls[number] = pending
                pending.call, pending.name, pending.connection = number, state.name, connection
            outcome = None
            try:
                outcome = yield from pending
            finally:
                calls.pop(number, None)
                if pending.timers:
                    pending.forget_timers()
                if outcome is None:
                    state.leave(connection)
            # Of several who wait, the first takes it in.
            if not state.is_done:
                assert outcome is not None
                if not outcome[0]:
                    state.finish(None, outcome[1].pop())
                else:
                    # As `finish` does it.
                    state.is_done, state.pending = True, None
                    references.replies.pop(number, None)
                    if references.room is not None:
                        references.note_room()
                    if (origin := state.origin) is not None and origin.replies is not None:
                        origin.replies.pop(number, None)
                    state.value = outcome[1].pop()
        if state.error is not None and self._takes:
            state.take()
        return cast("_T_co", state.value)

    def __repr__(self) -> str:
        """Tells whose answer it is."""
        return f"<Reply of {self._state.name}(): {'there' if self._state.done() else 'not there yet'}>"


class UntakenReply(Reply[_T_co]):
    """A `Reply` that notices that nobody can take it any more. When it is awaited it becomes a `Reply`."""

    __slots__ = ()

    def __del__(self) -> None:
        state = getattr(self, "_state", None)
        if state is not None and not state.is_taken:
            state.abandon()


class Watcher(Reply[_T_co]):
    """Waits for an answer and leaves it to others to take."""

    __slots__ = ()
    _takes = False

    def __init__(self, state: ReplyState) -> None:
        """Makes one for an answer.

        Args:
            state: The progress of the invocation.
        """
        self._state = state


for _kind in (UntakenReply, Watcher):
    # Users know of one class.
    _kind.__name__ = _kind.__qualname__ = "Reply"
