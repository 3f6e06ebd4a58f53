"""A thousand connections with callbacks come and go, and leave neither references nor tasks."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections import Counter
from typing import Any

import pytest
import workerlib

from pace import seconds

_CYCLES = 1_000


def _left() -> Counter[str]:
    """Counts the objects of this package, and the tasks."""
    gc.collect()
    left = Counter(
        f"{kind.__module__}.{kind.__qualname__}"
        for kind in map(type, gc.get_objects())
        # A class may have something else by that name.
        if str(kind.__module__).startswith(("workerlib._rpc", "workerlib._native", "workerlib._channels"))
    )
    left["tasks"] = len(asyncio.all_tasks())
    return left


@pytest.mark.skipif(sys.platform == "emscripten", reason="the loop of a page ends ports in its own time")
async def test_nothing_is_left_of_a_thousand_connections(connect: Any) -> None:
    """Callbacks that were called, awaited, kept by the worker and returned to the page end with their connection."""
    kept: dict[str, Any] = {}

    @workerlib.export
    async def use(callback: Any) -> Any:
        callback(1)
        assert await callback(2) == 4
        kept["callback"] = callback
        return lambda: "of the worker"

    async def cycle() -> None:
        async with connect() as worker:
            function = await worker.use(lambda value: 2 * value)
            assert await function() == "of the worker"

    for _ in range(10):
        await cycle()
    before = _left()
    for _ in range(_CYCLES):
        await cycle()
    async with asyncio.timeout(seconds(20)):
        # The loop may have callbacks left, which run a little later.
        while (more := _left() - before).total() > 0:
            await asyncio.sleep(0.05)
    assert not more
