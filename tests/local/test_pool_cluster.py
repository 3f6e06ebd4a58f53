"""Pools on a real dask cluster: two processes, and a scheduler in a process of its own; docs/scaling.md is the table."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import dask
import pytest
import workerlib
from distributed import Client, KilledWorker

import pools
from pace import PACE

SCRIPT = Path(pools.__file__).with_name("pool_worker.py")
HERE = Path(__file__).parent

TABLE = Path(__file__).parents[2] / "docs" / "scaling.md"

# The tests of the suite that every pool has to pass which are none for a cluster, by the row of the table that says why.
OTHERWISE = {
    "which worker runs a call": {
        "both_workers_work",
        "a_chunk_follows_another",
        "map_as_completed",
        "map_gives_back_what_waits_behind_slow_items",
        "two_workers_are_faster_than_one",
    },
    "arguments and results": {
        "map_of_quick_items",
        "map_of_values_that_cannot_be_sent",
        "errors_name_the_places_that_users_know",
    },
    "functions and streams among arguments": {
        "callbacks_and_streams",
        "nested_calls",
        "nested_maps",
        "a_nested_map_that_cannot_begin",
        "a_task_with_an_iterator_runs_once",
    },
    "reports": {"reports"},
    "cancel": {"break_ends_a_map", "cancel", "closing"},
    "`timeout=`": {"time_limits", "a_task_that_cannot_be_interrupted", "the_options_of_a_maps_function"},
    "`each`, `share`": {
        "each_and_share_reach_later_workers",
        "each_and_share_refuse_iterators",
        "each_refuses_streams",
        "each_while_a_worker_is_interrupted",
        "each_that_fails",
        "each_without_a_worker",
        "each_that_is_cancelled",
        "shared_values",
        "an_idempotent_export_runs_again",
    },
    "the death of a worker costs": {
        "a_death_costs_one_item",
        "a_death_in_a_large_chunk",
        "a_map_whose_function_has_retries",
        "poison",
    },
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
def running_cluster(
    allowed_failures: int = 0, port: int = 0, workers: str = "threads"
) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Runs a cluster whose workers are processes, or threads of its scheduler's process.

    It gives its scheduler's address, and the process of its scheduler.
    """
    command = [sys.executable, str(HERE / "cluster.py"), str(allowed_failures), str(port), workers]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            address = process.stdout.readline().strip()
            assert address.startswith("tcp://127.0.0.1:")
            yield address, process
            process.stdin.close()
            process.wait(60 * PACE)
        finally:
            # Popen itself waits for its process without a limit, also after an error.
            process.kill()


@contextlib.asynccontextmanager
async def connected(address: str, kind: str, timeout: float = 60) -> AsyncIterator[Any]:
    """Gives a client of either kind, which tries for so many seconds to connect."""
    if kind == "asynchronous":
        async with Client(address, asynchronous=True, set_as_default=False, timeout=timeout) as client:
            yield client
    else:
        client = await asyncio.to_thread(Client, address, set_as_default=False, timeout=timeout)
        yield client
        await asyncio.to_thread(client.close)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A cluster of two processes whose scheduler runs no task again by itself."""
    with running_cluster(workers="processes") as (address, _):
        yield address


KINDS = ["asynchronous", "blocking"]


@pytest.fixture(params=KINDS)
async def client(address: str, request: pytest.FixtureRequest) -> AsyncIterator[Any]:
    """A client of either kind."""
    async with connected(address, request.param) as client:
        yield client


async def test_break_ends_a_map_soon(pool: workerlib.Pool) -> None:
    """After `break` the items that wait are dropped; those that run end by themselves."""
    async for _ in pool.map(pool.wait, [0] + [0.05] * 20):
        break
    async with asyncio.timeout(60 * PACE):
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


async def test_values_that_pickle_cannot_take(client: Any) -> None:
    """An argument or a result that does not travel is an UnsendableError, as in every pool."""
    async with workerlib.pool(SCRIPT, client=client) as pool:
        with pytest.raises(workerlib.UnsendableError, match=r"^arguments: .* by pickle"):
            await pool.double(threading.Lock())
        with pytest.raises(workerlib.UnsendableError, match=r"^result: .* by pickle: .*generator"):
            await pool.unsendable(1)
        mapped = pool.map(pool.double, [1, threading.Lock(), 2], errors="yield", chunk=3)
        assert [type(result) for result in [one async for one in mapped]] == [
            int,
            workerlib.UnsendableError,
            int,
        ]


NOTES = """
import workerlib

class Unreadable:
    def __reduce__(self):
        return int, ("no number",)

@workerlib.export
def note(item):
    path, number = item
    with open(path, "a") as file:
        file.write(f"{number}\\n")
    return [number, (part for part in "abc"), Unreadable()][number % 3]
