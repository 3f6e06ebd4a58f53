"""Streams between two sides in one Python, and against peers that break the rules; the shared suite has what they mean."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator
from time import monotonic
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
    """An exception that cannot be read is a FrameError of its step."""
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


def count(most: int) -> Iterator[int]:
    yield from range(most)


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
    assert batch.add(b"x" * 400_000) == 1, "what stands beside the frame is sent at once"
    assert batch.add("y" * 70_000) == 1
    deep: list[Any] = []
    for _ in range(300):
        deep = [deep]
    assert batch.add(deep) == 2
    with pytest.raises(workerlib.UnsendableError, match="item: object"):
        batch.add(object())
    assert len(batch) == 10


def sent_by(connection: Connection, batch: Any) -> bytes:
    """Has a batch sent by a stream of its own, and returns the frame without its envelope."""
    session = connection._session
    stream = session.open_stream()
    assert stream is not None
    # Credit for 4,096 items and a mebibyte.
    session.handle(bytes([0x94, 0x10, stream, 0xCD, 0x10, 0x00, 0xCE, 0x00, 0x10, 0x00, 0x00]), [])
    session.send_items(stream, batch)
    while (transmit := session.poll_transmit()) is not None:
        if transmit[0][1] == 17:
            return bytes(transmit[0])
    raise AssertionError("nothing was sent")


async def test_a_batch_heeds_its_time() -> None:
    """Protects the event loop of a generator that becomes slow: the steps that nobody times are few."""

    def steps(quick: int) -> Iterator[int]:
        for number in range(quick + 1_000):
            end = monotonic() + 0.004 * (number >= quick)
            while monotonic() < end:
                pass
            yield number

    batch = Session.connect(__version__).batch()
    assert batch.fill(steps(0), 1_000, 0.002) is False
    assert len(batch) == 1, "after that one the time was over"
    batch = Session.connect(__version__).batch()
    assert batch.fill(steps(200), 1_200, 0.002) is False
    assert 0 < len(batch) <= 216, "sixteen steps go by between two looks at the clock at most"
    batch = Session.connect(__version__).batch()
    assert batch.fill(iter(range(100)), 40, 60.0) is False
    assert len(batch) == 40
    assert batch.fill(iter(range(3)), 40, 60.0) is True, "there are no more"


async def test_items_of_a_message_share_strs() -> None:
    """Equal keys are written once for all records of a message, which are few bytes then."""
    peer = Producing()
    await peer.open()
    batch = peer.connection._session.batch()
    for number in range(100):
        assert batch.add({"identifier": number, "description": None}) == 0
    frame = sent_by(peer.connection, batch)
    assert frame.count(b"identifier") == frame.count(b"description") == 1
    assert len(frame) < 100 * 12
    # The next message is read without this one.
    batch.add({"identifier": 1, "description": None})
    assert sent_by(peer.connection, batch).count(b"identifier") == 1


@workerlib.portable
class Thing:
    """An object whose encoding needs Python code."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __eq__(self, other: object) -> bool:
        return type(other) is Thing and other.number == self.number

    __hash__ = None  # type: ignore[assignment]


def shared_in_many_ways() -> Iterator[Any]:
    """Gives items that hold the same objects, which change between them, end, and have their addresses used again."""
    tags = ["first"]
    text, long_text = "a text of its own", "long " * 200
    key = (1, text)
    for number in range(200):
        yield {"tags": tags, text: tags, "key": key, long_text: number}
        tags.append(text)
        if number % 10 == 0:
            tags.clear()
        yield [[number], [number]]
        yield number
        yield (tags, text, long_text, {text}, b"bytes" * number, bytearray(b"b"), memoryview(b"m"), 1 << 99)
        if number % 7 == 0:
            yield [Thing(number), text]
        if number % 50 == 0:
            yield {"large": b"x" * 30_000, text: bytearray(20_000)}
            yield ["\ud800", "\ud800 and more", text]
            nested: list[Any] = [text]
            for _ in range(250):
                nested = [nested]
            yield nested
        cycle: list[Any] = [text, tags]
        cycle.append(cycle)
        yield cycle


async def test_items_that_hold_the_same_objects() -> None:
    """Each item is what it was when it was produced, whatever others hold, and shares nothing with them that can change."""
    workerlib.export(shared_in_many_ways)
    async with connected(loopback_channel) as worker:
        received = [item async for item in worker.shared_in_many_ways()]
    for item, own in zip(received, shared_in_many_ways(), strict=True):
        if isinstance(own, list) and own[-1] is own:
            assert item[-1] is item
            assert item[:-1] == own[:-1]
        else:
            assert item == own
    assert received[0]["tags"] is received[0]["a text of its own"], "within an item they are shared"
    lists = [id(one["tags"]) for one in received if type(one) is dict and "tags" in one]
    assert len(set(lists)) == len(lists) == 200


async def test_an_item_that_cannot_be_sent_leaves_no_trace() -> None:
    """Its beginning is not sent, and those before it are what they were."""

    def items_and_a_thing() -> Iterator[Any]:
        yield {"a": 1}
        for number in range(50):
            yield {"a": number, "b": "b"}
        yield {"a": 1, "b": ["b", "c", object()]}

    workerlib.export(items_and_a_thing)
    async with connected(loopback_channel) as worker:
        received = []
        with pytest.raises(workerlib.UnsendableError, match=r"item\['b'\]\[2\]: object"):
            async for item in worker.items_and_a_thing():
                received.append(item)
    assert received == [{"a": 1}, *({"a": number, "b": "b"} for number in range(50))]


