"""Streams between two sides in one Python, and against peers that break the rules; the shared suite has what they mean."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import workerlib
from workerlib import Worker, __version__, _exports
from workerlib._native import Session, encode
from workerlib._rpc.connection import Connection
from workerlib._rpc.streams_consumed import Inbox
from workerlib._rpc.streams_produced import Producer

from loopback import connected, loopback_channel
from pace import PACE

WELCOME = b"\x96\x01\x01\xa10\x91\x95\xa1f\xc0\xc0\xc0\x01\x08\x90"
HELLO = b"\x96\x00\x01\xa10\x90\x08\x90"
NO_ARGUMENTS = b"\x90\xd4\x10\x00\x80"
STREAM = 7


def items(count: int, *runs: object, stream: int = STREAM) -> bytes:
    """Makes the frame of a message with items."""
    return bytes([0x93, 0x11, stream, count]) + b"".join(encode(run)[0] for run in runs)


class Producing:
    """A peer in the hands of the test that produces a stream, and the page's step that waits for it."""

    def __init__(self) -> None:
        self.end, page_end = loopback_channel()
        self.frames: asyncio.Queue[bytes] = asyncio.Queue()
        self.end.listen(lambda frame, buffers: self.frames.put_nowait(frame), lambda reason: None)
        self.connection = Connection(Session.connect(__version__), page_end, {})

    async def open(self, ahead: int = 2) -> workerlib.Stream[Any]:
        """Does the handshake, and has a stream called for and begun."""
        assert (await self.frames.get())[1] == 0
        self.say(WELCOME)
        self.worker = Worker(self.connection, await self.connection.opened, "peer", None)
        self.stream: workerlib.Stream[Any] = self.worker.f.options(ahead=ahead)()
        self.step = asyncio.ensure_future(anext(self.stream))
        call = await self.frames.get()
        assert call[:2] == b"\x95\x03", "a call with its credit"
        self.say(bytes([0x93, 0x18, call[2], STREAM]))
        return self.stream

    def say(self, *frames: bytes) -> None:
        """Sends frames as they are."""
        for frame in frames:
            self.end.post(frame, [])

    async def told(self, kind: int) -> bytes:
        """Waits for a message of that kind."""
        async with asyncio.timeout(10 * PACE):
            while (frame := await self.frames.get())[1] != kind:
                pass
        return frame


async def test_a_good_producer_written_by_hand() -> None:
    """The frames of these tests are right, so that what follows fails for its own reason."""
    peer = Producing()
    stream = await peer.open(ahead=4)
    peer.say(items(3, [1, 2], ["three"]))
    assert [await peer.step, await anext(stream), await anext(stream)] == [1, 2, "three"]
    assert (await peer.told(16))[:4] == b"\x94\x10\x07\x02", "half of it is granted again"
    peer.say(b"\x92\x12\x07")
    with pytest.raises(StopAsyncIteration):
        await anext(stream)
    assert peer.connection._session.streams == (0, 0)


@pytest.mark.parametrize(
    "frame",
    [items(3, [1, 2, 3]), items(0), bytes([0x93, 0x11, STREAM, 0xCE])],
    ids=["more than its credit", "none", "a count that is cut off"],
)
async def test_items_that_no_producer_may_send(frame: bytes) -> None:
    """The connection ends, and the step with it."""
    peer = Producing()
    await peer.open(ahead=2)
    peer.say(frame)
    with pytest.raises(workerlib.ConnectionClosedError):
        await peer.step
    await peer.connection.closed


@pytest.mark.parametrize(
    "frame",
    [
        items(2, [1]),
        items(1, [1, 2]),
        items(1, (1,)),
        items(1),
        bytes([0x93, 0x11, STREAM, 1]) + b"\x90\x91",
        bytes([0x93, 0x11, STREAM, 1]) + b"\x90\x91\x01\xc1",
        bytes([0x93, 0x11, STREAM, 1]) + b"\x90\x91\xd4\x62\x01\xff",
    ],
    ids=[
        "fewer",
        "more",
        "a tuple",
        "nothing",
        "cut off",
        "followed by rubbish",
        "a stream with an id that is none",
    ],
)
async def test_items_that_cannot_be_read(frame: bytes) -> None:
    """They are a FrameError in their place, the producer is told to stop, and the connection lives on."""
    peer = Producing()
    stream = await peer.open(ahead=2)
    peer.say(frame)
    with pytest.raises(workerlib.FrameError):
        await peer.step
    assert await peer.told(20) == b"\x93\x14\x07\x00"
    with pytest.raises(StopAsyncIteration):
        await anext(stream)
    assert not peer.connection.closed.done()
    peer.say(b"\x92\x15\x07")
    await asyncio.sleep(0.01)
    assert peer.connection._session.streams == (0, 0)


