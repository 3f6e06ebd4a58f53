"""`pool()`: many workers that run the same script, and share the work.

Users call it, in a page, a worker, Node or a native Python. The pool's logic stands in `_pool`; this module
starts the workers by `connect()` or `spawn()`.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Coroutine, Mapping
from pathlib import PurePath
from typing import Any

from workerlib._api.connect import connect
from workerlib._api.opening import Opening
from workerlib._api.spawn import require_packages, spawn
from workerlib._api.worker import Worker, is_of_pool
from workerlib._api.worker_pool import Pool
from workerlib._pool.driver import Driver
from workerlib._pool.member import Member
from workerlib._pool.restarts import Policy, policy
from workerlib._rpc.starts import look_at_caller
from workerlib._users.line import stacklevel
from workerlib._users.options import require_count, require_number

_LARGEST_DEFAULT = 4


class Starting(Opening[Pool]):
    """The result of `pool()`."""

    def __init__(self, coroutine: Coroutine[Any, Any, Pool]) -> None:
        """Wraps the coroutine that starts the pool.

        Args:
            coroutine: Returns the `Pool`.
        """
        super().__init__(
            coroutine,
            "pool",
            "workerlib.pool(…) has not started, and has no {name}: `pool = await workerlib.pool(…)` first,"
            " or `async with workerlib.pool(…) as pool:`",
        )


def pool(
    script: str | PurePath,
    size: int | None = None,
    *,
    max_restarts: int | None = 3,
    backoff: float | tuple[float, float] | None = (0.1, 5.0),
    poison_after: int | None = 2,
    recycle_above: float | None = None,
    client: Any = None,
    **options: Any,
) -> Starting:
    """Starts workers that run the same script.

    `async with workerlib.pool("./worker.py") as pool:`, which ends the workers at the end of the block, or
    `pool = await workerlib.pool("./worker.py")`. The workers start one after the other, and the pool can be
    used when the first one is there. In a browser and in Node they are those of `spawn()`; outside of them,
    subprocesses as `connect()` starts them.

    Args:
        script: The worker's script: see `spawn()`; outside of a browser, see `connect()`.
        size: The number of workers; by default that of the machine's cores, and 4 at most.
        max_restarts: The number of times that a worker is started again within a minute after it has
            died; None for any number. A worker that dies once more stays down. If all are down, each call
            raises PoolBrokenError.
        backoff: The seconds before the first restart, which double with each further death, and the most
            seconds; a number for both; None for no delay.
        poison_after: The number of workers that may die of a task before it is not tried again; None for any
            number.
        recycle_above: The megabytes of memory above which a worker is replaced when it is idle, since a
            Pyodide's memory never shrinks; None for any.
        client: A `distributed.Client` of dask's, asynchronous or not: the pool runs on its cluster, and the
            cluster starts the workers (docs/scaling.md). The arguments about workers are refused then.
        options: Those of `spawn()` (`packages`, `config` and so on), or outside of a browser those of
            `connect()`. For scripts that run in both, `packages`, `index_urls`, `snapshot` and `isolated`
            have no effect outside of a browser.

    Returns:
        An object to be awaited, or used by `async with`; it gives the `Pool`.

    Raises:
        ConnectError: If the first worker cannot be started: one of its kinds, as `spawn()` and `connect()`.
        WorkerDiedError: If the first worker dies while it starts, more than `max_restarts` times.
        NotSupportedError: If an argument is not for the cluster that `client` gives.
        ConfigError: If a section of the configuration is malformed, or names something that does not exist.
        TypeError: If there is no such option, or an option is of another type.
        ValueError: If a number is out of its range.
    """
    look_at_caller()
    chosen = policy(max_restarts, backoff)
    cluster_size = size
    size = default_size() if size is None else require_count("size", size, 1)
    if poison_after is not None:
        require_count("poison_after", poison_after, 1)
    if recycle_above is not None and require_number("recycle_above", recycle_above, "of megabytes") <= 0:
        raise ValueError(f"recycle_above={recycle_above!r}: every Pyodide uses more memory than that")
    poison = float("inf") if poison_after is None else poison_after
    if client is not None:
        # Imported here, because most pools have workers of their own.
        from workerlib._api.cluster_pool import start_on_cluster

        own: dict[str, Any] = {"max_restarts": (max_restarts, 3), "backoff": (backoff, (0.1, 5.0))}
        own["recycle_above"] = (recycle_above, None)
        given = {**{name: value for name, (value, default) in own.items() if value != default}, **options}
        return Starting(start_on_cluster(client, script, cluster_size, given, poison))
    _check_options(options)
    return Starting(_start(script, size, chosen, options, poison_after=poison, recycle_above=recycle_above))


def _check_options(options: Mapping[str, Any]) -> None:
    """Refuses options that neither `spawn()` nor `connect()` has, and one that the pool has itself."""
    known = {*(connect.__kwdefaults__ or ()), *(spawn.__kwdefaults__ or ())}
    for name in options:
        if name == "restart":
            raise TypeError("restart= is for a single worker: a pool restarts its own; write max_restarts=")
        if name not in known:
            raise TypeError(f"pool() got an unexpected keyword argument {name!r}")
    require_packages(options.get("packages", ()), options.get("index_urls", ()))


async def _start(
    script: str | PurePath,
    size: int,
    chosen: Policy,
    options: Mapping[str, Any],
    *,
    poison_after: float,
    recycle_above: float | None,
) -> Pool:
    count = 0

    async def start() -> Member:
        nonlocal count
        count += 1
        return _member(await _worker(script, count, options))

    driver = Driver(
        size,
        start,
        chosen,
        poison_after=poison_after,
        recycle_above=recycle_above,
        name=os.fspath(script),
    )
    await driver.start()
    for taken in filter(lambda export: hasattr(Pool, export), driver.exports):
        warnings.warn(
            f"the worker {driver.name!r} exports {taken}(), a name that each Pool has for itself: it is"
            f' called by pool["{taken}"](…)',
            stacklevel=stacklevel(),
        )
    return Pool(driver)


async def _worker(script: str | PurePath, count: int, options: Mapping[str, Any]) -> Worker:
    # Each start has a task of its own, and so a context.
    is_of_pool.set(True)
    if sys.platform == "emscripten":
        name = options.get("name") or PurePath(script).stem
        return await spawn(script, **{**options, "name": f"{name} {count}"})
    there_only = {"packages", "index_urls", "snapshot", "isolated", "heartbeat"}
    chosen = {key: value for key, value in options.items() if key not in there_only}
    return await connect(script, **chosen)


def _member(worker: Worker) -> Member:
    async def close() -> None:
        await worker.__aexit__(None, None, None)

    return Member(worker._connection, worker._functions, worker.name, worker.terminate, close)


def default_size() -> int:
    """Returns the number of workers of a pool whose size nobody gave."""
    if sys.platform == "emscripten":
        import js

        from workerlib._hosts.browser.web_worker import node_module

        navigator = getattr(js, "navigator", None)
        cores = getattr(navigator, "hardwareConcurrency", None)
        if cores is None:
            # Node 20 has no navigator.
            cores = node_module("os").availableParallelism()
    else:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(_LARGEST_DEFAULT, int(cores or 1)))
