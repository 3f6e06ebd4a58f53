"""The calls that every worker of a pool runs (`pool.each`), also the workers that start later.

The driver (`_pool/driver.py`) says which workers run now, submits a call for one of them, and has a worker
that has just started make up for the earlier calls.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from workerlib._errors import ConnectionClosedError
from workerlib._pool.jobs import Answer, Job, OnEnd
from workerlib._pool.member import Member
from workerlib._pool.steps import Ending
from workerlib._users.line import users_line

_GONE = object()
"""Stands for the result of a worker that died before its turn."""


@dataclass(slots=True, eq=False)
class _Kept:
    """A call that every worker runs, also those that start later."""

    job: Job
    first: asyncio.Future[Any]
    """The first outcome in a worker that has started since the call, or the error by which the pool ended."""
    settled: asyncio.Future[None]
    """Done when the caller has an outcome."""
    has_succeeded: bool = False
    """Whether a worker that has started since the call has run it."""

    def tell(self, value: Any, error: BaseException | None = None) -> None:
        """Notes an outcome in a worker that has started since the call, for a caller that has none yet."""
        if self.first.done() or self.settled.done():
            return
        if error is None:
            self.first.set_result(value)
        else:
            self.first.set_exception(error)
            # It is the caller's error only if no other worker has an outcome.
            self.first.exception()


class CallsForEach:
    """The calls for every worker of a pool, in their order, and how many of them each worker has begun."""

    def __init__(self, size: int) -> None:
        """Starts without calls.

        Args:
            size: The number of the pool's slots.
        """
        self._calls: list[_Kept] = []
        self._begun = [0] * size
        """The number of calls that the worker of each slot has been given."""
        self._made_up_for: dict[int, tuple[_Kept, asyncio.Task[Any]]] = {}
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
            The results. The result of a worker that dies before its turn is missing. If there is no other
            one, the result is that of the first worker that starts.

        Raises:
            BaseException: The first exception of the function.
            CancelledError: If it is cancelled; then later workers do not run the function either.
        """
        job = Job(function, args, kwargs, _ignore, line=users_line())
        loop = asyncio.get_running_loop()
        call = _Kept(job, loop.create_future(), loop.create_future())
        self._calls.append(call)
        answers = [self._begin(slot, job, submit) for slot in slots]
        try:
            outcomes = await asyncio.gather(*answers, return_exceptions=True)
            outcomes = [outcome for outcome in outcomes if outcome is not _GONE]
            if not outcomes:
                outcomes = list(await asyncio.gather(call.first, return_exceptions=True))
        except asyncio.CancelledError:
            # The function may never end, and each later worker would wait for it before its first task.
            self._forget(call)
            raise
        else:
            errors = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
            if not errors:
                return outcomes
            is_its_own = not any(isinstance(error, ConnectionClosedError) for error in errors)
            if is_its_own and len(errors) == len(outcomes) and not call.has_succeeded:
                self._forget(call)
            raise errors[0]
        finally:
            call.settled.set_result(None)

    def end(self, error: BaseException) -> None:
        """Notes that no further worker starts, for the calls that wait for one.

        Args:
            error: Why.
        """
        for call in self._calls:
            call.tell(None, error)

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
            job = call.job
            running = asyncio.ensure_future(member.call(job.function, job.args, job.kwargs))
            self._made_up_for[slot] = call, running
            try:
                result = await running
            except Exception as error:
                if member.is_gone:
                    raise
                call.tell(None, error)
                # A call that raises everywhere is its caller's mistake, and must not cost this worker.
                await asyncio.wait([call.settled])
                if self._is_known(call):
                    raise
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if self._is_known(call) or (task is not None and task.cancelling()):
                    raise
                await member.wait_until_idle()
            else:
                call.has_succeeded = True
                call.tell(result)
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

    def _is_known(self, call: _Kept) -> bool:
        return any(one is call for one in self._calls)

    def _forget(self, call: _Kept) -> None:
        """Drops a call that has failed everywhere, or was cancelled: later workers would wait for it."""
        index = next(index for index, one in enumerate(self._calls) if one is call)
        del self._calls[index]
        self._begun = [begun - (begun > index) for begun in self._begun]
        for made_up_for, running in self._made_up_for.values():
            if made_up_for is call:
                running.cancel()


def _ignore(_job: Job, _ending: Ending) -> None:
    """Hears of the end of a call that is kept for later workers, of which nobody needs to hear."""
