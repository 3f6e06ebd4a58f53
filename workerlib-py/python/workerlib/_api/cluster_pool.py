"""`ClusterPool`: a pool whose workers are those of a dask.distributed cluster.

`pool(…, client=client)` returns it. It is a `Pool`; the methods that stand here are other than its own, or
refused. docs/scaling.md has the table of both.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePath
from typing import Any, NoReturn

from workerlib._api.worker_pool import Pool
from workerlib._errors import NotSupportedError
from workerlib._pool.cluster import Cluster, ClusterMember, refuse_live_values
from workerlib._pool.driver import Driver
from workerlib._pool.jobs import Answer, Job, OnEnd
from workerlib._pool.member import Member
from workerlib._pool.restarts import Policy
from workerlib._pool.sent_functions import RUN, By, describe_function


class ClusterPool(Pool):
    """A pool on a cluster: the same calls and maps, run by the cluster's workers."""

    def __init__(self, driver: Driver, cluster: Cluster) -> None:
        """Wraps a pool that runs. Users get one by `pool(…, client=client)`.

        Args:
            driver: The pool.
            cluster: The cluster.
        """
        super().__init__(driver)
        self._cluster = cluster

    @property
    def each(self) -> NoReturn:
        """Is refused: a cluster's workers come and go, and no task is for one of them."""
        raise NotSupportedError(
            "pool.each is not for a cluster, whose workers come and go: do the set-up at the top of the"
            " script, or in a function with functools.cache"
        )

    def share(self, **values: Any) -> NoReturn:
        """Is refused: nothing tells a cluster's workers of a change."""
        raise NotSupportedError(
            "pool.share() is not for a cluster, whose workers hear of no change: give the values as arguments"
        )

    async def get(self, graph: Any, keys: Any) -> Any:
        """Computes a graph of dask's on the cluster, by its own scheduler: see `Pool.get()`."""
        client = self._cluster.client
        if client.asynchronous:
            return await self._cluster.ask(lambda: client.gather(client.get(graph, keys, sync=False)))
        return await self._cluster.ask(lambda: client.get(graph, keys))

    async def compute(self, *collections: Any, **options: Any) -> tuple[Any, ...]:
        """Computes dask's collections on the cluster, by its own scheduler: see `Pool.compute()`."""
        client = self._cluster.client
        return tuple(
            await self._cluster.ask(lambda: client.gather(client.compute(list(collections), **options)))
        )

    @property
    def scheduler(self) -> Callable[..., Any]:
        """The client's own scheduler, for dask's functions that block.

        Raises:
            NotSupportedError: If the client is asynchronous, so that nothing of it blocks.
        """
        cluster = self._cluster
        if cluster.client.asynchronous:
            raise NotSupportedError(
                "the client is asynchronous, and dask's scheduler= blocks: await pool.compute(…)"
            )

        def schedule(graph: Any, keys: Any, **options: Any) -> Any:
            return cluster.ask_blocking(lambda: cluster.client.get(graph, keys, **options))

        return schedule

    def _send(
        self,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        by: By,
        on_begin: Callable[[], object] | None = None,
    ) -> Answer:
        self._driver.check_open()
        refuse_live_values(args, kwargs)
        if by != "cloudpickle":
            describe_function(function, by)
        title = getattr(function, "__qualname__", repr(function))

        def job(end: OnEnd) -> Job:
            return Job(RUN, (function, args, kwargs), {}, end, on_begin=on_begin, title=title)

        return self._driver.call(job)


async def start_on_cluster(
    client: Any, script: str | PurePath, size: int | None, given: dict[str, Any], poison_after: float
) -> ClusterPool:
    """Uploads the script to a cluster, and makes a pool of the cluster's threads.

    Args:
        client: A `distributed.Client`, asynchronous or not.
        script: The script's file.
        size: The number of tasks that run at a time; by default as many as the cluster has threads.
        given: The other arguments of `pool()` that were given.
        poison_after: The number of workers that may die of a task before it is not tried again.

    Raises:
        NotSupportedError: If an argument is not for a cluster.
        ConnectError: If the script cannot be used; one of its kinds.
        TypeError: If there is no client.
    """
    if not hasattr(client, "asynchronous"):
        raise TypeError(f"client={client!r}: write a distributed.Client of dask's")
    for name in given:
        raise NotSupportedError(
            f"{name}= is not for a cluster, which starts its workers itself: configure the cluster instead"
        )
    from pathlib import Path

    cluster = Cluster(client, Path(script).absolute())
    threads = await cluster.open()

    async def start() -> Member:
        await cluster.open_again()
        return ClusterMember(cluster)

    driver = Driver(
        size or threads,
        start,
        Policy(),
        poison_after=poison_after,
        recycle_above=None,
        name=str(script),
        interrupts=False,
        # A task costs the cluster some milliseconds.
        target=0.1,
    )
    await driver.start()
    return ClusterPool(driver, cluster)
