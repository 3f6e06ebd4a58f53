"""The driver of a session: it carries out what `workerlib._native.Session` decides.

It holds the futures of the calls that this side made and the tasks of those that it serves, by id, and
nothing else about the state of the connection. It knows no host: bytes go through an `Endpoint`.
"""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping
from time import monotonic
from typing import Any, TypeVar

from workerlib._errors import (
    ConnectionClosedError,
    DeadlockError,
    FrameError,
    ProtocolError,
    WorkerDiedError,
)
from workerlib._exports import (
    ExportDescription,
    Function,
    built_in,
    describe_export,
    observers,
)
from workerlib._native import Arrival, Session, Unfinished, dismantle
from workerlib._rpc import invocations
from workerlib._rpc.call_log import CallLog
from workerlib._rpc.calls_in_steps import send_in_steps, unless_settled
from workerlib._rpc.direct_path import direct_path
from workerlib._rpc.endpoint import BlockingEndpoint, Endpoint
from workerlib._rpc.functions_there import FunctionsThere
from workerlib._rpc.guarded_steps import guarded_steps
from workerlib._rpc.handshake import DONE_BY as HANDSHAKE_DONE_BY
from workerlib._rpc.handshake import SIDES
from workerlib._rpc.incoming_call import Served, current_call
from workerlib._rpc.interruptible import Guard
from workerlib._rpc.news import DONE_BY as NEWS_DONE_BY
from workerlib._rpc.outgoing_call import Outcome, Pending, driver, errors_of_end
from workerlib._rpc.references import References
from workerlib._rpc.remote_functions import OnReport, not_exported
from workerlib._rpc.repeated_interrupts import Insistence
from workerlib._rpc.serving import STARTED_BY, await_result, start_call
from workerlib._rpc.streams import DONE_BY as STREAMS_DONE_BY
from workerlib._rpc.streams import Streams
from workerlib._rpc.streams_consumed import BYTES_AHEAD, Stream
from workerlib._rpc.wakeup import Wakeup
from workerlib._values.async_adapters import finish, restore
from workerlib._values.exceptions import describe, raise_remote, rebuild
from workerlib._values.functions import enter, leave
from workerlib._values.sending import DEFAULT, SendingTable
from workerlib._values.streams import is_awaitable

_T = TypeVar("_T")

# The seconds that the other side has to say that it has passed a cancel on. A side that does not say so is
# busy with something that cannot be cancelled: the call is given up then.
_GRACE = 0.5


