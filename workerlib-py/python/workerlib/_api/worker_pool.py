"""`Pool`: the functions of many workers, each call of which runs on whichever worker is free.

`pool()` (`_api/pool.py`) returns it, and `ClusterPool` is one. The logic stands in `_pool`.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterable, Callable, Coroutine, Iterable, Iterator
from contextvars import copy_context
from types import TracebackType
from typing import Any, NamedTuple, Never, Protocol

from workerlib._errors import NotSupportedError, UnsendableError
from workerlib._pool.driver import Driver
from workerlib._pool.executor import PoolExecutor, run_blocking
from workerlib._pool.jobs import Answer, Job, OnEnd, Stats
from workerlib._pool.mapping import Errors, MapOptions, OnProgress, PoolMap
from workerlib._pool.places import placed
from workerlib._pool.sent_functions import RUN, By, describe_function, without_partial
from workerlib._pool.sent_once import check_for_each
from workerlib._pool.steps import Ending
from workerlib._rpc.remote_functions import OnReport, not_exported
from workerlib._rpc.starts import look_at_caller
from workerlib._users.line import noted, users_line
from workerlib._users.options import require_callable, require_count, require_flag, require_seconds


class PoolFunction(Protocol):
    """A function of the workers as the pool's user sees it: a call runs on whichever worker is free."""

    __name__: str

    def __call__(self, *args: Any, **kwargs: Any) -> Coroutine[Any, Any, Any]:
        """Makes a call, which starts when it is awaited or becomes a task."""

    def options(
        self, *, timeout: float | None = None, retries: int = 0, on_report: OnReport | None = None
    ) -> PoolFunction:
        """Returns the function with other options: `await pool.f.options(timeout=5)(1)`.

        Args:
            timeout: The number of seconds that a call may run; None for any. A call that runs for longer is
                interrupted, and raises TimeoutError. If its worker is not idle within 2 more seconds, it is
                replaced.
            retries: The number of times that a call runs again if its worker dies. By default it raises
                WorkerDiedError then, except for exports that are `idempotent`.
            on_report: A function that is called with the arguments of each `workerlib.report(...)` of the
                running call. A call that runs again reports again.

        Raises:
            ValueError: If the timeout is not positive, or `retries` is negative.
            TypeError: If one of them is not a number, or `on_report` is not a function.
            NotSupportedError: If the pool is a cluster's, and `timeout` or `on_report` is given.
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
        *further: Never,
        ordered: bool = True,
        errors: Errors = "raise",
        ahead: int | None = None,
        chunk: int | None = None,
        timeout: float | None = None,
        retries: int = 0,
        on_progress: OnProgress | None = None,
    ) -> PoolMap:
        """Calls a function for each item: `async for result in pool.map(pool.f, items):`.

        Items are read only as far as there are workers for them. They travel in chunks; an exception or a
        timeout costs one item all the same. So does the death of a worker, but of a chunk of more than 31
        items up to a sixteenth may be lost with it.

        Args:
            function: A function of this pool. Its own options hold for each item, as far as the map has none:
                `pool.map(pool.f.options(retries=1), items)`.
            items: The items: an iterable, or an async iterable.
            further: Further iterables, as `map()` takes them, are refused: have the function take a tuple.
            ordered: Whether results come in the order of their items; otherwise as they are ready.
            errors: `"raise"` to raise the first error and end the map; `"yield"` to yield exceptions in place
                of results.
            ahead: The number of chunks that may have been read without their results having been taken; by
                default twice the number of workers.
            chunk: The number of items of a chunk; by default as many as take about 20 milliseconds.
            timeout: The number of seconds that each item may run, counted from its start.
            retries: The number of times that an item runs again if its worker dies.
            on_progress: A function that is called with the number of items that have ended, and the number of
                all, or None while that is not known. An exception of its own ends the map.

        Raises:
            TypeError: If `function` is not a function of this pool, if there is more than one iterable, or if
                an option that should be a number is not one.
            ValueError: If an option has a value that it cannot have.
            NotSupportedError: If the function's own options have `on_report`; if the pool is a cluster's, and
                there is a timeout.
        """
        look_at_caller()
        if further:
            raise TypeError(
                f"pool.map() takes one iterable of items, and {1 + len(further)} were given: have the"
                " exported function take a tuple, and write pool.map(pool.f, zip(…))"
            )
        name = self._name_of(function, "map")
        # Python also iterates over what has only `__getitem__`.
        if not isinstance(items, Iterable | AsyncIterable) and not hasattr(items, "__getitem__"):
            raise TypeError(f"items={items!r}: write an iterable, or an async iterable")
        if errors not in ("raise", "yield"):
            raise ValueError(f'errors={errors!r}: write "raise" or "yield"')
        for option, value in (("ahead", ahead), ("chunk", chunk)):
            if value is not None:
                require_count(option, value, 1)
        require_flag("ordered", ordered)
        require_callable("on_progress", on_progress)
        if inspect.iscoroutinefunction(on_progress):
            raise TypeError(
                f"on_progress={on_progress!r} is async, and nothing would await it: write a function, which"
                " may start a task"
            )
        _check(self._driver, name, timeout, retries)
        own: _Options = function._options  # type: ignore[attr-defined]
        if own.on_report is not None:
            raise NotSupportedError(
                f"on_report= of {name}() in pool.map(): nobody hears the reports of items; on_progress= hears"
                " how many items have ended"
            )
        timeout, retries = own.timeout if timeout is None else timeout, retries or own.retries
        options = MapOptions(ordered, errors, ahead or 2 * self.size, chunk, timeout, retries, on_progress)
        return PoolMap(self._driver, name, items, options)

    def submit(self, function: PoolFunction, /, *args: Any, **kwargs: Any) -> asyncio.Task[Any]:
        """Starts a call and returns its task, for `asyncio.as_completed`, `gather` and the like.

        Args:
            function: A function of this pool.
            args: The positional arguments.
            kwargs: The keyword arguments.

        Raises:
            TypeError: If `function` is not a function of this pool.
        """
        look_at_caller()
        self._name_of(function, "submit")
        context = copy_context()
        context.run(noted.set, users_line())
        return context.run(asyncio.ensure_future, function(*args, **kwargs))

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
            BaseException: Any exception of the function.
        """
        look_at_caller()
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
        if by == "module":
            function, args, kwargs = without_partial(function, args, kwargs)
        described = describe_function(function, by)
        title = getattr(function, "__qualname__", repr(function))
        sent = (described, args, kwargs)
        line = users_line()

        def job(end: OnEnd) -> Job:
            return Job(RUN, sent, {}, _naming_places(end), on_begin=on_begin, title=title, line=line)

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
            BaseException: Any exception of a task.
        """
        from workerlib._pool.graph_run import GraphRun
        from workerlib._pool.graphs import arranged, flat

        look_at_caller()
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
            BaseException: Any exception of a task: see `get()`.
        """
        from workerlib._pool.graphs import finished, graph_of

        look_at_caller()
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
        function, args, kwargs = without_partial(function, args, kwargs)
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
            UnsendableError: If a value cannot be sent, or only once, as an iterator; then none is shared.
            ConnectionClosedError: If the pool is closed, or has no worker left.
        """
        self._driver.check_open()
        check_for_each(values)
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
            NotSupportedError: If it is a stream.
        """
        function = self._functions.get(name)
        if function is None:
            if name not in self._driver.exports:
                raise not_exported(name, self._driver.exports)
            self._driver.check_export(name)
            function = self._functions[name] = _pool_function(self._driver, name, None, 0)
        return function

    def __contains__(self, name: object) -> bool:
        return name in self._driver.exports

    def __iter__(self) -> Iterator[str]:
        return iter(self._driver.exports)

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

    def _name_of(self, function: Any, method: str) -> str:
        if getattr(function, "_pool", None) is not self._driver:
            raise TypeError(
                f"{function!r} is not a function of this pool: write pool.{method}(pool.f, …) with an export"
                " of its workers; pool.run(…) runs a function that they do not export"
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
            NotSupportedError: If it is a stream.
        """
        driver = self._driver
        if name not in driver.exports:
            raise not_exported(name, driver.exports)
        driver.check_export(name)

        async def on_each(*args: Any, **kwargs: Any) -> list[Any]:
            look_at_caller()
            driver.check_open()
            check_for_each({**{f"args[{at}]": value for at, value in enumerate(args)}, **kwargs})
            return await driver.call_each(name, args, kwargs)

        on_each.__name__ = name
        on_each.__qualname__ = f"{driver.name}.each.{name}"
        return on_each

    def __getattr__(self, name: str) -> Callable[..., Coroutine[Any, Any, list[Any]]]:
        if name.startswith("__") or name == "_driver":
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return self[name]


def _check(
    driver: Driver, name: str, timeout: float | None, retries: int, on_report: OnReport | None = None
) -> None:
    if on_report is not None and not driver.interrupts:
        raise NotSupportedError(
            f"on_report= of {name}(): nothing comes from a cluster's task before its result, so return it"
        )
    require_callable("on_report", on_report)
    if timeout is not None and not driver.interrupts:
        raise NotSupportedError(
            f"timeout= of {name}(): a cluster interrupts no task that runs; have the function look at the"
            " time itself"
        )
    if timeout is not None and require_seconds("timeout", timeout) <= 0:
        raise ValueError(f"a timeout of {timeout} seconds is over before {name}() can run")
    require_count("retries", retries, 0)


def _naming_places(end: OnEnd) -> OnEnd:
    """Has the error of a call of `RUN` name the arguments as the caller of `Pool.run()` has written them."""

    def named(job: Job, ending: Ending) -> None:
        if job.is_error and isinstance(job.answer, UnsendableError):
            job.answer = placed(placed(job.answer, "args[1]", "args"), "args[2]", "kwargs")
        end(job, ending)

    return named


class _Options(NamedTuple):
    """The options of a pool's function."""

    timeout: float | None
    retries: int
    on_report: OnReport | None


def _pool_function(
    driver: Driver, name: str, timeout: float | None, retries: int, on_report: OnReport | None = None
) -> Any:
    def call(args: tuple[Any, ...], kwargs: dict[str, Any], on_begin: Callable[[], object] | None) -> Answer:
        driver.check_open()
        line = users_line()

        def job(end: OnEnd) -> Job:
            return Job(name, args, kwargs, end, timeout, on_begin=on_begin, on_report=on_report, line=line)

        return driver.call(job, retries)

    async def function(*args: Any, **kwargs: Any) -> Any:
        look_at_caller()
        return await call(args, kwargs, None)

    def options(*, timeout: float | None = None, retries: int = 0, on_report: OnReport | None = None) -> Any:
        _check(driver, name, timeout, retries, on_report)
        return _pool_function(driver, name, timeout, retries, on_report)

    function.__name__ = name
    function.__qualname__ = f"{driver.name}.{name}"
    function.__module__ = __name__
    options.__qualname__ = f"{function.__qualname__}.options"
    function.options = options  # type: ignore[attr-defined]
    function._pool = driver  # type: ignore[attr-defined]
    function._call = call  # type: ignore[attr-defined]
    function._options = _Options(timeout, retries, on_report)  # type: ignore[attr-defined]
    return function
