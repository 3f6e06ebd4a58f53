"""Cancelling calls, wherever they are: in line, in the session's queue, at the worker, running, or out of reach."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
import workerlib
from workerlib import Worker, __version__, _exports
from workerlib._native import Session
from workerlib._rpc import connection as driver
from workerlib._rpc import repeated_interrupts
from workerlib._rpc.connection import Connection
from workerlib._rpc.incoming_call import Served
from workerlib._rpc.interruptible import InterruptibleGuard

from loopback import loopback_channel
from pace import PACE
from peer_by_hand import Peer, returns

Connect = Callable[[], AbstractAsyncContextManager[Worker]]


@contextlib.asynccontextmanager
async def limited(max_in_flight: int) -> AsyncIterator[Worker]:
    """Connects to what the test has exported, with so many calls under way at most."""
    page_end, worker_end = loopback_channel()
    exports = _exports.describe_exports()
    serving = Connection(Session.listen(__version__, exports), worker_end, _exports.functions)
    calling = Connection(Session.connect(__version__, max_in_flight=max_in_flight), page_end, {})
    try:
        yield Worker(calling, await calling.opened, "loopback", None)
    finally:
        calling.close()
        serving.die("the test has ended")


class Gate:
    """A function for the worker that goes on when the test says so, and what became of its calls."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.ended: dict[int, str] = {}
        self._events: dict[int, asyncio.Event] = {}

    def open(self, number: int) -> None:
        self._event(number).set()

    def _event(self, number: int) -> asyncio.Event:
        return self._events.setdefault(number, asyncio.Event())

    async def passes(self, number: int) -> int:
        self.begun.append(number)
        try:
            await self._event(number).wait()
        except asyncio.CancelledError:
            self.ended[number] = "cancelled"
            raise
        self.ended[number] = "returned"
        return number


async def until(condition: Callable[[], object]) -> None:
    """Lets the event loop run until something is true."""
    while not condition():
        await asyncio.sleep(0)


@pytest.fixture
def gate() -> Gate:
    """A gate whose function is exported as `passes`."""
    made = Gate()
    workerlib.export(name="passes")(made.passes)
    return made


async def test_cancelling_one_call_never_touches_another(connect: Connect, gate: Gate) -> None:
    """One of twenty calls that run is cancelled; the others return."""
    async with connect() as worker:
        tasks = [asyncio.create_task(worker.passes(number)) for number in range(20)]
        await until(lambda: len(gate.begun) == 20)
        tasks[7].cancel()
        with pytest.raises(asyncio.CancelledError):
            await tasks[7]
        for number in range(20):
            gate.open(number)
        rest = [task for number, task in enumerate(tasks) if number != 7]
        assert await asyncio.gather(*rest) == [number for number in range(20) if number != 7]
        assert gate.ended == {number: "cancelled" if number == 7 else "returned" for number in range(20)}


async def test_a_function_may_clean_up(connect: Connect) -> None:
    """The caller waits for it, however long it takes, and the error is what the caller's own would be."""
    cleaned: list[str] = []
    waits, may_end = asyncio.Event(), asyncio.Event()

    @workerlib.export
    async def tidy() -> None:
        try:
            waits.set()
            await asyncio.Event().wait()
        finally:
            await may_end.wait()
            cleaned.append("up")

    async with connect() as worker:
        task = asyncio.create_task(worker.tidy())
        await waits.wait()
        [pending] = worker._connection._calls.values()
        task.cancel("enough")
        await until(lambda: pending.timers)
        await until(lambda: not pending.timers)
        # The worker has said that the function knows: no timer is left that would end the call.
        assert not task.done()
        may_end.set()
        with pytest.raises(asyncio.CancelledError, match="enough"):
            await task
        assert task.cancelled()
        assert cleaned == ["up"]


async def test_an_exception_in_a_clean_up_is_the_outcome(connect: Connect) -> None:
    """The clean-up's exception is the outcome, as it is with a task of asyncio's."""
    waits = asyncio.Event()

    @workerlib.export
    async def fail() -> None:
        try:
            waits.set()
            await asyncio.Event().wait()
        finally:
            raise LookupError("while cleaning up")

    async with connect() as worker:
        task = asyncio.create_task(worker.fail())
        await waits.wait()
        task.cancel()
        with pytest.raises(LookupError, match="while cleaning up"):
            await task


async def test_a_second_cancel_reaches_the_clean_up(connect: Connect) -> None:
    """Each cancel of the caller's is one in the function."""
    seen: list[str] = []
    waits = asyncio.Event()

    @workerlib.export
    async def slow() -> None:
        try:
            waits.set()
            await asyncio.Event().wait()
        finally:
            waits.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                seen.append("twice")
                raise

    async with connect() as worker:
        task = asyncio.create_task(worker.slow())
        for _ in range(2):
            await waits.wait()
            waits.clear()
            task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert seen == ["twice"]


