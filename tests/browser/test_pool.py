"""Pools of spawned workers, in a page without PyScript and in one with it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import shared_tests
from engines import AnyBrowser
from in_page import in_page
from pyscript_page import PyScriptPage

OF_HOSTS = shared_tests.value_of("pools", "OF_HOSTS")
# The tests that an engine can change: how workers start, how their messages come, and how their deaths are noticed.
IN_EVERY_ENGINE = {
    "calls_and_names",
    "both_workers_work",
    "map_in_order",
    "time_limits",
    "a_death_costs_one_item",
    "shared_values",
    "closing",
}


def _marks(name: str) -> Iterator[pytest.MarkDecorator]:
    """Tells where a test of the suite runs."""
    if name in IN_EVERY_ENGINE:
        yield pytest.mark.every_engine
        # Starts, deaths and messages of workers are tested there without a pool.
        yield pytest.mark.repeated("firefox", "webkit")
    if name not in OF_HOSTS:
        yield pytest.mark.repeated("chromium")


NAMES = [
    pytest.param(name, marks=list(_marks(name)))
    for module in shared_tests.POOL_MODULES
    for name in (test.removeprefix("test_") for test in shared_tests.names_in(module))
]


@pytest.fixture(scope="module")
def plain_page(browser: AnyBrowser, site: str) -> Iterator[PyScriptPage]:
    """The page without PyScript."""
    with PyScriptPage(browser, site, "spawn.html", faultless=False, has_snapshot=True) as page:
        yield page


@pytest.mark.parametrize("name", NAMES)
@in_page(page="plain_page")
async def test_suite(name: str, workerlib: Any) -> None:
    """Each pool does what every pool has to do; the tests share one that is open."""
    import pools

    def start(**options: Any) -> Any:
        return workerlib.pool("/shared/pool_worker.py", **options)

    if getattr(pools, "kept", None) is None or pools.kept.closed:
        pools.kept = await start(size=2)
    await pools.run(name, pools.kept, start)


RESTARTS = [
    pytest.param(name, marks=pytest.mark.repeated if name == "restarts_are_bounded" else ())
    for name in (test.removeprefix("test_") for test in shared_tests.names_in("restarts"))
]


@pytest.mark.parametrize("name", RESTARTS)
@in_page(page="plain_page")
async def test_restarts(name: str, workerlib: Any) -> None:
    """A spawned worker is started again as any other."""
    import restarts

    await restarts.TESTS[name](lambda **options: workerlib.spawn("/shared/pool_worker.py", **options))


@in_page(page="mishaps")
async def test_restarts_under_pyscript(workerlib: Any, tags: Any, raises: Any) -> None:
    """PyScript keeps the dead worker's name, so a copy of its tag gets another one; the object stays the same."""
    import restarts

    script = """
import asyncio, js, random, workerlib
number = random.SystemRandom().random()

@workerlib.export
def identity(): return number

@workerlib.export
async def die():
    js.self.close()
    await asyncio.sleep(3600)
"""
    tags.worker("phoenix", script)
    async with workerlib.connect("phoenix", restart=True) as worker:
        before = await worker.identity()
        with raises(workerlib.WorkerDiedError):
            await worker.die()
        await restarts.back(worker)
        between = await worker.identity()
        assert worker.name == "phoenix #2"
        await worker.restart()
        after = await worker.identity()
        assert len({before, between, after}) == 3
        tags.adopt(worker.name)


@in_page
async def test_a_page_of_pyscript(workerlib: Any) -> None:
    """A page of PyScript's has pools, too: calls, a map, and a worker that dies and is replaced."""
    import pools
    import pools_deaths

    def start(**options: Any) -> Any:
        return workerlib.pool("/shared/pool_worker.py", **options)

    async with start(size=2) as pool:
        for name in ("calls_and_names", "map_in_order", "shared_values", "time_limits"):
            await pools.run(name, pool, start)
    await pools_deaths.test_a_death_costs_one_item(start)


@pytest.mark.parametrize(
    "name", [name.removeprefix("test_") for name in shared_tests.names_in("blocking_pools")]
)
@in_page(page="plain_page")
async def test_sync_code_that_waits(name: str, workerlib: Any) -> None:
    """Where the browser has JSPI, sync code waits for an executor's futures and for dask; elsewhere that is refused."""
    import blocking_pools

    await blocking_pools.TESTS[name](lambda **options: workerlib.pool("/shared/pool_worker.py", **options))


