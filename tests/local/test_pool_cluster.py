"""Pools on a real dask cluster: two processes, and a scheduler in a process of its own; docs/scaling.md is the table."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import dask
import pytest
import workerlib
from distributed import Client

import pools

SCRIPT = Path(pools.__file__).with_name("pool_worker.py")
HERE = Path(__file__).parent

TABLE = Path(__file__).parents[2] / "docs" / "scaling.md"

# The tests of the suite that every pool has to pass which are none for a cluster, by the row of the table that says why.
OTHERWISE = {
    "which worker runs a call": {"both_workers_work", "map_as_completed", "two_workers_are_faster_than_one"},
    "arguments and results": {
        "map_of_quick_items",
        "map_of_values_that_cannot_be_sent",
        "errors_name_the_places_that_users_know",
    },
    "functions and streams among arguments": {"callbacks_and_streams"},
    "reports": {"reports"},
    "cancel": {"break_ends_a_map", "cancel", "closing"},
    "`timeout=`": {"time_limits", "a_task_that_cannot_be_interrupted"},
    "`each`, `share`": {
        "each_and_share_reach_later_workers",
        "shared_values",
        "an_idempotent_export_runs_again",
    },
    "the death of a worker costs": {"a_death_costs_one_item", "a_death_in_a_large_chunk", "poison"},
    "restarts": {"a_broken_pool", "deaths_with_the_defaults", "recycling"},
}
SUITE = [*(set(pools.TESTS) - set().union(*OTHERWISE.values())), "break_ends_a_map_soon"]


def test_the_documents_say_what_is_other_on_a_cluster() -> None:
    """Each test of the suite runs on a cluster, or a row of the documents' table says what a cluster does instead."""
    text = TABLE.read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.split("|")] for line in text.splitlines() if line.startswith("|")]
    for start, names in OTHERWISE.items():
        (row,) = [row for row in rows if row[1].startswith(start)]
        assert not row[4].startswith("yes"), row
        assert names <= set(pools.TESTS)


