"""Calls that are given up, connections that are closed, and several of them, whatever carries them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from workerlib import ConnectionClosedError, UnsendableError, Worker

from expecting import raises
from pace import PACE

Connect = Callable[..., AbstractAsyncContextManager[Worker]]


async def test_a_cancelled_call(worker: Worker) -> None:
    """A caller that gives up is free at once; the connection lives on."""
    with raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await worker.hold("never released")
    task = asyncio.ensure_future(worker.hold("cancelled"))
    await asyncio.sleep(0)
    task.cancel()
    with raises(asyncio.CancelledError):
        await task
    assert await worker.add(1, 2) == 3


async def test_a_cancelled_function_may_clean_up(worker: Worker) -> None:
    """An async function gets CancelledError at its await, and may await again before it ends."""
    task = asyncio.ensure_future(worker.clean_up("to be cancelled"))
    while "to be cancelled" not in await worker.held():
        pass
    task.cancel()
    with raises(asyncio.CancelledError):
        await task
    while "to be cancelled" in await worker.held():
        pass
    assert await worker.noted("to be cancelled") == ["cleaned up"]


async def test_cancelling_one_of_many(worker: Worker) -> None:
    """Of many calls at a time, a cancel ends one, and the others go on."""
    keys = [f"one of many {number}" for number in range(50)]
    tasks = [asyncio.ensure_future(worker.hold(key)) for key in keys]
    await asyncio.sleep(0)
    for task in tasks[::3]:
        task.cancel()
    # Only those that were not cancelled are released, so none of the others can have ended before its cancel.
    await asyncio.gather(*(worker.release(key) for number, key in enumerate(keys) if number % 3))
    results = await asyncio.gather(*tasks, return_exceptions=True)
    for number, result in enumerate(results):
        if number % 3:
            assert result == keys[number]
        else:
            assert isinstance(result, asyncio.CancelledError)


async def test_a_call_cancelled_before_it_is_sent(worker: Worker) -> None:
    """A task that never ran sends nothing."""
    task = asyncio.ensure_future(worker.note("cancelled early", 1))
    task.cancel()
    with raises(asyncio.CancelledError):
        await task
    await worker.note("cancelled early", 2)
    assert await worker.noted("cancelled early") == [2]


async def test_a_timeout_for_one_call(worker: Worker) -> None:
    """It counts from the start of the run: what waits behind a busy function has all its time left."""
    with raises(TimeoutError):
        await worker.hold.options(timeout=0.05)("timed out")
    while "timed out" in await worker.held():
        pass
    # On a busy machine a short call may take longer than a short limit.
    for seconds in (0.2, 1, PACE):
        busy = asyncio.ensure_future(worker.busy(1.5 * seconds))
        await asyncio.sleep(0)
        result = await asyncio.gather(worker.add.options(timeout=seconds)(1, 2), return_exceptions=True)
        assert await busy > 0
        if result == [3]:
            return
    raise AssertionError(result)


async def test_more_calls_than_may_be_in_flight(connect: Connect) -> None:
    """The calls beyond the limit wait for their turn, and none is lost."""
    async with connect(max_in_flight=2) as worker:
        calls = [worker.note("window", number) for number in range(20)]
        slow = [worker.add_slowly(number, 1) for number in range(20)]
        await asyncio.gather(*calls, *slow)
        assert await worker.noted("window") == list(range(20))


async def test_a_strict_connection(connect: Connect) -> None:
    """It refuses arguments that would arrive as something like them."""
    async with connect(strict=True) as worker:
        with raises(UnsendableError, r"args\[0\]: .*generator"):
            await worker.echo(number for number in range(3))
        assert await worker.squares(3) == [0, 1, 4]


async def test_several_connections(worker: Worker, connect: Connect) -> None:
    """They are independent: closing one leaves the others as they are."""
    async with connect() as one, connect() as other:
        assert dir(one) == dir(other) == dir(worker)
        assert await asyncio.gather(*(each.add(1, 2) for each in (one, other, worker))) == [3, 3, 3]
        one.close()
        with raises(ConnectionClosedError):
            await one.add(1, 2)
        assert await other.add(1, 2) == 3


async def test_async_with_closes(connect: Connect) -> None:
    """The connection is open inside of the block and closed after it, by an exception too."""
    async with connect() as worker:
        assert await worker.add(1, 2) == 3
        assert not worker.closed
    assert worker.closed
    with raises(ConnectionClosedError):
        await worker.add(1, 2)
    with raises(KeyError):
        async with connect() as worker:
            raise KeyError("from the block")
    with raises(ConnectionError):
        await worker.add(1, 2)


async def test_closing_ends_calls_in_flight(connect: Connect) -> None:
    """Nobody waits for an answer that cannot come."""
    async with connect() as worker:
        # Gathered before they fail: Pyodide tells the console of a task that fails while nobody waits for it.
        calls = asyncio.gather(*(worker.hold(f"closing {n}") for n in range(3)), return_exceptions=True)
        while len(await worker.held("closing")) < 3:
            pass
        worker.close()
        async with asyncio.timeout(5 * PACE):
            errors = await calls
        assert [type(error) for error in errors] == [ConnectionClosedError] * 3
        assert len({id(error) for error in errors}) == 3
        with raises(ConnectionClosedError):
            await worker.add(1, 2)
        worker.close()
