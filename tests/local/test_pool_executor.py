"""`pool.executor`: held to what the standard library says of an executor, and `pool.run()`."""

from __future__ import annotations

import asyncio
import collections
import concurrent.futures
import datetime
import fractions
import functools
import math
import operator
import threading
from pathlib import Path
from typing import Any

import dask
import pytest
import workerlib

import pools
from pace import PACE

SCRIPT = Path(pools.__file__).with_name("pool_worker.py")


def start(**options: Any) -> Any:
    """Starts a pool that runs the suite's script."""
    return workerlib.pool(SCRIPT, **options)


def in_thread(test: Any) -> Any:
    """Runs a test that blocks: in a thread, with the pool and its executor."""

    @functools.wraps(test)
    async def run() -> None:
        async with start(size=2) as pool:
            await asyncio.to_thread(test, pool)

    del run.__wrapped__  # type: ignore[attr-defined]
    return run


async def test_run_in_executor() -> None:
    """asyncio passes keywords by `functools.partial`, of a function of the pool's or of a module's."""
    async with start(size=1) as pool:
        loop, executor = asyncio.get_running_loop(), pool.executor
        assert await loop.run_in_executor(executor, functools.partial(pool.die, of=4), 3) == 3
        nested = functools.partial(functools.partial(int, base=3), "11")
        assert await loop.run_in_executor(executor, nested) == 4
        assert await pool.run(nested) == 4
        assert await pool.run(nested, by="cloudpickle") == 4
        with pytest.raises(TypeError, match="runs in workers already"):
            await loop.run_in_executor(executor, pool.each.double, 1)


@in_thread
def test_submit_and_result(pool: workerlib.Pool) -> None:
    """A future has the result or the exception, and tells its callbacks."""
    executor = pool.executor
    assert executor.submit(pool.double, 21).result() == 42
    assert executor.submit(math.sqrt, 4).result(60) == 2.0
    with pytest.raises(ValueError, match="3 is odd"):
        executor.submit(pool.check, 3).result()
    assert isinstance(executor.submit(pool.check, 3).exception(), ValueError)
    heard: list[Any] = []
    future = executor.submit(pool.double, 1)
    future.add_done_callback(heard.append)
    assert future.result() == 2
    assert heard == [future]
    with pytest.raises(TimeoutError):
        executor.submit(pool.wait, 0.5).result(timeout=0.05)


@in_thread
def test_map(pool: workerlib.Pool) -> None:
    """The results of `map` come in order; an exception is raised in its place."""
    with pool.executor as executor:
        assert list(executor.map(pow, range(5), [2] * 5)) == [0, 1, 4, 9, 16]
        assert list(executor.map(pool.double, range(100))) == list(range(0, 200, 2))
        results = executor.map(operator.truediv, [1, 1], [1, 0])
        assert next(results) == 1
        with pytest.raises(ZeroDivisionError):
            next(results)


@in_thread
def test_wait_and_as_completed(pool: workerlib.Pool) -> None:
    """The functions of `concurrent.futures` work in any other thread than the loop's."""
    executor = pool.executor
    futures = [executor.submit(pool.wait, seconds) for seconds in (0.2, 0.0, 0.0)]
    done, pending = concurrent.futures.wait(futures, return_when=concurrent.futures.FIRST_COMPLETED)
    assert done
    assert done | pending == set(futures)
    assert {future.result() for future in concurrent.futures.as_completed(futures)} == {0.0, 0.2}


@in_thread
def test_cancel(pool: workerlib.Pool) -> None:
    """A future that waits can be cancelled, one that runs cannot, as the standard library says."""
    executor = pool.executor
    futures = [executor.submit(pool.wait, 0.3) for _ in range(6)]
    while not any(future.running() for future in futures):
        pass
    running = next(future for future in futures if future.running())
    assert not running.cancel()
    assert futures[-1].cancel()
    assert futures[-1].cancelled()
    with pytest.raises(concurrent.futures.CancelledError):
        futures[-1].result()
    assert [future.result() for future in futures[:-1]] == [0.3] * 5


@in_thread
def test_cancelled_futures_are_done(pool: workerlib.Pool) -> None:
    """`wait` and `as_completed` do not wait for a cancelled future, whenever it was cancelled."""
    executor = pool.executor
    before, meanwhile = ([executor.submit(pool.wait, 0.3) for _ in range(4)] for _ in range(2))
    assert before[-1].cancel()
    waiting = threading.Thread(target=concurrent.futures.wait, args=[[*before, *meanwhile]])
    waiting.start()
    assert meanwhile[-1].cancel()
    waiting.join(60)
    assert not waiting.is_alive()
    done = concurrent.futures.as_completed([*before, *meanwhile], timeout=60)
    assert sum(future.cancelled() for future in done) == 2


@in_thread
def test_shutdown(pool: workerlib.Pool) -> None:
    """A shut-down executor has run its tasks and takes none; the pool goes on, and so do its other executors."""
    executor = pool.executor
    futures = [executor.submit(pool.wait, 0.05) for _ in range(4)]
    executor.shutdown()
    assert all(future.done() for future in futures)
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.submit(pool.double, 1)
    assert pool.executor.submit(pool.double, 1).result() == 2
    executor = pool.executor
    futures = [executor.submit(pool.wait, 0.3) for _ in range(6)]
    executor.shutdown(cancel_futures=True)
    assert all(future.done() for future in futures)
    assert any(future.cancelled() for future in futures)


