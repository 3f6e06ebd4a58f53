"""`pool()`: many workers that run the same script, and share the work.

Users call it, in a page, a worker, Node or a native Python. The pool's logic stands in `_pool`; this module
starts the workers by `connect()` or `spawn()`, and gives users the functions.
"""

from __future__ import annotations

import asyncio
import os
import sys
import warnings
from collections.abc import AsyncIterable, Callable, Coroutine, Generator, Iterable, Mapping
from pathlib import PurePath
from types import TracebackType
from typing import Any, Protocol

from workerlib._api.connect import connect
from workerlib._api.spawn import spawn
from workerlib._api.worker import Worker
from workerlib._errors import NotSupportedError
from workerlib._pool.driver import Answer, Driver, Job, OnEnd, Stats
from workerlib._pool.executor import PoolExecutor, run_blocking
from workerlib._pool.mapping import Errors, MapOptions, OnProgress, PoolMap
from workerlib._pool.member import Member
from workerlib._pool.restarts import Policy, policy
from workerlib._pool.sent_functions import By, describe_function
from workerlib._rpc.remote_functions import not_exported

_LARGEST_DEFAULT = 4


class PoolFunction(Protocol):
    """A function of the workers as the pool's user sees it: a call runs on whichever worker is free."""

    __name__: str

    def __call__(self, *args: Any, **kwargs: Any) -> Coroutine[Any, Any, Any]:
        """Makes a call, which starts when it is awaited or becomes a task."""

    def options(self, *, timeout: float | None = None, retries: int = 0) -> PoolFunction:
        """Returns the function with other options: `await pool.f.options(timeout=5)(1)`.

        Args:
            timeout: The number of seconds that a call may run; None for any. A call that runs for longer is
                interrupted, and raises TimeoutError. If its worker is not idle within 2 more seconds, it is
                replaced.
            retries: How often a call runs again if its worker dies. By default it raises WorkerDiedError
                then, except for exports that are `idempotent`.

        Raises:
            ValueError: If the timeout is not positive, or `retries` is negative.
        """


