"""Timers: when they are due, and that cancelled ones leave nothing in the event loop."""

from __future__ import annotations

import asyncio
import gc
import math
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import pytest
from workerlib._rpc.timers import TimeLimit, Timer, call_at, call_later, sleep


@contextmanager
def noted_delays() -> Iterator[list[float]]:
    """Notes the delays of the timers that are set in the event loop itself."""
    loop: Any = asyncio.get_running_loop()
    original, delays = loop.call_later, []

    def call_later(delay: float, *args: Any, **options: Any) -> Any:
        if delay > 0:
            delays.append(delay)
        return original(delay, *args, **options)

    loop.call_later = call_later
    try:
        yield delays
    finally:
        del loop.call_later


async def test_order() -> None:
    """Timers run in the order of their times, those of the same time in the order in which they were set."""
    loop = asyncio.get_running_loop()
    ran: list[str] = []
    now = loop.time()
    for name, when in (("c", 0.03), ("a", 0.01), ("b", 0.02), ("b again", 0.02)):
        call_at(loop, now + when, ran.append, name)
    call_at(loop, now - 5, ran.append, "past")
    assert ran == []
    await sleep(0.04)
    assert ran == ["past", "a", "b", "b again", "c"]


async def test_not_early() -> None:
    """A timer does not run before its time, and one at infinity never does."""
    loop = asyncio.get_running_loop()
    call_at(loop, math.inf, pytest.fail, "infinity has come")
    times: list[float] = []
    when = loop.time() + 0.02
    call_at(loop, when, lambda: times.append(loop.time()))
    await sleep(0.03)
    assert len(times) == 1
    assert times[0] >= when - 1e-6


async def test_cancelled_timers_leave_nothing() -> None:
    """A thousand timers of a minute that are cancelled set one timer in the loop, and keep no function alive.

    Pyodide's loop keeps each cancelled timer until it is due.
    """

    class Held:
        def method(self) -> None:
            pytest.fail("a cancelled timer has run")

    loop = asyncio.get_running_loop()
    held = [Held() for _ in range(1000)]
    watched = weakref.WeakSet(held)
    with noted_delays() as delays:
        for one in held:
            timer = call_later(loop, 60, one.method)
            timer.cancel()
            timer.cancel()
    del held, one
    gc.collect()
    assert len(delays) <= 1
    assert len(watched) == 0


async def test_cancelled_sleeps_and_limits_leave_nothing() -> None:
    """Neither do sleeps that are cancelled, nor time limits that begin anew."""
    with noted_delays() as delays:
        for _ in range(50):
            task = asyncio.ensure_future(sleep(60))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            async with TimeLimit(60) as limit:
                for _ in range(7):
                    limit.begin_anew()
    assert len(delays) <= 1


async def test_a_timer_that_is_earlier() -> None:
    """A short timer that is set behind a long one runs in its time, and the next short one too."""
    loop = asyncio.get_running_loop()
    far = call_later(loop, 60, pytest.fail, "too early")
    for _ in range(3):
        await asyncio.wait_for(sleep(0.01), 30)
    far.cancel()


async def test_cancelled_when_due() -> None:
    """A timer may be cancelled by another one that is due at the same time."""
    loop = asyncio.get_running_loop()
    when = loop.time() + 0.01
    ran: list[int] = []
    call_at(loop, when, lambda: (ran.append(1), second.cancel()))
    second = call_at(loop, when, ran.append, 2)
    await sleep(0.02)
    assert ran == [1]


async def test_context() -> None:
    """A function is called in the context in which its timer was set; the loop's timer has none of it."""
    variable: ContextVar[str] = ContextVar("variable", default="none")
    loop = asyncio.get_running_loop()
    seen: list[str] = []
    variable.set("first")
    call_later(loop, 0.01, lambda: seen.append(variable.get()))
    variable.set("second")
    call_later(loop, 0.01, lambda: seen.append(variable.get()))
    await sleep(0.02)
    assert seen == ["first", "second"]


async def test_a_function_that_fails() -> None:
    """An exception of one function goes to the loop's exception handler, and the other timers run."""
    loop = asyncio.get_running_loop()
    told: list[Any] = []
    ran: list[int] = []
    loop.set_exception_handler(lambda _, context: told.append(context["exception"]))
    try:
        call_later(loop, 0.01, lambda: 1 / 0)
        call_later(loop, 0.01, ran.append, 1)
        await sleep(0.02)
        call_later(loop, 0.001, ran.append, 2)
        await sleep(0.01)
    finally:
        loop.set_exception_handler(None)
    assert [type(error) for error in told] == [ZeroDivisionError]
    assert ran == [1, 2]


async def test_time_limit() -> None:
    """A block that takes too long ends by a TimeoutError, and its task is not left cancelled."""
    with pytest.raises(TimeoutError):
        async with TimeLimit(0.01):
            await asyncio.Event().wait()
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_time_limit_of_none() -> None:
    """A limit of None never ends the code."""
    async with TimeLimit(None) as limit:
        limit.begin_anew()
        await sleep(0.01)


async def test_time_limit_that_begins_anew() -> None:
    """Each new beginning gives the whole time again, and the limit that is over by then is forgotten."""
    loop: Any = asyncio.get_running_loop()
    real = loop.time
    with pytest.raises(TimeoutError):
        async with TimeLimit(0.05) as limit:
            # The block stays here for a while without giving up control: what was due meanwhile has not run.
            start = real()
            while real() < start + 0.06:
                pass
            limit.begin_anew()
            begun = real()
            await asyncio.Event().wait()
    assert real() >= begun + 0.05 - 1e-6


async def test_time_limit_of_no_time_that_begins_anew() -> None:
    """No step puts the end of a limit of no time off: a block whose steps are quick would never end by it."""
    limit = TimeLimit(0)
    # The step is made before the end that the block's beginning sets.
    asyncio.get_running_loop().call_soon(lambda: limit.begin_anew())
    with pytest.raises(TimeoutError):
        async with limit:
            await asyncio.sleep(0)
            pytest.fail("the block went on")


async def test_time_limit_and_another_end() -> None:
    """A block that is cancelled or fails does so as without a limit."""
    with pytest.raises(KeyError):
        async with TimeLimit(60):
            raise KeyError

    async def limited() -> None:
        async with TimeLimit(60):
            await asyncio.Event().wait()

    task = asyncio.ensure_future(limited())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_timer_leaves_no_cycle() -> None:
    """A timer that has run or was cancelled is freed with its last reference, without a garbage collection."""

    def count() -> int:
        return sum(type(one) is Timer for one in gc.get_objects())

    loop = asyncio.get_running_loop()
    gc.collect()
    gc.disable()
    try:
        before = count()
        for _ in range(10):
            call_later(loop, 60, print).cancel()
        async with TimeLimit(60):
            await sleep(0.001)
        assert count() == before
    finally:
        gc.enable()
