"""dask's graphs on a pool of subprocesses: right results, in the workers, near their inputs, and nothing left there."""

from __future__ import annotations

import asyncio
import operator
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import dask
import dask.bag
import numpy as np
import pytest
import pytest_asyncio
import workerlib

import pools
from pace import PACE
from pool_states import all_up

SCRIPT = Path(pools.__file__).with_name("pool_worker.py")


def start(**options: Any) -> Any:
    """Starts a pool that runs the suite's script."""
    return workerlib.pool(SCRIPT, **{"size": 2, **options})


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pool() -> AsyncIterator[workerlib.Pool]:
    """The pool that tests share which leave it as it was: each of its workers imports dask once."""
    async with start() as pool:
        await all_up(pool)
        yield pool


@dask.delayed
def process(*_: Any) -> int:
    import os

    return os.getpid()


@dask.delayed
def add(left: Any, right: Any = 1) -> Any:
    return left + right


async def kept(pool: workerlib.Pool) -> list[int]:
    """Tells how many results each worker keeps."""
    return [await place.member.free([]) for place in pool._driver._places if place.member is not None]


@pytest.mark.asyncio(loop_scope="module")
async def test_values_that_cannot_travel_name_their_task(pool: workerlib.Pool) -> None:
    """A graph has many tasks: the error of a value that cannot be pickled, or not be read, says of which task it is."""
    import threading

    class Unreadable:
        def __reduce__(self) -> Any:
            return int, ("no number",)

    def lock(_value: Any) -> Any:
        import _thread

        return _thread.allocate_lock()

    graph = {
        ("good", 0): (abs, -1),
        ("lock", 1): (lock, ("good", 0)),
        ("unreadable", 2): (lambda _value: Unreadable(), ("good", 0)),
        ("argument", 3): (lambda *_: 1, threading.Lock()),
        ("shared", 4): (operator.add, [], 1),
        ("shared", 5): (operator.is_, threading.Lock(), 1),
        ("shared", 6): (operator.is_, 1, 1),
    }
    for key, what in (
        (("lock", 1), "the result of the task"),
        (("unreadable", 2), "the result of the task"),
        (("argument", 3), "the task"),
        (("shared", 5), "the task"),
    ):
        with pytest.raises(workerlib.UnsendableError) as told:
            await pool.get(graph, [("good", 0), ("shared", 6), key])
        assert str(told.value).startswith(f"{what} {key!r}: "), told.value
        assert told.value.__cause__ is not None
    assert await pool.get(graph, ("good", 0)) == 1
    # The other worker may run a batch that nobody needs any more.
    async with asyncio.timeout(60 * PACE):
        while await kept(pool) != [0, 0]:
            await asyncio.sleep(0.01)


@pytest.mark.asyncio(loop_scope="module")
async def test_delayed(pool: workerlib.Pool) -> None:
    """Tasks run in workers, and results stand where the collections stood, as `dask.compute` puts them."""
    tree = [add(number) for number in range(16)]
    while len(tree) > 1:
        tree = [add(left, right) for left, right in zip(tree[::2], tree[1::2], strict=True)]
    result, pids, plain = await pool.compute(tree[0], {"a": [process(), process()]}, 7)
    assert result == sum(range(1, 17))
    assert os.getpid() not in pids["a"]
    assert plain == 7
    assert await pool.compute(1, "x") == (1, "x")
    assert await kept(pool) == [0, 0]


@pytest.mark.asyncio(loop_scope="module")
async def test_bags(pool: workerlib.Pool) -> None:
    """Bags compute, their lazy partitions included; a group by files is refused with the remedy, by tasks it is right."""
    bag = dask.bag.from_sequence(range(100), npartitions=6)
    total, evens = await pool.compute(bag.map(lambda x: x * x).sum(), bag.filter(lambda x: x % 2 == 0))
    assert total == sum(x * x for x in range(100))
    assert evens == list(range(0, 100, 2))
    with pytest.raises(workerlib.NotSupportedError, match='shuffle="tasks"'):
        await pool.compute(bag.groupby(lambda x: x % 3, shuffle="disk"))
    (groups,) = await pool.compute(bag.groupby(lambda x: x % 3, shuffle="tasks"))
    assert {key: sorted(group) for key, group in groups} == {
        rest: [x for x in range(100) if x % 3 == rest] for rest in range(3)
    }
    assert sum(await kept(pool)) == 0


