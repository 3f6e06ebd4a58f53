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
    for name in (test.removeprefix("test_") for test in shared_tests.names_in("pools"))
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

    def start(**options: Any) -> Any:
        return workerlib.pool("/shared/pool_worker.py", **options)

    async with start(size=2) as pool:
        for name in ("calls_and_names", "map_in_order", "shared_values", "time_limits"):
            await pools.run(name, pool, start)
    await pools.test_a_death_costs_one_item(start)


@pytest.mark.parametrize(
    "name", [name.removeprefix("test_") for name in shared_tests.names_in("blocking_pools")]
)
@in_page(page="plain_page")
async def test_sync_code_that_waits(name: str, workerlib: Any) -> None:
    """Where the browser has JSPI, sync code waits for an executor's futures and for dask; elsewhere that is refused."""
    import blocking_pools

    await blocking_pools.TESTS[name](lambda **options: workerlib.pool("/shared/pool_worker.py", **options))


@pytest.mark.parametrize(
    ("wanted", "count"), [(8, 400), pytest.param(40, 2000, marks=pytest.mark.repeated)], ids=["few", "many"]
)
@in_page(page="plain_page")
async def test_random_kills_lose_nothing(wanted: int, count: int, workerlib: Any) -> None:
    """Workers that are terminated at random moments during a map with retries: every result comes once, in its place.

    `cargo xtask bench --only pools` kills 200 during a map of 2,000, for which a test takes too long.
    """
    import asyncio
    import random

    killed = 0
    chance = random.Random(20)
    options = {"size": 2, "max_restarts": None, "backoff": None, "poison_after": None}
    async with workerlib.pool("/shared/pool_worker.py", **options) as pool:

        async def kill() -> None:
            nonlocal killed
            while killed < wanted:
                await asyncio.sleep(chance.uniform(0, 0.05))
                members = [place.member for place in pool._driver._places if place.member is not None]
                members = [member for member in members if not member.is_gone]
                if members:
                    chance.choice(members).terminate()
                    killed += 1

        killing = asyncio.create_task(kill())

        async def numbers() -> Any:
            # The items last as long as the kills do.
            for number in range(count):
                yield number
                if number == count // 2:
                    await killing

        results = [result async for result in pool.map(pool.double_slowly, numbers(), retries=10_000)]
        assert results == [2 * number for number in range(count)]
        assert killed == wanted


@pytest.mark.parametrize("times", [8, pytest.param(40, marks=pytest.mark.repeated)])
@in_page(page="plain_page")
async def test_many_restarts_leave_nothing(times: int, workerlib: Any) -> None:
    """A worker that dies and is started again, again and again, leaves no proxy and none of this library's objects in the page.

    Each of a thousand restarts would leave as much as each of these: `cargo xtask bench --only pools` makes a thousand.
    """
    import asyncio
    import gc

    import pyodide_js

    options = {"size": 1, "max_restarts": None, "backoff": None, "poison_after": None}
    async with workerlib.pool("/shared/pool_worker.py", **options) as pool:

        async def die(count: int) -> None:
            for _ in range(count):
                try:
                    await pool.die(5)
                except workerlib.WorkerDiedError:
                    continue
                raise AssertionError("the worker lives")
            assert await pool.double(1) == 2

        async def counted() -> tuple[int, int]:
            smallest = None
            # The frames of a call that has just ended are let go a little later.
            for _ in range(10):
                gc.collect()
                own = sum(type(one).__module__.startswith("workerlib") for one in gc.get_objects())
                now = pyodide_js._module.pyproxy_alloc_map.size, own
                smallest = now if smallest is None else tuple(map(min, smallest, now))
                await asyncio.sleep(0.02)
            return smallest

        pyodide_js._module.enable_pyproxy_allocation_tracing()
        try:
            await die(3)
            proxies, objects = await counted()
            await die(times)
            more_proxies, more_objects = await counted()
        finally:
            pyodide_js._module.disable_pyproxy_allocation_tracing()
        assert more_proxies <= proxies, f"{more_proxies - proxies} proxies are left of {times} restarts"
        assert more_objects <= objects + times // 4, (
            f"{more_objects - objects} objects are left of {times} restarts"
        )
        assert pool.stats().restarts == times + 3


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