async def test_a_producer_that_raises_what_cannot_be_read() -> None:
    """It is a FrameError for the step."""
    peer = Producing()
    await peer.open()
    peer.say(b"\x92\x13\x07" + encode("no description")[0])
    with pytest.raises(workerlib.FrameError):
        await peer.step


async def test_a_producer_that_never_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cancelled step, and `aclose()`, wait for no longer than a call that is cancelled."""
    monkeypatch.setattr("workerlib._rpc.connection._GRACE", 0.05)
    for end in ("cancel", "aclose"):
        peer = Producing()
        stream = await peer.open()
        if end == "cancel":
            peer.say(items(1, [1]))
            assert await peer.step == 1
            step = asyncio.ensure_future(anext(stream))
            await asyncio.sleep(0)
            step.cancel()
            with pytest.raises(asyncio.CancelledError):
                await step
        else:
            peer.say(items(1, [1]))
            assert await peer.step == 1
            await stream.aclose()
        with pytest.raises(StopAsyncIteration):
            await anext(stream)
        # It is told once, and what it still sends within its credit is dropped.
        assert (await peer.told(20))[:3] == b"\x93\x14\x07"
        peer.say(items(1, [2]), b"\x92\x15\x07")
        await asyncio.sleep(0.01)
        assert not peer.connection.closed.done()


async def test_a_stream_that_comes_twice_among_values() -> None:
    """The second one is an answer that cannot be read."""
    end, page_end = loopback_channel()
    frames: asyncio.Queue[bytes] = asyncio.Queue()
    end.listen(lambda frame, buffers: frames.put_nowait(frame), lambda reason: None)
    connection = Connection(Session.connect(__version__), page_end, {})
    await frames.get()
    end.post(WELCOME, [])
    await connection.opened
    for is_first in (True, False):
        call = asyncio.ensure_future(connection.call("f", (), {}))
        number = (await frames.get())[2]
        end.post(bytes([0x92, 0x04, number]) + b"\x90\xd4\x62\x01\x09", [])
        if is_first:
            stream = await call
            assert isinstance(stream, workerlib.Stream)
        else:
            with pytest.raises(workerlib.FrameError, match="came before"):
                await call
    assert not connection.closed.done()


class Consuming:
    """A peer in the hands of the test that calls for a stream."""

    def __init__(self, function: Any) -> None:
        self.end, worker_end = loopback_channel()
        self.frames: asyncio.Queue[bytes] = asyncio.Queue()
        self.end.listen(lambda frame, buffers: self.frames.put_nowait(frame), lambda reason: None)
        session = Session.listen(__version__, [_exports.describe_export("f", function)])
        self.connection = Connection(session, worker_end, {"f": function, "g": lambda: "answer"})

    async def open(self, credit: bytes) -> None:
        """Does the handshake, and calls for the stream with that credit."""
        self.say(HELLO)
        assert (await self.frames.get())[1] == 1
        self.say(b"\x95\x03\x01\xa1f\xc2" + credit + NO_ARGUMENTS)
        assert (await self.frames.get())[:4] == b"\x93\x18\x01\x01"

    def say(self, frame: bytes) -> None:
        """Sends a frame as it is."""
        self.end.post(frame, [])


async def test_a_consumer_that_never_grants() -> None:
    """Nothing is produced, other calls are answered, and the end of the connection closes the generator."""
    steps: list[str] = []

    async def function() -> AsyncIterator[int]:
        steps.append("a step")
        yield 1

    peer = Consuming(function)
    await peer.open(b"\x92\x00\x00")
    peer.say(b"\x93\x03\x02\xa1g" + NO_ARGUMENTS)
    assert (await peer.frames.get())[:3] == b"\x92\x04\x02"
    assert steps == []
    peer.connection.close()
    await asyncio.sleep(0.01)
    assert peer.connection.streams._producers == {}


async def test_a_consumer_that_grants_without_end() -> None:
    """What goes in one message stays bounded, other calls are answered, and a Stop ends it."""
    produced = 0
    ends: list[str] = []

    def function() -> Iterator[int]:
        nonlocal produced
        try:
            while True:
                produced += 1
                yield produced
        finally:
            ends.append("finally")

    peer = Consuming(function)
    most = b"\x92\xce\xff\xff\xff\xff\xce\xff\xff\xff\xff"
    await peer.open(most)
    for _ in range(5):
        peer.say(b"\x94\x10\x01" + most[1:])
    # What is about other streams, and what only a producer may say, changes nothing.
    for frame in (b"\x94\x10\x63\x01\x01", b"\x93\x14\x63\x00", b"\x92\x12\x01", b"\x92\x15\x01"):
        peer.say(frame)
    peer.say(b"\x93\x03\x02\xa1g" + NO_ARGUMENTS)
    while (frame := await peer.frames.get())[:3] != b"\x92\x04\x02":
        assert frame[1] == 17
        assert len(frame) < 80_000
    peer.say(b"\x93\x14\x01\x00")
    while (frame := await peer.frames.get())[1] == 17:
        assert len(frame) < 80_000
    assert frame == b"\x92\x19\x01", "the generator knows"
    assert await peer.frames.get() == b"\x92\x15\x01"
    assert ends == ["finally"]
    assert peer.connection._session.streams == (0, 0)


async def test_a_stream_in_a_call_that_never_starts() -> None:
    """Its arguments are read after all, so that the generator that they hold is closed."""
    session = Session.listen(__version__, [])
    end, worker_end = loopback_channel()
    frames: asyncio.Queue[bytes] = asyncio.Queue()
    end.listen(lambda frame, buffers: frames.put_nowait(frame), lambda reason: None)
    connection = Connection(session, worker_end, {})
    end.post(HELLO, [])
    await frames.get()
    session.handle(b"\x93\x03\x05\xa1f\x90\xd4\x10\x01\xd4\x62\x01\x09\x80", [])
    connection._receive(b"\x92\x06\x05", [])
    async with asyncio.timeout(10 * PACE):
        while (frame := await frames.get())[1] != 20:
            assert frame == b"\x92\x0a\x05"
    assert frame == b"\x93\x14\x09\x00"


async def test_a_stream_in_a_result_that_nobody_waits_for() -> None:
    """It is stopped when the late answer comes."""
    peer = Producing()
    await peer.open()
    call = asyncio.ensure_future(peer.connection.call("g", (), {}))
    number = (await peer.told(3))[2]
    peer.connection._session.give_up(number)
    peer.say(bytes([0x92, 0x04, number]) + b"\x90\x91\xd4\x62\x01\x09")
    assert await peer.told(20) == b"\x93\x14\x09\x00"
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call


async def rows(count: int) -> AsyncIterator[int]:
    for number in range(count):
        yield number


async def total(numbers: AsyncIterator[int]) -> int:
    return sum([number async for number in numbers])


def _of_streams() -> list[object]:
    # By their types: what `isinstance` asks may be an object of the tests of hostile classes.
    return [one for one in gc.get_objects() if type(one) in (Inbox, Producer, workerlib.Stream)]


async def test_nothing_is_left_of_streams() -> None:
    """Connections with streams of every end come and go: no stream, inbox, producer or task stays."""

    workerlib.export(rows, total)

    async def numbers() -> AsyncIterator[int]:
        yield 1
        yield 2

    async def once() -> None:
        async with connected(loopback_channel) as worker:
            assert await worker.total(numbers()) == 3
            async for row in worker.rows(1_000):
                if row == 5:
                    break
            unfinished = worker.rows(1_000)
            assert await anext(unfinished) == 0

    await once()
    await asyncio.sleep(0.05)
    gc.collect()
    before, others = len(asyncio.all_tasks()), _of_streams()
    for _ in range(50):
        await once()
    await asyncio.sleep(0.05)
    gc.collect()
    # Other tests may keep some, in the traceback of an exception for example.
    assert [one for one in _of_streams() if not any(one is other for other in others)] == []
    assert len(asyncio.all_tasks()) == before


async def test_a_batch_holds_what_was_added() -> None:
    """Scalars and other items keep their order, and the batch says when it is to be sent."""
    peer = Producing()
    await peer.open()
    batch = peer.connection._session.batch()
    assert [batch.add(item) for item in (1, 2.5, None, "text", 1 << 70, [1], True)] == [0] * 7
    assert len(batch) == 7
    assert batch.add(b"x" * 20_000) == 1, "what stands beside the frame is sent at once"
    assert batch.add("y" * 70_000) == 1
    deep: list[Any] = []
    for _ in range(300):
        deep = [deep]
    assert batch.add(deep) == 2
    with pytest.raises(workerlib.UnsendableError, match="item: object"):
        batch.add(object())
    assert len(batch) == 10


def test_streams_belong_to_connections() -> None:
    """Values of none cannot hold a stream."""

    with pytest.raises(workerlib.UnsendableError, match="belongs to a connection"):
        encode(rows(1))
    with pytest.raises(TypeError):
        workerlib.stream(5)  # type: ignore[arg-type]


async def test_stream_iterates_on_its_own_side() -> None:
    """A function that takes async iterables can be called without a worker."""
    assert [row async for row in workerlib.stream(number * 2 for number in range(3))] == [0, 2, 4]