def count_and_note(steps: list[int]) -> Iterator[int]:
    for number in range(3):
        steps.append(number)
        yield number


async def test_the_first_item_goes_with_the_answer() -> None:
    """The other side hears of both at once; a generator whose first step fails answers by the error."""
    steps: list[int] = []
    peer = Consuming(lambda: count_and_note(steps))
    await peer.open(b"\x92\x01\x01")
    assert steps == [0]
    assert (await peer.frames.get())[:4] == b"\x93\x11\x01\x01", "an item"
    peer.connection.close()

    def fails() -> Iterator[int]:
        raise LookupError("at once")
        yield 1

    workerlib.export(fails)
    async with connected(loopback_channel) as worker:
        stream = worker.fails()
        with pytest.raises(LookupError, match="at once"):
            await anext(stream)
        with pytest.raises(StopAsyncIteration):
            await anext(stream)


async def test_a_sync_generator_without_credit() -> None:
    """It is not begun before there is credit."""
    steps: list[int] = []
    peer = Consuming(lambda: count_and_note(steps))
    await peer.open(b"\x92\x00\x00")
    await asyncio.sleep(0.01)
    assert steps == []
    peer.say(b"\x94\x10\x01\x01\x01")
    while (await peer.frames.get())[1] != 17:
        pass
    assert steps == [0]
    peer.connection.close()


async def test_large_items_wait_for_their_consumer() -> None:
    """A generator of blocks is 8 MiB ahead of a loop that is slow, never more, and goes on for each quarter of these."""
    produced = 0

    def blocks() -> Iterator[bytes]:
        nonlocal produced
        while produced < 40:
            produced += 1
            yield bytes(1 << 20)

    workerlib.export(blocks)
    async with connected(loopback_channel) as worker:
        stream, ahead = worker.blocks(), []
        for taken in range(1, 41):
            assert len(await anext(stream)) == 1 << 20
            for _ in range(20):
                await asyncio.sleep(0)
            ahead.append(produced - taken)
        assert ahead[0] == 7
        assert max(ahead) <= 8
        assert min(ahead[:32]) >= 5
        with pytest.raises(StopAsyncIteration):
            await anext(stream)


async def test_steps_are_awaitables() -> None:
    """A step of `aiter(stream)` can be a task, be awaited late, or never: it takes its item when it is awaited."""
    workerlib.export(count)
    async with connected(loopback_channel) as worker:
        stream = worker.count(100)
        iterator = aiter(stream)
        assert aiter(iterator) is iterator
        assert await anext(iterator) == 0
        assert await asyncio.create_task(anext(iterator)) == 1
        assert await asyncio.gather(anext(iterator), anext(stream)) == [2, 3]
        async with asyncio.timeout(10 * PACE):
            assert await asyncio.wait_for(anext(iterator), 10 * PACE) == 4
        await asyncio.sleep(0.01)
        for _ in range(3):
            anext(iterator)
        late = anext(iterator)
        with pytest.raises(StopIteration) as given:
            late.send(None)  # type: ignore[attr-defined]
        assert given.value.value == 5
        with pytest.raises(LookupError):
            anext(iterator).throw(LookupError("thrown"))  # type: ignore[attr-defined]
        step = asyncio.ensure_future(anext(iterator))
        step.cancel()
        with pytest.raises(asyncio.CancelledError):
            await step
        assert [row async for row in stream] == list(range(6, 100)), "no item was lost"
        with pytest.raises(StopAsyncIteration):
            await anext(iterator)
        await iterator.aclose()  # type: ignore[attr-defined]


async def test_two_steps_that_find_the_same_item() -> None:
    """The item goes to one of the two steps; the other step raises an error."""
    workerlib.export(count)
    async with connected(loopback_channel) as worker:
        iterator = aiter(worker.count(2))
        assert await anext(iterator) == 0
        await asyncio.sleep(0.01)
        one, other = anext(iterator), anext(iterator)
        assert await one == 1
        with pytest.raises(RuntimeError, match="another step"):
            await other


async def test_an_iterator_and_its_stream_are_collected() -> None:
    """Also where each of them refers to the other: the generator ends then."""
    workerlib.export(count)
    async with connected(loopback_channel) as worker:
        stream: Any = worker.count(1_000_000)
        stream.iterator = aiter(stream)
        assert await anext(stream.iterator) == 0
        del stream
        gc.collect()
        async with asyncio.timeout(10 * PACE):
            while worker._connection._session.streams != (0, 0):
                await asyncio.sleep(0.001)


def test_streams_belong_to_connections() -> None:
    """Values that are encoded for no connection cannot hold a stream."""

    with pytest.raises(workerlib.UnsendableError, match="belongs to a connection"):
        encode(rows(1))
    with pytest.raises(TypeError):
        workerlib.stream(5)  # type: ignore[arg-type]


async def test_stream_iterates_on_its_own_side() -> None:
    """A function that takes async iterables can be called without a worker."""
    assert [row async for row in workerlib.stream(number * 2 for number in range(3))] == [0, 2, 4]
