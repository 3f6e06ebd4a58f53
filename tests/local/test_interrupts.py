"""Sync functions are interrupted by a signal: the call that was meant, and nothing else."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import workerlib
from workerlib._rpc import connection, repeated_interrupts

SCRIPT = """
import asyncio, os, signal, time
import workerlib

ended = []

def loop(seconds):
    # A function of its own: CPython 3.13 may leave a `try` around an interrupted loop without its clauses.
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass

@workerlib.export
def compute(seconds=60):
    try:
        loop(seconds)
        ended.append("computed")
    except KeyboardInterrupt:
        ended.append("interrupted")
        raise

@workerlib.export
def sleep(seconds=60):
    try:
        time.sleep(seconds)
    except KeyboardInterrupt:
        ended.append("woken")
        raise

@workerlib.export
async def compute_in_async_function():
    await asyncio.sleep(0)
    compute()

@workerlib.export
async def compute_behind_a_busy_loop(seconds):
    # What the worker does besides its calls is not interrupted; the next step follows before any message is read.
    asyncio.get_running_loop().call_soon(time.sleep, seconds)
    await asyncio.sleep(0)
    compute()

class Spoiler:
    def __del__(self):
        # Python only prints what is raised here.
        ended.append("spoiled")
        loop(60)

@workerlib.export
def compute_behind_a_destructor():
    Spoiler()
    compute()

@workerlib.export
async def save_what_was_computed():
    try:
        loop(60)
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


async def cancelled_after(call: Any, seconds: float) -> float:
    """Cancels a call, and tells how long that took."""
    task = asyncio.ensure_future(call)
    await asyncio.sleep(seconds)
    start = time.perf_counter()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    return time.perf_counter() - start


@pytest.mark.parametrize(
    ("function", "ends"),
    [("compute", "interrupted"), ("sleep", "woken"), ("compute_in_async_function", "interrupted")],
)
async def test_a_cancelled_call_that_computes(script: Path, function: str, ends: str) -> None:
    """It is interrupted, and the worker is free for the next call."""
    async with workerlib.connect(script) as worker:
        await cancelled_after(worker[function](), 0.1)
        async with asyncio.timeout(10):
            assert await worker.take_ended() == [ends]


async def test_a_timeout(script: Path) -> None:
    """It is interrupted as by a cancel."""
    async with workerlib.connect(script) as worker:
        with pytest.raises(TimeoutError):
            await worker.compute.options(timeout=0.1)()
        assert await worker.take_ended() == ["interrupted"]


async def test_what_begins_to_compute_after_it_was_given_up(script: Path) -> None:
    """It is interrupted then: the caller has gone on, but the worker must not compute what nobody wants."""
    async with workerlib.connect(script) as worker:
        busy = connection._GRACE * 3
        start = time.perf_counter()
        with pytest.raises(TimeoutError):
            await worker.compute_behind_a_busy_loop.options(timeout=0.1)(busy)
        assert time.perf_counter() - start < busy
        async with asyncio.timeout(10):
            assert await worker.take_ended() == ["interrupted"]


async def test_an_interrupt_that_python_swallows(script: Path) -> None:
    """Where it is raised in a destructor, which nothing leaves, another one follows."""
    async with workerlib.connect(script) as worker:
        await cancelled_after(worker.compute_behind_a_destructor(), 0.1)
        async with asyncio.timeout(10):
            assert await worker.take_ended() == ["spoiled", "interrupted"]


async def test_a_clean_up_is_neither_interrupted_nor_cancelled(script: Path) -> None:
    """A function hears of a cancel once, though it comes as an interrupt and as a message; its caller waits."""
    async with workerlib.connect(script) as worker:
        await cancelled_after(worker.save_what_was_computed(), 0.1)
        assert await worker.take_ended() == ["saved"]


async def test_what_waits_behind_it_goes_on(script: Path) -> None:
    """Only the call that was cancelled ends."""
    async with workerlib.connect(script) as worker:
        task = asyncio.ensure_future(worker.compute())
        others = [asyncio.ensure_future(worker.count(number)) for number in range(20)]
        await asyncio.sleep(0.1)
        task.cancel()
        assert await asyncio.gather(*others) == list(range(20))
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_cancelled_call_behind_one_that_computes(script: Path) -> None:
    """The one that computes goes on; the one behind it never starts."""
    async with workerlib.connect(script) as worker:
        busy = asyncio.ensure_future(worker.compute(1))
        await asyncio.sleep(0)
        await cancelled_after(worker.sleep(), 0.1)
        await busy
        assert await worker.take_ended() == ["computed"]


async def test_interrupts_that_come_late_hit_nothing(script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls that end at the moment at which they are interrupted leave the next ones alone."""
    monkeypatch.setattr(repeated_interrupts, "_PATIENCE", 0)
    outcomes = Counter[type[BaseException] | None]()
    async with workerlib.connect(script) as worker:
        for number in range(250):
            task = asyncio.ensure_future(worker.compute(0.012))
            await asyncio.sleep(0.002 * (number % 7))
            task.cancel()
            following = worker.count(number)
            (outcome,) = await asyncio.gather(task, return_exceptions=True)
            outcomes[type(outcome)] += 1
            assert await following == number
        ended = Counter(await worker.take_ended())
    # Each kind of lateness has occurred.
    assert ended["computed"] > 10, (ended, outcomes)
    assert ended["interrupted"] > 10, (ended, outcomes)
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
        await asyncio.sleep(0.1)
    with pytest.raises(workerlib.ConnectionClosedError):
        await call
    assert worker.worker.returncode == 0
