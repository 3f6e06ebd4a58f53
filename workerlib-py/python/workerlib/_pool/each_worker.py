"""The calls that every worker of a pool runs (`pool.each`), also the workers that start later.

The driver (`_pool/driver.py`) says which workers run now, submits a call for one of them, and has a worker
that has just started make up for the earlier calls.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from workerlib._errors import ConnectionClosedError
from workerlib._pool.jobs import Answer, Job, OnEnd
from workerlib._pool.member import Member
from workerlib._pool.steps import Ending
from workerlib._users.line import users_line

_GONE = object()
"""Stands for the result of a worker that died before its turn."""


class CallsForEach:
    """The calls for every worker of a pool, in their order, and how many of them each worker has begun."""

    def __init__(self, size: int) -> None:
        """Starts without calls.

        Args:
            size: The number of the pool's slots.
        """
        self._calls: list[Job] = []
        self._begun = [0] * size
        """The number of calls that the worker of each slot has been given."""
        self._made_up_for: dict[int, tuple[Job, asyncio.Task[Any]]] = {}
        """The call that a worker which has just started runs, by its slot."""

    async def call(
        self,
        function: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        slots: Iterable[int],
        submit: Callable[[int, Callable[[OnEnd], Job]], Answer],
    ) -> list[Any]:
        """Has the workers that run now run a function, and keeps the call for later ones.

        Args:
            function: The name of the export.
            args: The positional arguments.
            kwargs: The keyword arguments.
            slots: The slots whose workers run now. A slot is taken when the slot before it has its call.
            submit: Adds a task for the worker of a slot.

        Returns:
            The results. The result of a worker that dies before its turn is missing.

        Raises:
            BaseException: The first exception of the function.
            CancelledError: If it is cancelled; then later workers do not run the function either.
        """
        call = Job(function, args, kwargs, _ignore, line=users_line())
        self._calls.append(call)
        answers = [self._begin(slot, call, submit) for slot in slots]
        try:
            outcomes = await asyncio.gather(*answers, return_exceptions=True)
        except asyncio.CancelledError:
            # The function may never end, and each later worker would wait for it before its first task.
            self._forget(call)
            raise
        errors = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        if errors:
            is_its_own = not any(isinstance(error, ConnectionClosedError) for error in errors)
            if is_its_own and len(errors) == len(outcomes):
                self._forget(call)
            raise errors[0]
        return [outcome for outcome in outcomes if outcome is not _GONE]

    async def make_up_for(self, slot: int, member: Member) -> None:
        """Has a worker that has just started run all calls so far.

        Args:
            slot: The worker's slot.
            member: The worker.

        Raises:
            BaseException: Any exception of a call that has succeeded elsewhere.
        """
        self._begun[slot] = 0
        while self._begun[slot] < len(self._calls):
            call = self._calls[self._begun[slot]]
            self._begun[slot] += 1
            running = asyncio.ensure_future(member.call(call.function, call.args, call.kwargs))
            self._made_up_for[slot] = call, running
            try:
                await running
            except Exception:
                if member.is_gone or self._is_known(call):
                    raise
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if self._is_known(call) or (task is not None and task.cancelling()):
                    raise
                await member.wait_until_idle()
            finally:
                del self._made_up_for[slot]

    def _begin(self, slot: int, call: Job, submit: Callable[[int, Callable[[OnEnd], Job]], Answer]) -> Answer:
        self._begun[slot] = len(self._calls)

        def job(end: OnEnd) -> Job:
            def ended(job: Job, ending: Ending) -> None:
                if ending is Ending.GONE:
                    job.answer, ending = _GONE, Ending.ANSWERED
                end(job, ending)

            return Job(call.function, call.args, call.kwargs, ended, line=call.line)

        return submit(slot, job)

    def _is_known(self, call: Job) -> bool:
        return any(one is call for one in self._calls)

    def _forget(self, call: Job) -> None:
        """Drops a call that has failed everywhere, or was cancelled: later workers would wait for it."""
        index = next(index for index, one in enumerate(self._calls) if one is call)
        del self._calls[index]
        self._begun = [begun - (begun > index) for begun in self._begun]
        for made_up_for, running in self._made_up_for.values():
            if made_up_for is call:
                running.cancel()


def _ignore(_job: Job, _ending: Ending) -> None:
    """Hears of the end of a call that is kept for later workers, of which nobody needs to hear."""
