"""The states of a pool for which tests wait."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from workerlib import Pool

from pace import PACE

Start = Callable[..., AbstractAsyncContextManager[Pool]]
"""Starts a pool of `pool_worker.py` with the options of `workerlib.pool()`."""


async def all_up(pool: Pool) -> None:
    """Waits until all workers have started."""
    async with asyncio.timeout(60 * PACE):
        while pool.stats().starting:
            await asyncio.sleep(0.01)
