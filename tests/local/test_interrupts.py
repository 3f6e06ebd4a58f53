"""Sync functions are interrupted by a signal: the call that was meant, and nothing else."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import workerlib
from workerlib._rpc import connection, repeated_interrupts

from pace import PACE

SCRIPT = """
import asyncio, os, pathlib, signal, time
import workerlib

ended = []

# The words between the test and functions that compute, which no message reaches: files.
BEGUN, RELEASED = pathlib.Path(__file__).with_name("begun"), pathlib.Path(__file__).with_name("released")

def loop(seconds=600):
    # A function of its own: CPython 3.13 may leave a `try` around an interrupted loop without its clauses.
    BEGUN.touch()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass

def wait_for_release():
    BEGUN.touch()
    while not RELEASED.exists():
        time.sleep(0.01)

@workerlib.export
def compute(seconds=600):
    try:
        loop(seconds)
        ended.append("computed")
    except KeyboardInterrupt:
        ended.append("interrupted")
        raise

@workerlib.export
def compute_until_released():
    wait_for_release()
    ended.append("computed")

@workerlib.export
def sleep():
    try:
        BEGUN.touch()
        time.sleep(600)
    except KeyboardInterrupt:
        ended.append("woken")
        raise

@workerlib.export
async def compute_in_async_function():
    await asyncio.sleep(0)
    compute()

@workerlib.export
async def compute_behind_a_busy_loop():
    # Code that the worker runs besides its calls is not interrupted; the next step follows before any message is read.
    asyncio.get_running_loop().call_soon(wait_for_release)
    await asyncio.sleep(0)
    compute()

class Spoiler:
    def __del__(self):
        # Python only prints what is raised here.
        ended.append("spoiled")
        loop()

@workerlib.export
def compute_behind_a_destructor():
    try:
        Spoiler()
        loop()
    except KeyboardInterrupt:
        ended.append("interrupted")
        raise

@workerlib.export
async def save_what_was_computed():
    try:
        loop()
    finally:
        await asyncio.sleep(0.05)
        loop(0.3)
        ended.append("saved")

@workerlib.export
def clean_up():
    try:
        compute()
    except KeyboardInterrupt:
        return "cleaned up"

@workerlib.export
def compute_rows():
    yield 1
    compute()

class Rows:
    # Its methods compute before they return an iterator, as only a call of them tells.
    def rows(self) -> "Iterator[int]":
        compute()
        return iter([1])

    async def rows_later(self) -> "Iterator[int]":
        await asyncio.sleep(0)
        return self.rows()

@workerlib.export
def remote_rows():
    return workerlib.remote(Rows())

@workerlib.export
def count(number):
    return number

@workerlib.export
def take_ended():
    taken = list(ended)
    ended.clear()
    return taken

@workerlib.export
def hear_ctrl_c():
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.05)
    return "heard, and not interrupted"
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """The worker's script."""
    path = tmp_path / "worker.py"
    path.write_text(SCRIPT)
    return path


async def begun(script: Path) -> None:
    """Waits until a function of the worker computes, or sleeps."""
    while not script.with_name("begun").exists():
        await asyncio.sleep(0.01)


async def cancel_when_begun(script: Path, call: Any) -> None:
    """Cancels a call whose function computes, or sleeps."""
    task = asyncio.ensure_future(call)
    # A stream reads ahead, so its function may have begun already: a task that is cancelled before its first
    # step never makes it.
    await asyncio.sleep(0)
    await begun(script)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize(
    ("function", "ends"),
    [("compute", "interrupted"), ("sleep", "woken"), ("compute_in_async_function", "interrupted")],
)
async def test_a_cancelled_call_that_computes(script: Path, function: str, ends: str) -> None:
    """It is interrupted, and the worker is free for the next call."""
    async with workerlib.connect(script) as worker:
        await cancel_when_begun(script, worker[function]())
        assert await worker.take_ended() == [ends]


async def test_a_timeout(script: Path) -> None:
    """A function that computes beyond its timeout is interrupted, as by a cancel."""
    async with workerlib.connect(script) as worker:
        with pytest.raises(TimeoutError):
            await worker.compute.options(timeout=0.1 * PACE)()
        assert await worker.take_ended() == ["interrupted"]


