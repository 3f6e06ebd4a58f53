"""A pool on a dask.distributed cluster: `workerlib.pool("worker.py", client=client)`.

The pool's own schedule decides as always; each thread of the cluster's workers is a slot. The cluster starts
and replaces its workers itself. Anything that needs a connection to a worker (time limits, kills, `each`,
`share`, callbacks, streams) is refused before a task is submitted.
"""

from __future__ import annotations

import asyncio
import inspect
import types
import warnings
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from workerlib._errors import (
    ConnectError,
    NoSuchWorkerError,
    NotSupportedError,
    WorkerStartError,
)
from workerlib._exports import STREAM
from workerlib._pool import cluster_tasks
from workerlib._pool.chunks import RAISED
from workerlib._pool.member import Member, TasksLostError
from workerlib._pool.sent_functions import RUN
from workerlib._rpc.remote_functions import OnReport
from workerlib._values.exceptions import raise_remote, rebuild


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
        self._cancelling: set[asyncio.Future[Any]] = set()

    async def open(self) -> int:
        """Uploads the script, and returns how many tasks the cluster runs at a time.

        Raises:
            NoSuchWorkerError: If there is no such script.
            ConnectError: If its name is none that Python could import, or the cluster has no worker.
            WorkerStartError: If the script fails.
        """
        if not self.script.is_file():
            raise NoSuchWorkerError(f"there is no script {str(self.script)!r}, looked for in {Path.cwd()}")
        if not self.module.isidentifier():
            raise ConnectError(
                f"the workers of a cluster import the script by its name, and {self.module!r} is no name of a"
                " module: rename the file"
            )
        threads = sum((await self._ask(self.client.nthreads)).values())
        if not threads:
            raise ConnectError("the cluster has no worker: wait for client.wait_for_workers(1) first")
        await self._ask(lambda: self.client.upload_file(str(self.script), load=False))
        described = await self.submit(cluster_tasks.describe_script, self.module)
        if described[0] == RAISED:
            cause = rebuild(described[1])
            error = WorkerStartError(f"the script {self.script.name!r} failed in the cluster: {cause}")
            raise error from cause
        exports, idempotent = described
        self.exports = dict.fromkeys(name for name, _kind in exports)
        self.streams = {name for name, kind in exports if kind == STREAM}
        self.idempotent = frozenset(idempotent)
        await self._warn_of_reruns()
        return int(threads)

    async def submit(self, function: Callable[..., Any], *args: Any) -> Any:
        """Runs a function of `_pool/cluster_tasks.py` on the cluster.

        Raises:
            TasksLostError: If its worker died.
        """
        from distributed import KilledWorker

        future = self.client.submit(function, *args, pure=False)
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
            await ended
        except asyncio.CancelledError:
            # It drops a task that waits; one that runs ends by itself, and its result is dropped.
            self._forget(future)
            raise
        try:
            return await self._ask(future.result)
        except KilledWorker as killed:
            raise TasksLostError(f"its worker in the cluster died: {killed}") from killed

    def _forget(self, future: Any) -> None:
        outcome = self.client.cancel([future])
        if inspect.isawaitable(outcome):
            task = asyncio.ensure_future(outcome)
            self._cancelling.add(task)
            task.add_done_callback(self._cancelling.discard)

    async def _ask(self, question: Callable[[], Any]) -> Any:
        """Calls a method of distributed's, which returns an awaitable if the client is asynchronous."""
        if self.client.asynchronous:
            return await question()
        return await asyncio.to_thread(question)

    async def _warn_of_reruns(self) -> None:
        allowed = await self._ask(lambda: self.client.run_on_scheduler(_allowed_failures))
        if allowed:
            warnings.warn(
                f"the cluster runs a task again unasked if its worker dies, up to {allowed} times: configure"
                " distributed.scheduler.allowed-failures as 0, and the pool decides by retries=",
                UserWarning,
                stacklevel=2,
            )


def _allowed_failures(dask_scheduler: Any) -> int:
    return int(dask_scheduler.allowed_failures)


class ClusterMember(Member):
    """A thread of the cluster's workers, as a worker of a pool."""

    takes_chunks = True
    is_gone = False

    def __init__(self, cluster: Cluster) -> None:
        """Makes one.

        Args:
            cluster: The cluster.
        """
        self._cluster = cluster
        self.exports = cluster.exports
        self.name = cluster.script.name
        self.terminate = lambda: None
        self.close = _nothing

    def when_gone(self, listener: Callable[[], object]) -> None:
        """Never calls it: the cluster replaces its workers itself."""

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
            outcome = await cluster.submit(cluster_tasks.call_function, sent, args, kwargs)
        else:
            refuse_live_values(args, kwargs)
            outcome = await cluster.submit(cluster_tasks.call, cluster.module, function, args, kwargs)
        kind, value = outcome
        if kind == RAISED:
            raise_remote(rebuild(value))
        return value

    async def run_chunk(
        self, function: str, items: list[Any], together: int, on_outcome: Callable[[int, Any], None]
    ) -> float | None:
        """Calls an export for each item, in one task of the cluster's: all outcomes come at its end."""
        cluster = self._cluster
        refuse_live_values(tuple(items), {})
        outcomes = await cluster.submit(cluster_tasks.call_for_each, cluster.module, function, items)
        for kind, value in outcomes:
            on_outcome(kind, value)
        return None

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