class Pool:
    """Workers that run the same script; its attributes are the functions that they export.

    `await pool.f(1)` runs `f` on whichever worker is free. Each worker runs one task at a time. A function
    whose name is one of this class's own is reached as `pool["map"]`.
    """

    def __init__(self, driver: Driver) -> None:
        """Wraps a pool that runs. Users get one by `pool()`.

        Args:
            driver: The pool.
        """
        self._driver = driver
        self._functions: dict[str, PoolFunction] = {}

    @property
    def each(self) -> Each:
        """Runs a function on every worker: `await pool.each.setup(x)`, which returns the results in a list.

        Workers that start later, in place of one that died, run it before anything else.
        """
        return Each(self._driver)

    @property
    def size(self) -> int:
        """The number of workers."""
        return self._driver.stats.size

    @property
    def closed(self) -> bool:
        """Whether the pool is closed, or has no worker left."""
        return self._driver.schedule.is_closed or self._driver.schedule.is_broken

    def map(
        self,
        function: PoolFunction,
        items: Iterable[Any] | AsyncIterable[Any],
        /,
        *,
        ordered: bool = True,
        errors: Errors = "raise",
        ahead: int | None = None,
        chunk: int | None = None,
        timeout: float | None = None,
        retries: int = 0,
        on_progress: OnProgress | None = None,
    ) -> PoolMap:
        """Calls a function for each item: `async for result in pool.map(pool.f, items):`.

        Items are read only as far as there are workers for them. They travel in chunks; an exception, a
        timeout or a death of a worker costs one item all the same.

        Args:
            function: A function of this pool.
            items: The items: an iterable, or an async iterable.
            ordered: Whether results come in the order of their items; otherwise as they are ready.
            errors: `"raise"` to raise the first error and end the map; `"yield"` to yield exceptions in place
                of results.
            ahead: How many chunks may have been read without their results having been taken; by default
                twice the number of workers.
            chunk: The number of items of a chunk; by default as many as take about 10 milliseconds.
            timeout: The number of seconds that each item may run, counted from its start.
            retries: How often an item runs again if its worker dies.
            on_progress: A function that is called with the number of items that have ended, and the number of
                all, or None while that is not known.

        Raises:
            TypeError: If `function` is no function of this pool.
            ValueError: If an option is none of these.
        """
        name = self._name_of(function)
        if errors not in ("raise", "yield"):
            raise ValueError(f'errors={errors!r}: write "raise" or "yield"')
        for option, value in (("ahead", ahead), ("chunk", chunk)):
            if value is not None and value < 1:
                raise ValueError(f"{option}={value!r}: write a number from 1 on")
        _check(self._driver, name, timeout, retries)
        options = MapOptions(ordered, errors, ahead or 2 * self.size, chunk, timeout, retries, on_progress)
        return PoolMap(self._driver, name, items, options)

    def submit(self, function: PoolFunction, /, *args: Any, **kwargs: Any) -> asyncio.Task[Any]:
        """Starts a call and returns its task, for `asyncio.as_completed`, `gather` and the like.

        Args:
            function: A function of this pool.
            args: The positional arguments.
            kwargs: The keyword arguments.

        Raises:
            TypeError: If `function` is no function of this pool.
        """
        self._name_of(function)
        return asyncio.ensure_future(function(*args, **kwargs))

    async def run(self, function: Callable[..., Any], /, *args: Any, by: By = "module", **kwargs: Any) -> Any:
        """Runs a function that the worker's script does not export: `await pool.run(f, 1)`.

        Args:
            function: A function of a module that the worker can import too; with `by="cloudpickle"` any
                function, also a lambda or a closure.
            args: Its positional arguments.
            by: `"module"` to send the name by which the worker imports it; `"cloudpickle"` to send its code,
                for which both sides need the package cloudpickle.
            kwargs: Its keyword arguments.

        Raises:
            TypeError: If the worker could not import it.
            BaseException: What the function raises.
        """
        return await self._send(function, args, kwargs, by)

    def _send(
        self,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        by: By,
        on_begin: Callable[[], object] | None = None,
    ) -> Answer:
        self._driver.check_open()
        described = describe_function(function, by)
        title = getattr(function, "__qualname__", repr(function))

        def job(end: OnEnd) -> Job:
            return Job("workerlib:run", (described, args, kwargs), {}, end, on_begin=on_begin, title=title)

        return self._driver.call(job)

    async def get(self, graph: Any, keys: Any) -> Any:
        """Computes a graph of dask's on the workers: `await pool.get(graph, "x")`.

        Tasks travel by cloudpickle, so both sides need the packages dask and cloudpickle. A task runs where
        its largest input is, and results stay in the workers until no task needs them.

        Args:
            graph: The graph: a dict, or what `collection.__dask_graph__()` returns.
            keys: The key whose result is wanted, or a list of keys, which may be nested.

        Returns:
            The result, or lists of results as the keys are.

        Raises:
            NotSupportedError: If the graph shuffles by files, which each worker has of its own.
            WorkerDiedError: If two workers died of a task.
            BaseException: What a task raises.
        """
        from workerlib._pool.graphs import GraphRun, arranged, flat

        return arranged(keys, await GraphRun(self._driver, graph, flat(keys)).run())

    async def compute(self, *collections: Any, **options: Any) -> tuple[Any, ...]:
        """Computes dask's collections on the workers, as `dask.compute()` does: `await pool.compute(x, y)`.

        Args:
            collections: Collections, or lists and dicts with collections in them.
            options: Those of `dask.compute()`, such as `optimize_graph`.

        Returns:
            A tuple with the result of each collection.

        Raises:
            NotSupportedError: If a bag is grouped by files: write `bag.groupby(…, shuffle="tasks")`.
            BaseException: What a task raises: see `get()`.
        """
        from workerlib._pool.graphs import finished, graph_of

        graph, keys = graph_of(collections, options)
        results = await self.get(graph, list(keys)) if keys else []
        return finished(collections, options, lambda _keys: results)  # type: ignore[no-any-return]

    @property
    def scheduler(self) -> Callable[..., Any]:
        """A scheduler for dask's own functions: `dask.compute(x, scheduler=pool.scheduler)`.

        It blocks, so it works where `executor.submit(…).result()` does: natively in another thread than the
        event loop's, in a browser where sync code can wait. Elsewhere it raises CannotBlockError.
        """
        driver = self._driver

        def schedule(graph: Any, keys: Any, **_options: Any) -> Any:
            return run_blocking(driver.loop, driver.thread, lambda: self.get(graph, keys))

        return schedule

    @property
    def executor(self) -> PoolExecutor:
        """An executor of `concurrent.futures` that runs on this pool; each access gives another one.

        `submit()` takes functions of this pool, and those that `run()` takes. Natively it works in any thread
        but that of the event loop; in a browser where sync code can wait (JSPI). Elsewhere `result()` raises
        CannotBlockError, and so do `concurrent.futures.wait()` and `as_completed()` in the loop's thread.
        """
        return PoolExecutor(self._call_any, self._driver.loop, self._driver.thread)

    def _call_any(
        self,
        function: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        on_begin: Callable[[], object],
    ) -> Answer:
        if getattr(function, "_pool", None) is self._driver:
            return function._call(args, kwargs, on_begin)  # type: ignore[no-any-return]
        return self._send(function, args, kwargs, "module", on_begin)

    def share(self, **values: Any) -> None:
        """Gives values to all workers, where they are `workerlib.shared.limit` after `pool.share(limit=10)`.

        Each call that is sent afterwards sees them, on each worker, and a function never sees them change
        between two of its awaits. Values that were shared before under other names stay.

        Args:
            values: The values by name.

        Raises:
            UnsendableError: If a value cannot be sent; then none is shared.
        """
        self._driver.share(values)

    def stats(self) -> Stats:
        """Returns how many workers are idle, busy, starting and parked, and how many tasks wait and ended."""
        return self._driver.snapshot()

    async def close(self) -> None:
        """Ends all workers. Tasks without an answer raise ConnectionClosedError."""
        await self._driver.close()

    async def __aenter__(self) -> Pool:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None
    ) -> None:
        await self.close()

    def __getitem__(self, name: str) -> PoolFunction:
        """Returns an exported function, also if its name is one of this class's own.

        Args:
            name: The name by which the workers export the function.

        Raises:
            NotExportedError: If they do not export it.
        """
        function = self._functions.get(name)
        if function is None:
            if name not in self._driver.exports:
                raise not_exported(name, self._driver.exports)
            function = self._functions[name] = _pool_function(self._driver, name, None, 0)
        return function

    def __getattr__(self, name: str) -> PoolFunction:
        # copy, pickle and inspect ask for these names: a list of exports would be no help to them.
        if name.startswith("__") or name in {"_driver", "_functions"}:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return self[name]

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._driver.exports})

    def __repr__(self) -> str:
        functions = ", ".join(self._driver.exports) or "nothing"
        state = "closed" if self.closed else f"{self.size} workers"
        return f"<workerlib.Pool {self._driver.name!r}, {state}, exports {functions}>"

    def _name_of(self, function: Any) -> str:
        if getattr(function, "_pool", None) is not self._driver:
            raise TypeError(
                f"{function!r} is no function of this pool: write pool.map(pool.f, …) with an export of its"
                " workers"
            )
        return str(function.__name__)


