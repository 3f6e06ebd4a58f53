"""Subprocesses that are started again: the suite of every host, and what is left of a hundred restarts."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import pytest
import workerlib

import restarts

SCRIPT = Path(restarts.__file__).with_name("pool_worker.py")


def start(**options: Any) -> Any:
    """Starts a worker that runs the script of the pools' suite."""
    return workerlib.connect(SCRIPT, **options)


@pytest.mark.parametrize("name", restarts.TESTS)
async def test_suite(name: str) -> None:
    """Restarts of a subprocess pass the tests that every host has to pass."""
    await restarts.TESTS[name](start)


@pytest.mark.parametrize("times", [5, pytest.param(100, marks=pytest.mark.repeated)])
async def test_restarts_leave_nothing_behind(times: int) -> None:
    """The number of objects stays what it is, however often a worker is started again."""
    async with start() as worker:

        async def objects() -> int:
            assert await worker.double(1) == 2
            gc.collect()
            return len(gc.get_objects())

        for _ in range(3):
            await worker.restart()
        before = await objects()
        for _ in range(times):
            await worker.restart()
        # A connection with its functions has more than a hundred.
        assert await objects() - before < 100