async def test_what_begins_to_compute_after_it_was_given_up(
    script: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is interrupted then: the caller has gone on, but the worker must not compute what nobody wants."""
    monkeypatch.setattr(connection, "_GRACE", 0.5)
    async with workerlib.connect(script) as worker:
        with pytest.raises(TimeoutError):
            await worker.compute_behind_a_busy_loop.options(timeout=0.1)()
        # The worker was busy until now, and so could not answer.
        script.with_name("released").touch()
        assert await worker.take_ended() == ["interrupted"]


async def test_an_interrupt_that_python_swallows(script: Path) -> None:
    """Where it is raised in a destructor, which nothing leaves, another one follows."""
    async with workerlib.connect(script) as worker:
        await cancel_when_begun(script, worker.compute_behind_a_destructor())
        assert await worker.take_ended() == ["spoiled", "interrupted"]


async def test_a_clean_up_is_neither_interrupted_nor_cancelled(script: Path) -> None:
    """A function hears of a cancel once, though it comes as an interrupt and as a message; its caller waits."""
    async with workerlib.connect(script) as worker:
        await cancel_when_begun(script, worker.save_what_was_computed())
        assert await worker.take_ended() == ["saved"]


async def test_what_waits_behind_it_goes_on(script: Path) -> None:
    """An interrupt ends the call that was cancelled, and none that waits behind it."""
    async with workerlib.connect(script) as worker:
        task = asyncio.ensure_future(worker.compute())
        others = [asyncio.ensure_future(worker.count(number)) for number in range(20)]
        await begun(script)
        task.cancel()
        assert await asyncio.gather(*others) == list(range(20))
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_cancelled_call_behind_one_that_computes(
    script: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that computes goes on; the one behind it never starts."""
    monkeypatch.setattr(connection, "_GRACE", 0.5)
    async with workerlib.connect(script) as worker:
        busy = asyncio.ensure_future(worker.compute_until_released())
        await begun(script)
        await cancel_when_begun(script, worker.sleep())
        script.with_name("released").touch()
        await busy
        assert await worker.take_ended() == ["computed"]


async def test_interrupts_that_come_late_hit_nothing(script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls that end at the moment at which they are interrupted leave the next ones alone."""
    monkeypatch.setattr(repeated_interrupts, "_PATIENCE", 0)
    outcomes = Counter[type[BaseException] | None]()
    ended = Counter[str]()
    delay = 0.006
    async with workerlib.connect(script) as worker:
        # Until each kind of lateness has occurred, however fast this machine is.
        while outcomes.total() < 250 or min(ended["computed"], ended["interrupted"]) < 10:
            task = asyncio.ensure_future(worker.compute(0.012))
            await asyncio.sleep(delay)
            task.cancel()
            following = worker.count(outcomes.total())
            (outcome,) = await asyncio.gather(task, return_exceptions=True)
            assert await following == outcomes.total()
            outcomes[type(outcome)] += 1
            ends = await worker.take_ended()
            ended.update(ends)
            # The next cancel comes earlier if this one came too late, and later if it came too early.
            delay = max(0, delay - 0.002) if "computed" in ends else min(0.012, delay + 0.002)
    assert set(outcomes) <= {type(None), asyncio.CancelledError}


async def test_ctrl_c_in_a_terminal(script: Path) -> None:
    """It reaches every process there, and is nothing to the worker."""
    async with workerlib.connect(script) as worker:
        assert await worker.hear_ctrl_c() == "heard, and not interrupted"


@pytest.mark.parametrize("function", ["compute", "sleep"])
async def test_closing_interrupts(script: Path, function: str) -> None:
    """A worker that computes is interrupted, so its process can end at once, and as it should."""
    async with workerlib.connect(script) as worker:
        call = asyncio.ensure_future(worker[function]())
        await begun(script)
    with pytest.raises(workerlib.ConnectionClosedError):
        await call
    assert worker.worker.returncode == 0


async def test_a_stream_that_computes(script: Path) -> None:
    """A cancelled step, a `break` and `aclose()` interrupt a sync generator, also one that reads ahead."""
    async with workerlib.connect(script) as worker:
        stream = worker.compute_rows()
        assert await anext(stream) == 1
        await cancel_when_begun(script, anext(stream))
        assert await worker.take_ended() == ["interrupted"]
        with pytest.raises(StopAsyncIteration):
            await anext(stream)
        for end in ("break", "aclose"):
            script.with_name("begun").unlink()
            async with worker.compute_rows() as rows:
                async for _ in rows:
                    await begun(script)
                    break
                if end == "break":
                    del rows
            assert await worker.take_ended() == ["interrupted"]
        assert worker._connection._session.streams == (0, 0)


@pytest.mark.parametrize("method", ["rows", "rows_later"])
async def test_a_method_that_computes_before_its_stream(script: Path, method: str) -> None:
    """It is interrupted as any other code of a call, whether its caller awaits it or asks for a stream."""
    async with workerlib.connect(script) as worker:
        handle = await worker.remote_rows()
        for call in (anext(getattr(handle, method)()), getattr(handle, method)()):
            script.with_name("begun").unlink(missing_ok=True)
            await cancel_when_begun(script, call)
            assert await worker.take_ended() == ["interrupted"]
        assert worker._connection._session.streams == (0, 0)