class Each:
    """Functions that every worker of a pool runs."""

    def __init__(self, driver: Driver) -> None:
        """Makes the `each` of a pool.

        Args:
            driver: The pool.
        """
        self._driver = driver

    def __getitem__(self, name: str) -> Callable[..., Coroutine[Any, Any, list[Any]]]:
        """Returns the function that runs an export on every worker.

        Raises:
            NotExportedError: If the workers do not export it.
        """
        driver = self._driver
        if name not in driver.exports:
            raise not_exported(name, driver.exports)

        async def on_each(*args: Any, **kwargs: Any) -> list[Any]:
            driver.check_open()
            return await asyncio.gather(*driver.call_each(name, args, kwargs))

        on_each.__name__ = name
        on_each.__qualname__ = f"{driver.name}.each.{name}"
        return on_each

    def __getattr__(self, name: str) -> Callable[..., Coroutine[Any, Any, list[Any]]]:
        if name.startswith("__") or name == "_driver":
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return self[name]


def _check(driver: Driver, name: str, timeout: float | None, retries: int) -> None:
    if timeout is not None and not driver.interrupts:
        raise NotSupportedError(
            f"timeout= of {name}(): a cluster interrupts no task that runs; have the function look at the"
            " time itself"
        )
    if timeout is not None and timeout <= 0:
        raise ValueError(f"a timeout of {timeout} seconds is over before {name}() can run")
    if retries < 0:
        raise ValueError(f"retries={retries!r}: write how often a call runs again, from 0 on")


