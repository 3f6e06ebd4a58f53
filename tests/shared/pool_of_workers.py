"""A worker that has a pool of its own workers, for the tests of pools in workers."""

from __future__ import annotations

import workerlib


@workerlib.export
async def doubled(count: int) -> list[int]:
    """Doubles the numbers below `count` on a pool of this worker's."""
    async with workerlib.pool("/shared/pool_worker.py", size=2) as pool:
        return [result async for result in pool.map(pool.double, range(count))]