async def test_timeouts_of_asyncio(connect: Connect, gate: Gate) -> None:
    """`asyncio.timeout` and `wait_for` reach the function, and raise what they always raise."""

    async def in_timeout(call: Awaitable[Any]) -> None:
        async with asyncio.timeout(0.02):
            await call

    async with connect() as worker:
        # The time is over after the functions have begun, and not before.
        calls = [asyncio.create_task(worker.passes(number)) for number in (1, 2)]
        await until(lambda: len(gate.begun) == 2)
        with pytest.raises(TimeoutError):
            await in_timeout(calls[0])
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(calls[1], 0.02)
        assert gate.ended == {1: "cancelled", 2: "cancelled"}


async def test_calls_that_have_not_started_never_do(connect: Connect, gate: Gate) -> None:
    """Many calls are cancelled at once: only those run that had reached the worker, a window of them."""
    async with connect() as worker:
        tasks = [asyncio.create_task(worker.passes(number)) for number in range(300)]
        await asyncio.sleep(0)
        for task in tasks[1:]:
            task.cancel()
        gate.open(0)
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert results[0] == 0
        assert {type(result) for result in results[1:]} == {asyncio.CancelledError}
        assert gate.begun == list(range(len(gate.begun)))
        # Calls that wait at the worker may begin before the cancel gets there, over a port.
        assert len(gate.begun) <= 64


async def test_a_task_group_that_fails(connect: Connect, gate: Gate) -> None:
    """Its other calls are cancelled in the worker before the group raises."""

    @workerlib.export
    def fail() -> None:
        raise KeyError("one of the group")

    async with connect() as worker:
        with pytest.raises(ExceptionGroup) as caught:
            async with asyncio.TaskGroup() as group:
                for number in range(3):
                    group.create_task(worker.passes(number))
                await until(lambda: len(gate.begun) == 3)
                group.create_task(worker.fail())
        assert [type(error) for error in caught.value.exceptions] == [KeyError]
        assert gate.ended == {number: "cancelled" for number in range(3)}


async def test_max_in_flight(gate: Gate) -> None:
    """No more calls than that are under way; the others follow in the order in which they were started."""
    async with limited(2) as worker:
        tasks = [asyncio.create_task(worker.passes(number)) for number in range(6)]
        for number in range(6):
            await until(lambda number=number: len(gate.begun) == min(number + 2, 6))
            assert gate.begun == list(range(min(number + 2, 6)))
            gate.open(number)
            assert await tasks[number] == number
        assert worker._connection._session.in_flight == 0


async def test_a_call_in_line_is_cancelled(gate: Gate) -> None:
    """It leaves nothing, and those behind it move up."""
    async with limited(1) as worker:
        tasks = [asyncio.create_task(worker.passes(number)) for number in range(3)]
        await until(lambda: gate.begun)
        tasks[1].cancel()
        with pytest.raises(asyncio.CancelledError):
            await tasks[1]
        gate.open(0)
        gate.open(2)
        assert await asyncio.gather(tasks[0], tasks[2]) == [0, 2]
        assert gate.begun == [0, 2]


async def test_a_call_is_cancelled_when_its_turn_has_come(gate: Gate) -> None:
    """A waiting call that is cancelled as its turn comes leaves the turn to the next one."""
    async with limited(1) as worker:
        tasks = [asyncio.create_task(worker.passes(number)) for number in range(3)]
        await until(lambda: gate.begun)
        gate.open(0)
        pending = worker._connection._calls
        in_line = list(pending)[1]
        await until(lambda: pending[in_line].done())
        tasks[1].cancel()
        gate.open(2)
        with pytest.raises(asyncio.CancelledError):
            await tasks[1]
        assert await asyncio.gather(tasks[0], tasks[2]) == [0, 2]
        assert gate.begun == [0, 2]


async def test_a_close_ends_those_in_line(gate: Gate) -> None:
    """Whether they run, wait in the queue or in line."""
    async with limited(10) as worker:
        tasks = [asyncio.create_task(worker.passes(number)) for number in range(20)]
        await until(lambda: gate.begun)
        worker.close()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(result) for result in results} == {workerlib.ConnectionClosedError}
        assert len({id(result) for result in results}) == 20


async def test_arguments_in_the_queue_are_what_they_were(connect: Connect, gate: Gate) -> None:
    """Large buffers too, which are otherwise copied when they are sent."""

    @workerlib.export
    def first(data: bytearray) -> int:
        return data[0]

    async with connect() as worker:
        holding = [asyncio.create_task(worker.passes(number)) for number in range(50)]
        data = bytearray(b"\1" * 100_000)
        task = asyncio.create_task(worker.first(data))
        await asyncio.sleep(0)
        data[0] = 2
        assert await task == 1
        for number in range(50):
            gate.open(number)
        await asyncio.gather(*holding)


