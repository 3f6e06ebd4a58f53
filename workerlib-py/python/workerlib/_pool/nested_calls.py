"""Calls that the page makes for a task of the pool: its callback, or its own export, calls the pool again.

The task waits for the callback, and so would the tasks of all workers, if their callbacks waited for workers.
A nested call therefore goes to the worker of its task, beside that task, unless another worker is idle. A map
and a call for each worker are refused where no worker will be free. The driver (`_pool/driver.py`) asks here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from workerlib._errors import DeadlockError
from workerlib._pool.jobs import Answer, Job
from workerlib._pool.member import Member
from workerlib._pool.schedule import Schedule
from workerlib._pool.slots import State
from workerlib._pool.steps import Ending
from workerlib._rpc.incoming_call import current_call
from workerlib._users.line import noted


class Place(Protocol):
    """A slot as the driver knows it."""

    member: Member | None
    waits: int
    """For how many nested calls, maps and calls for each worker the member's task waits."""


def caller(places: Sequence[Place]) -> int | None:
    """Returns the slot of the worker for whose task the running code works; None if it is none of these.

    Args:
        places: The pool's slots.
    """
    served = current_call.get()
    if served is None or served.has_ended:
        return None
    for slot, place in enumerate(places):
        if place.member is not None and getattr(place.member, "connection", None) is served.connection:
            return slot
    return None


def is_caller_asleep() -> bool:
    """Tells whether that worker starts nothing before it has the answer of the running code."""
    served = current_call.get()
    return served is not None and served.is_blocking


def runs_beside(schedule: Schedule, places: Sequence[Place], own: int, slot: int | None) -> bool:
    """Tells whether a nested call has to run beside the task that waits for it.

    Args:
        schedule: The pool's schedule.
        places: The pool's slots.
        own: The slot of the worker that runs the waiting task.
        slot: The slot for whose worker the nested call is; None for any.
    """
    if slot is not None:
        return slot == own
    if is_caller_asleep():
        # The worker would refuse the call. Another one runs it, as long as one of them will be free.
        return not _will_be_free(schedule, places, own)
    return schedule.waiting() > 0 or all(state is not State.IDLE for state, _ in schedule.states())


def check_progress(schedule: Schedule, places: Sequence[Place], own: int, what: str) -> None:
    """Raises if no worker will be free for a nested map.

    Args:
        schedule: The pool's schedule.
        places: The pool's slots.
        own: The slot of the worker whose task waits for it.
        what: The map, for the message.

    Raises:
        DeadlockError: If each other worker runs a task that waits likewise.
    """
    if not _will_be_free(schedule, places, own):
        raise DeadlockError(
            f"{what} would wait for ever: a task of this pool waits for it, and so does that of each other"
            " worker; return from the callback first, or have the worker's function do the loop"
        )


def _will_be_free(schedule: Schedule, places: Sequence[Place], own: int) -> bool:
    states = [state for state, _ in schedule.states()]
    return any(
        state is not State.PARKED and not place.waits and slot != own
        for slot, (state, place) in enumerate(zip(states, places, strict=True))
    )


def begin_beside(
    job: Job, answer: Answer, member: Member, end: Callable[[Job, Ending], None]
) -> asyncio.Task[None]:
    """Has a worker run a task beside the one that it runs; the pool's schedule does not know of it.

    Args:
        job: The task.
        answer: The future of its caller.
        member: The worker.
        end: Hears of the end.
    """

    async def run() -> None:
        noted.set(job.line)
        if job.on_begin is not None:
            job.on_begin()
        try:
            job.answer = await member.connection.call(
                job.function, job.args, job.kwargs, job.timeout, job.on_report
            )
        except asyncio.CancelledError:
            end(job, Ending.CANCELLED)
            raise
        except BaseException as error:
            job.answer, job.is_error = error, True
        end(job, Ending.ANSWERED)

    task = asyncio.ensure_future(run())

    def cancel() -> None:
        task.cancel()

    answer.on_cancel = cancel
    return task
