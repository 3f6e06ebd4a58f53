"""Pools of subprocesses: the suite that every pool has to pass, and what is so outside of a browser only."""

from __future__ import annotations

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