async def test_a_worker_that_is_too_busy_to_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The call is given up after a grace; its late answer is dropped, and its id is free again."""
    monkeypatch.setattr(driver, "_GRACE", 0.05)
    peer = Peer()
    await peer.open()
    session = peer.connection._session
    task, call = await peer.called()
    task.cancel()
    assert await peer.frames.get() == bytes([0x92, 6, call])
    with pytest.raises(asyncio.CancelledError):
        await task
    assert session.in_flight == 1
    peer.say(returns(call, "late"))
    await until(lambda: session.in_flight == 0)
    other, call = await peer.called()
    peer.say(returns(call, "in time"))
    assert await other == "in time"
    peer.connection.close()


async def test_a_death_settles_every_call(gate: Gate) -> None:
    """With an error of its own for each, which says what happened."""
    async with limited(10) as worker:
        tasks = [asyncio.create_task(worker.passes(number)) for number in range(20)]
        await until(lambda: gate.begun)
        worker._connection.die("the worker was terminated")
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(result) for result in results} == {workerlib.WorkerDiedError}
        assert all("terminated" in str(result) for result in results)
        with pytest.raises(workerlib.WorkerDiedError, match="terminated"):
            await worker.passes(1)


async def test_a_timeout_counts_from_the_start_of_the_run(gate: Gate) -> None:
    """The time in which a call waits in line or in the queue does not count."""
    async with limited(1) as worker:
        first = asyncio.create_task(worker.passes(0))
        second = asyncio.create_task(worker.passes.options(timeout=0.2 * PACE)(1))
        await asyncio.sleep(0.4 * PACE)
        assert gate.begun == [0]
        # The second function returns as soon as it runs.
        gate.open(1)
        gate.open(0)
        assert await first == 0
        assert await second == 1


async def test_a_function_that_runs_out_of_time(connect: Connect, gate: Gate) -> None:
    """It is cancelled, and the call raises asyncio's own TimeoutError, which names it."""
    async with connect() as worker:
        with pytest.raises(TimeoutError, match=r"passes\(\) was still running after 0.02 seconds") as caught:
            await worker.passes.options(timeout=0.02)(1)
        assert type(caught.value) is TimeoutError
        assert gate.ended == {1: "cancelled"}
        gate.open(2)
        assert await worker.passes.options(timeout=5 * PACE)(2) == 2
        with pytest.raises(ValueError, match="-1"):
            worker.passes.options(timeout=-1)


async def test_the_outcome_of_a_function_out_of_time(connect: Connect) -> None:
    """One that does not let itself be cancelled has its say, as under `asyncio.timeout`."""

    @workerlib.export
    async def stubborn() -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "all the same"
        return ""

    async with connect() as worker:
        assert await worker.stubborn.options(timeout=0.02)() == "all the same"


async def test_a_start_is_reported_only_if_someone_asked() -> None:
    """One message more comes back for the call with a timeout than for the one without."""
    workerlib.export(name="add")(lambda a, b: a + b)
    kinds: list[int] = []
    page_end, worker_end = loopback_channel()
    post = worker_end.post

    def note(frame: bytes, buffers: list[Any]) -> None:
        kinds.append(frame[1])
        post(frame, buffers)

    worker_end.post = note  # type: ignore[method-assign]
    serving = Connection(
        Session.listen(__version__, _exports.describe_exports()), worker_end, _exports.functions
    )
    calling = Connection(Session.connect(__version__), page_end, {})
    worker = Worker(calling, await calling.opened, "loopback", None)
    assert await worker.add(1, 2) == 3
    assert await worker.add.options(timeout=5 * PACE)(1, 2) == 3
    calling.close()
    await serving.closed
    assert kinds == [1, 4, 8, 4]


async def test_a_start_is_told_before_the_function_runs() -> None:
    """Else a function that computes for long would be told to have started when it has ended."""
    page_end, worker_end = loopback_channel()
    told: list[bool] = []

    @workerlib.export
    def f() -> None:
        told.append(any(frame[1] == 8 for frame, _ in page_end._arrived))

    serving = Connection(
        Session.listen(__version__, _exports.describe_exports()), worker_end, _exports.functions
    )
    calling = Connection(Session.connect(__version__), page_end, {})
    await calling.opened
    # Without a turn of the loop between the start and the step of the function's task.
    page_end._deliver_soon = lambda: None  # type: ignore[method-assign]
    task = asyncio.create_task(calling.call("f", (), {}, 5))
    await until(lambda: told)
    assert told == [True]
    page_end._on_message(*page_end._arrived.popleft())  # type: ignore[misc]
    page_end._on_message(*page_end._arrived.popleft())  # type: ignore[misc]
    await task
    calling.close()
    await serving.closed


