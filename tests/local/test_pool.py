"""Pools of subprocesses: the suite that every pool has to pass, and what is so outside of a browser only."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import workerlib

import pools

SCRIPT = Path(pools.__file__).with_name("pool_worker.py")


def start(**options: Any) -> Any:
    """Starts a pool that runs the suite's script."""
    return workerlib.pool(SCRIPT, **options)


@pytest.mark.parametrize("name", pools.TESTS)
async def test_suite(name: str) -> None:
    """Each test has a pool of its own."""
    async with start(size=2) as pool:
        await pools.run(name, pool, start)


def processes(pool: workerlib.Pool) -> list[Any]:
    """Gives the processes of the workers that run."""
    members = [place.member for place in pool._driver._places]
    return [member.connection.endpoint.process for member in members if member is not None]


@pytest.mark.timeout(480)
@pytest.mark.parametrize(
    ("wanted", "count"), [(40, 400), pytest.param(200, 2000, marks=pytest.mark.repeated)], ids=["40", "200"]
)
async def test_random_kills_lose_nothing(wanted: int, count: int) -> None:
    """Workers are killed at random moments during a map with retries: every result comes once."""
    kills = 0
    chance = random.Random(20)
    async with start(size=2, max_restarts=None, backoff=None, poison_after=None) as pool:

        async def kill() -> None:
            nonlocal kills
            while kills < wanted:
                await asyncio.sleep(chance.uniform(0, 0.02))
                if running := processes(pool):
                    with contextlib.suppress(ProcessLookupError):
                        chance.choice(running).kill()
                    kills += 1

        killing = asyncio.create_task(kill())

        async def numbers() -> AsyncIterator[int]:
            # The items last as long as the kills do.
            for number in range(count):
                yield number
                if number == count // 2:
                    await killing

        results = [result async for result in pool.map(pool.double_slowly, numbers(), retries=1000)]
        assert results == [2 * number for number in range(count)]
        assert kills == wanted


@pytest.mark.parametrize(("cores", "size"), [(1, 1), (3, 3), (4, 4), (64, 4)])
def test_the_size_that_nobody_gives(monkeypatch: pytest.MonkeyPatch, cores: int, size: int) -> None:
    """A pool has as many workers as this process has cores, and four at most."""
    from workerlib._api.pool import default_size

    if not hasattr(os, "sched_getaffinity"):
        monkeypatch.setattr(os, "cpu_count", lambda: cores)
    else:
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)))
    assert default_size() == size
