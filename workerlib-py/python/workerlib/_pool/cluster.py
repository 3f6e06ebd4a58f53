"""A pool on a dask.distributed cluster: `workerlib.pool("worker.py", client=client)`.

The pool's own schedule decides as always; each thread of the cluster's workers is a slot. The cluster starts
and replaces its workers itself. Anything that needs a connection to a worker (time limits, kills, `each`,
`share`, callbacks, streams) is refused before a task is submitted.

The end of the client's connection to the scheduler is the death of all slots' workers: tasks that ran are
lost. The client itself tries to connect again. If it succeeds, the slots get workers again; if it gives up,
or its user closes it, the pool is broken.
"""

from __future__ import annotations

import asyncio
import contextlib
import types
import warnings
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Iterator, Mapping
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

from workerlib._errors import (
    ConnectError,
    ConnectionClosedError,
    ConnectTimeoutError,
    NoSuchWorkerError,
    NotSupportedError,
    WorkerStartError,
)
from workerlib._pool import cluster_tasks
from workerlib._pool.chunks import RAISED
from workerlib._pool.member import Member, TasksLostError
from workerlib._pool.sent_functions import RUN
from workerlib._result_kinds import STREAM
from workerlib._rpc.remote_functions import OnReport
from workerlib._users.line import stacklevel
from workerlib._values.exceptions import raise_remote, rebuild

_CONNECTED = "running"
"""The status of a client that has a connection to its scheduler."""
_CONNECTING = ("newly-created", "connecting")
"""The status of a client that has none yet, or is about to have one again."""
_LOOK = 0.1
"""After how many seconds the status of the client is looked at again, while tasks run or it connects."""
_ANSWER = 30.0
"""The time in seconds that the scheduler has for its first answer."""
_WORKERS = 30.0
"""The time in seconds that a scheduler that was started again may be without a worker."""
_LOST = "scheduler-connection-lost"
"""The reason that distributed gives for futures of a connection that has ended."""