@in_thread
def test_a_killed_worker(pool: workerlib.Pool) -> None:
    """The death of a worker costs the task that ran, and breaks no executor."""
    executor = pool.executor
    with pytest.raises(workerlib.WorkerDiedError):
        executor.submit(pool.die, 5).result()
    assert executor.submit(pool.double, 1).result() == 2


@in_thread
def test_many_threads(pool: workerlib.Pool) -> None:
    """Each thread gets its own results."""
    executor = pool.executor
    wrong: list[int] = []

    def work(first: int) -> None:
        numbers = range(first, first + 50)
        if list(executor.map(pool.double, numbers)) != [2 * number for number in numbers]:
            wrong.append(first)

    threads = [threading.Thread(target=work, args=(1000 * number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_the_end_of_the_loop() -> None:
    """Tasks of threads end with the loop, and later ones are refused; `shutdown()` waits for neither."""
    told: list[Any] = []
    executors: list[Any] = []
    pools_left: list[Any] = []

    def use(pool: workerlib.Pool) -> None:
        with pool.executor as executor:
            futures = [executor.submit(pool.wait, 600) for _ in range(2)]
            executors.append(executor)
            told.extend(type(future.exception()) for future in futures)

    def use_later(double: Any) -> None:
        with executors[0], pytest.raises(RuntimeError, match="shutdown"):
            executors[0].submit(double, 1)
        with pools_left[0].executor as executor, pytest.raises(RuntimeError, match="closed"):
            executor.submit(double, 1)
        told.append("refused")

    def thread(function: Any, argument: Any) -> threading.Thread:
        # A thread that hangs must not keep pytest from its end.
        made = threading.Thread(target=function, args=(argument,), daemon=True)
        made.start()
        return made

    async def main() -> threading.Thread:
        pool = await start(size=1)
        pools_left.append(pool)
        using = thread(use, pool)
        while not (executors and pool.stats().busy):
            await asyncio.sleep(0.01)
        return using

    using = asyncio.run(main())
    using.join(60 * PACE)
    assert told == [workerlib.ConnectionClosedError] * 2
    later = thread(use_later, pools_left[0].double)
    later.join(60 * PACE)
    assert told[2:] == ["refused"]


async def test_the_thread_of_the_loop_is_never_blocked() -> None:
    """There each function that would wait for ever says so; futures that are done give their results."""
    async with start(size=1) as pool:
        executor = pool.executor
        future = executor.submit(pool.double, 1)
        with pytest.raises(workerlib.CannotBlockError, match="wrap_future"):
            future.result()
        with pytest.raises(workerlib.CannotBlockError, match="as_completed"):
            concurrent.futures.wait([future])
        with pytest.raises(workerlib.CannotBlockError):
            next(concurrent.futures.as_completed([future]))
        with pytest.raises(workerlib.CannotBlockError):
            executor.shutdown()
        assert await asyncio.wrap_future(future) == 2
        assert future.result() == 2
        executor.shutdown()
        loop = asyncio.get_running_loop()
        assert await loop.run_in_executor(pool.executor, math.sqrt, 9) == 3.0


async def test_functions_of_modules() -> None:
    """A function travels by the name by which both sides import it; others are refused with the remedy."""
    async with start(size=1) as pool:
        assert await pool.run(math.gcd, 12, 18) == 6
        assert await pool.run(operator.add, 1, 2, by="module") == 3
        assert await pool.run(datetime.date.fromisoformat, "2026-11-30") == datetime.date(2026, 11, 30)
        assert await pool.run(collections.OrderedDict.fromkeys, "ab") == {"a": None, "b": None}
        assert await pool.run(fractions.Fraction.from_float, 0.5) == fractions.Fraction(1, 2)
        for function in (lambda: 1, functools.partial(lambda: 1)):
            with pytest.raises(TypeError, match="cloudpickle"):
                await pool.run(function)
        with pytest.raises(ValueError, match="write"):
            await pool.run(math.gcd, by="magic")  # type: ignore[arg-type]
        with pytest.raises(workerlib.WorkerDiedError, match="while it ran _exit"):
            import os

            await pool.run(os._exit, 3)


async def test_functions_of_the_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A function that this side imports from the script runs there, in any way it is sent; the script runs only once."""
    script = tmp_path / "primes_of_a_script.py"
    script.write_text(
        "import workerlib\nruns = []\nruns.append(1)\n"
        "@workerlib.export\ndef is_prime(number):\n    return all(number % part for part in range(2, number))\n"
        "def count():\n    return len(runs)\n"
        "@workerlib.export\ndef calls():\n    runs.append(2)\n    return len(runs)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    import primes_of_a_script as primes

    async with workerlib.pool(script, 1) as pool:
        assert await pool.run(primes.is_prime, 7)
        assert await pool.run(primes.is_prime, 8, by="cloudpickle") is False
        assert await asyncio.wrap_future(pool.executor.submit(primes.is_prime, 7))
        assert await pool.compute(dask.delayed(primes.is_prime)(9), dask.delayed(primes.is_prime)(11)) == (
            False,
            True,
        )
        # It sees the state of the script, as the exports do.
        assert await pool.calls() == 2
        assert await pool.run(primes.count) == 2


async def test_functions_by_cloudpickle() -> None:
    """A closure runs in the worker, and keeps what it has closed over."""
    offset = 10

    def shifted(number: int) -> tuple[int, int]:
        import os

        return number + offset, os.getpid()

    async with start(size=1) as pool:
        result, pid = await pool.run(shifted, 1, by="cloudpickle")
        assert result == 11
        import os

        assert pid != os.getpid()
        assert await pool.run(lambda: 7, by="cloudpickle") == 7