MANY_SECONDS = 1800
"""The time limit of tests with hundreds of kills, for a fast machine."""

MANY = [pytest.mark.repeated, pytest.mark.timeout(2 * MANY_SECONDS)]


@pytest.mark.parametrize(
    ("name", "kills", "items"),
    [
        ("double_slowly", 4, 200),
        # Deaths are noticed as in the case before; what becomes of quick items is decided by the same code over subprocesses.
        pytest.param("double", 8, 2000, marks=pytest.mark.repeated),
        pytest.param("double_slowly", 200, 2000, marks=MANY),
        pytest.param("double", 50, 20000, marks=MANY),
    ],
    ids=["few", "few-quick", "many", "many-quick"],
)
@in_page(page="plain_page", limit=MANY_SECONDS)
async def test_random_kills_lose_nothing(name: str, kills: int, items: int, workerlib: Any) -> None:
    """Workers that are terminated at random moments during a map with retries: every result comes once, in its place.

    Quick items travel in large chunks, and their outcomes share messages.
    """
    import pool_kills

    async with workerlib.pool("/shared/pool_worker.py", size=2, **pool_kills.UNBOUNDED) as pool:
        results = await pool_kills.kill_during_map(pool, pool[name], kills=kills, items=items)
        assert results == list(range(0, 2 * len(results), 2))


@pytest.mark.parametrize("times", [4, pytest.param(200, marks=MANY)])
@in_page(page="plain_page", limit=MANY_SECONDS)
async def test_many_restarts_leave_nothing(times: int, workerlib: Any) -> None:
    """A worker that dies and is started again, again and again, leaves no proxy and none of this library's objects in the page.

    The connection to a dead worker is freed with its last reference, without a collection: its memory can be used again at once.
    Each of a thousand restarts would leave as much as each of these: `cargo xtask bench --only pools` makes a thousand.
    """
    import pyodide_js

    import pool_kills

    async with workerlib.pool("/shared/pool_worker.py", size=1, **pool_kills.UNBOUNDED) as pool:
        await pool_kills.die_again_and_again(pool, 1)
        left_at_once = await pool_kills.connections_left(pool, 3)
        assert left_at_once <= 0, f"{left_at_once} objects of connections are left of 3 restarts"
        pyodide_js._module.enable_pyproxy_allocation_tracing()
        try:
            # The proxies of a connection that was there before are not counted.
            await pool_kills.die_again_and_again(pool, 1)
            before = await pool_kills.held_by_page()
            await pool_kills.die_again_and_again(pool, times)
            after = await pool_kills.held_by_page()
        finally:
            pyodide_js._module.disable_pyproxy_allocation_tracing()
        left = {what: after[what] - before[what] for what in after}
        assert left["proxies"] <= 0, f"left of {times} restarts: {left}"
        assert left["objects of workerlib"] <= min(times // 4, 20), f"left of {times} restarts: {left}"
        assert pool.stats().restarts == times + 5


@in_page(page="plain_page")
async def test_a_task_with_what_was_transferred_runs_once(workerlib: Any, raises: Any) -> None:
    """The worker that died has it: the error tells of the death, and not of an argument that is gone."""
    import js

    async with workerlib.pool("/shared/pool_worker.py", size=1, backoff=None) as pool:
        take_and_die = pool.take_and_die.options(retries=3)
        with raises(workerlib.WorkerDiedError, "an argument is an iterator, or was transferred"):
            await take_and_die({"buffer": workerlib.transfer(js.ArrayBuffer.new(8))})
        assert pool.stats().restarts <= 1
        assert await pool.double(2) == 4


@in_page(page="plain_page")
async def test_a_pool_of_a_worker(workerlib: Any) -> None:
    """A worker has pools as a page has: its own workers share the work."""
    async with workerlib.spawn("/shared/pool_of_workers.py") as worker:
        assert await worker.doubled(50) == list(range(0, 100, 2))


@in_page
async def test_a_worker_that_is_connected_to_takes_no_functions(
    worker: Any, workerlib: Any, raises: Any
) -> None:
    """The functions by which a pool runs code of the page's exist in workers that the page has started, and in no others."""
    for name, args in (
        ("workerlib:run", (("math", "gcd"), (4, 6), {})),
        ("workerlib:tasks", ([], {}, (1, []))),
    ):
        with raises(workerlib.NotExportedError, name):
            await worker._connection.call(name, args, {})