@pytest.mark.asyncio(loop_scope="module")
async def test_arrays(pool: workerlib.Pool) -> None:
    """Arrays of numpy compute in blocks."""
    import dask.array

    array = dask.array.from_array(np.arange(10_000).reshape(100, 100), chunks=(50, 50))
    mean, product = await pool.compute(array.mean(), (array @ array.T)[:3, :3])
    assert mean == np.arange(10_000).mean()
    plain = np.arange(10_000).reshape(100, 100)
    assert np.array_equal(product, (plain @ plain.T)[:3, :3])


@pytest.mark.asyncio(loop_scope="module")
async def test_graphs_of_both_forms(pool: workerlib.Pool) -> None:
    """`get` takes graphs of tuples and of `dask.task_spec`, and keys in nested lists."""
    from dask.task_spec import Task

    graph: dict[Any, Any] = {
        "x": 1,
        "y": (operator.add, "x", 10),
        "z": (sum, ["x", "y", (operator.neg, 2)]),
    }
    assert await pool.get(graph, "z") == 10
    assert await pool.get(graph, ["x", ["z", "y"]]) == [1, [10, 11]]
    first = Task("a", operator.add, 1, 2)
    assert await pool.get({"a": first, "b": Task("b", operator.mul, first.ref(), 5)}, ["b"]) == [15]
    with pytest.raises(KeyError):
        await pool.get(graph, "nothing")


@pytest.mark.asyncio(loop_scope="module")
async def test_values_that_no_frame_carries(pool: workerlib.Pool) -> None:
    """A result that would arrive as something like it travels by cloudpickle, as itself."""

    class Odd:
        def __init__(self, value: int) -> None:
            self.value = value

    class Numbers(list[int]):
        pass

    odd = dask.delayed(Odd)(3)
    value, numbers = await pool.compute(dask.delayed(lambda o: (type(o).__name__, o.value))(odd), odd)
    assert value == ("Odd", 3)
    assert numbers.value == 3
    (result,) = await pool.compute(dask.delayed(Numbers)([1, 2]))
    assert type(result).__name__ == "Numbers"
    assert result == [1, 2]


async def test_errors_and_deaths() -> None:
    """A task's exception ends the computation; a dead worker's results are made again; poison is not tried for ever."""

    @dask.delayed
    def refuse(value: Any) -> Any:
        raise LookupError(f"no {value}")

    @dask.delayed
    def die_first(value: Any, path: str) -> Any:
        import os

        if not os.path.exists(path):
            open(path, "w").close()
            os._exit(3)
        return value

    @dask.delayed
    def die(value: Any) -> Any:
        import os

        os._exit(3)

    async with start(backoff=None, max_restarts=None) as pool:
        await all_up(pool)
        with pytest.raises(LookupError, match="no 2"):
            await pool.compute(add(refuse(add(1)), 1))
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            parts = [add(number) for number in range(10)]
            total = dask.delayed(sum)(parts)
            once = die_first(total, f"{folder}/died")
            result, each = await pool.compute(add(once, total), parts)
            assert result == 110
            assert each == list(range(1, 11))
        with pytest.raises(workerlib.WorkerDiedError, match="not tried again") as poison:
            await pool.compute(die(1))
        assert isinstance(poison.value.__cause__, subprocess.CalledProcessError)
        assert poison.value.__cause__.returncode == 3
        assert await pool.compute(add(1)) == (2,)