def _pool_function(driver: Driver, name: str, timeout: float | None, retries: int) -> Any:
    def call(args: tuple[Any, ...], kwargs: dict[str, Any], on_begin: Callable[[], object] | None) -> Answer:
        driver.check_open()
        return driver.call(lambda end: Job(name, args, kwargs, end, timeout, on_begin=on_begin), retries)

    async def function(*args: Any, **kwargs: Any) -> Any:
        return await call(args, kwargs, None)

    def options(*, timeout: float | None = None, retries: int = 0) -> Any:
        _check(driver, name, timeout, retries)
        return _pool_function(driver, name, timeout, retries)

    function.__name__ = name
    function.__qualname__ = f"{driver.name}.{name}"
    function.__module__ = __name__
    function.options = options  # type: ignore[attr-defined]
    function._pool = driver  # type: ignore[attr-defined]
    function._call = call  # type: ignore[attr-defined]
    return function


class Starting(Coroutine[Any, Any, Pool]):
    """The result of `pool()`: it is awaited, or used by `async with`."""

    def __init__(self, coroutine: Coroutine[Any, Any, Pool]) -> None:
        """Wraps the coroutine that starts the pool.

        Args:
            coroutine: Returns the `Pool`.
        """
        self._coroutine = coroutine
        self._pool: Pool | None = None

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        raise AttributeError(
            f"workerlib.pool(…) has not started, and has no {name!r}: `pool = await workerlib.pool(…)` first,"
            " or `async with workerlib.pool(…) as pool:`",
            name=name,
        )

    def __await__(self) -> Generator[Any, Any, Pool]:
        return self._coroutine.__await__()

    def send(self, value: Any) -> Any:
        """Resumes the coroutine: `collections.abc.Coroutine.send`."""
        return self._coroutine.send(value)

    def throw(self, *error: Any) -> Any:
        """Raises in the coroutine: `collections.abc.Coroutine.throw`."""
        return self._coroutine.throw(*error)

    def close(self) -> None:
        """Ends the coroutine: `collections.abc.Coroutine.close`."""
        self._coroutine.close()

    async def __aenter__(self) -> Pool:
        self._pool = await self._coroutine
        return self._pool

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None
    ) -> None:
        if self._pool is not None:
            await self._pool.close()


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
        max_restarts: How often a worker is started again within a minute after it has died; None for any
            number. A worker that dies once more stays down. If all are down, each call raises
            PoolBrokenError.
        backoff: The seconds before the first restart, which double with each further death, and the most
            seconds; a number for both; None for no delay.
        poison_after: How many workers may die of a task before it is not tried again; None for any number.
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
        NotSupportedError: If an argument is not for the cluster that `client` gives.
        ConfigError: If a section of the configuration is malformed, or names something that does not exist.
        ValueError: If a number is none that makes sense.
    """
    chosen = policy(max_restarts, backoff)
    cluster_size = size
    if size is None:
        size = default_size()
    if size < 1:
        raise ValueError(f"size={size!r}: a pool has at least one worker")
    if poison_after is not None and poison_after < 1:
        raise ValueError(f"poison_after={poison_after!r}: write a number from 1 on, or None for any number")
    poison = float("inf") if poison_after is None else poison_after
    if client is not None:
        # Imported here, because most pools have workers of their own.
        from workerlib._api.cluster_pool import start_on_cluster

        own: dict[str, Any] = {"max_restarts": (max_restarts, 3), "backoff": (backoff, (0.1, 5.0))}
        own["recycle_above"] = (recycle_above, None)
        given = {**{name: value for name, (value, default) in own.items() if value != default}, **options}
        return Starting(start_on_cluster(client, script, cluster_size, given, poison))
    return Starting(_start(script, size, chosen, options, poison_after=poison, recycle_above=recycle_above))


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
            stacklevel=2,
        )
    return Pool(driver)


async def _worker(script: str | PurePath, count: int, options: Mapping[str, Any]) -> Worker:
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

        navigator = getattr(js, "navigator", None)
        cores = getattr(navigator, "hardwareConcurrency", None)
        if cores is None:
            # Node 20 has no navigator.
            cores = js.process.getBuiltinModule("os").availableParallelism()
    else:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(_LARGEST_DEFAULT, int(cores or 1)))