class Connection:
    """One side of a connection: that of the page or that of the worker."""

    def __init__(
        self,
        session: Session,
        endpoint: Endpoint,
        functions: Mapping[str, Function],
        *,
        table: SendingTable = DEFAULT,
        log: CallLog | None = None,
        interrupt: Callable[[int, int], None] | None = None,
        guard: Guard | None = None,
        internal: Callable[[str], Function | None] | None = None,
        wake: Callable[[bytes, list[Any]], bool] | None = None,
    ) -> None:
        """Starts the session.

        Args:
            session: A new session.
            endpoint: The channel, which this connection closes when it ends.
            functions: The functions that the other side may call, by name; looked up at each call.
            table: The table by which values are sent, with the connection's own adapters and settings.
            log: The connection's log of calls; by default one that is off.
            interrupt: Interrupts a call in the other side that has been cancelled so many times, if its code
                is running there at that moment.
            guard: The other side's way to do so here.
            internal: Finds a function of workerlib's own by its name. The other side may call these
                functions, although they are not exports. Such a function takes this connection and the
                `Served` call as its first arguments. An interrupt does not reach the function itself, only
                the user's code, which the function runs by `run_function`.
            wake: Tells the other side something while its thread sleeps; returns False if there is no room.
        """
        self._loop = asyncio.get_running_loop()
        self._session = session
        # The session must not keep alive what has it.
        session.belong_to(weakref.ref(self))
        self.endpoint = endpoint
        """The channel."""
        # A channel of a browser can have many tasks go on at once.
        self._together = getattr(endpoint, "together", contextlib.nullcontext)
        self._table = table
        self.log = log or CallLog("worker", False)
        """The log of calls."""
        self.functions = functions
        """The functions that the other side may call, by name."""
        self.needs_deferred = False
        """Whether a side has an async adapter, whose objects no report can carry."""
        self.has_died = False
        """Whether the connection has ended because the other side is gone."""
        self.cause_of_death: BaseException | None = None
        """The error by which the other side ended, where the host knows one."""
        self.functions_there = FunctionsThere()
        """Functions that call the other side's functions, by name."""
        self._insistence = interrupt and Insistence(self._loop, interrupt, self._is_in_flight)
        self._guard = guard or Guard()
        self._internal = internal
        self.wakeup = wake and Wakeup(wake)
        """Tells the other side something while its thread sleeps, where there is a way."""
        session.tell_answers(wake is not None)
        # A `ReplyState` stands for a `Pending`, until somebody waits for that.
        self._calls: dict[int, Pending] = {}
        self.references = References(self, session, self._loop)
        """The functions and objects that one side has given to the other to call."""
        self._brought = self.references.brought
        self._served: dict[int, Served] = {}
        self.streams = Streams(self)
        """The streams, in both directions."""
        self._is_hearing = False
        self.reporting: set[asyncio.Future[Any]] = set()
        """The tasks of async functions that hear of reports."""
        self.opened: asyncio.Future[list[ExportDescription]] = self._loop.create_future()
        """Done when the handshake has ended: with what the other side exports, or with an error."""
        self.closed: asyncio.Future[str] = self._loop.create_future()
        """Done when the connection has ended: with the reason."""
        self.on_exports: Callable[[list[ExportDescription]], None] | None = None
        """Called when the other side exports more than the handshake told."""
        # The characters by which the other side has described exports after the handshake.
        self.late_text = 0
        self.outlet: Any = None
        """This side's output that has not been sent yet (`_rpc/output.py`)."""
        self.on_output: Callable[[str, str], object] = lambda _stream, _text: None
        """Called with the text that the other side's program writes, if it forwards that."""
        # Nobody has to ask for the outcome of the handshake.
        self.opened.add_done_callback(lambda future: future.cancelled() or future.exception())
        endpoint.listen(self._receive, self.close, self.die)
        self._carry_out()

    async def call(  # noqa: PLR0912 - a call has time for few functions of Python
        self,
        function: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        timeout: float | None = None,
        on_report: OnReport | None = None,
        *,
        stream: Stream[Any] | None = None,
    ) -> Any:
        """Calls a function of the other side and returns its result.

        Where as many calls are in flight as there may be, it waits until it is its turn. A cancel is passed
        on, and what comes of it is the outcome, unless the other side is too busy to say anything.

        Args:
            function: The exported name.
            args: The positional arguments; their content is what it is when the call's turn has come.
            kwargs: The keyword arguments, likewise.
            timeout: The seconds that the function may run; the wait before its start does not count.
            on_report: Is called with what the function reports while it runs.
            stream: The stream for which the call asks: the result is its inbox then.

        Raises:
            DeadlockError: If the other side cannot start the call, since it waits for this side's answer.
            TimeoutError: If it ran longer.
            UnsendableError: If an argument cannot be sent; nothing was sent then.
            ConnectionClosedError: If the connection is closed, or closes before the answer.
            WorkerDiedError: If it does because the other side is gone.
            RuntimeError: If another event loop runs than the connection's; nothing was sent then.
            BaseException: Any exception of the function: see `rebuild` of `_values/exceptions.py`.
        """
        # A call has time for few steps in Python: parts that most calls do not need are asked for here.
        if asyncio.get_running_loop() is not self._loop:
            self._refuse_loop(function)
        running = current_call.get()
        parent = None if running is None else self._parent(running, function)
        if timeout is None and on_report is None and not driver.is_on:
            credit = None if stream is None else (stream.ahead, BYTES_AHEAD)
            try:
                # It is sent if that needs no further step, and this is the future of its outcome then.
                # A future of the loop that runs, which takes half as long as if it was told the loop.
                begun = self._session.call(self, function, args, kwargs, Pending(), parent, credit)
            except BaseException as error:
                self.streams.withdraw()
                if type(error) is WorkerDiedError:
                    raise error from self.cause_of_death
                raise
        else:
            begun = self._session.begin(parent is not None)
        is_sent = type(begun) is not tuple
        call = begun.call if is_sent else begun[0]
        if is_sent and stream is not None:
            self.streams.begin_opening(stream, begun)
        outcome = None
        try:
            if is_sent:
                outcome = await begun
            else:
                options = timeout, on_report, stream
                rest = send_in_steps(self, begun, function, (args, kwargs), options, parent=parent)
                # It may hold buffers, and the caller may resize what they were taken from.
                begun = None
                outcome = await rest
        finally:
            if self.streams.unsent:
                self.streams.withdraw()
            pending = self._calls.pop(call)
            # This call may raise such an error, which refers to this frame.
            pending.callback_errors = None
            if pending.timers:
                pending.forget_timers()
            # A call that has returned is settled. An error may be of this side, such as that of `on_report`.
            has_returned = outcome is not None and outcome[0]
            if not has_returned:
                self._give_up(call, pending)
        assert outcome is not None
        returned, holder = outcome
        if not returned:
            raise_remote(holder.pop())
        result = holder.pop()
        # `isinstance` would ask an object of a user's for its `__class__`.
        if type(result) is Arrival:
            await restore(result, self._table.adapters)
            value = result.result()
            self._brought.clear()
            return value
        return result

    async def _send_with_deferred(
        self,
        call: int,
        function: str,
        unfinished: Unfinished,
        reports_start: bool,
        credit: tuple[int, int] | None,
    ) -> None:
        """Sends a call of which an adapter is async; waits for no longer than the call is to be sent."""
        deferred = await unless_settled(self, call, finish(unfinished))
        if deferred is not None:
            self._session.send_with_deferred(call, function, unfinished, deferred, reports_start, credit)

    def _parent(self, running: Served, function: str) -> Served | None:
        """Returns the other side's call on whose behalf one is made, if it came over this connection."""
        if running.connection is not self or running.has_ended:
            return None
        if running.is_blocking:
            raise self.deadlock(function)
        return running

    def _refuse_loop(self, function: str) -> None:
        # A connection that has ended says so itself, in any loop.
        if not self.closed.done():
            raise RuntimeError(
                f"the connection that {function}() belongs to was made in another event loop: connect in the"
                " loop that makes the call, or hand the call over by asyncio.run_coroutine_threadsafe()"
            )

    def _expect_turn(self, call: int, function: str, timeout: float | None) -> Pending:
        """Has a future settled when the turn of a call has come, or the call has ended before that."""
        return self._expect(call, function, timeout)

    def _expect(self, call: int, function: str, timeout: float | None) -> Pending:
        return self._await(Pending(loop=self._loop), call, function, timeout)

    def _await(self, pending: Pending, call: int, function: str, timeout: float | None) -> Pending:
        """Has a future settled by the answer of a call, and its cancel sent."""
        self._calls[call] = pending
        pending.call, pending.name, pending.timeout = call, function, timeout
        pending.connection = self
        return pending

    def _give_up(self, call: int, pending: Pending) -> None:
        """Gives up a call that has no answer; does nothing if it has one."""
        if self._session.give_up(call):
            if self._insistence is not None and not pending.cancels:
                self._insistence.begin(call, 1)
            self._carry_out()

    def _cancel(self, call: int, pending: Pending) -> None:
        if self._session.cancel(call):
            pending.cancels += 1
            pending.give_grace(_GRACE)
            if self._insistence is not None:
                self._insistence.begin(call, pending.cancels)
        else:
            pending.end_cancelled()
        self._carry_out()

    @contextlib.contextmanager
    def blocking(self, call: int) -> Iterator[None]:
        """Says that this thread sleeps until a call has been answered: no call of the other side starts."""
        self._flush(current_call.get())
        self._session.block(call)
        was_starting, self._session.holds_starts = self._session.holds_starts, True
        # The callback that waits may wait for one of those that come after it.
        was_hearing, self._is_hearing = self._is_hearing, False
        self._transmit()
        try:
            yield
        finally:
            self._is_hearing = was_hearing
            # Otherwise the function that waits is one that others wait for already.
            if not was_starting:
                self._loop.call_soon(self._go_on)

    def take_in(self, endpoint: BlockingEndpoint) -> None:
        """Handles what has arrived for a thread that sleeps; an interrupt does not end it half-way."""
        endpoint.take_in()

    @property
    def is_calling(self) -> bool:
        """Whether a call of this side has no answer yet."""
        return bool(self._calls)

    @property
    def is_in_use(self) -> bool:
        """Whether a call, a stream or a reference of either side needs the connection."""
        return self.is_calling or self.streams.is_in_use or bool(self._served or self.references.list())

    def close(self, reason: str = "closed by its user") -> None:
        """Ends the connection; calls without an answer raise ConnectionClosedError."""
        self._session.close(reason)
        self._carry_out()

    def die(self, reason: str, cause: BaseException | None = None) -> None:
        """Ends the connection because the other side is gone; calls raise WorkerDiedError with this cause."""
        if not self.closed.done():
            self.cause_of_death = cause
        self._session.die(reason)
        self._carry_out()

    def announce_exports(self) -> None:
        """From now on tells the other side of each further export, until the connection has ended."""

        def announce(name: str, function: Function) -> None:
            self._session.announce([describe_export(name, function)])
            self._carry_out()

        observers.append(announce)
        self.closed.add_done_callback(lambda _: observers.remove(announce))

    def take_in_first(self, frames: Iterable[bytes]) -> None:
        """Takes in messages that came before the channel has delivered any.

        Args:
            frames: The messages, which have no buffers.
        """
        for frame in frames:
            self._receive(frame, [])

    def _receive(self, frame: bytes, buffers: list[Any]) -> None:
        self._session.handle(frame, buffers)
        self._carry_out()

    def _carry_out(self) -> None:
        """Does all that the session says is to be done."""
        if self._is_hearing:
            # A callback runs: what has arrived after its call comes after it.
            self._transmit()
        elif (step := self._session.carry_out(self)) is not None:
            self._carry_out_from(step)

    def _carry_out_from(self, step: tuple[str, tuple[Any, ...]] | None) -> None:
        """Does a step, and all that the session says is to be done after it."""
        session, since = self._session, None
        while step is not None:
            name, arguments = step
            if name in STARTED_BY:
                # A call that came alone needs no time.
                if since is None and session.is_waiting:
                    since = monotonic()
                start_call(self, since, STARTED_BY[name], arguments)
            else:
                _DONE_BY[name](self, *arguments)
            step = session.carry_out(self)

    def _transmit(self) -> None:
        """Sends what the session wants sent, and does nothing else."""
        if not self._session.transmit(self):
            self.streams.unsent.clear()
            self._post_waiting([])

    def _on_transmit(self, *message: Any) -> None:
        self._post_waiting([message])

    def _post_waiting(self, messages: list[tuple[Any, ...]]) -> None:
        """Posts messages, and those that wait to be sent after them."""
        while (message := self._session.poll_transmit()) is not None:
            messages.append(message)
        if len(messages) == 1:
            self._post(*messages[0])
        elif messages:
            self._post_all(messages)

    def _post(self, frame: bytes, buffers: list[Any], calls: list[int] | None = None) -> None:
        if calls is not None and self.wakeup is not None:
            self.wakeup.note(calls, frame, buffers)
        try:
            self.endpoint.post(frame, buffers)
        except Exception as error:
            self._fail(error)

    def _post_all(self, messages: list[tuple[Any, ...]]) -> None:
        if self.wakeup is not None:
            for frame, buffers, *calls in messages:
                if calls:
                    self.wakeup.note(calls[0], frame, buffers)
        try:
            self.endpoint.post_all([(message[0], message[1]) for message in messages])
        except Exception as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        self._session.close(f"the channel failed: {error}")
        self._loop.call_soon(self._carry_out)

    def _is_in_flight(self, call: int) -> bool:
        """Tells whether a call has no answer, or a stream no end; keys of streams are negative."""
        return (
            self._session.is_in_flight(call) if call >= 0 else self._session.stream("is_consuming", -1 - call)
        )

    @property
    def grace(self) -> float:
        """The seconds that the other side has to say that it has passed a cancel on."""
        return _GRACE

    def _be_direct(self) -> None:
        """Has the commonest steps done without Python, which a connection that sees each step does not."""
        self._session.be_direct(direct_path(self))

    def _on_ready(self, call: int) -> None:
        self._settle(call, None)

    def _on_started(self, call: int) -> None:
        if pending := self._calls.get(call):
            pending.has_started()

    def _on_cancelling(self, call: int) -> None:
        if self._insistence is not None:
            self._insistence.end(call)
        if pending := self._calls.get(call):
            pending.extend_grace()

    def _on_cancelled(self, call: int) -> None:
        if pending := self._calls.get(call):
            pending.end_cancelled()

    def _on_return(self, call: int, result: list[Any], is_deep: bool) -> None:
        if self._brought:
            self._brought.clear()
        pending = self._calls.get(call)
        if pending is not None and not pending.done():
            pending.set_result((True, result))
        elif is_deep:
            # Its caller was cancelled in this turn of the loop.
            dismantle(result)

    def _on_return_with_deferred(self, call: int, arrival: Arrival) -> None:
        # Its caller restores it: who gives up a call then does not wait for a decoder either.
        self._settle(call, (True, [arrival]))

    def _on_raise(self, call: int, description: object) -> None:
        try:
            error = self.rebuild_error(description)
        except FrameError as unreadable:
            error = unreadable
        self._settle(call, (False, [error]))

    def rebuild_error(self, description: object) -> BaseException:
        """Makes an exception of the other side's again.

        Raises:
            FrameError: If the description does not describe an exception.
        """
        token = enter(self)
        try:
            return rebuild(description, self._table)
        finally:
            leave(token)

    def describe_error(self, error: BaseException) -> list[dict[str, Any]]:
        """Describes an exception for the other side."""
        token = enter(self)
        try:
            return describe(error, self._table)
        finally:
            leave(token)

    def report(self, call: int, values: tuple[Any, ...]) -> None:
        """Reports something from a call of the other side's that runs here: `_rpc/reports.py` says when."""
        self._session.report(call, self._table.adapters.wrap_arguments(values, {})[0])
        self._transmit()

    def output(self, stream: str, text: str) -> None:
        """Tells the other side of text that this Python has written: `_rpc/output.py` says when."""
        if self._session.output(stream, text):
            self._transmit()

    def deadlock(self, function: str) -> DeadlockError:
        """Makes the error of a call that the other side would never start."""
        there, here = SIDES[self._session.connects]
        return DeadlockError(
            f"{function}() cannot be called: {there} waits in workerlib.wait(…) for the answer of the"
            f" function of {here} that calls it, and starts no call before; await in {there} instead of"
            f" waiting, or have {here} return first"
        )

    def _on_bad_answer(self, call: int, error: BaseException) -> None:
        self._settle(call, (False, [error]))

    def _settle(self, call: int, outcome: Outcome | None) -> None:
        pending = self._calls.get(call)
        if pending is not None and not pending.done():
            pending.set_result(outcome)

    def _on_closed(self, kind: str, reason: str, lost: list[int]) -> None:
        self.has_died = kind == "died"
        ended = errors_of_end(self.has_died, self.cause_of_death)
        # Before anybody goes on: who hears of the end must not find the connection open.
        self.closed.set_result(reason)
        # Thousands may wait: where nothing else runs, all of them go on at once.
        is_idle = asyncio.current_task(self._loop) is None and current_call.get() is None
        with self._together() if is_idle else contextlib.nullcontext():
            self._lose(lost, ended, reason)
        if not self.opened.done():
            self.opened.set_exception(ProtocolError(reason) if kind == "protocol" else ended(reason))
        for served in self._served.values():
            served.cancel()
        self.streams.end_all(
            lambda: ended(f"the connection was closed before the end of the stream: {reason}")
        )
        self.references.clear(
            lambda name: ended(f"{name}() is called after the end of its connection: {reason}")
        )
        if self._insistence is not None:
            self._insistence.end_all()
            self._insistence = None
        # A connection that has ended is to be freed with its last reference, and these refer to it. Whoever
        # still calls a function has it from its `Worker`.
        self.functions_there = FunctionsThere()
        self._session.be_direct(None)
        self.endpoint.close()

    def _lose(self, lost: list[int], ended: Callable[[str], ConnectionClosedError], reason: str) -> None:
        """Settles the calls that will have no answer."""
        for call in lost:
            pending = self._calls.get(call)
            if pending is not None and pending.is_ending:
                # It ends as it was to end anyway.
                pending.end_cancelled()
            # One error for each: two waiters must not share a traceback.
            error = ended(f"the connection was closed before the answer: {reason}")
            self._settle(call, (False, [error]))

    def _on_cancel(self, call: int) -> None:
        if served := self._served.get(call):
            served.hear_cancel()
            # A step that computes is suspended, and is told by a message only where it waits by `wait()`.
            if not served.is_computing or served.waits:
                self._tell(served)

    def _tell(self, served: Served) -> None:
        """Tells a function, and the other side that it knows."""
        served.tell()
        self._session.acknowledge_cancel(served.call)
        self._transmit()

    def _go_on(self) -> None:
        self._session.holds_starts = False
        self._carry_out()

    def _flush(self, served: Served | None) -> None:
        """Sends what is held back of reports and output, before an answer or while the thread sleeps."""
        if served is not None and served.reporter is not None:
            served.reporter.flush()
        if self.outlet is not None:
            self.outlet.flush()

    async def run_function(
        self, served: Served, function: Function, arguments: list[Any], result: list[Any]
    ) -> None:
        """Runs a function of the user's, which may be interrupted and may be async.

        Args:
            served: The call for which it runs.
            function: The function.
            arguments: The positional and the keyword arguments, to which nothing else refers.
            result: The list to which the result is appended, and to which nothing else refers.
        """
        result.append(self._guard.run(served, function, *arguments))
        if is_awaitable(result[0]):
            await await_result(self, served, result)

    def tasks_of_calls(self) -> list[asyncio.Task[None]]:
        """Returns the tasks of the other side's calls that run here."""
        return [served.task for served in self._served.values() if served.task is not None]

    def exported(self, name: str) -> Function:
        """Returns the export of that name.

        Raises:
            NotExportedError: If there is none.
        """
        function = self.functions.get(name)
        if function is None and self._session.connects:
            function = built_in.get(name)
        if function is None:
            raise not_exported(name, self.functions, SIDES[self._session.connects][1])
        # Not in the table of functions: a function among values must be found there as itself.
        return self.log.logged(name, function) if self.log.is_on else function

    def steps(self, served: Served, coroutine: Coroutine[Any, Any, Any]) -> Awaitable[Any]:
        """Gives what awaits a coroutine of the user's, each of whose steps may be interrupted."""
        return guarded_steps(self._guard, served, coroutine, self._tell)


# Not looked up in the connection by names that are made anew each time: a small call has no time for that.
_DONE_BY: dict[str, Callable[..., None]] = {
    "transmit": Connection._on_transmit,
    **HANDSHAKE_DONE_BY,
    "ready": Connection._on_ready,
    "started": Connection._on_started,
    "cancelling": Connection._on_cancelling,
    "cancelled": Connection._on_cancelled,
    "cancel": Connection._on_cancel,
    "return": Connection._on_return,
    "return_with_deferred": Connection._on_return_with_deferred,
    "raise": Connection._on_raise,
    "bad_answer": Connection._on_bad_answer,
    "invoke": invocations.on_invoke,
    "bad_invoke": invocations.on_bad_invoke,
    "heard": invocations.on_heard,
    "unheard": invocations.on_unheard,
    "gone": invocations.on_gone,
    **NEWS_DONE_BY,
    "closed": Connection._on_closed,
    **STREAMS_DONE_BY,
}
"""The functions that do the session's steps, by name, except for calls that arrive."""
