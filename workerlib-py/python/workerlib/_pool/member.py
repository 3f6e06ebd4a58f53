"""Provides `Member`, one worker of a pool: it runs tasks, is interrupted, and tells of its death.

The pool's driver uses it. The functions that it calls in the worker stand in `_pool/served.py`. It does not
know how the worker was started.
"""

from __future__ import annotations

import asyncio
import functools
import types
from collections.abc import Awaitable, Callable, Collection, Coroutine, Generator, Iterable
from typing import Any, TypeVar

from workerlib._errors import ConnectionClosedError, UnsendableError
from workerlib._pool.chunks import OUTCOME, read_outcome
from workerlib._pool.places import placed
from workerlib._rpc.connection import Connection
from workerlib._rpc.remote_functions import OnReport

_T = TypeVar("_T")


class TasksLostError(Exception):
    """Tells that a cluster has lost the tasks of a run with one of its workers, which it replaces itself.

    Its `__cause__` is distributed's own error, where there is one.
    """


class Member:
    """A worker of a pool."""

    def __init__(
        self,
        connection: Connection,
        exports: Collection[str],
        name: str,
        terminate: Callable[[], object],
        close: Callable[[], Awaitable[object]],
    ) -> None:
        """Wraps a worker whose connection is open.

        Args:
            connection: The connection.
            exports: The names of its exports; the collection grows with them.
            name: The worker's name, for messages.
            terminate: Terminates the worker at once.
            close: Closes the connection, and returns when the worker has ended.
        """
        self.connection = connection
        self.exports = exports
        self.name = name
        self.terminate = terminate
        self.close = close

    @property
    def is_gone(self) -> bool:
        """Whether the connection has ended."""
        return self.connection.closed.done()

    @property
    def fate(self) -> str:
        """Why the connection has ended."""
        return self.connection.closed.result()

    @property
    def cause(self) -> BaseException | None:
        """The error by which the worker ended, where one is known."""
        return self.connection.cause_of_death

    @property
    def takes_chunks(self) -> bool:
        """Whether many items may travel in one call."""
        return not self.connection.needs_deferred

    def when_gone(self, listener: Callable[[], object]) -> None:
        """Has a function called when the connection has ended."""
        self.connection.closed.add_done_callback(lambda _: listener())

    def read_outcome(self, kind: int, value: Any) -> tuple[bool, Any]:
        """Reads an outcome of a chunk: whether the item raised, and its result or exception."""
        return read_outcome(self.connection, kind, value)

    async def call(
        self,
        function: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        on_report: OnReport | None = None,
    ) -> Any:
        """Calls an export.

        Args:
            function: Its name.
            args: The positional arguments.
            kwargs: The keyword arguments.
            on_report: Is called with what the function reports while it runs.
        """
        return await self.connection.call(function, args, kwargs, on_report=on_report)

    async def run_chunk(
        self,
        function: str,
        items: list[Any],
        together: int,
        patience: float,
        on_outcome: Callable[[int, Any], None],
        *,
        follows: bool = False,
    ) -> float | None:
        """Calls an export for each item. Items without an outcome have not begun when it returns.

        Args:
            function: The name of the export.
            items: The items, each the only argument of its call.
            together: Of how many items the outcomes may come in one message.
            patience: After how many seconds no further item begins.
            on_outcome: Is called with the kind of each outcome (`_pool/chunks.py`) and its value.
            follows: Whether the items begin when the worker has ended those that it runs, and only if it has
                ended them all.

        Returns:
            The time in seconds that it took in the worker; None if that is not known.
        """

        def hear(mark: Any = None, kind: Any = None, value: Any = None, *_further: Any) -> None:
            # The user's function may report something of its own.
            if type(mark) is str and mark == OUTCOME:
                on_outcome(kind, value)

        arguments = (function, items, together, patience, follows)
        return float(await self.connection.call("workerlib:chunk", arguments, {}, on_report=hear))

    async def wait_until_idle(self) -> None:
        """Returns when the worker runs no call; if it is gone, at once."""
        try:
            await self.connection.call("workerlib:idle", (), {})
        except ConnectionClosedError:
            return

    async def about(self) -> tuple[Iterable[str], Iterable[str]]:
        """Returns the names of exports that may run again after a death, and of streams."""
        idempotent, streams = await self.connection.call("workerlib:about", (), {})
        return idempotent, streams

    async def memory(self) -> int:
        """Returns the number of bytes of memory that the worker uses."""
        return int(await self.connection.call("workerlib:memory", (), {}))

    async def take(self, number: int) -> Any:
        """Returns a packed result that the worker keeps: `_pool/graph_tasks.py`."""
        return await self.connection.call("workerlib:take", (number,), {})

    def free(self, numbers: list[int]) -> asyncio.Task[None]:
        """Has the worker forget results."""
        return started(self.connection.call("workerlib:free", (numbers,), {}))

    def share(self, version: int, values: dict[str, Any]) -> asyncio.Task[None]:
        """Sends shared values, which every call sees that is sent afterwards.

        Raises:
            UnsendableError: If a value cannot be sent.
        """
        try:
            return started(self.connection.call("workerlib:share", (version, values), {}))
        except UnsendableError as error:
            raise placed(error, "args[1]", "shared") from None


def started(coroutine: Coroutine[Any, Any, _T]) -> asyncio.Task[_T]:
    """Runs a coroutine up to its first `await` at once, and the rest in a task.

    Raises:
        BaseException: Any exception of the coroutine up to there.
    """
    try:
        first = coroutine.send(None)
    except StopIteration as end:
        value: _T = end.value

        async def nothing_left() -> _T:
            return value

        return asyncio.ensure_future(nothing_left())
    return asyncio.ensure_future(_rest(coroutine, first))


@types.coroutine
def _rest(coroutine: Coroutine[Any, Any, _T], awaited: Any) -> Generator[Any, Any, _T]:
    while True:
        try:
            value = yield awaited
        except BaseException as error:
            step = functools.partial(coroutine.throw, error)
        else:
            step = functools.partial(coroutine.send, value)
        try:
            awaited = step()
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
