"""A peer that breaks the rules of docs/wire-format.md: an error for those who wait, never a hang or a crash."""

from __future__ import annotations

import asyncio
import itertools
import linecache
import random
import time
import traceback
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
import workerlib
from workerlib import __version__
from workerlib._api.connect import establish
from workerlib._config.settings import Settings
from workerlib._hosts.host import Found, Progress
from workerlib._native import Session, encode
from workerlib._rpc.connection import Connection
from workerlib._values.adapters import AdapterSet

from loopback import LoopbackEndpoint, loopback_channel
from pace import PACE
from peer_by_hand import TABLE, WELCOME, Peer, returns

# Envelopes, written by hand (docs/wire-format.md, section 3).
WELCOME_OF_PROTOCOL_99 = b"\x96\x01\x63\xa10\x90\x08\x90"
REFUSE = b"\x93\x02\x63\xa8too old!"
CLOSE = b"\x92\x07\xa4done"


def raises(call: int, value: object) -> bytes:
    """Makes the frame that answers a call by an exception."""
    return b"\x92\x05" + bytes([call]) + encode(value)[0]


async def test_a_good_peer_written_by_hand() -> None:
    """The frames of these tests are right, so that what follows fails for its own reason."""
    peer = Peer()
    await peer.open()
    task, call = await peer.called()
    peer.say(returns(call, [1, "two"]))
    assert await task == [1, "two"]
    peer.say(CLOSE)
    assert "done" in await peer.connection.closed
    assert peer.page_end.closed


async def test_another_protocol() -> None:
    """A peer of another protocol version is the ProtocolError that docs/errors.md shows."""
    peer = Peer()
    peer.say(WELCOME_OF_PROTOCOL_99)
    with pytest.raises(workerlib.ProtocolError) as caught:
        await peer.connection.opened
    assert str(caught.value) == (
        "the other side speaks protocol 99, this side speaks 1: install the same workerlib on both"
    )


async def test_a_refusal() -> None:
    """A peer that refuses is a ProtocolError that names its version."""
    peer = Peer()
    peer.say(REFUSE)
    with pytest.raises(workerlib.ProtocolError, match="99"):
        await peer.connection.opened


@pytest.mark.parametrize(
    "frame", [b"", b"\xc1", b"\xc0", b"\x90", b"\x91\x3f", b"\x92\x04\xc0", b"hello"], ids=repr
)
@pytest.mark.parametrize("opened", [False, True])
async def test_frames_without_an_envelope(frame: bytes, opened: bool) -> None:
    """The connection ends, for the handshake as for calls in flight."""
    peer = Peer()
    if opened:
        await peer.open()
        task, _ = await peer.called()
        peer.say(frame)
        with pytest.raises(workerlib.ConnectionClosedError):
            await task
    else:
        peer.say(frame)
        with pytest.raises((workerlib.ConnectError, workerlib.ConnectionClosedError)):
            await peer.connection.opened
    await peer.connection.closed
    with pytest.raises(workerlib.ConnectionClosedError):
        await peer.connection.call("f", (), {})


@pytest.mark.parametrize(
    "payload", [b"", b"\xc1", b"\x92\xc0", b"\xdd\xff\xff\xff\xff", b"\xc0\xc0"], ids=repr
)
async def test_answers_that_cannot_be_read(payload: bytes) -> None:
    """They are a FrameError for their caller alone."""
    peer = Peer()
    await peer.open()
    task, call = await peer.called()
    other, other_call = await peer.called()
    peer.say(b"\x92\x04" + bytes([call]) + TABLE + payload, returns(other_call, 7))
    with pytest.raises(workerlib.FrameError):
        await task
    assert await other == 7


def described(**changes: object) -> dict[str, object]:
    """Describes an exception by hand (docs/wire-format.md, section 5)."""
    value = encode((("text", "ValueError"), {}))[0]
    good: dict[str, object] = {
        "type": "ValueError",
        "message": "text",
        "value": value,
        "notes": [],
        "frames": [],
    }
    links: dict[str, object] = {"cause": None, "context": None, "suppress": False, "members": None}
    return {**good, **links, **changes}


