"""Carries out what a pool's `Schedule` decides: starts workers, sends tasks, hands out answers.

The public `Pool` (`_api/pool.py`) calls it. It has the only clock and the only timer of a pool, and decides
nothing about which worker runs which task.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import sys
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from workerlib._errors import (
    ConnectionClosedError,
    ConnectTimeoutError,
    NotSupportedError,
    PoolBrokenError,
    WorkerDiedError,
)
from workerlib._pool.each_worker import CallsForEach
from workerlib._pool.jobs import Answer, Items, Job, OnEnd, Stats
from workerlib._pool.member import Member
from workerlib._pool.nested_calls import begin_beside, caller, check_progress, is_caller_asleep, runs_beside
from workerlib._pool.restarts import Policy
from workerlib._pool.run import TaskRun, Told
from workerlib._pool.schedule import TARGET, Schedule
from workerlib._pool.slots import State
from workerlib._pool.steps import (
    Break,
    Ending,
    Interrupt,
    Read,
    Run,
    Settle,
    Start,
    Step,
    Terminate,
    feed_of,
)
from workerlib._rpc.outgoing_call import errors_of_end
from workerlib._rpc.timers import Timer, call_at
from workerlib._users.line import users_line, warn
from workerlib._values.safe_text import class_name, text_of

# After how many seconds the memory of a worker is looked at again.
_LOOK = 1.0


@dataclass(slots=True)
class _Place:
    member: Member | None = None
    runs: list[TaskRun] = field(default_factory=list)
    """The run of the member, and the run that follows it."""
    incarnation: int = 0
    is_up: bool = False
    """Whether the schedule knows of the member."""
    looked_at: float = -math.inf
    waits: int = 0
    """For how many nested calls, maps and calls for each worker the member's task waits."""
    tasks: set[asyncio.Task[Any]] = field(default_factory=set)


