"""A Worker that nobody holds any more: its process ends, with a warning."""

from __future__ import annotations

import asyncio
import gc
import weakref
from pathlib import Path

import pytest
import workerlib

SCRIPT = """
import asyncio
import workerlib

@workerlib.export
def add(left, right):
    return left + right

@workerlib.export
async def slowly(number):
    for item in range(number):
        yield item
        await asyncio.sleep(0.1)

@workerlib.export
def endless():
    number = 0
    while True:
        yield number
        number += 1

@workerlib.export
async def later(value):
    await asyncio.sleep(0.3)
    return value
"""


async def test_a_worker_that_is_dropped(tmp_path: Path) -> None:
    """Its connection closes with a ResourceWarning that names the worker and the remedy, and its process ends."""
    script = tmp_path / "dropped.py"
    script.write_text(SCRIPT)
    worker = await workerlib.connect(script)
    process, connection = worker.worker, worker._connection
    message = r"the worker '.*dropped\.py' was dropped .* `await worker\.close\(\)`"
    with pytest.warns(ResourceWarning, match=message):  # noqa: PT031 - a warning of the loop
        del worker
        gc.collect()
        await connection.closed
    await process.wait()


async def test_what_keeps_it_open(tmp_path: Path) -> None:
    """A function that was taken from it, and a call in flight, keep the connection open."""
    script = tmp_path / "kept.py"
    script.write_text(SCRIPT)
    worker = await workerlib.connect(script)
    connection, add = worker._connection, worker.add
    call = asyncio.ensure_future(worker.later("kept"))
    with pytest.warns(ResourceWarning):  # noqa: PT031 - a warning of the loop
        del worker
        gc.collect()
        assert await call == "kept"
        await asyncio.sleep(0.3)
        assert await add(1, 2) == 3
        del add
        gc.collect()
        await connection.closed


async def test_a_call_of_a_worker_that_nobody_holds(tmp_path: Path) -> None:
    """A call that is under way keeps its connection open until the answer is there."""
    script = tmp_path / "temporary.py"
    script.write_text(SCRIPT)
    with pytest.warns(ResourceWarning):  # noqa: PT031 - a warning of the loop
        worker = await workerlib.connect(script)
        connection = worker._connection
        task = asyncio.create_task(worker.later(5))
        del worker
        assert await task == 5
        await connection.closed


async def test_a_stream_of_a_worker_that_nobody_holds(tmp_path: Path) -> None:
    """It goes on to its end, and its end frees the connection."""
    script = tmp_path / "streaming.py"
    script.write_text(SCRIPT)
    worker = await workerlib.connect(script)
    connection = worker._connection
    stream = worker.slowly(8)
    del worker
    with pytest.warns(ResourceWarning):  # noqa: PT031 - a warning of the loop
        assert [item async for item in stream] == list(range(8))
        await connection.closed


async def test_a_stream_that_outlives_its_connection(tmp_path: Path) -> None:
    """It gives what had come, and then the error: nobody is granted credit for that."""
    script = tmp_path / "outlived.py"
    script.write_text(SCRIPT)
    worker = await workerlib.connect(script)
    stream = worker.endless.options(ahead=8)()
    assert await anext(stream) == 0
    # Its answer comes behind the items.
    assert await worker.add(1, 2) == 3
    await worker.close()
    connection = weakref.ref(worker._connection)
    del worker
    gc.collect()
    assert connection() is None
    items = []
    with pytest.raises(workerlib.ConnectionClosedError):
        async for item in stream:
            items.append(item)
    assert items == list(range(1, len(items) + 1))
    assert len(items) > 4


async def test_close_may_be_awaited(tmp_path: Path) -> None:
    """`await worker.close()` returns when the process has ended; `worker.close()` alone does not wait."""
    script = tmp_path / "closed.py"
    script.write_text(SCRIPT)
    worker = await workerlib.connect(script)
    await worker.close()
    assert worker.worker.returncode is not None
