"""Frames of callbacks, byte by byte, and what a peer that lies about references comes to: docs/wire-format.md, 4.9."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
import workerlib
from workerlib import BackPressureError, ConnectionClosedError, FrameError, Worker, __version__
from workerlib._native import Session, encode
from workerlib._rpc.connection import Connection
from workerlib._rpc.reply import Watcher

from loopback import loopback_channel
from pace import PACE
from peer_by_hand import TABLE, Peer, returns

NAMES = b"\xa6sender\x01\xa8function\xa8progress"


@contextlib.asynccontextmanager
async def connected_peer() -> AsyncIterator[Peer]:
    """A peer that the page is connected to."""
    peer = Peer()
    await peer.open()
    yield peer
    peer.connection.close()


def with_peer(test: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    """Gives a test a peer as its first argument: the runner in Pyodide knows no async fixtures."""

    @functools.wraps(test)
    async def run(**arguments: Any) -> None:
        async with connected_peer() as peer:
            await test(peer, **arguments)

    signature = inspect.signature(test)
    parameters = [one for one in signature.parameters.values() if one.name != "peer"]
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return run


def returned(call: int, value: bytes) -> bytes:
    """Makes an answer of bytes."""
    return b"\x92\x04" + bytes([call]) + TABLE + value


@with_peer
async def test_golden_frames(peer: Peer) -> None:
    """A call with a callback, its invocation and the answer are exactly the bytes of the document."""
    heard: list[Any] = []

    def progress(part: float) -> None:
        heard.append(part)

    progress.__qualname__ = "progress"
    call = asyncio.create_task(peer.connection.call("train", (progress,), {}))
    assert await peer.frames.get() == (
        b"\x93\x03\x01\xa5train" + TABLE + b"\xd4\x10\x01\xd4\x61\x04" + NAMES + b"\x80"
    )
    invocation = b"\x95\x20\x01\x01\xa0\x00" + TABLE + b"\xd4\x10\x01\xcb\x3f\xe0\0\0\0\0\0\0\x80"
    peer.say(invocation, invocation.replace(b"\x20\x01", b"\x20\x02"))
    assert await peer.frames.get() == b"\x92\x21\x91\x01"
    assert await peer.frames.get() == b"\x92\x21\x91\x02"
    assert heard == [0.5, 0.5]
    peer.say(returns(1, None), b"\x92\x30\x91\x92\x01\x01")
    assert await call is None
    await asyncio.sleep(0.01)
    assert peer.connection.references.list() == []


@with_peer
async def test_a_callback_of_the_peer_is_invoked_and_released(peer: Peer) -> None:
    """The page calls what a result gave, where the peer takes invocations; the end of the callback is a Release."""
    call, number = await peer.called()
    peer.say(returned(number, b"\xd4\x61\x04" + NAMES))
    callback: Any = await call
    assert callback.__name__ == "progress"
    # This peer has said that it takes none.
    told = ""
    try:
        callback(1)
    except BackPressureError as error:
        told = str(error)
    assert "0 times without an answer" in told
    del callback, call
    assert await peer.frames.get() == b"\x92\x30\x91\x92\x01\x01"


async def test_an_invocation_belongs_to_the_call_that_makes_it() -> None:
    """Two calls hold the same callback. A task of the first calls it, and the Return of the first names this invocation."""
    end, serving_end = loopback_channel()
    frames: asyncio.Queue[bytes] = asyncio.Queue()
    end.listen(lambda frame, buffers: frames.put_nowait(frame), lambda reason: None)
    may_end = [asyncio.Event(), asyncio.Event()]

    async def use(which: int, callback: Any) -> None:
        async def invoke() -> None:
            callback()

        await may_end[which].wait()
        if which == 0:
            await asyncio.create_task(invoke())

    exports = [("use", None, None, None, 0)]
    connection = Connection(Session.listen(__version__, exports), serving_end, {"use": use})
    end.post(b"\x97\x00\x01\xa10\x90\x08\x90\x08", [])
    assert (await frames.get())[1] == 1
    for which in (0, 1):
        arguments = b"\xd4\x10\x02" + bytes([which]) + b"\xd4\x61\x04" + NAMES + b"\x80"
        end.post(b"\x93\x03" + bytes([which + 1]) + b"\xa3use" + TABLE + arguments, [])
    may_end[0].set()
    assert (await frames.get())[:5] == b"\x95\x20\x01\x01\xa0"
    assert await frames.get() == b"\x93\x04\x01\x91\x01" + TABLE + b"\xc0"
    may_end[1].set()
    assert await frames.get() == returned(2, b"\xc0")
    connection.close()


async def test_a_wait_that_begins_after_its_answer(
    connect: Callable[[], AbstractAsyncContextManager[Worker]],
) -> None:
    """A wait that is a task takes its first step later, when the answer may be there already.

    Sync code that waited for room for its callbacks hung so in Firefox, now and then.
    """

    async def wait_late(callback: Any) -> str:
        reply = callback(1)
        await reply
        async with asyncio.timeout(30 * PACE):
            await Watcher(reply._state)
        return "no wait"

    workerlib.export(wait_late)
    heard: list[int] = []
    async with connect() as worker:
        assert await worker.wait_late(heard.append) == "no wait"
    assert heard == [1]


@pytest.mark.parametrize(
    "reference",
    [
        b"\xd4\x61\x00",
        b"\xd4\x61\x03\xa6sender\x01\xa8function",
        b"\xd4\x61\x05\xa6sender\x01\xa8function\xa1x\xc0",
        b"\xd4\x61\x04\xa6nobody\x01\xa8function\xa1x",
        b"\xd4\x61\x04\xa6sender\xff\xa8function\xa1x",
        b"\xd4\x61\x04\xa6sender\xa11\xa8function\xa1x",
        b"\xd4\x61\x04\xa6sender\xc3\xa8function\xa1x",
        b"\xd4\x61\x04\xa6sender\xcf\xff\xff\xff\xff\xff\xff\xff\xff\xa8function\xa1x",
        b"\xd4\x61\x04\xa6sender\x01\xa8function\x01",
        b"\xd4\x61\x04\xa6sender\x01\x90\xa1x",
        b"\xd4\x61\x04\x90\x01\xa8function\xa1x",
        b"\xd4\x61\x04\xa6sender\x01\xa6object\xa1x",
        b"\xd4\x61\x04\xa6sender\x01\xa6object\xd4\x10\x02\xa1x\x90",
        b"\xd4\x61\x04\xa6sender\x01\xa6object\xd4\x10\x02\xa1x\xd4\x10\x01\xa1x",
        b"\xd4\x61\x04\xa6sender\x01\xa6object\xd4\x10\x02\xa1x\xd4\x10\x01\xd4\x10\x02\x01\xc3",
        b"\xd4\x61\x04\xa8receiver\x01\xc0\xc0",
        b"\xd4\x61\x04\xa8receiver\x00\xc0\xc0",
    ],
)
@with_peer
async def test_a_reference_that_is_none(peer: Peer, reference: bytes) -> None:
    """The answer that has it raises, and the connection goes on and holds nothing."""
    call, number = await peer.called()
    peer.say(returned(number, reference))
    with pytest.raises(FrameError):
        await call
    del call
    again, number = await peer.called()
    peer.say(returns(number, 7))
    assert await again == 7
    await asyncio.sleep(0.01)
    assert peer.connection.references.list() == []


@with_peer
async def test_a_forged_invocation_is_refused(peer: Peer) -> None:
    """A reference that was never given raises at the peer, and so does a method of a callback."""
    called: list[Any] = []
    call = asyncio.create_task(peer.connection.call("f", (called.append,), {}))
    await peer.frames.get()
    body = TABLE + b"\xd4\x10\x01\x01\x80"
    for envelope in (b"\x95\x20\x09\x02\xa0\x00", b"\x95\x20\x09\x01\xa8__init__\x00"):
        peer.say(envelope + body)
        assert (await peer.frames.get())[:3] == b"\x92\x05\x09"
    peer.say(b"\x95\x20\x09\x01\xa0\x00" + b"\x90\xc0")
    assert (await peer.frames.get())[:3] == b"\x92\x05\x09"
    assert called == []
    peer.say(returns(1, 1))
    assert await call == 1


@pytest.mark.parametrize(
    "counts", [b"\x91\x92\x01\x02", b"\x91\x92\x07\x01", b"\x92\x92\x01\x01\x92\x05\x01"]
)
@with_peer
async def test_a_release_that_nobody_owes_ends_the_connection(peer: Peer, counts: bytes) -> None:
    """A peer that releases more than it got has lost count of what is whose."""
    call = asyncio.create_task(peer.connection.call("f", (lambda: None,), {}))
    await peer.frames.get()
    peer.say(b"\x92\x30" + counts)
    with pytest.raises(ConnectionClosedError, match="released"):
        await call
    assert peer.connection.references.list() == []


@with_peer
async def test_a_payload_that_nobody_reads_is_released(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The result of a call that was given up has given a callback all the same, which the page releases unseen."""
    monkeypatch.setattr("workerlib._rpc.connection._GRACE", 0.05)
    call, number = await peer.called()
    call.cancel()
    assert (await peer.frames.get())[:2] == b"\x92\x06"
    with pytest.raises(asyncio.CancelledError):
        await call
    peer.say(returned(number, b"\x91\xd4\x61\x04" + NAMES))
    assert await peer.frames.get() == b"\x92\x30\x91\x92\x01\x01"