class Cluster:
    """A cluster with the script of a pool."""

    def __init__(self, client: Any, script: Path) -> None:
        """Names the cluster and the script.

        Args:
            client: A `distributed.Client`, asynchronous or not.
            script: The script's file.
        """
        self.client = client
        self.script = script
        self.module = script.stem
        self.streams: set[str] = set()
        """The names of exports that are streams."""
        self.exports: dict[str, None] = {}
        """The names of the exports."""
        self.idempotent: frozenset[str] = frozenset()
        """The names of the exports that may run again after a death."""
        self.loop = asyncio.get_running_loop()
        self.link: asyncio.Future[str] = self.loop.create_future()
        """The present connection to the scheduler: ends with the reason for its end."""
        self._asking = 0
        """The number of answers that are awaited."""
        self._is_looking = False
        self._background: set[asyncio.Future[Any]] = set()

    async def open(self) -> int:
        """Uploads the script, and returns how many tasks the cluster runs at a time.

        Raises:
            NoSuchWorkerError: If there is no such script.
            ConnectError: If its name is none that Python could import, the cluster has no worker, or its
                scheduler cannot be asked; ConnectTimeoutError if the scheduler gives no answer in time.
            WorkerStartError: If the script fails.
        """
        if not self.script.is_file():
            raise NoSuchWorkerError(f"there is no script {str(self.script)!r}, looked for in {Path.cwd()}")
        if not self.module.isidentifier():
            raise ConnectError(
                f"the workers of a cluster import the script by its name, and {self.module!r} cannot be the"
                " name of a module: rename the file"
            )
        await self._wait_for_client()
        try:
            async with asyncio.timeout(_ANSWER):
                threads = sum((await self._ask(self.client.nthreads)).values())
                if not threads:
                    raise ConnectError("the cluster has no worker: wait for client.wait_for_workers(1) first")
                allowed = await self._ask(lambda: self.client.run_on_scheduler(_allowed_failures))
                await self._ask(lambda: self.client.upload_file(str(self.script), load=False))
            # The script may take any time.
            described = await self.submit(cluster_tasks.describe_script, self.module)
        except TimeoutError as error:
            raise ConnectTimeoutError(
                f"the scheduler of the cluster gave no answer within {_ANSWER} seconds"
            ) from error
        except (OSError, TasksLostError, LinkLostError) as error:
            raise ConnectError(f"the scheduler of the cluster cannot be asked: {error}") from error
        if described[0] == RAISED:
            cause = rebuild(described[1])
            raise WorkerStartError(
                f"the script {self.script.name!r} failed in the cluster: {cause}"
            ) from cause
        exports, idempotent = described
        self.exports.update(dict.fromkeys(name for name, _kind in exports))
        self.streams |= {name for name, kind in exports if kind & STREAM}
        self.idempotent = frozenset(idempotent)
        if allowed:
            warnings.warn(
                f"the cluster runs a task again unasked if its worker dies, up to {allowed} times: configure"
                " distributed.scheduler.allowed-failures as 0, and the pool decides by retries=",
                UserWarning,
                stacklevel=stacklevel(),
            )
        return int(threads)

    async def open_again(self) -> None:
        """Waits until the client has a connection to its scheduler; uploads the script if it is a new one.

        Raises:
            ConnectError: If the client has given up, or one of the errors of `open()`.
        """
        if self.check():
            return
        await self._wait_for_client()
        self.link = self.loop.create_future()
        try:
            # A scheduler that was started again has no worker at first, and knows nothing of the script.
            with contextlib.suppress(TimeoutError):
                await self._ask(lambda: self.client.wait_for_workers(1, timeout=_WORKERS))
            await self.open()
        except BaseException as error:
            self._lose(str(error))
            raise

    async def _wait_for_client(self) -> None:
        """Waits while the client connects, which has a time limit of its own.

        Raises:
            ConnectError: If it does not succeed.
        """
        client = self.client
        if client.asynchronous and client.status == "newly-created":
            raise ConnectError(
                "the client of the cluster has not connected yet: await it first, as in"
                " client = await Client(…, asynchronous=True)"
            )
        while client.status in _CONNECTING:
            await asyncio.sleep(_LOOK)
        if client.status != _CONNECTED:
            raise ConnectError(f"the client of the cluster is {client.status}")

    async def submit(self, function: Callable[..., Any], *args: Any) -> Any:
        """Runs a function of `_pool/cluster_tasks.py` on the cluster.

        Raises:
            TasksLostError: If its worker died, or the connection to the scheduler ended.
            UnsendableError: If pickle cannot take an argument, or the result.
        """
        from distributed import KilledWorker
        from distributed.client import ClosedClientError

        try:
            future = self.client.submit(function, *args, pure=False)
        except ClosedClientError as error:
            self.check()
            raise TasksLostError(str(error)) from error.with_traceback(None)
        except TypeError as error:
            raise cluster_tasks.by_pickle("arguments", error) from error
        ended: asyncio.Future[None] = self.loop.create_future()

        def settle() -> None:
            if not ended.done():
                ended.set_result(None)

        def end(_: Any) -> None:
            # Distributed calls this in a thread of its own, and perhaps after the end of the loop.
            if not self.loop.is_closed():
                self.loop.call_soon_threadsafe(settle)

        future.add_done_callback(end)
        try:
            await self._or_end_of_link(ended)
            if future.cancelled() and not self.check():
                # A client that is being closed answers no more, and its threads would wait for ever.
                raise LinkLostError(self.link.result())
            return await self._ask(future.result, is_shared=True)
        except asyncio.CancelledError:
            # It drops a task that waits; one that runs ends by itself, and its result is dropped.
            self._forget(future)
            raise
        except TypeError as error:
            # Exceptions of the function are outcomes, so that this one is of the result's way.
            raise cluster_tasks.by_pickle("result", error) from error
        except LinkLostError as lost:
            raise TasksLostError(str(lost)) from None
        except KilledWorker as killed:
            fate = f"its worker in the cluster died: {killed}"
            # It becomes the cause of the task's error, which is not to hold the frames of this package.
            raise TasksLostError(fate) from killed.with_traceback(None)
        except CancelledError as dropped:
            # The client may have a connection again by now.
            if getattr(dropped, "reason", None) == _LOST:
                self._lose("the connection to the cluster's scheduler was lost")
            self.check()
            fate = self.link.result() if self.link.done() else f"the cluster has dropped the task: {dropped}"
            raise TasksLostError(fate) from dropped.with_traceback(None)

    def check(self) -> bool:
        """Tells whether the client has had the same connection to its scheduler all the time."""
        status = self.client.status
        if status != _CONNECTED:
            is_closed = status not in _CONNECTING
            self._lose(
                f"the client of the cluster is {status}"
                if is_closed
                else "the connection to the cluster's scheduler was lost"
            )
        return not self.link.done()

    def _lose(self, fate: str) -> None:
        if not self.link.done():
            self.link.set_result(fate)

    async def ask(self, question: Callable[[], Any]) -> Any:
        """Calls a method of distributed's for a user of the pool.

        Raises:
            ConnectionClosedError: If the client has no connection to its scheduler, or loses it meanwhile.
        """
        if not self.check():
            raise ConnectionClosedError(self.link.result())
        with _named_errors():
            return await self._ask(question)

    def ask_blocking(self, question: Callable[[], Any]) -> Any:
        """Does so in any thread, for a client that blocks.

        Raises:
            ConnectionClosedError: If the client has no connection to its scheduler, or loses it meanwhile.
        """
        if self.client.status != _CONNECTED:
            raise ConnectionClosedError(f"the client of the cluster is {self.client.status}")
        with _named_errors():
            return question()

    async def _ask(self, question: Callable[[], Any], *, is_shared: bool = False) -> Any:
        """Calls a method of distributed's, which returns an awaitable if the client is asynchronous.

        Args:
            question: The method.
            is_shared: Whether several questions may have one answer, so that nobody may cancel it.

        Raises:
            LinkLostError: If the connection to the scheduler ends meanwhile.
        """
        answer = question() if self.client.asynchronous else asyncio.to_thread(question)
        return await self._or_end_of_link(asyncio.ensure_future(answer), is_shared=is_shared)

    async def _or_end_of_link(self, answer: asyncio.Future[Any], *, is_shared: bool = False) -> Any:
        """Awaits an answer as long as there is a connection to the scheduler.

        Distributed tells of the end of some of its futures only as long as its client is open, and asks a
        scheduler that is gone for up to half a minute.

        Raises:
            LinkLostError: If the connection ends first.
        """
        self._asking += 1
        if not self._is_looking:
            self._is_looking = True
            self.loop.call_later(_LOOK, self._look)
        try:
            await asyncio.wait([answer, self.link], return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._asking -= 1
            if not answer.done():
                # Its own error, later, is nobody's.
                answer.add_done_callback(_take_error)
                # Distributed fetches the results that are there in one task: a cancel would be one of all.
                if not is_shared:
                    answer.cancel()
        if answer.done() and not answer.cancelled():
            return answer.result()
        # A client that is being closed cancels the tasks that ask for results.
        self.check()
        raise LinkLostError(self.link.result() if self.link.done() else "its client has dropped the answer")

    def _look(self) -> None:
        """Looks at the client's status from time to time, as long as somebody waits for an answer."""
        self._is_looking = self.check() and self._asking > 0
        if self._is_looking:
            self.loop.call_later(_LOOK, self._look)

    def _forget(self, future: Any) -> None:
        """Drops a task. Its own thread waits where the client blocks, and not the pool's event loop."""
        cancel = self.client.cancel
        outcome = cancel([future]) if self.client.asynchronous else asyncio.to_thread(cancel, [future])
        task = asyncio.ensure_future(outcome)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        task.add_done_callback(_take_error)


class LinkLostError(Exception):
    """Tells that the connection to a cluster's scheduler has ended, and why."""


@contextlib.contextmanager
def _named_errors() -> Iterator[None]:
    """Raises errors of this library's where distributed tells of the end of its client's connection."""
    from distributed.client import ClosedClientError

    try:
        yield
    except (LinkLostError, CancelledError, ClosedClientError) as lost:
        raise ConnectionClosedError(str(lost)) from lost


def _take_error(answer: asyncio.Future[Any]) -> None:
    """Takes the error of an answer for which nobody waits any more."""
    if not answer.cancelled():
        answer.exception()


def _allowed_failures(dask_scheduler: Any) -> int:
    return int(dask_scheduler.allowed_failures)


class ClusterMember(Member):
    """A thread of the cluster's workers, as a worker of a pool."""

    takes_chunks = True

    def __init__(self, cluster: Cluster) -> None:
        """Makes one.

        Args:
            cluster: The cluster.
        """
        self._cluster = cluster
        self._link = cluster.link
        self._is_running = False
        self.exports = cluster.exports
        self.name = cluster.script.name
        self.terminate = lambda: None
        self.close = _nothing

    @property
    def is_gone(self) -> bool:
        """Whether the connection to the scheduler has ended, and with it the last task.

        The death of one of its workers is no reason: the cluster replaces it.
        """
        if self._link is self._cluster.link:
            self._cluster.check()
        return self._link.done() and not self._is_running

    @property
    def fate(self) -> str:
        """Why the connection to the scheduler has ended."""
        return self._link.result()

    cause = None
    """The error by which it ended: the scheduler tells none."""

    def when_gone(self, listener: Callable[[], object]) -> None:
        """Has a function called when the connection to the scheduler has ended."""
        self._link.add_done_callback(lambda _: listener())

    def read_outcome(self, kind: int, value: Any) -> tuple[bool, Any]:
        """Reads an outcome of a chunk: whether the item raised, and its result or exception."""
        return (True, rebuild(value)) if kind == RAISED else (False, value)

    async def call(
        self,
        function: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        on_report: OnReport | None = None,
    ) -> Any:
        """Calls an export, or a function that the script does not export.

        Args:
            function: The name of the export.
            args: The positional arguments.
            kwargs: The keyword arguments.
            on_report: None, since nothing comes from a cluster before the result.

        Raises:
            NotSupportedError: If an argument is a callback or a stream.
        """
        cluster = self._cluster
        if function == RUN:
            sent, args, kwargs = args
            refuse_live_values(args, kwargs)
            outcome = await self._submit(cluster_tasks.call_function, sent, args, kwargs)
        else:
            refuse_live_values(args, kwargs)
            outcome = await self._submit(cluster_tasks.call, cluster.module, function, args, kwargs)
        kind, value = outcome
        if kind == RAISED:
            raise_remote(rebuild(value))
        return value

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
        """Calls an export for each item, in one task of the cluster's: all outcomes come at its end."""
        assert not follows, "a pool without interrupts gives nothing in advance"
        refuse_live_values(tuple(items), {})
        module = self._cluster.module
        outcomes = await self._submit(cluster_tasks.call_for_each, module, function, items, patience)
        for kind, value in outcomes:
            on_outcome(kind, value)
        return None

    async def _submit(self, function: Callable[..., Any], *args: Any) -> Any:
        self._is_running = True
        try:
            return await self._cluster.submit(function, *args)
        finally:
            self._is_running = False

    async def wait_until_idle(self) -> None:
        """Returns at once: the cluster queues what comes next behind what cannot be interrupted."""

    async def about(self) -> tuple[Iterable[str], Iterable[str]]:
        """Returns the names of exports that may run again after a death, and of streams."""
        return self._cluster.idempotent, self._cluster.streams


async def _nothing() -> None:
    return None


def refuse_live_values(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    """Refuses callbacks and streams among arguments, before anything is submitted.

    Raises:
        NotSupportedError: If there is one.
    """
    waiting: list[tuple[str, Any]] = [
        *((f"args[{index}]", value) for index, value in enumerate(args)),
        *((f"kwargs[{name!r}]", value) for name, value in kwargs.items()),
    ]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, types.FunctionType | types.MethodType):
            raise NotSupportedError(
                f"{path}: a cluster calls no function of this side; return results instead"
            )
        if isinstance(value, AsyncIterable | Awaitable):
            raise NotSupportedError(f"{path}: a cluster reads no stream of this side; send a list instead")
        if isinstance(value, list | tuple):
            waiting += [(f"{path}[{index}]", part) for index, part in enumerate(value)]
        elif isinstance(value, dict):
            waiting += [(f"{path}[{key!r}]", part) for key, part in value.items()]