@contextlib.contextmanager
def cluster(allowed_failures: int) -> Iterator[str]:
    """Runs a cluster; gives its scheduler's address."""
    command = [sys.executable, str(HERE / "cluster.py"), str(allowed_failures)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            address = process.stdout.readline().strip()
            assert address.startswith("tcp://127.0.0.1:")
            yield address
            process.stdin.close()
            process.wait(60)
        finally:
            # Popen itself waits for its process without a limit, also after an error.
            process.kill()


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A cluster whose scheduler runs no task again by itself."""
    with cluster(0) as address:
        yield address


@pytest.fixture(params=["asynchronous", "blocking"])
async def client(address: str, request: pytest.FixtureRequest) -> AsyncIterator[Any]:
    """A client of either kind."""
    if request.param == "asynchronous":
        async with Client(address, asynchronous=True, set_as_default=False) as client:
            yield client
    else:
        client = await asyncio.to_thread(Client, address, set_as_default=False)
        yield client
        await asyncio.to_thread(client.close)


async def test_break_ends_a_map_soon(pool: workerlib.Pool) -> None:
    """After `break` the items that wait are dropped; those that run end by themselves."""
    async for _ in pool.map(pool.wait, [0] + [0.05] * 20):
        break
    async with asyncio.timeout(60):
        assert await asyncio.gather(*(pool.double(number) for number in range(4))) == [0, 2, 4, 6]


test_break_ends_a_map_soon.__test__ = False  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", sorted(SUITE))
async def test_suite(client: Any, name: str) -> None:
    """Calls and maps are those of every pool."""
    async with workerlib.pool(SCRIPT, client=client) as pool:
        if name == "break_ends_a_map_soon":
            await test_break_ends_a_map_soon(pool)
        else:
            await pools.TESTS[name](pool)  # type: ignore[call-arg]
        assert await pool.double(1) == 2


async def test_the_table(client: Any) -> None:
    """Everything that needs a connection to a worker is refused before a task is submitted."""

    async def items() -> AsyncIterator[int]:
        yield 1

    for given in ({"max_restarts": 1}, {"recycle_above": 100}, {"packages": ["x"]}, {"restart": True}):
        with pytest.raises(workerlib.NotSupportedError, match=next(iter(given))):
            await workerlib.pool(SCRIPT, client=client, **given)
    async with workerlib.pool(SCRIPT, client=client) as pool:
        assert pool.size == 2
        refused: dict[str, Any] = {
            "each": lambda: pool.each,
            "share": lambda: pool.share(limit=1),
            "options": lambda: pool.wait.options(timeout=1),
            "map": lambda: pool.map(pool.double, [1], timeout=1),
        }
        for make in refused.values():
            with pytest.raises(workerlib.NotSupportedError):
                make()
        with pytest.raises(workerlib.NotSupportedError, match="is a stream"):
            await pool.numbers(3)
        with pytest.raises(workerlib.NotSupportedError, match="args\\[0\\]"):
            await pool.double(lambda: 1)
        with pytest.raises(workerlib.NotSupportedError, match="args\\[0\\]\\['x'\\]"):
            await pool.double({"x": items()})
        results = [
            result async for result in pool.map(pool.double, [1, print_it, 2], errors="yield", chunk=3)
        ]
        assert [type(result) for result in results] == [int, workerlib.NotSupportedError, int]
        assert pool.stats().size == 2


def print_it() -> None:
    """A function of this side's."""


async def test_exceptions_keep_their_traceback(client: Any) -> None:
    """An exception has its class and the frames of the worker's script."""
    async with workerlib.pool(SCRIPT, client=client) as pool:
        with pytest.raises(ValueError, match="13 is odd") as caught:
            await pool.check(13)
        assert any(entry.name == "check" for entry in caught.traceback)


async def test_functions_graphs_and_executor(client: Any) -> None:
    """`run`, `compute`, `get` and `executor` use the cluster's own ways."""
    import math
    import operator

    async with workerlib.pool(SCRIPT, client=client) as pool:
        assert await pool.run(math.gcd, 12, 18) == 6
        assert await pool.run(lambda number: number + 1, 1, by="cloudpickle") == 2
        value = dask.delayed(operator.add)(1, 2)
        assert await pool.compute(value, 7) == (3, 7)
        assert await pool.get({"x": 1, "y": (operator.add, "x", 1)}, ["x", "y"]) == [1, 2]
        if client.asynchronous:
            with pytest.raises(workerlib.NotSupportedError, match="asynchronous"):
                _ = pool.scheduler
        else:
            assert await asyncio.to_thread(lambda: value.compute(scheduler=pool.scheduler)) == 3
        executor = pool.executor
        assert await asyncio.to_thread(lambda: list(executor.map(pool.double, range(5)))) == [0, 2, 4, 6, 8]


async def test_scripts_that_cannot_be_used(client: Any, tmp_path: Path) -> None:
    """A script that is not there, has no name to import, or fails, is the pool's error."""
    with pytest.raises(workerlib.NoSuchWorkerError, match="nowhere"):
        await workerlib.pool(tmp_path / "nowhere.py", client=client)
    odd = tmp_path / "not-a-name.py"
    odd.write_text("")
    with pytest.raises(workerlib.ConnectError, match="rename the file"):
        await workerlib.pool(odd, client=client)
    failing = tmp_path / f"fails_{'a' if client.asynchronous else 'b'}.py"
    failing.write_text("raise LookupError('nothing here')")
    with pytest.raises(workerlib.WorkerStartError, match="nothing here") as caught:
        await workerlib.pool(failing, client=client)
    assert isinstance(caught.value.__cause__, LookupError)


async def test_deaths() -> None:
    """A task whose worker dies is lost, or runs again by the pool's own retries."""
    with cluster(0) as address:
        async with (
            Client(address, asynchronous=True, set_as_default=False) as client,
            workerlib.pool(SCRIPT, client=client) as pool,
        ):
            with pytest.raises(workerlib.WorkerDiedError, match="while it ran die"):
                await pool.die(5)
            with pytest.raises(workerlib.WorkerDiedError, match="not tried again"):
                await pool.die.options(retries=5)(5)
            assert await pool.double(4) == 8


async def test_a_cluster_that_runs_tasks_again_unasked() -> None:
    """Its setting allowed-failures is not 0, of which a warning tells."""
    with cluster(3) as address:
        async with Client(address, asynchronous=True, set_as_default=False) as client:
            with pytest.warns(UserWarning, match="allowed-failures"):
                pool = await workerlib.pool(SCRIPT, client=client)
            assert await pool.double(4) == 8
            await pool.close()