"""


async def test_results_that_pickle_cannot_take(address: str, tmp_path: Path) -> None:
    """A result that cannot be sent, or not be read, costs no other item, and no item runs again because of it."""
    script = tmp_path / "notes_of_items.py"
    script.write_text(NOTES)
    notes = tmp_path / "notes"
    items = [(str(notes), number) for number in range(6)]
    async with connected(address, "asynchronous") as client, workerlib.pool(script, client=client) as pool:
        mapped = pool.map(pool.note, items, errors="yield", chunk=6)
        results = [result async for result in mapped]
    assert notes.read_text().split() == [str(number) for number in range(6)]
    assert results[0::3] == [0, 3]
    for error in (*results[1::3], *results[2::3]):
        assert isinstance(error, workerlib.UnsendableError)
        assert str(error).startswith("result: ")


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


async def test_deaths(address: str) -> None:
    """A task whose worker dies is lost, or runs again by the pool's own retries; the error has the cluster's as its cause."""
    async with (
        Client(address, asynchronous=True, set_as_default=False) as client,
        workerlib.pool(SCRIPT, client=client) as pool,
    ):
        with pytest.raises(workerlib.WorkerDiedError, match="while it ran die") as once:
            await pool.die(5)
        with pytest.raises(workerlib.WorkerDiedError, match="not tried again") as again:
            await pool.die.options(retries=5)(5)
        # A map gives a chunk to the cluster, and not a task.
        (of_map,) = [one async for one in pool.map(pool.die, [5], errors="yield")]
        for error in (once.value, again.value, of_map):
            assert isinstance(error, workerlib.WorkerDiedError)
            assert isinstance(error.__cause__, KilledWorker)
            # The error holds none of the frames of this package, and by them the arguments.
            assert error.__cause__.__traceback__ is None
        assert await pool.double(4) == 8
        # Other tests need both workers.
        await client.wait_for_workers(2)


async def test_a_cluster_that_runs_tasks_again_unasked() -> None:
    """Its setting allowed-failures is not 0, of which a warning tells."""
    with running_cluster(3) as (address, _):
        async with Client(address, asynchronous=True, set_as_default=False) as client:
            with pytest.warns(UserWarning, match="allowed-failures"):
                pool = await workerlib.pool(SCRIPT, client=client)
            assert await pool.double(4) == 8
            await pool.close()


async def outcome(awaitable: Any) -> Any:
    """Awaits something for as long as a test may take; returns its result or its exception."""
    async with asyncio.timeout(60 * PACE):
        (result,) = await asyncio.gather(awaitable, return_exceptions=True)
        return result


async def mapped(pool: workerlib.Pool) -> int:
    """Maps over items without an end, of which each error is yielded; returns only if the map ends."""
    count = 0
    async for _ in pool.map(pool.wait, itertools.repeat(0.1), errors="yield"):
        count += 1
    return count


async def all_begun(pool: workerlib.Pool, count: int) -> None:
    """Waits until so many slots of the pool run tasks."""
    while pool.stats().busy < count:
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_client_that_its_user_closes(address: str, kind: str) -> None:
    """Calls that run, that wait and that come later, maps and graphs raise errors of this library, and none hangs."""
    async with connected(address, kind) as client, workerlib.pool(SCRIPT, client=client) as pool:
        # The cluster's workers serve other tests as well, and nothing interrupts a task that runs.
        running = [asyncio.ensure_future(outcome(pool.wait(5))) for _ in range(2)]
        waiting = asyncio.ensure_future(outcome(pool.double(1)))
        graph = asyncio.ensure_future(outcome(pool.compute(dask.delayed(time.sleep)(5))))
        mapping = asyncio.ensure_future(outcome(mapped(pool)))
        await all_begun(pool, 2)
        await (client.close() if kind == "asynchronous" else asyncio.to_thread(client.close))
        for error in await asyncio.gather(*running):
            assert type(error) is workerlib.WorkerDiedError
            assert "the client of the cluster is clos" in str(error)
        assert type(await waiting) is workerlib.PoolBrokenError
        assert type(await mapping) is workerlib.PoolBrokenError
        assert type(await graph) is workerlib.ConnectionClosedError
        await all_refused(pool, client)


async def all_refused(pool: workerlib.Pool, client: Any) -> None:
    """Checks that a pool which has lost its cluster for good says so whatever it is asked."""
    assert pool.closed
    for asked in (pool.double(1), pool.run(abs, -1), mapped(pool)):
        error = await outcome(asked)
        assert type(error) is workerlib.PoolBrokenError
        assert "the client of the cluster is clos" in str(error)
    for asked in (pool.compute(dask.delayed(abs)(-1)), pool.get({"x": 1}, "x")):
        assert type(await outcome(asked)) is workerlib.ConnectionClosedError
    # Methods that no cluster has are refused as ever.
    with pytest.raises(workerlib.NotSupportedError):
        _ = pool.each
    with pytest.raises(workerlib.NotSupportedError):
        pool.share(limit=1)
    future = pool.executor.submit(pool.double, 1)
    assert type(await outcome(asyncio.wrap_future(future))) is workerlib.PoolBrokenError
    with pytest.raises(workerlib.ConnectError, match="the client of the cluster is closed"):
        await workerlib.pool(SCRIPT, client=client)


async def check_that_a_kill_is_told(pool: workerlib.Pool, client: Any, killed: asyncio.Event) -> None:
    """Asks a pool for all sorts of things, and checks what becomes of them when the scheduler has been killed."""
    future = pool.executor.submit(pool.wait, 600)
    running = asyncio.ensure_future(outcome(pool.wait(600)))
    graph = asyncio.ensure_future(outcome(pool.compute(dask.delayed(time.sleep)(600))))
    mapping = asyncio.ensure_future(outcome(mapped(pool)))
    await all_begun(pool, 2)
    await killed.wait()
    for asked in (running, outcome(asyncio.wrap_future(future))):
        error = await asked
        assert type(error) is workerlib.WorkerDiedError
        assert "the connection to the cluster's scheduler was lost" in str(error)
    assert type(await graph) is workerlib.ConnectionClosedError
    assert type(await mapping) is workerlib.PoolBrokenError
    await all_refused(pool, client)


async def test_a_scheduler_that_is_killed() -> None:
    """Calls that run raise WorkerDiedError at once; the pool is broken when the client has given up."""
    killed = asyncio.Event()
    with running_cluster() as (address, process):
        async with contextlib.AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(connected(address, kind, timeout=1)) for kind in KINDS]
            # A pool asks the workers when it starts, and later each of them is busy.
            started = [
                await stack.enter_async_context(workerlib.pool(SCRIPT, client=client)) for client in clients
            ]
            checks = [
                asyncio.ensure_future(check_that_a_kill_is_told(pool, client, killed))
                for pool, client in zip(started, clients, strict=True)
            ]
            for pool in started:
                await all_begun(pool, 2)
            process.kill()
            killed.set()
            await asyncio.gather(*checks)


async def test_a_scheduler_that_is_started_again() -> None:
    """When the client has a connection again, the pool goes on: with its retries, and with what had not begun."""
    with running_cluster() as (address, process):
        async with connected(address, "asynchronous") as client:
            pool = await workerlib.pool(SCRIPT, client=client)
            running = asyncio.ensure_future(outcome(pool.wait(600)))
            again = asyncio.ensure_future(outcome(pool.wait.options(retries=1)(1)))
            await all_begun(pool, 2)
            waiting = asyncio.ensure_future(outcome(pool.double(4)))
            process.kill()
            await asyncio.to_thread(process.wait)
            assert type(await running) is workerlib.WorkerDiedError
            with running_cluster(port=int(address.rpartition(":")[2]), workers="processes"):
                assert await again == 1
                assert await waiting == 8
                assert await pool.double(5) == 10
                assert pool.stats().parked == 0
                # A restart of all workers costs the calls that run.
                running = asyncio.ensure_future(outcome(pool.wait(600)))
                await all_begun(pool, 1)
                await client.restart()
                assert type(await running) is workerlib.WorkerDiedError
                assert await pool.double(6) == 12
                await pool.close()


async def test_a_cancel_costs_no_other_call_anything(client: Any) -> None:
    """Distributed fetches several results in one task: a call that is cancelled meanwhile takes none from others."""
    async with workerlib.pool(SCRIPT, client=client) as pool:
        for turn in range(30):
            calls = [asyncio.ensure_future(pool.double(number)) for number in range(20)]
            while not any(call.done() for call in calls):
                await asyncio.sleep(0)
            for call in calls[turn % 2 :: 2]:
                call.cancel()
            kept = calls[1 - turn % 2 :: 2]
            assert await asyncio.gather(*kept) == [2 * number for number in range(1 - turn % 2, 20, 2)]


async def test_a_scheduler_that_gives_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pool that cannot be made says so: no connection yet, a scheduler that stands still, one that is gone."""
    from workerlib._pool import cluster as module

    with running_cluster() as (address, process):
        early = Client(address, asynchronous=True, set_as_default=False)
        with pytest.raises(workerlib.ConnectError, match="await it first"):
            await workerlib.pool(SCRIPT, client=early)
        await early
        await early.close()
        async with connected(address, "asynchronous", timeout=1) as client:
            monkeypatch.setattr(module, "_ANSWER", 0.2)
            process.send_signal(signal.SIGSTOP)
            # The signal is on its way: the scheduler may answer until it stands.
            await asyncio.to_thread(os.waitpid, process.pid, os.WUNTRACED)
            with pytest.raises(workerlib.ConnectTimeoutError, match="no answer within 0.2 seconds"):
                await workerlib.pool(SCRIPT, client=client)
            process.kill()
            with pytest.raises(workerlib.ConnectError):
                await workerlib.pool(SCRIPT, client=client)