class Driver:
    """A pool that runs."""

    def __init__(
        self,
        size: int,
        start: Callable[[], Awaitable[Member]],
        policy: Policy,
        *,
        poison_after: float,
        recycle_above: float | None,
        name: str,
        interrupts: bool = True,
        target: float = TARGET,
    ) -> None:
        """Makes a pool without workers; `start()` starts them.

        Args:
            size: The number of workers.
            start: Starts one.
            policy: The limits of the worker's restarts.
            poison_after: The number of workers that may die of a task before it is not tried again.
            recycle_above: The megabytes of memory above which a worker is replaced when it is idle.
            name: The pool's script, for messages.
            interrupts: Whether a task that runs can be interrupted.
            target: The time in seconds that a chunk of items should take.
        """
        # A task that was given in advance is taken back when its worker is interrupted.
        self.schedule = Schedule(size, policy, poison_after, target, gives_next=interrupts)
        self.name = name
        self.interrupts = interrupts
        """Whether a task that runs can be interrupted, so that it can have a time limit."""
        self.exports: dict[str, None] = {}
        """The names of the workers' exports."""
        self.idempotent: frozenset[str] = frozenset()
        """The names of the exports that may run again after a death."""
        self.streams: frozenset[str] = frozenset()
        """The names of the exports that are streams, which no pool runs."""
        self.stats = Stats(size)
        self.loop = asyncio.get_running_loop()
        """The event loop in which the pool works."""
        self.thread = threading.get_ident()
        """The thread of the loop."""
        self._start_member = start
        self._recycle_above = recycle_above
        self._places = [_Place() for _ in range(size)]
        self._jobs: dict[int, Job] = {}
        self._sources: dict[int, Items] = {}
        self._told = Told(self.schedule, self._job, self._sources, self.loop.time, self.pump, self._pump_soon)
        self._count = 0
        self._timer: Timer | asyncio.TimerHandle | None = None
        self._is_pumping = False
        self._is_pump_due = False
        self._background: set[asyncio.Task[Any]] = set()
        self._cause: BaseException | None = None
        self._line = users_line()
        """The user's line that has made the pool, for warnings."""
        self._first: asyncio.Future[None] = self.loop.create_future()
        self._for_each = CallsForEach(size)
        self._version = 0
        self._shared: dict[str, Any] = {}
        self.on_end: list[Callable[[], None]] = []
        """Called when the pool is closed, and when no worker is left."""
        self.on_change: list[Callable[[], None]] = []
        """Called when workers have become idle or have died, and there is nothing else to do."""

    # Requests of the public classes.

    async def start(self) -> None:
        """Starts the workers, and returns when the first one can run tasks.

        Raises:
            ConnectError: If it cannot be started.
        """
        self.pump()
        if sys.platform != "emscripten":
            # A task, because the end of asyncio.run() cancels tasks. Threads may wait for the pool then.
            self._spawn(self._live())
        try:
            await asyncio.shield(self._first)
        except BaseException:
            await self.close()
            raise

    async def _live(self) -> None:
        try:
            await self.loop.create_future()
        finally:
            self._end()

    def _end(self) -> None:
        if not self.schedule.is_closed:
            self.schedule.close()
            self.pump()
            self._tell_end()

    async def close(self) -> None:
        """Ends all workers; tasks without an answer raise ConnectionClosedError."""
        self._end()
        if self._timer is not None:
            self._timer.cancel()
        members = [place.member for place in self._places if place.member is not None]
        tasks = [*self._background, *(task for place in self._places for task in place.tasks)]
        current = asyncio.current_task()
        for task in tasks:
            if task is not current:
                task.cancel()
        await asyncio.gather(*(member.close() for member in members), return_exceptions=True)
        await asyncio.gather(*(task for task in tasks if task is not current), return_exceptions=True)

    def submit(self, job: Job, retries: float = 0, slot: int | None = None, *, is_first: bool = False) -> int:
        """Adds a task.

        Args:
            job: The task.
            retries: The number of times that it runs again after the death of its worker.
            slot: The slot for whose worker it is; None for any.
            is_first: Whether it comes before those that wait, because one that runs waits for it.

        Returns:
            The task's number.
        """
        self._count += 1
        number = self._count
        self._jobs[number] = job
        if job.function in self.idempotent:
            retries = math.inf
        self.schedule.handle_time(self.loop.time())
        self.schedule.submit(number, job.timeout, retries, slot, is_first)
        self.pump()
        return number

    def call(self, job_of: Callable[[OnEnd], Job], retries: float = 0, slot: int | None = None) -> Answer:
        """Adds a task whose end a future tells.

        Args:
            job_of: Makes the task with a function that hears of its end.
            retries: The number of times that it runs again after the death of its worker.
            slot: The slot for whose worker it is; None for any.
        """
        answer = Answer(loop=self.loop)

        def end(job: Job, ending: Ending) -> None:
            if answer.done():
                return
            if ending is Ending.CANCELLED:
                answer.end_cancelled()
            elif (error := self.error_of(job, ending)) is not None:
                answer.set_exception(error)
            else:
                answer.set_result(job.answer)

        job = job_of(end)
        own = caller(self._places)
        if own is not None and runs_beside(self.schedule, self._places, own, slot):
            place = self._places[own]
            assert place.member is not None
            self._keep(place, begin_beside(job, answer, place.member, self._end_beside), lambda _: None)
            return answer
        if own is not None and is_caller_asleep():
            answer.add_done_callback(self._note_wait(own))
        number = self.submit(job, retries, slot, is_first=own is not None)
        answer.on_cancel = lambda: self.cancel(number)
        return answer

    def _end_beside(self, job: Job, ending: Ending) -> None:
        if ending is Ending.ANSWERED:
            self.stats.done += 1
        else:
            self.stats.lost += 1
        job.on_end(job, ending)

    def begin_nested(self, what: str) -> Callable[..., None] | None:
        """Notes that a task of this pool waits for a map, or for a call for each worker, if one does.

        Args:
            what: The map, for a message.

        Returns:
            A function that notes its end; None if no task waits for it.

        Raises:
            DeadlockError: If no worker will be free for it.
        """
        own = caller(self._places)
        if own is None:
            return None
        check_progress(self.schedule, self._places, own, what)
        return self._note_wait(own)

    def _note_wait(self, slot: int) -> Callable[..., None]:
        place = self._places[slot]
        place.waits += 1

        def end(*_: object) -> None:
            place.waits -= 1

        return end

    def cancel(self, number: int) -> None:
        """Cancels a task."""
        self.schedule.handle_time(self.loop.time())
        self.schedule.cancel(number)
        self.pump()

    def open_feed(
        self,
        source: Items,
        *,
        ahead: int,
        chunk: int | None,
        timeout: float | None,
        retries: float,
    ) -> int:
        """Adds a source of tasks.

        Args:
            source: The items.
            ahead: The number of chunks that may have been read and not been taken.
            chunk: The number of items of a chunk; None to choose it by the time that items take.
            timeout: The number of seconds that each item may run.
            retries: The number of times that an item runs again after the death of its worker.

        Returns:
            The feed's number.
        """
        if source.function in self.idempotent:
            retries = math.inf
        self._count += 1
        self._sources[self._count] = source
        self.schedule.handle_time(self.loop.time())
        self.schedule.open_feed(self._count, ahead, chunk, timeout, retries)
        return self._count

    def take(self, feed: int, count: int) -> None:
        """Notes that so many results of a feed have been taken."""
        self.schedule.take(feed, count)
        self._pump_soon()

    def check_open(self) -> None:
        """Raises if the pool is closed, or has no worker left.

        Raises:
            PoolBrokenError: If it has no worker left.
            ConnectionClosedError: If it is closed.
            RuntimeError: If another event loop runs than the pool's.
        """
        if self.schedule.is_closed or self.schedule.is_broken:
            raise self.closing_error()
        if asyncio._get_running_loop() not in {None, self.loop}:
            raise RuntimeError(
                f"the pool of {self.name!r} was made in another event loop: make the call there, by"
                " asyncio.run_coroutine_threadsafe(), or use pool.executor, which any thread may"
            )

    def check_export(self, name: str) -> None:
        """Raises if a pool cannot run an export.

        Raises:
            NotSupportedError: If it is a stream: a worker would be neither idle nor busy while it is read.
        """
        if name in self.streams:
            raise NotSupportedError(
                f"{name}() is a stream, which no pool runs: return a list, or call it on a single worker"
            )

    def close_feed(self, feed: int) -> None:
        """Drops a source of tasks."""
        if self._sources.pop(feed, None) is not None:
            self.schedule.handle_time(self.loop.time())
            self.schedule.close_feed(feed)
            self.pump()

    async def call_each(self, function: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
        """Has every worker run a function, also those that start later.

        Returns:
            The results of the workers that run now. The result of one that dies before its turn is missing:
            the worker in its place runs the function first of all. If there is no other result, it is that of
            the first worker that starts.

        Raises:
            BaseException: The first exception of the function. Workers that start later run it all the same,
                unless it has succeeded nowhere.
        """
        slots = (
            slot
            for slot, place in enumerate(self._places)
            if place.member is not None and self.schedule.takes_calls(slot)
        )
        end = self.begin_nested(f"pool.each.{function}()") if len(self._places) > 1 else None
        try:
            return await self._for_each.call(function, args, kwargs, slots, self._call_on)
        finally:
            if end is not None:
                end()

    def _call_on(self, slot: int, job_of: Callable[[OnEnd], Job]) -> Answer:
        return self.call(job_of, slot=slot)

    def member(self, slot: int, incarnation: int) -> Member | None:
        """Returns a worker that runs; None if it is gone.

        Args:
            slot: The worker's slot.
            incarnation: Which of the slot's workers it is.
        """
        place = self._places[slot]
        is_it = place.is_up and place.incarnation == incarnation
        return place.member if is_it and place.member is not None and not place.member.is_gone else None

    def alive(self) -> list[int | None]:
        """Returns the incarnation of each slot's worker; None where there is none."""
        return [
            place.incarnation if self.member(slot, place.incarnation) is not None else None
            for slot, place in enumerate(self._places)
        ]

    def keep(self, slot: int, task: asyncio.Task[Any]) -> None:
        """Lets a call to a worker go on, whose outcome nobody needs."""
        self._keep(self._places[slot], task, lambda _: None)

    def share(self, values: dict[str, Any]) -> None:
        """Sends values to all workers; later ones get them before anything else.

        Raises:
            UnsendableError: If a value cannot be sent; then none is shared.
        """
        version, shared = self._version + 1, {**self._shared, **values}
        for place in self._places:
            if place.member is not None and not place.member.is_gone:
                # `Member.share` raises for a value that cannot be sent. A later error is that of a worker
                # that is gone.
                self._keep(place, place.member.share(version, shared), lambda _: None)
        self._version, self._shared = version, shared

    # The steps of the schedule.

    def _pump_soon(self) -> None:
        """Has `pump()` called once for all that happens in this iteration of the loop."""
        if not self._is_pump_due:
            self._is_pump_due = True
            self.loop.call_soon(self.pump)

    def pump(self) -> None:
        """Does all that the schedule says is to be done."""
        if self._is_pumping:
            return
        self._is_pumping = True
        self._is_pump_due = False
        try:
            self.schedule.handle_time(self.loop.time())
            # A worker that is gone must get no task, though its connection has not told of its end yet.
            for slot, place in enumerate(self._places):
                if place.member is not None and place.is_up and place.member.is_gone:
                    self._on_gone(slot, place.incarnation, place, place.member)
            while (step := self.schedule.poll()) is not None:
                self._carry_out(step)
        finally:
            self._is_pumping = False
        self._set_timer()
        for listener in list(self.on_change):
            listener()

    def _carry_out(self, step: Step) -> None:
        match step:
            case Settle():
                self._settle(step)
            case Run():
                self._run(step)
            case Read():
                if (source := self._sources.get(step.feed)) is not None:
                    source.read(step.most)
            case Start():
                self._spawn(self._bring_up(step))
            case Interrupt():
                self._interrupt(step)
            case Terminate():
                if (member := self._places[step.slot].member) is not None:
                    member.terminate()
            case Break():
                self._break()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        at = self.schedule.deadline()
        if at < math.inf and not self.schedule.is_closed:
            self._timer = call_at(self.loop, at, self._on_timer)

    def _on_timer(self) -> None:
        # Answers that have arrived are taken in first: they may be of the task whose time seems to be up.
        self._timer = self.loop.call_later(0, self.loop.call_soon, self.pump)

    def _settle(self, step: Settle) -> None:
        tasks, ending = step
        if ending is Ending.ANSWERED:
            self.stats.done += len(tasks)
        else:
            self.stats.lost += len(tasks)
        feed = feed_of(tasks.start)
        if not feed:
            job = self._jobs.pop(tasks.start)
            job.on_end(job, ending)
        elif (source := self._sources.get(feed)) is not None:
            source.settle(tasks, ending)

    def _job(self, number: int) -> Job | None:
        """Returns a task that has not settled; None if it has."""
        feed = feed_of(number)
        if not feed:
            return self._jobs.get(number)
        source = self._sources.get(feed)
        return None if source is None else source.job(number)

    def error_of(self, job: Job, ending: Ending) -> BaseException | None:
        """Makes the exception by which the caller of a task hears of its end; None if it returned."""
        if ending is Ending.ANSWERED:
            return job.answer if job.is_error else None
        called, died = f"{job.title or job.function}()", errors_of_end(True, job.cause)
        match ending:
            case Ending.DIED:
                return died(f"the worker died while it ran {called}: {job.fate}")
            case Ending.LOST:
                return died(
                    f"the worker died while it ran {called} or had just run it, and the outcome is lost;"
                    f" with retries=1 it would run again: {job.fate}"
                )
            case Ending.POISONED:
                return died(
                    f"{called} is not tried again, since each worker that ran it with these arguments died;"
                    f" the last one: {job.fate}"
                )
            case Ending.TIMED_OUT:
                return TimeoutError(f"{called} was still running after {job.timeout} seconds")
            case Ending.DISTURBED:
                return TimeoutError(
                    f"{called} was interrupted as it began: the time of the item before it was up just then;"
                    " with retries=1 it would run again"
                )
            case Ending.GONE:
                return WorkerDiedError(f"the worker died before it ran {called}")
            case _:
                return self.closing_error()

    def closing_error(self) -> BaseException:
        """Makes the error of a task that meets a pool without workers."""
        if self.schedule.is_broken:
            error = PoolBrokenError(
                f"the pool of {self.name!r} has no worker left: each died too often or could not be started"
                f" again; the last cause: {self._told_cause()}"
            )
            error.__cause__ = self._cause
            return error
        return ConnectionClosedError(f"the pool of {self.name!r} is closed")

    def _break(self) -> None:
        if not self._first.done():
            self._first.set_exception(self._cause or self.closing_error())
        self._tell_end()

    def _tell_end(self) -> None:
        self._for_each.end(self.closing_error())
        for listener in list(self.on_end):
            listener()

    def _fail(self, error: BaseException) -> None:
        self.loop.call_exception_handler({"message": "a pool of workerlib has a fault", "exception": error})

    def _spawn(self, coroutine: Any) -> asyncio.Task[Any]:
        task = self.loop.create_task(coroutine)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task

    def _keep(
        self, place: _Place, task: asyncio.Task[Any], on_error: Callable[[BaseException], object]
    ) -> None:
        place.tasks.add(task)

        def forget(task: asyncio.Task[Any]) -> None:
            place.tasks.discard(task)
            if not task.cancelled() and (error := task.exception()) is not None:
                on_error(error)

        task.add_done_callback(forget)

    async def _bring_up(self, step: Start) -> None:
        """Starts a worker and has it hear of all that it missed."""
        place = self._places[step.slot]
        member: Member | None = None
        try:
            member = await self._start_member()
            place.member = member
            await self._acquaint(step.slot, member)
        except BaseException as error:
            place.member = None
            if member is not None:
                with contextlib.suppress(Exception):
                    member.terminate()
                    await member.close()
            if isinstance(error, asyncio.CancelledError):
                raise
            self._cause = error
            # A script that fails would fail again. A start without news, or a death, may be the machine's.
            is_final = not isinstance(error, (ConnectTimeoutError, WorkerDiedError))
            self._at(self.schedule.handle_start_failed, step.slot, step.incarnation, is_final)
            self._tell_parked(step.slot)
            return
        if step.incarnation > 1:
            self.stats.restarts += 1
        place.incarnation, place.is_up = step.incarnation, True
        member.when_gone(self.pump)
        self._at(self.schedule.handle_started, step.slot, step.incarnation)
        if not self._first.done():
            self._first.set_result(None)

    async def _acquaint(self, slot: int, member: Member) -> None:
        idempotent, streams = await member.about()
        self.idempotent |= set(idempotent)
        self.streams |= set(streams)
        for name in member.exports:
            self.exports[name] = None
        if self._version:
            await member.share(self._version, self._shared)
        await self._for_each.make_up_for(slot, member)

    def _on_gone(self, slot: int, incarnation: int, place: _Place, member: Member) -> None:
        if self.schedule.is_closed:
            return
        place.member, place.is_up = None, False
        # The run that follows had not begun.
        run = next((run for run in place.runs if not run.is_complete), None)
        once = set() if run is None else run.note_fate(member.fate, member.cause)
        place.runs.clear()
        self._cause = errors_of_end(True, member.cause)(member.fate)
        # Its process is waited for, so that nothing is left of it.
        self._spawn(_quietly(member.close()))
        self.schedule.handle_died(slot, incarnation, once)
        self._tell_parked(slot)

    def _tell_parked(self, slot: int) -> None:
        """Warns of a worker that stays down: as long as others run, no call raises because of it."""
        states = [state for state, _ in self.schedule.states()]
        if states[slot] is not State.PARKED or self.schedule.is_broken:
            return
        left = len(states) - states.count(State.PARKED)
        text = (
            f"the pool of {self.name!r} goes on with {left} of {len(states)} workers: one died too often, or"
            f" cannot be started, and stays down; the last cause: {self._told_cause()}"
        )
        # A filter may have the warning raised, and what follows a death must be done first.
        self.loop.call_soon(warn, text, UserWarning, self._line)

    def _told_cause(self) -> str:
        return f"{class_name(type(self._cause))}: {text_of(self._cause)}" if self._cause else "unknown"

    def _at(self, handle: Callable[..., object], *args: Any) -> None:
        self.schedule.handle_time(self.loop.time())
        handle(*args)
        self.pump()

    def _run(self, step: Run) -> None:
        place = self._places[step.slot]
        assert place.member is not None
        run = TaskRun(step, place.member, self._told, follows=place.runs[-1] if step.follows else None)
        place.runs.append(run)
        run.begin()
        run.task = self.loop.create_task(self._carry_through(run, place))
        self._keep(place, run.task, self._fail)

    async def _carry_through(self, run: TaskRun, place: _Place) -> None:
        """Has a worker run tasks, and makes it idle again if it lives."""
        step, member = run.step, run.member
        try:
            if not await run.run():
                self.pump()
                return
            if run.is_interrupted:
                self.pump()
                # Its function may go on: one that computes, or cleans up.
                await member.wait_until_idle()
                if member.is_gone:
                    return
            is_too_large = await self._is_too_large(place, member)
        finally:
            run.note_end()
        if run in place.runs:
            place.runs.remove(run)
        self.schedule.handle_time(self.loop.time())
        self.schedule.handle_ended(step.slot, step.incarnation, run.seconds)
        if is_too_large:
            self.schedule.recycle(step.slot, step.incarnation)
        self.pump()

    async def _is_too_large(self, place: _Place, member: Member) -> bool:
        now = self.loop.time()
        if self._recycle_above is None or now - place.looked_at < _LOOK:
            return False
        place.looked_at = now
        try:
            return await member.memory() > self._recycle_above * 1_000_000
        except ConnectionClosedError:
            return False

    def _interrupt(self, step: Interrupt) -> None:
        # The last one first: it must not begin when the one before it has ended.
        for run in reversed(self._places[step.slot].runs):
            run.interrupt()

    def snapshot(self) -> Stats:
        """Returns the state at this moment."""
        states = [] if self.schedule.is_closed else [state for state, _ in self.schedule.states()]
        stats = self.stats
        return Stats(
            stats.size,
            idle=states.count(State.IDLE),
            busy=states.count(State.BUSY) + states.count(State.CONDEMNED),
            starting=states.count(State.STARTING) + states.count(State.WAITING),
            parked=states.count(State.PARKED),
            waiting=self.schedule.waiting(),
            done=stats.done,
            lost=stats.lost,
            restarts=stats.restarts,
        )


async def _quietly(closing: Awaitable[object]) -> None:
    with contextlib.suppress(Exception):
        await closing