async def raised(description: object) -> BaseException:
    """Has a call raise what is described."""
    peer = Peer()
    await peer.open()
    task, call = await peer.called()
    peer.say(raises(call, description))
    [error] = await asyncio.gather(task, return_exceptions=True)
    assert isinstance(error, BaseException)
    return error


async def test_an_exception_described_by_hand() -> None:
    """The descriptions below are right but for what they are about."""
    frames = [("f", "<exec>", 3, 3, 4, 9, "a = b(c)\n")]
    error = await raised([described(cause=1, frames=frames), described(message="why")])
    assert (type(error), error.args) == (ValueError, ("text",))
    # Its arguments would have it say something else.
    assert isinstance(error.__cause__, ValueError)
    assert (error.__cause__.args, str(error.__cause__)) == (("text",), "why")
    assert traceback.extract_tb(error.__traceback__)[-1].filename == "worker:<exec>"


@pytest.mark.parametrize(
    "description",
    [
        None,
        [],
        {},
        [None],
        [{}],
        [{"type": "ValueError"}],
        [described(cause=1)],
        [described(cause="0")],
        [described(context=-1)],
        [described(frames=None)],
        [described(frames=[("f", "<exec>", 3)])],
        [described(frames=[("f", "<exec>", -3, None, None, None, "")])],
        [described(frames=[("f", "<exec>", 3, 2, None, None, "")])],
        [described(frames=[("f", "<exec>", 1 << 40, None, None, None, "")])],
        [described(frames=[(b"f", "<exec>", 3, None, None, None, "")])],
        [described(value=None, notes=3)],
    ],
    ids=repr,
)
async def test_exceptions_that_are_none(description: object) -> None:
    """An exception's description that lacks something is a FrameError."""
    assert isinstance(await raised(description), workerlib.FrameError)


@pytest.mark.parametrize(
    "change",
    [
        {"value": b""},
        {"value": b"\x90\x01"},
        {"value": 7},
        {"value": encode((("1", "eval"), {}))[0]},
        {"value": encode((("1", "object"), {}))[0]},
        {"value": encode((("1", "os:system"), {}))[0]},
        {"value": encode((("1", "subprocess:Popen"), {}))[0]},
        {"value": encode((("1", "workerlib:connect"), {}))[0]},
        {"value": encode((("1", "ValueError"), {"__class__": 1}))[0]},
        {"value": encode((("1", "ValueError"), 7))[0]},
        {"members": [0]},
        {"members": [5]},
        {"members": 7},
    ],
    ids=repr,
)
async def test_exceptions_cannot_name_what_is_called(change: dict[str, object]) -> None:
    """A peer's word for a class makes nothing run that is not an exception that is here."""
    error = await raised([described(**change)])
    assert isinstance(error, workerlib.RemoteError)
    assert (error.type_name, error.args[0]) == ("ValueError", "text")


async def test_the_sources_of_many_files_are_not_kept() -> None:
    """Source lines that a peer sends take only so much memory."""
    for number in range(300):
        frames = [("f", f"<file {number}>", 20_000, None, None, None, "x\n")]
        assert isinstance(await raised([described(frames=frames)]), ValueError)
    kept = [name for name in linecache.cache if name.startswith("worker:<file")]
    assert 0 < len(kept) <= 100
    tracemalloc.start()
    try:
        for number in range(30):
            frames = [("f", f"<large {number}>", 1, None, None, None, "x" * MILLION)]
            assert isinstance(await raised([described(frames=frames)]), ValueError)
        kept_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert linecache.getline("worker:<large 29>", 1) == "x" * MILLION + "\n"
    assert kept_bytes < 12 * MILLION