def test_values_of_no_connection_have_no_callbacks() -> None:
    """`encode()` alone has nobody who could call it."""
    with pytest.raises(TypeError, match="there is no connection here"):
        encode(lambda: 1)


async def test_a_call_that_takes_its_time_holds_up_no_others(
    connect: Callable[[], AbstractAsyncContextManager[Worker]],
) -> None:
    """More calls of methods than may be without an answer go on while one of them waits, in the order of their calls."""
    seen: list[int] = []

    @workerlib.export
    class Slow:
        async def wait(self) -> None:
            await asyncio.Event().wait()

        def quick(self, number: int) -> int:
            seen.append(number)
            return number

    async with connect() as worker:
        slow = await worker.Slow()
        waiting = asyncio.ensure_future(slow.wait())
        await asyncio.sleep(0)
        async with asyncio.timeout(20 * PACE):
            many = [asyncio.ensure_future(slow.quick(number)) for number in range(4_200)]
            await asyncio.gather(*many)
        assert seen == [*range(4_200)]
        assert not waiting.done()
        waiting.cancel()
        await asyncio.wait([waiting])
        assert worker._connection.references.room is None


async def test_a_handle_that_is_closed_before_the_first_step(
    connect: Callable[[], AbstractAsyncContextManager[Worker]],
) -> None:
    """A call or a stream that was made before and begins later says so, by the name of the method."""

    @workerlib.export
    class Closed:
        def one(self) -> None: ...

        def many(self) -> Any:
            yield 1

    async with connect() as worker:
        async with await worker.Closed() as handle:
            call, items = handle.one(), handle.many()
        for awaitable in (call, anext(items)):
            with pytest.raises(
                ValueError, match=r"Closed\.(one|many)\(\) is called on a handle that has been closed"
            ):
                await awaitable
        assert repr(handle).endswith(".Closed, closed>")
