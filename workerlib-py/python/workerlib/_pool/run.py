"""One run: has a worker run the tasks that the schedule gives it at a time, and tells of each outcome.

The driver (`_pool/driver.py`) makes a run for each `Run` step of the schedule. A run ends when its tasks have
ended, when it is interrupted, or when its worker dies. The driver decides what follows for the worker.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from workerlib._pool import schedule
from workerlib._pool.chunks import INTERRUPTED, NOT_BEGUN, RETURNED
from workerlib._pool.jobs import Job
from workerlib._pool.member import Member, TasksLostError


@dataclass(frozen=True, slots=True)
class Told:
    """The objects that hear of the outcomes of a run."""

    schedule: schedule.Schedule
    jobs: Mapping[int, Job]
    """The tasks that have not settled, by their numbers."""
    now: Callable[[], float]
    """The time in seconds."""
    pump: Callable[[], None]
    """Does what the schedule says is to be done."""
    pump_soon: Callable[[], None]
    """Has that done once for all that happens in this iteration of the loop."""


@dataclass(slots=True)
class TaskRun:
    """Tasks that a worker runs one after the other."""

    step: schedule.Run
    """The worker and the tasks, as the schedule has chosen them."""
    member: Member
    """The worker."""
    told: Told
    task: asyncio.Task[None] | None = None
    """The task of the event loop that awaits the worker's answers."""
    seconds: float | None = None
    """How long it took in the worker, if the worker has said so."""
    is_interrupted: bool = False
    _has_begun: bool = field(default=False)

    def begin(self) -> None:
        """Tells the tasks that they begin."""
        for number in self.step.tasks:
            job = self.told.jobs[number]
            if job.on_begin is not None:
                job.on_begin()
                job.on_begin = None

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
        jobs = [self.told.jobs.get(number) for number in self.step.tasks]
        if self.step.is_chunk and self.member.takes_chunks and None not in jobs:
            return await self._run_chunk()
        return await self._run_one_by_one()

    async def _run_one_by_one(self) -> bool:
        """Makes a call for each task; returns whether the worker lives."""
        slot, incarnation, tasks, _ = self.step
        told, member = self.told, self.member
        for number in tasks:
            job = told.jobs.get(number)
            if job is None:
                # Cancelled before its turn.
                told.schedule.skip(slot, incarnation, number)
                continue
            was_interrupted = False
            try:
                if self.is_interrupted:
                    raise asyncio.CancelledError
                job.answer, job.is_error = await member.call(job.function, job.args, job.kwargs), False
            except asyncio.CancelledError:
                if not self.is_interrupted:
                    # The pool is being closed.
                    raise
                was_interrupted = True
            except TasksLostError as lost:
                self._lose([job], lost)
                return True
            except BaseException as error:
                if member.is_gone:
                    return False
                job.answer, job.is_error = error, True
            told.schedule.handle_time(told.now())
            told.schedule.handle_outcome(slot, incarnation, number, was_interrupted)
            if self.is_interrupted:
                break
            told.pump()
        return True

    async def _run_chunk(self) -> bool:
        """Makes one call for several items of a feed; returns whether the worker lives."""
        slot, incarnation, tasks, _ = self.step
        told, member = self.told, self.member
        now, pump_soon = told.now, told.pump_soon
        jobs = [told.jobs[number] for number in tasks]
        outcomes = 0
        has_stopped = False

        def hear(kind: int, value: Any) -> None:
            nonlocal outcomes, has_stopped
            if kind == NOT_BEGUN or outcomes == len(jobs):
                has_stopped = True
                return
            job, number = jobs[outcomes], tasks[outcomes]
            outcomes += 1
            has_stopped = kind == INTERRUPTED
            if kind == RETURNED:
                job.is_error, job.answer = False, value
            elif not has_stopped:
                job.is_error, job.answer = member.read_outcome(kind, value)
            told.schedule.handle_time(now())
            told.schedule.handle_outcome(slot, incarnation, number, has_stopped)
            pump_soon()

        try:
            if self.is_interrupted:
                raise asyncio.CancelledError
            self.seconds = await member.run_chunk(jobs[0].function, [job.args[0] for job in jobs], hear)
        except asyncio.CancelledError:
            if not self.is_interrupted:
                raise
            if not has_stopped:
                # The worker computes and has said nothing: the item has begun.
                hear(INTERRUPTED, None)
        except TasksLostError as lost:
            self._lose(jobs, lost)
        except BaseException as error:
            if member.is_gone:
                return False
            if not outcomes:
                # An item that cannot be sent or read, so that no item has begun.
                told.schedule.handle_not_begun(slot, incarnation)
                return True
            # An outcome that cannot be read. The items after it may have run.
            for job, number in zip(jobs[outcomes:], tasks[outcomes:], strict=True):
                job.answer, job.is_error = error, True
                told.schedule.handle_outcome(slot, incarnation, number)
        return True

    def _lose(self, jobs: list[Job], lost: TasksLostError) -> None:
        for job in jobs:
            job.fate = str(lost)
        self.told.schedule.handle_time(self.told.now())
        self.told.schedule.handle_lost(self.step.slot, self.step.incarnation)
