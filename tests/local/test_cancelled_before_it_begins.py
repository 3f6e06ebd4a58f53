"""Tasks that are cancelled before their first step: they leave no coroutine that was never awaited."""

from __future__ import annotations

import asyncio
import gc
import warnings
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import workerlib
from workerlib import Pool, Worker

SCRIPT = """
import workerlib

@workerlib.export
def echo(value):
    return value

@workerlib.export
def numbers(count):
    yield from range(count)

@workerlib.export
class Counter:
    def __init__(self):
        self.count = 0

    def add(self, number):
        self.count += number
        return self.count

    def steps(self):
        yield from range(3)
"""

_Start = Callable[[Any], Awaitable[Any]]


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """The script of a worker."""
    path = tmp_path / "cancelled.py"
    path.write_text(SCRIPT)
    return path


@pytest.fixture
def warned() -> Iterator[list[str]]:
    """The warnings of the test."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        texts: list[str] = []
        yield texts
        gc.collect()
        texts.extend(str(warning.message) for warning in caught)
    assert not [text for text in texts if "never awaited" in text], texts


async def _cancel_at_once(awaitable: Awaitable[Any]) -> None:
    task = asyncio.ensure_future(awaitable)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("opening", [workerlib.connect, workerlib.pool])
async def test_what_opens_a_worker(opening: Callable[[Path], Any], script: Path, warned: list[str]) -> None:
    """`connect()` and `pool()` make their inner coroutines when they begin."""
    await _cancel_at_once(opening(script))
    assert warned == []


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"on_output": 1}, id="on_output"),
        pytest.param({"config": {"adapters": {"money": ["Money", "encode", "decode"]}}}, id="adapters"),
        pytest.param({"timeout": "soon"}, id="timeout"),
    ],
)
async def test_bad_arguments(options: dict[str, Any], script: Path, warned: list[str]) -> None:
    """A bad argument is the only complaint: no step of the start was made and not awaited."""
    with pytest.raises((TypeError, workerlib.ConfigError)):
        await workerlib.connect(script, **options)
    assert warned == []


@pytest.mark.parametrize(
    "start",
    [
        pytest.param(lambda worker: worker.echo(1), id="call"),
        pytest.param(lambda worker: worker.echo.options(timeout=60)(1), id="call with options"),
        pytest.param(lambda worker: worker.Counter(), id="object"),
        pytest.param(lambda worker: anext(worker.numbers(3)), id="stream"),
        pytest.param(lambda worker: worker.numbers(3).aclose(), id="end of a stream"),
    ],
)
async def test_what_a_worker_gives(start: _Start, script: Path, warned: list[str]) -> None:
    """A call, an object, a step of a stream."""
    worker: Worker
    async with workerlib.connect(script) as worker:
        await _cancel_at_once(start(worker))
        assert await worker.echo(2) == 2
    assert warned == []


@pytest.mark.parametrize(
    "start",
    [
        pytest.param(lambda counter: counter.add(1), id="method"),
        pytest.param(lambda counter: anext(counter.steps()), id="stream"),
    ],
)
async def test_what_an_object_gives(start: _Start, script: Path, warned: list[str]) -> None:
    """A method, and a method that is a stream."""
    async with workerlib.connect(script) as worker, await worker.Counter() as counter:
        await _cancel_at_once(start(counter))
        assert await counter.add(2) == 2
    assert warned == []


@pytest.mark.parametrize(
    "start",
    [
        pytest.param(lambda pool: pool.echo(1), id="call"),
        pytest.param(lambda pool: anext(pool.map(pool.echo, range(3))), id="map"),
        pytest.param(lambda pool: pool.each["echo"](1), id="each"),
        pytest.param(lambda pool: pool.get({"a": ("echo", 1)}, "a"), id="graph"),
        pytest.param(lambda pool: pool.run("math:sqrt", 4), id="run"),
        pytest.param(lambda pool: pool.close(), id="close"),
    ],
)
async def test_what_a_pool_gives(start: _Start, script: Path, warned: list[str]) -> None:
    """A call, a map, a call of each worker, a graph, a function by its name."""
    pool: Pool
    async with workerlib.pool(script, 1) as pool:
        await _cancel_at_once(start(pool))
        assert await pool.echo(2) == 2
    assert warned == []


def test_a_user_who_forgets_to_await() -> None:
    """Python's warning names the function that the user has called."""
    for opened, name in ((workerlib.connect, "connect"), (workerlib.pool, "pool")):
        with pytest.warns(RuntimeWarning, match=rf"coroutine 'workerlib\.{name}' was never awaited"):
            # Nobody holds it, so it ends here.
            opened("worker.py")