@pytest.mark.asyncio(loop_scope="module")
async def test_tasks_run_where_their_inputs_are(
    pool: workerlib.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A chain of tasks with large results between them moves none of these through the page."""

    @dask.delayed
    def make(number: int) -> bytes:
        return bytes(1_000_000)

    @dask.delayed
    def change(data: bytes) -> bytes:
        return data[::-1]

    taken: list[int] = []
    for place in pool._driver._places:
        member = place.member
        assert member is not None
        original = member.take

        async def take(number: int, original: Any = original) -> Any:
            packed = await original(number)
            taken.append(sum(len(buffer) for buffer in packed[1]) + len(packed[0] or b""))
            return packed

        monkeypatch.setattr(member, "take", take)
    ends = []
    for number in range(20):
        data = make(number)
        for _ in range(10):
            data = change(data)
        ends.append(dask.delayed(len)(data))
    assert (await pool.compute(*ends)) == (1_000_000,) * 20
    assert sum(taken) < 20 * 1000
    assert await kept(pool) == [0, 0]


@pytest.mark.asyncio(loop_scope="module")
async def test_the_scheduler_for_code_that_blocks(pool: workerlib.Pool) -> None:
    """`scheduler=pool.scheduler` works in another thread; in the loop's thread it says what to do instead."""
    value = add(add(1))
    assert await asyncio.to_thread(lambda: dask.compute(value, scheduler=pool.scheduler)) == (3,)
    with pytest.raises(workerlib.CannotBlockError, match=r"await pool.compute"):
        value.compute(scheduler=pool.scheduler)
    # dask's functions for executors would wait for ever, in a browser without a word.
    with pytest.raises(workerlib.NotSupportedError, match=r"scheduler=pool.scheduler"):
        await asyncio.to_thread(lambda: dask.compute(value, scheduler=pool.executor))


@pytest.mark.asyncio(loop_scope="module")
async def test_many_tasks(pool: workerlib.Pool) -> None:
    """100 chains of 10 and a tree of 500: the graph of the goals, with the right sum."""
    chains = []
    for number in range(100):
        value = add(number, 0)
        for _ in range(9):
            value = add(value)
        chains.append(value)
    leaves = [add(number, 0) for number in range(250)]
    while len(leaves) > 1:
        pairs = [add(left, right) for left, right in zip(leaves[::2], leaves[1::2], strict=False)]
        leaves = pairs + leaves[len(pairs) * 2 :]
    *results, tree = await pool.compute(*chains, leaves[0])
    assert results == [number + 9 for number in range(100)]
    assert tree == sum(range(250))
    assert await kept(pool) == [0, 0]


INTERRUPTED = """
import asyncio, os, pathlib, signal, sys, threading, time

import dask, workerlib

begun = pathlib.Path(sys.argv[2])
loop = asyncio.new_event_loop()
threading.Thread(target=loop.run_forever, daemon=True).start()

def run(coroutine):
    return asyncio.run_coroutine_threadsafe(coroutine, loop).result()

async def start():
    return await workerlib.pool(sys.argv[1], size=2)

def slow(number, path):
    import pathlib, time
    pathlib.Path(path).touch()
    time.sleep(600)

def interrupt():
    while not begun.exists():
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGINT)

pool = run(start())
threading.Thread(target=interrupt, daemon=True).start()
try:
    dask.compute(*(dask.delayed(slow)(number, str(begun)) for number in range(4)), scheduler=pool.scheduler)
except KeyboardInterrupt:
    while pool.stats().busy:
        time.sleep(0.01)
    print(run(pool.double(2)))
run(pool.close())
"""


def test_an_interrupt_ends_the_computation(tmp_path: Path) -> None:
    """Ctrl-C ends the wait of dask's function, and the tasks in the workers."""
    command = [sys.executable, "-c", INTERRUPTED, str(SCRIPT), str(tmp_path / "begun")]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60 * PACE)
    assert ended.stdout == "4\n", ended.stderr
