"""Pools of subprocesses: the suite that every pool has to pass, and what is so outside of a browser only."""

from __future__ import annotations

import asyncio
import contextlib
import os
import warnings
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import workerlib

import pool_kills
import pools
from pool_states import all_up

SCRIPT = Path(pools.__file__).with_name("pool_worker.py")


def start(**options: Any) -> Any:
    """Starts a pool that runs the suite's script."""
    return workerlib.pool(SCRIPT, **options)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pool() -> AsyncIterator[workerlib.Pool]:
    """The pool that the tests share, as those of a page do."""
    async with start(size=2) as pool:
        yield pool


@pytest.mark.parametrize("name", pools.TESTS)
@pytest.mark.asyncio(loop_scope="module")
async def test_suite(name: str, pool: workerlib.Pool) -> None:
    """A pool of subprocesses does what every pool has to."""
    await pools.run(name, pool, start)


def kill(member: Any) -> None:
    """Kills the process of a worker, as the system does."""
    with contextlib.suppress(ProcessLookupError):
        member.connection.endpoint.process.kill()


@pytest.mark.parametrize(
    ("name", "kills", "items"),
    [
        ("double_slowly", 12, 200),
        ("double", 6, 1200),
        pytest.param("double_slowly", 200, 2000, marks=pytest.mark.repeated),
        pytest.param("double", 50, 20000, marks=pytest.mark.repeated),
    ],
    ids=["few", "few-quick", "many", "many-quick"],
)
@pytest.mark.timeout(480)
async def test_random_kills_lose_nothing(name: str, kills: int, items: int) -> None:
    """Workers are killed at random moments during a map with retries: every result comes once, in its place.

    Quick items travel in large chunks, and their outcomes share messages.
    """
    async with start(size=2, **pool_kills.UNBOUNDED) as pool:
        results = await pool_kills.kill_during_map(pool, pool[name], kills=kills, items=items, kill=kill)
        assert results == list(range(0, 2 * len(results), 2))


@pytest.mark.parametrize("times", [8, pytest.param(200, marks=pytest.mark.repeated)])
@pytest.mark.timeout(1200)
async def test_many_restarts_leave_nothing(times: int) -> None:
    """A worker that dies and is started again, again and again, leaves no object, task, thread or open file here."""
    async with start(size=1, **pool_kills.UNBOUNDED) as pool:
        await pool_kills.die_again_and_again(pool, 3)
        before = await pool_kills.held_by_process()
        await pool_kills.die_again_and_again(pool, times)
        after = await pool_kills.held_by_process()
        left = {what: after[what] - before[what] for what in after}
        assert all(count <= 2 for count in left.values()), f"left of {times} restarts: {left}"
        assert pool.stats().restarts == times + 3


async def test_nested_calls_of_workers_that_sleep() -> None:
    """A callback whose worker sleeps until it returns gets another worker; if all sleep, the call says so."""
    async with start(size=2) as pool:
        await all_up(pool)
        begun = 0
        both = asyncio.Event()

        async def double(number: int) -> Any:
            return await pool.double(number)

        async def double_together(number: int) -> Any:
            nonlocal begun
            begun += 1
            if begun == 2:
                both.set()
            await both.wait()
            return await pool.double(number)

        async def double_on_each(number: int) -> Any:
            return await pool.each.double(number)

        assert await pool.ask_and_block(double, 4) == 8
        tasks = [pool.ask_and_block(double_together, 4) for _ in range(2)]
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert sorted(type(outcome).__name__ for outcome in outcomes) == ["DeadlockError", "int"], outcomes
        assert await pool.ask_with(double_on_each, 4) == [8, 8]
    async with start(size=1) as pool:
        with pytest.raises(workerlib.DeadlockError):
            await pool.ask_and_block(double, 4)
        assert await pool.ask_with(double_on_each, 4) == [8]


async def test_a_warning_points_to_the_line_of_the_call() -> None:
    """A value that arrives as something like it is told at the user's line, though a task of the pool's sends it."""

    def like() -> Any:
        class Listed(list[int]):
            """A class of its own each time, since each class is told once."""

        return Listed([1])

    async def in_map() -> list[Any]:
        return [row async for row in pool.map(pool.same, [like()])]  # here

    def in_thread() -> Any:
        return pool.executor.submit(pool.same, like()).result()  # here

    def by_map() -> Any:
        return list(pool.executor.map(pool.same, [like()]))  # here

    async def call_all() -> None:
        await pool.same(like())  # here
        await pool.submit(pool.same, like())  # here
        await pool.run(len, like())  # here
        await pool.each.same(like())  # here
        pool.share(rows=like())  # here
        await in_map()
        await asyncio.to_thread(in_thread)
        await asyncio.to_thread(by_map)

    async with start(size=1) as pool:
        with pytest.warns(workerlib.ConversionWarning) as told:
            await call_all()
    assert len(told) == 8
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    for warning in told:
        assert warning.filename == __file__
        assert lines[warning.lineno - 1].endswith("# here")