@contextlib.asynccontextmanager
async def silent_worker() -> AsyncIterator[tuple[Peer, list[tuple[int, int]]]]:
    """Connects to a worker that the test plays; gives also which calls are interrupted."""
    interrupted: list[tuple[int, int]] = []
    peer = Peer(interrupt=lambda *order: interrupted.append(order))
    await peer.open()
    yield peer, interrupted
    peer.connection.close()


async def test_who_does_not_answer_a_cancel_is_interrupted() -> None:
    """Again and again, until it says that it has passed the cancel on; never without a cancel."""
    async with silent_worker() as (peer, interrupted):
        task, call = await peer.called()
        await asyncio.sleep(repeated_interrupts._PATIENCE * 2)
        assert interrupted == []
        task.cancel()
        await until(lambda: len(interrupted) == 3)
        assert set(interrupted) == {(call, 1)}
        peer.say(bytes([0x92, 9, call]))
        await until(lambda: not peer.page_end._arrived)
        # One more may have been due while the message was on its way.
        so_far = len(interrupted)
        await asyncio.sleep(repeated_interrupts._PATIENCE * 3)
        assert len(interrupted) == so_far
        task.cancel()
        await until(lambda: len(interrupted) == so_far + 2)
        assert interrupted[so_far:] == [(call, 2)] * 2
        peer.say(bytes([0x92, 10, call]))
        with pytest.raises(asyncio.CancelledError):
            await task


@pytest.mark.parametrize("answer", [4, 9])
async def test_who_was_given_up_is_interrupted_all_the_same(
    monkeypatch: pytest.MonkeyPatch, answer: int
) -> None:
    """It may begin to compute only now; so until it has ended, or says that the function knows."""
    monkeypatch.setattr(driver, "_GRACE", 0.01)
    monkeypatch.setattr(repeated_interrupts, "_PATIENCE", 0.001)
    monkeypatch.setattr(repeated_interrupts, "_TIMES", 3)
    async with silent_worker() as (peer, interrupted):
        task, call = await peer.called()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        so_far = len(interrupted)
        await until(lambda: len(interrupted) == so_far + 3)
        peer.say(returns(call, "late") if answer == 4 else bytes([0x92, answer, call]))
        await until(lambda: not peer.page_end._arrived)
        so_far = len(interrupted)
        await asyncio.sleep(0.1)
        assert len(interrupted) == so_far
        assert set(interrupted) == {(call, 1)}


def test_pauses_between_interrupts_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that is busy for an hour is not disturbed fifty times a second."""
    pauses: list[float] = []
    due: list[Callable[[], None]] = []

    def call_later(_loop: object, seconds: float, then: Callable[[], None]) -> object:
        pauses.append(seconds)
        due.append(then)
        return object()

    monkeypatch.setattr(repeated_interrupts, "call_later", call_later)
    interrupts: list[int] = []
    insistence = repeated_interrupts.Insistence(
        None,  # type: ignore[arg-type]
        lambda call, cancels: interrupts.append(call),
        lambda call: len(interrupts) < 40,
    )
    insistence.begin(1, 1)
    while due:
        due.pop()()
    assert pauses[:26] == [0.02] * 25 + [0.04]
    assert pauses[-9:] == [1.0] * 9
    assert interrupts == [1] * 40


async def test_a_call_whose_coroutine_is_closed_is_interrupted() -> None:
    """Nobody waits for it, so it must not go on computing either; when the connection ends, that ends too."""
    async with silent_worker() as (peer, interrupted):
        coroutine = peer.connection.call("f", (), {})
        coroutine.send(None)
        call = (await peer.frames.get())[2]
        coroutine.close()
        assert await peer.frames.get() == bytes([0x92, 6, call])
        await until(lambda: interrupted == [(call, 1)] * 2)
    await asyncio.sleep(repeated_interrupts._PATIENCE * 3)
    assert interrupted == [(call, 1)] * 2


class InterruptingGuard(InterruptibleGuard):
    """Interrupts every call at its first step."""

    def run(self, served: Served, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        self.interrupt_now(served)
        return super().run(served, function, args, kwargs)

    def _wanted(self, call: int) -> int:
        return 1


async def test_an_interrupt_may_overtake_the_cancel() -> None:
    """A function that was interrupted has been cancelled, though the message that says so is still on its way."""
    workerlib.export(name="f")(lambda: None)
    page_end, worker_end = loopback_channel()
    session = Session.listen(__version__, _exports.describe_exports())
    serving = Connection(session, worker_end, _exports.functions, guard=InterruptingGuard())
    calling = Connection(Session.connect(__version__), page_end, {})
    await calling.opened
    task = asyncio.create_task(calling.call("f", (), {}))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert calling._session.in_flight == serving._session.serving == 0
    calling.close()
    await serving.closed
