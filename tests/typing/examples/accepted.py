"""What type checkers must accept, and know the types of."""

from __future__ import annotations

from typing import assert_type

import stats_worker
import workerlib
from interfaces import Counting, Stats
from stats_worker import Summary


async def main() -> None:
    """Uses a worker in each way."""
    worker = await workerlib.connect("stats", interface=Stats)
    assert_type(worker, Stats)
    assert_type(await worker.mean([1.0, 2]), float)
    assert_type(await worker.mean([1.0], 2.0, digits=3), float)
    assert_type(await worker.describe(1.0, 2.0, name="both"), Summary)
    assert_type((await worker.describe(1.0)).count, int)
    assert_type(worker.name, str)
    assert_type(worker.closed, bool)
    worker.close()

    async with workerlib.connect(interface=Counting, timeout=5, strict=True) as counting:
        assert_type(counting, Counting)
        assert_type(await counting.count({"a": [1]}), int)

    plain = await workerlib.connect("stats")
    assert_type(plain, workerlib.Worker)
    await plain.anything(1, x=2)
    checked = await workerlib.connect("stats", interface=stats_worker)
    assert_type(checked, workerlib.Worker)
    await checked.mean([1.0])
