"""Sync code that waits for a pool, in every Pyodide: where the host has JSPI it waits, elsewhere it is told what to write.

Each test is an async function that takes `start`, which starts a pool of `pool_worker.py` with options of `workerlib.pool()`.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import math
import operator
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import workerlib
from workerlib import Pool

from expecting import raises

Start = Callable[..., AbstractAsyncContextManager[Pool]]


def has_jspi() -> bool:
    """Tells whether this host can suspend a stack."""
    import js

    return hasattr(js.WebAssembly, "Suspending")


async def test_executor(start: Start) -> None:
    """A future's result is waited for by sync code, also after an answer of a worker; `map` and `shutdown` work likewise."""
    async with start(size=1) as pool:
        executor = pool.executor
        # Suspending would not help these: they wait for a lock of the thread in which the pool works.
        for wait_for in (
            concurrent.futures.wait,
            lambda futures: next(concurrent.futures.as_completed(futures)),
        ):
            with raises(workerlib.CannotBlockError, "as_completed"):
                wait_for([executor.submit(pool.double, 1)])
        assert await asyncio.wrap_future(executor.submit(pool.double, 1)) == 2
        if not has_jspi():
            with raises(workerlib.CannotBlockError, "wrap_future"):
                executor.submit(pool.double, 21).result()
            with raises(workerlib.CannotBlockError, "wrap_future"):
                list(executor.map(pool.double, range(3)))
            return
        # This code goes on in the event of an answer here, if nothing has found out that it will block.
        assert await pool.double(1) == 2
        assert executor.submit(pool.double, 21).result() == 42
        assert executor.submit(math.sqrt, 4).result(60) == 2.0
        assert list(executor.map(pool.double, range(20))) == list(range(0, 40, 2))
        assert isinstance(executor.submit(pool.check, 3).exception(), ValueError)
        with raises(ValueError, "3 is odd"):
            executor.submit(pool.check, 3).result()
        results = executor.map(operator.truediv, [1, 1], [1, 0])
        assert next(results) == 1
        with raises(ZeroDivisionError):
            next(results)
        slow = executor.submit(pool.wait, 30)
        with raises(TimeoutError):
            slow.result(timeout=0.01)
        waiting = executor.submit(pool.double, 3)
        assert waiting.cancel()
        executor.shutdown(wait=False, cancel_futures=True)
        with raises(RuntimeError, "after shutdown"):
            executor.submit(pool.double, 1)


async def test_scheduler(start: Start) -> None:
    """dask's own `compute()` blocks on the pool; its way by an executor, which would wait for ever, is refused."""
    import pyodide_js

    packages = ["dask", "cloudpickle"]
    await pyodide_js.loadPackage(packages, messageCallback=lambda _: None)
    import dask
    import dask.bag

    async with start(size=2, packages=packages) as pool:
        bag = dask.bag.from_sequence(range(10), npartitions=2)
        assert await pool.compute(bag.sum()) == (45,)
        if not has_jspi():
            with raises(workerlib.CannotBlockError, "await pool.compute"):
                bag.sum().compute(scheduler=pool.scheduler)
            return
        assert await pool.double(1) == 2
        assert bag.sum().compute(scheduler=pool.scheduler) == 45
        assert dask.compute(bag.max(), bag.min(), scheduler=pool.scheduler) == (9, 0)
        with dask.config.set(scheduler=pool.scheduler):
            assert bag.map(lambda x: 2 * x).compute() == list(range(0, 20, 2))
        with raises(workerlib.NotSupportedError, "pool.scheduler"):
            dask.compute(dask.delayed(abs)(-1), scheduler=pool.executor)


TESTS = {
    name.removeprefix("test_"): test for name, test in list(globals().items()) if name.startswith("test_")
}
