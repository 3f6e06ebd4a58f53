"""Pools of spawned workers, in a page without PyScript and in one with it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import shared_tests
from engines import AnyBrowser
from in_page import in_page
from pyscript_page import PyScriptPage

# A pool's own code is the same on every host, and subprocesses run the whole suite (tests/local). These need the page's workers.
OF_PAGES = {
    "calls_and_names",
    "both_workers_work",
    "time_limits",
    "a_death_costs_one_item",
    "a_task_that_cannot_be_interrupted",
    "shared_values",
    "map_in_order",
}
NAMES = [
    pytest.param(name, marks=() if name in OF_PAGES else pytest.mark.repeated)
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