async def test_empty_lines_of_tracebacks_are_not_kept_without_end() -> None:
    """A line takes memory also if it is empty: fifty bytes and more, which have an end together."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(60):
            frames = [("f", f"<empty {number}>", 1, None, None, None, "\n" * 10_000)]
            assert isinstance(await raised([described(frames=frames)]), ValueError)
        kept_bytes = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert kept_bytes < 15 * MILLION


async def test_the_lines_of_a_traceback_take_no_time_out_of_proportion() -> None:
    """Frames that stand far down in their files cost no more than others: 10,000 of them took nine seconds."""
    seconds = []
    for line in (1, 20_000):
        start = time.process_time()
        for number in range(20):
            frames = [("f", f"<{number} {other}>", line, None, None, None, "x\n") for other in range(50)]
            assert isinstance(await raised([described(frames=frames)]), ValueError)
        seconds.append(time.process_time() - start)
    assert linecache.getlines("worker:<19 0>")[19_998:] == ["\n", "x\n"]
    assert seconds[1] < 3 * seconds[0] + 0.1, seconds


@pytest.mark.parametrize(
    "frame", [returns(200, 1), raises(200, {}), b"\x92\x06\x7f"], ids=["return", "raise", "cancel"]
)
async def test_answers_to_no_call(frame: bytes) -> None:
    """An answer that nobody asked for ends the connection or is passed over; nothing hangs."""
    peer = Peer()
    await peer.open()
    task, call = await peer.called()
    peer.say(frame, returns(call, "answer"))
    results = await asyncio.gather(task, return_exceptions=True)
    assert results == ["answer"] or isinstance(results[0], workerlib.ConnectionClosedError)


async def test_a_second_answer() -> None:
    """A peer that answers a call twice does not change the first answer."""
    peer = Peer()
    await peer.open()
    task, call = await peer.called()
    peer.say(returns(call, "first"), returns(call, "second"))
    assert await task == "first"


async def test_silence_after_close() -> None:
    """Frames after a close are not looked at."""
    peer = Peer()
    await peer.open()
    peer.connection.close()
    peer.say(b"\xc1", returns(1, 1), WELCOME)
    for _ in range(5):
        await asyncio.sleep(0)
    with pytest.raises(workerlib.ConnectionClosedError):
        await peer.connection.call("f", (), {})


async def test_a_channel_that_breaks() -> None:
    """An endpoint that cannot post ends the connection with its reason."""
    peer = Peer()
    await peer.open()

    def broken(frame: bytes, buffers: list[object]) -> None:
        raise OSError("the cable is cut")

    peer.page_end.post = broken  # type: ignore[method-assign, assignment]
    with pytest.raises(workerlib.ConnectionClosedError, match="cable"):
        await peer.connection.call("f", (), {})


def _listening(page_end: LoopbackEndpoint, calls: list[object]) -> Connection:
    def note(*args: object, **kwargs: object) -> None:
        calls.append((args, kwargs))

    return Connection(Session.listen(__version__, [("f", None, None, None, 0)]), page_end, {"f": note})


HELLO = b"\x96\x00\x01\xa10\x90\x08\x90"


async def _greeted() -> tuple[list[object], Any, asyncio.Queue[bytes], Connection]:
    """Opens a connection that serves `f`, to a peer whose frames are written by hand, and greets it.

    Returns:
        The arguments of each call of `f`, the peer's end, the frames that the peer gets, and the connection.
    """
    calls: list[object] = []
    end, serving_end = loopback_channel()
    frames: asyncio.Queue[bytes] = asyncio.Queue()
    end.listen(lambda frame, buffers: frames.put_nowait(frame), lambda reason: None)
    connection = _listening(serving_end, calls)
    end.post(HELLO, [])
    assert (await frames.get())[1] == 1
    return calls, end, frames, connection


@pytest.mark.parametrize(
    "payload", [b"", b"\xc0\xc0", b"\x90\x80", b"\xd4\x10\x00\x90", b"\xd4\x10\x00", b"\xc1"], ids=repr
)
async def test_calls_that_cannot_be_read(payload: bytes) -> None:
    """A serving side answers them by an exception, calls nothing, and goes on."""
    calls, end, frames, connection = await _greeted()
    end.post(b"\x93\x03\x05\xa1f" + TABLE + payload, [])
    answer = await frames.get()
    assert answer[:3] == b"\x92\x05\x05"
    assert calls == []
    end.post(b"\x93\x03\x06\xa1f" + TABLE + b"\xd4\x10\x00\x80", [])
    assert (await frames.get())[:3] == b"\x92\x04\x06"
    assert calls == [((), {})]
    connection.close()


@pytest.mark.parametrize("name", ["g", "", "__init__", "os.system", "f.__globals__", "workerlib:f"])
async def test_calls_of_what_is_not_exported(name: str) -> None:
    """Only exports run, by any name: the answer is an exception, and the connection goes on."""
    calls, end, frames, connection = await _greeted()
    values = TABLE + b"\xd4\x10\x00\x80"
    end.post(b"\x93\x03\x05" + bytes([0xA0 + len(name)]) + name.encode() + values, [])
    assert (await frames.get())[:3] == b"\x92\x05\x05"
    assert calls == []
    end.post(b"\x93\x03\x06\xa1f" + values, [])
    assert (await frames.get())[:3] == b"\x92\x04\x06"
    assert calls == [((), {})]
    connection.close()


@pytest.mark.parametrize("make", ["serving", "calling"])
async def test_noise(make: str) -> None:
    """Damaged frames of every kind, from either side: each connection goes on or ends in order."""
    chance = random.Random(5)
    seeds = [
        HELLO,
        WELCOME,
        REFUSE,
        CLOSE,
        returns(1, [1, 2]),
        raises(1, {}),
        b"\x93\x03\x01\xa1f\x90\xd4\x10\x00\x80",
        b"\x92\x06\x01",
    ]
    for _ in range(200):
        calls: list[object] = []
        end, own_end = loopback_channel()
        end.listen(lambda frame, buffers: None, lambda reason: None)
        connection = (
            _listening(own_end, calls)
            if make == "serving"
            else Connection(Session.connect(__version__), own_end, {})
        )
        end.post(HELLO if make == "serving" else WELCOME, [])
        for _ in range(5):
            damaged = bytearray(chance.choice(seeds))
            if chance.random() < 0.8:
                damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
            end.post(bytes(damaged), [])
        for _ in range(8):
            await asyncio.sleep(0)
        connection.close()
        async with asyncio.timeout(5 * PACE):
            await connection.closed


PARAMETERS = {
    "a name that is none": [("not a name", 1, None, None)],
    "a name twice": [("a", 1, None, None), ("a", 1, None, None)],
    "an order that cannot be": [("a", 3, None, None), ("b", 1, None, None)],
    "a keyword for a name": [("class", 1, None, None)],
}


def describing(parameters: object, name: str = "f") -> list[tuple[str, object, object, object, int]]:
    """Describes an export."""
    return [(name, None, parameters, None, 0)]


@pytest.mark.parametrize("parameters", PARAMETERS.values(), ids=PARAMETERS)
async def test_an_export_that_is_described_wrongly(parameters: object) -> None:
    """It is a ProtocolError that names the export, and nothing is left of the worker."""
    for interface in (None, type("Anything", (), {})):
        end, page_end = loopback_channel()
        listening: Session = Session.listen(__version__, describing(parameters), adapters=[])
        serving = Connection(listening, end, {})
        ends: list[str] = []

        async def ended(ends: list[str] = ends) -> None:
            ends.append("the worker")

        async def opening(page_end: LoopbackEndpoint = page_end, ended: object = ended) -> Found:
            return Found("odd", page_end, None, ended=ended)  # type: ignore[arg-type]

        with pytest.raises(workerlib.ProtocolError, match="the worker 'odd' describes its export 'f'"):
            await establish(
                opening, Progress("odd"), Settings(), AdapterSet(), interface=interface, timeout=5 * PACE
            )
        assert ends == ["the worker"]
        assert page_end.closed
        await serving.closed


MILLION = 1_000_000


def million_exports() -> bytes:
    """Describes them as in an envelope (docs/wire-format.md, section 3)."""
    names = (b"\x94\xa7%07d\xc0\xc0\xc0" % number for number in range(MILLION))
    return b"\xdd" + MILLION.to_bytes(4, "big") + b"".join(names)


def long_docstring() -> bytes:
    """Describes one export, by 100 MB."""
    length = 100 * MILLION
    return b"\x91\x94\xa1f\xdb" + length.to_bytes(4, "big") + b"x" * length + b"\xc0\xc0"


TOO_LARGE = {million_exports: "10,000 exports", long_docstring: "16 MiB"}


@pytest.mark.parametrize("late", [False, True], ids=["handshake", "later"])
@pytest.mark.parametrize("describe", TOO_LARGE)
async def test_a_description_that_is_too_large(describe: Callable[[], bytes], late: bool) -> None:
    """A million exports, or a docstring of 100 MB, end the connection; this side makes nothing of them."""
    exports, message = describe(), TOO_LARGE[describe]
    peer = Peer()
    waiting: asyncio.Future[Any] = peer.connection.opened
    if late:
        await peer.open()
        waiting, _ = await peer.called()
    frame = b"\x92\x0f" + exports if late else b"\x96\x01\x01\xa10" + exports + b"\x08\x90"
    peer.say(frame)
    tracemalloc.start()
    try:
        with pytest.raises(workerlib.ConnectionClosedError, match=message):
            await waiting
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # The test's own channel may copy the frame.
    assert peak < len(frame) + MILLION, f"{peak} bytes for a frame of {len(frame)}"


async def test_exports_that_are_too_many_together() -> None:
    """Messages that are each small enough may not describe more than 10,000 functions, nor text without end."""
    for names, doc, message in (
        ((f"f{number}" for number in range(MILLION)), None, "more than 10,000 functions"),
        (("f" for _ in range(MILLION)), "x" * 1_000_000, "more than 64 MiB of text"),
    ):
        listening = Session.listen(__version__, describing([]), adapters=[])
        end, page_end = loopback_channel()
        serving = Connection(listening, end, {"f": asyncio.sleep})
        opening = Found("odd", page_end, None)

        async def found(opening: Found = opening) -> Found:
            return opening

        worker = await establish(
            found, Progress("odd"), Settings(), AdapterSet(), interface=None, timeout=5 * PACE
        )
        told = 0
        while not worker.closed and told < 200:
            # Another description, or it would not be told again.
            some = [
                (name, f"{doc}{told}", None, None, 0)
                for name in itertools.islice(names, 1_000 if doc is None else 1)
            ]
            listening.announce(some)
            serving._carry_out()
            told += 1
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        assert message in await worker._connection.closed
        assert len(worker._connection.functions_there) <= 10_000
        await serving.closed


async def test_a_late_export_that_is_described_wrongly() -> None:
    """Told after the handshake, it ends the connection, and calls under way with it."""
    end, page_end = loopback_channel()
    listening = Session.listen(__version__, describing([]), adapters=[])

    async def never() -> None:
        await asyncio.Event().wait()

    serving = Connection(listening, end, {"f": never})

    async def opening() -> Found:
        return Found("odd", page_end, None)

    worker = await establish(
        opening, Progress("odd"), Settings(), AdapterSet(), interface=None, timeout=5 * PACE
    )
    call = asyncio.ensure_future(worker.f())
    await asyncio.sleep(0.01)
    listening.announce(describing([("not a name", 1, None, None)], "g"))
    serving._carry_out()
    with pytest.raises(workerlib.ConnectionClosedError, match="its export 'g'"):
        await call
    await serving.closed