NAMES = """
import workerlib

@workerlib.export
def restart(): ...

@workerlib.export
def map(): ...
"""


async def test_warnings_point_to_the_users_line(tmp_path: Path) -> None:
    """A name that a Pool or a Worker has for itself: the warning shows the line that opens it; pools warn once."""
    script = tmp_path / "names.py"
    script.write_text(NAMES)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        async with workerlib.pool(script, size=2) as pool:
            await all_up(pool)
        await (await workerlib.pool(script, size=1)).close()
        async with workerlib.connect(script):
            pass
    told = [("pool" if 'pool["map"]' in str(one.message) else "worker", one.filename) for one in caught]
    assert told == [("pool", __file__), ("pool", __file__), ("worker", __file__)]


FLAKY = """
import os, pathlib, signal, workerlib

starts = pathlib.Path(__file__).with_name("starts")
with starts.open("a") as file:
    file.write(".")
count = len(starts.read_text())
if count in {failing}:
    {fails}

@workerlib.export
def double(number: int) -> int:
    return 2 * number
"""
RAISES, DIES = 'raise LookupError(f"start {count}")', "os.kill(os.getpid(), signal.SIGKILL)"


def flaky(folder: Path, failing: set[int], fails: str) -> Path:
    """Writes a script of which some starts fail, counted from 1."""
    script = folder / "flaky.py"
    script.write_text(FLAKY.replace("{failing}", str(failing)).replace("{fails}", fails))
    return script


async def test_a_script_that_fails_is_started_once(tmp_path: Path) -> None:
    """The first worker's error is that of `pool()`, at once: the others would fail likewise."""
    with pytest.raises(workerlib.WorkerStartError, match="LookupError: start 1"):
        await workerlib.pool(flaky(tmp_path, {1, 2, 3}, RAISES), size=3)
    assert (tmp_path / "starts").read_text() == "."


async def test_a_worker_of_several_that_cannot_be_started(tmp_path: Path) -> None:
    """The pool goes on with the others, and warns with the cause at the line that has opened it."""

    async def use() -> None:
        async with workerlib.pool(flaky(tmp_path, {2}, RAISES), size=3) as pool:
            await all_up(pool)
            assert [result async for result in pool.map(pool.double, range(20))] == list(range(0, 40, 2))
            assert (pool.stats().idle, pool.stats().parked) == (2, 1)

    with pytest.warns(UserWarning, match=r"goes on with 2 of 3 workers: .* LookupError: start 2") as told:
        await use()
    assert [warning.filename for warning in told] == [__file__]


async def test_a_worker_that_dies_while_it_starts(tmp_path: Path) -> None:
    """A death may be the machine's, so the worker is started again, the first one too."""
    async with workerlib.pool(flaky(tmp_path, {1, 3}, DIES), size=2) as pool:
        await all_up(pool)
        assert await pool.double(2) == 4
        assert (pool.stats().idle, pool.stats().parked) == (2, 0)
    (tmp_path / "starts").unlink()
    always = flaky(tmp_path, set(range(99)), DIES)
    with pytest.raises(workerlib.WorkerDiedError, match="killed by SIGKILL"):
        await workerlib.pool(always, size=2, max_restarts=1, backoff=None)


async def test_another_event_loop() -> None:
    """A call of another thread's loop is refused before anything is sent, with the remedy."""
    async with start(size=1) as pool:

        async def collect() -> list[Any]:
            return [result async for result in pool.map(pool.double, [1])]

        for make in (
            lambda: pool.double(1),
            collect,
            lambda: pool.each.double(1),
            lambda: pool.run(max, 1, 2),
        ):
            with pytest.raises(RuntimeError, match="another event loop"):
                await asyncio.to_thread(lambda make: asyncio.run(make()), make)
        assert pool.stats().done == 0
        task = asyncio.to_thread(lambda: asyncio.run_coroutine_threadsafe(pool.double(1), loop).result(60))
        loop = asyncio.get_running_loop()
        assert await task == 2


async def test_a_dead_worker_leaves_nothing_to_the_collector() -> None:
    """The connection to a worker that has died is freed with its last reference."""
    async with start(size=1, **pool_kills.UNBOUNDED) as pool:
        await pool_kills.die_again_and_again(pool, 1)
        left = await pool_kills.connections_left(pool, 3)
        assert left <= 0, f"{left} objects of connections are left of 3 restarts"


@pytest.mark.parametrize(("cores", "size"), [(1, 1), (3, 3), (4, 4), (64, 4)])
def test_the_size_that_nobody_gives(monkeypatch: pytest.MonkeyPatch, cores: int, size: int) -> None:
    """A pool has as many workers as this process has cores, and four at most."""
    from workerlib._api.pool import default_size

    if not hasattr(os, "sched_getaffinity"):
        monkeypatch.setattr(os, "cpu_count", lambda: cores)
    else:
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)))
    assert default_size() == size
