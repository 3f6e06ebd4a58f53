"""An error is freed with its last reference: none of the frames that it passed waits for the collector.

An exception refers to the frames of its traceback, and these to their variables. A variable of one of workerlib's frames that
leads back to the exception would keep the arguments of the call alive, and with them callbacks and handles of the other side.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import types
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
import workerlib
from workerlib import Worker

from pace import seconds

Connect = Callable[[], AbstractAsyncContextManager[Worker]]


class WrongError(Exception):
    """The exception of these tests."""


def refuse(*_: object) -> None:
    raise WrongError("refused")


async def refuse_later() -> None:
    await asyncio.sleep(0)
    raise WrongError("refused later")


class expected:
    """Takes an exception, and keeps nothing of it, unlike `pytest.raises`."""

    def __init__(self, kind: type[BaseException] = WrongError) -> None:
        self._kind = kind

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        assert kind is not None, f"no {self._kind.__name__}"
        return issubclass(kind, self._kind)


def export_all() -> None:
    """Exports the functions that the scenarios call."""

    @workerlib.export
    def fail(_callback: Any) -> None:
        raise WrongError("in the function")

    @workerlib.export
    async def fail_later(_callback: Any) -> None:
        await asyncio.sleep(0)
        raise WrongError("in the function")

    @workerlib.export
    async def ask(callback: Any) -> Any:
        return await callback()

    @workerlib.export
    async def ask_all(callback: Any) -> Any:
        return await asyncio.gather(callback(), callback(), return_exceptions=False)

    @workerlib.export
    async def catch(callback: Any) -> str:
        try:
            await callback()
        except WrongError:
            return "caught"
        return "nothing raised"

    @workerlib.export
    async def take(callback: Any) -> None:
        reply = callback()
        while not reply.done():
            await asyncio.sleep(0)
        await _take(reply)

    async def _take(reply: Any) -> None:
        reply.result()

    @workerlib.export
    async def drop(callback: Any) -> None:
        callback()
        await asyncio.Event().wait()

    @workerlib.export
    def drop_and_return(callback: Any) -> None:
        callback()

    @workerlib.export
    def report(_callback: Any) -> None:
        workerlib.report(1)

    @workerlib.export
    def unsendable(_callback: Any) -> Any:
        return [object()]

    @workerlib.export
    async def rows(_callback: Any) -> AsyncIterator[int]:
        yield 1
        raise WrongError("in the stream")

    @workerlib.export
    async def numbers(_callback: Any) -> AsyncIterator[int]:
        while True:
            yield 1
            await asyncio.sleep(0)

    @workerlib.export
    async def total(items: Any, _callback: Any) -> int:
        return sum([item async for item in items])

    @workerlib.export
    class Thing:
        def fail(self, _callback: Any) -> None:
            raise WrongError("in the method")


def callback() -> Callable[..., object]:
    """Makes a callback of which nobody else knows."""
    return lambda *_: None


async def _error(worker: Worker) -> None:
    with expected():
        await worker.fail(callback())
    with expected():
        await worker.fail_later(callback())


async def _callback_error(worker: Worker) -> None:
    for failing in (lambda: refuse(), lambda: refuse_later()):
        with expected():
            await worker.ask(failing)
        assert await worker.catch(failing) == "caught"


async def _gathered_callback_errors(worker: Worker) -> None:
    for failing in (lambda: refuse(), lambda: refuse_later()):
        with expected():
            await worker.ask_all(failing)


async def _taken_reply(worker: Worker) -> None:
    with expected():
        await worker.take(lambda: refuse())


async def _dropped_reply(worker: Worker) -> None:
    with expected():
        await worker.drop(lambda: refuse())
    with expected():
        await worker.drop_and_return(lambda: refuse())


async def _cancel(worker: Worker) -> None:
    call = asyncio.ensure_future(worker.drop(callback()))
    await asyncio.sleep(0.01)
    call.cancel()
    with expected(asyncio.CancelledError):
        await call


async def _cancelled_question(worker: Worker) -> None:
    call = asyncio.ensure_future(worker.ask(asyncio.Event().wait))
    await asyncio.sleep(0.01)
    call.cancel()
    with expected(asyncio.CancelledError):
        await call


async def _timeout(worker: Worker) -> None:
    with expected(TimeoutError):
        await worker.drop.options(timeout=0.01)(callback())


async def _report(worker: Worker) -> None:
    with expected():
        await worker.report.options(on_report=lambda _: refuse())(callback())


async def _unsendable(worker: Worker) -> None:
    with expected(workerlib.UnsendableError):
        await worker.total(object(), callback())
    with expected(workerlib.UnsendableError):
        await worker.unsendable(callback())


async def _stream(worker: Worker) -> None:
    with expected():
        async for _ in worker.rows(callback()):
            pass
    async for _ in worker.numbers(callback()):
        break


async def _stream_argument(worker: Worker) -> None:
    async def items() -> AsyncIterator[int]:
        yield 1
        raise WrongError("in the page's stream")

    with expected():
        await worker.total(items(), callback())


async def _object(worker: Worker) -> None:
    thing = await worker.Thing()
    with expected():
        await thing.fail(callback())
    del thing


SCENARIOS = [
    *(_error, _callback_error, _taken_reply, _dropped_reply, _cancel, _cancelled_question, _timeout, _report),
    *(_unsendable, _stream, _stream_argument, _object),
    pytest.param(
        _gathered_callback_errors,
        marks=pytest.mark.skipif(
            sys.platform == "emscripten", reason="the tasks of gather() leave a cycle in Pyodide's event loop"
        ),
    ),
]


@pytest.mark.parametrize("scenario", SCENARIOS)
async def test_an_error_leaves_no_cycle(connect: Connect, scenario: Callable[[Worker], Any]) -> None:
    """Both sides hold nothing of each other afterwards, without a collection; and none of workerlib's frames is left."""
    export_all()
    async with connect() as worker:
        # The first time, modules are imported and caches are filled.
        await scenario(worker)
        gc.collect()
        gc.disable()
        try:
            await scenario(worker)
            async with asyncio.timeout(seconds(20)):
                while worker.references():
                    await asyncio.sleep(0.001)
            await asyncio.sleep(0.01)
            gc.set_debug(gc.DEBUG_SAVEALL)
            gc.collect()
            left = sorted(
                f"{one.f_globals['__name__']}.{one.f_code.co_qualname}"
                for one in gc.garbage
                if isinstance(one, types.FrameType)
            )
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
            gc.enable()
    assert left == []
