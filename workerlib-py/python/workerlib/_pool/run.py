"""Has a worker run the tasks that the schedule gives it at a time, and tells the outcome of each: one run.

The driver (`_pool/driver.py`) makes a run for each `Run` step of the schedule. A run ends when its tasks have
ended, when it is interrupted, or when its worker dies. The driver decides what follows for the worker.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from workerlib._pool import schedule, steps
from workerlib._pool.chunks import INTERRUPTED, NOT_BEGUN, RETURNED, TOGETHER
from workerlib._pool.jobs import Items, Job
from workerlib._pool.member import Member, TasksLostError
from workerlib._pool.sent_once import any_sent_once, holds_sent_once
from workerlib._users.line import noted


@dataclass(frozen=True, slots=True)
class Told:
    """The objects that hear of the outcomes of a run."""

    schedule: schedule.Schedule
    job: Callable[[int], Job | None]
    """Returns a task by its number; None if it has settled."""
    sources: Mapping[int, Items]
    """The sources of tasks by the numbers of their feeds."""
    now: Callable[[], float]
    """The time in seconds."""
    pump: Callable[[], None]
    """Does what the schedule says is to be done."""
    pump_soon: Callable[[], None]
    """Has that done once for all that happens in this iteration of the loop."""


@dataclass(slots=True, eq=False)
class TaskRun:
    """Tasks that a worker runs one after the other."""

    step: steps.Run
    """The worker and the tasks, as the schedule has chosen them."""
    member: Member
    """The worker."""
    told: Told
    follows: TaskRun | None = None
    """The run of the same worker that has to end before this one begins."""
    task: asyncio.Task[None] | None = None
    """The task of the event loop that awaits the worker's answers."""
    seconds: float | None = None
    """The time that it took in the worker, if the worker has said so."""
    is_interrupted: bool = False
    outcomes: int = 0
    """The number of tasks that have an outcome."""
    _has_begun: bool = field(default=False)
    _ended: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def begin(self) -> None:
        """Tells the tasks that they begin."""
        if self.step.is_chunk:
            return
        job = self.told.job(self.step.tasks.start)
        if job is not None and job.on_begin is not None:
            job.on_begin()
            job.on_begin = None

    @property
    def is_complete(self) -> bool:
        """Whether each of the tasks has an outcome."""
        return self.outcomes == len(self.step.tasks)

    def note_end(self) -> None:
        """Notes that the run has ended, for the one that follows it."""
        if not self._ended.done():
            self._ended.set_result(None)

    async def _wait_for_turn(self) -> bool:
        """Returns when the run before this one has ended: whether that has run all its tasks."""
        before, self.follows = self.follows, None
        if before is None:
            return True
        while not before._ended.done():
            try:
                await asyncio.wait([before._ended])
            except asyncio.CancelledError:
                if not self.is_interrupted:
                    raise
        return before.is_complete and not before.is_interrupted

    def note_fate(self, fate: str, cause: BaseException | None) -> set[int]:
        """Notes how the worker died, for the tasks that it may have run; returns those that run once."""
        once: set[int] = set()
        for number in self.step.tasks[self.outcomes :][: self.step.together]:
            if (job := self.told.job(number)) is not None:
                job.fate, job.cause = fate, cause
                if holds_sent_once([job.args, job.kwargs]):
                    once.add(number)
                    job.fate += (
                        "; whatever its retries are, it runs once, since an argument is an iterator, or was"
                        " transferred"
                    )
        return once

    def interrupt(self) -> None:
        """Interrupts what the worker runs."""
        if self.task is not None:
            self.is_interrupted = True
            # A task that is cancelled before its first step would never say what has become of the run.
            if self._has_begun:
                self.task.cancel()

    async def run(self) -> bool:
        """Has the worker run the tasks until the run is interrupted, or the worker is gone.

        Returns:
            Whether the worker lives.
        """
        self._has_begun = True
        tasks = self.step.tasks
        source = self.told.sources.get(steps.feed_of(tasks.start))
        if self.step.is_chunk and self.member.takes_chunks and source is not None:
            items = source.values(tasks)
            if items is not None and not any_sent_once(items):
                return await self._run_chunk(source, items)
        return await self._run_one_by_one()

    async def _run_one_by_one(self) -> bool:
        """Makes a call for each task; returns whether the worker lives."""
        slot, incarnation, tasks, _, _, patience, _ = self.step
        told, member = self.told, self.member
        if not await self._wait_for_turn():
            return True
        begun_at = told.now()
        for number in tasks:
            job = told.job(number)
            if job is None:
                # Cancelled before its turn.
                told.schedule.skip(slot, incarnation, number)
                self.outcomes += 1
                continue
            was_interrupted = False
            try:
                if self.is_interrupted:
                    raise asyncio.CancelledError
                noted.set(job.line)
                job.answer = await member.call(job.function, job.args, job.kwargs, job.on_report)
                job.is_error = False
            except asyncio.CancelledError:
                if not self.is_interrupted:
                    # The pool is being closed.
                    raise
                was_interrupted = True
            except TasksLostError as lost:
                self._lose([number], lost)
                return True
            except BaseException as error:
                if member.is_gone:
                    return False
                job.answer, job.is_error = error, True
            told.schedule.handle_time(told.now())
            told.schedule.handle_outcome(slot, incarnation, number, was_interrupted)
            self.outcomes += 1
            if self.is_interrupted:
                break
            told.pump()
            if told.now() - begun_at > patience:
                # Other workers may have nothing to do.
                break
        return True

    async def _run_chunk(self, source: Items, items: list[Any]) -> bool:
        """Makes one call for several items of a feed; returns whether the worker lives."""
        slot, incarnation, tasks, _, together, patience, follows = self.step
        told, member = self.told, self.member
        now, pump_soon = told.now, told.pump_soon
        has_stopped = False

        def hear(kind: int, value: Any) -> None:
            nonlocal has_stopped
            count = len(value) if kind == TOGETHER else 1
            if kind == NOT_BEGUN or self.outcomes + count > len(tasks):
                has_stopped = True
                return
            number = tasks[self.outcomes]
            self.outcomes += count
            has_stopped = kind == INTERRUPTED
            told.schedule.handle_time(now())
            counts = told.schedule.handle_outcome(slot, incarnation, number, has_stopped, count)
            if kind in {TOGETHER, RETURNED}:
                if counts:
                    source.hold(number, value if kind == TOGETHER else [value])
            elif counts and not has_stopped and (job := source.job(number)) is not None:
                job.is_error, job.answer = member.read_outcome(kind, value)
            pump_soon()

        try:
            if self.is_interrupted:
                raise asyncio.CancelledError
            noted.set(source.line)
            self.seconds = await member.run_chunk(
                source.function, items, together, patience, hear, follows=follows
            )
        except asyncio.CancelledError:
            if not self.is_interrupted:
                raise
            if not has_stopped:
                # The worker computes and has said nothing: the item has begun.
                hear(INTERRUPTED, None)
        except TasksLostError as lost:
            self._lose(tasks, lost)
        except BaseException as error:
            await self._wait_for_turn()
            if member.is_gone:
                return False
            if not self.outcomes:
                # An item that cannot be sent or read, so that no item has begun.
                told.schedule.handle_not_begun(slot, incarnation)
                return True
            # An outcome that cannot be read. The items after it may have run.
            for number in tasks[self.outcomes :]:
                if (job := source.job(number)) is not None:
                    job.answer, job.is_error = error, True
                told.schedule.handle_outcome(slot, incarnation, number)
        await self._wait_for_turn()
        return True

    def _lose(self, numbers: Iterable[int], lost: TasksLostError) -> None:
        for number in numbers:
            if (job := self.told.job(number)) is not None:
                job.fate, job.cause = str(lost), lost.__cause__
        self.told.schedule.handle_time(self.told.now())
        self.told.schedule.handle_lost(self.step.slot, self.step.incarnation)
