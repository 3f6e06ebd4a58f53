"""The endpoint between two processes: messages stay whole, whatever the socket does and whoever is slow."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import tracemalloc
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from workerlib._channels.socket import PipeEndpoint, _MessageReader, _NoMessageError, open_pipe

Messages = list[list[bytes]]


def as_bytes(messages: Messages) -> bytes:
    """Writes messages as docs/adr/0024 says."""
    return b"".join(
        struct.pack(f"<I{'Q' * len(parts)}", len(parts), *map(len, parts)) + b"".join(parts)
        for parts in messages
    )


def read(data: bytes, sizes: list[int]) -> list[list[Any]]:
    """Feeds a reader with pieces of these sizes, over and over, as far as it has room."""
    messages: list[list[Any]] = []
    reader = _MessageReader(messages.append)
    start = turn = 0
    while start < len(data):
        room = reader.room()
        count = min(len(room), sizes[turn % len(sizes)], len(data) - start)
        room[:count] = data[start : start + count]
        reader.take(count)
        start += count
        turn += 1
    return messages


LENGTHS = st.one_of(st.integers(0, 30), st.integers(30_000, 70_000))


# How fast this machine makes examples is not what this tests.
@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.lists(LENGTHS, min_size=1, max_size=4), max_size=5),
    st.lists(st.integers(500, 70_000), min_size=1, max_size=5),
)
def test_messages_in_pieces_of_any_size(lengths: list[list[int]], sizes: list[int]) -> None:
    """They are put together again, and the frame is bytes, as the session wants it."""
    messages = [[bytes([index]) * length for index, length in enumerate(parts)] for parts in lengths]
    received = read(as_bytes(messages), sizes)
    assert received == messages
    assert all(type(parts[0]) is bytes for parts in received)


def test_sizes_around_the_readers_own() -> None:
    """Byte by byte, and at the sizes at which a part gets memory of its own."""
    messages = [[b"a" * size, b"b" * size] for size in (0, 1, 32_767, 32_768, 32_769, 65_537)]
    for sizes in ([1], [3, 32_768], [65_536], [10**9]):
        assert read(as_bytes(messages), sizes) == messages


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\0\0\0\0", "0 parts"),
        (b"\xff\xff\xff\xff", "4294967295 parts"),
        (struct.pack("<IQ", 1, 2**63), "9223372036854775808 bytes"),
        (struct.pack("<IQ", 1, 2**64 - 1), "18446744073709551615 bytes"),
    ],
)
def test_what_is_no_message(data: bytes, message: str) -> None:
    """It is an error before any memory is asked for."""
    with pytest.raises(_NoMessageError, match=message):
        read(data, [100])


@pytest.mark.parametrize("length", [1_500_000_000, 2**62], ids=["more than there is", "absurd"])
def test_a_length_is_not_believed_before_its_bytes(length: int) -> None:
    """Twelve bytes must not take a gigabyte: the room grows as bytes come."""
    reader = _MessageReader(lambda _: None)
    tracemalloc.start()
    try:
        for data in (struct.pack("<IQ", 1, length), *[b"x" * 60_000] * 100):
            start = 0
            while start < len(data):
                room = reader.room()
                count = min(len(room), len(data) - start)
                room[:count] = data[start : start + count]
                reader.take(count)
                start += count
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * 6_000_000


def test_many_parts_are_not_believed_either() -> None:
    """A number of parts says how long the list of their lengths is."""
    reader = _MessageReader(lambda _: None)
    tracemalloc.start()
    try:
        data = struct.pack("<I", 1 << 20) + bytes(100_000)
        reader.room()[: len(data) // 2] = data[: len(data) // 2]
        reader.take(len(data) // 2)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4_000_000


@contextlib.asynccontextmanager
async def pair() -> AsyncIterator[tuple[PipeEndpoint, PipeEndpoint]]:
    """Makes both ends in one process."""
    one, other = [await open_pipe(sock) for sock in socket.socketpair()]
    try:
        yield one, other
    finally:
        for end in (one, other):
            end.abort("the test is over")
        await asyncio.sleep(0)


def collect(end: PipeEndpoint) -> tuple[list[tuple[bytes, list[Any]]], list[str]]:
    """Listens; returns what arrives, and why it ended."""
    messages: list[tuple[bytes, list[Any]]] = []
    reasons: list[str] = []
    end.listen(lambda frame, buffers: messages.append((frame, buffers)), reasons.append)
    return messages, reasons


async def test_both_sides_send_at_once() -> None:
    """Much more than the socket holds, in both directions, and nobody waits for the other."""
    async with pair() as (one, other):
        (here, _), (there, _) = collect(one), collect(other)
        for number in range(20):
            for end in (one, other):
                end.post(b"%d" % number, [bytes([number]) * 1_000_000, bytearray(b"y")])
        while len(here) < 20 or len(there) < 20:
            await asyncio.sleep(0)
        for messages in (here, there):
            for number, (frame, (large, small)) in enumerate(messages):
                assert frame == b"%d" % number
                assert large == bytes([number]) * 1_000_000
                assert small == b"y"


async def test_a_side_that_does_not_read() -> None:
    """Sent messages wait here, without copies of immutable content, and the socket's buffer stays small."""
    async with pair() as (one, other):
        other._transport.pause_reading()  # type: ignore[union-attr]
        payload = b"x" * 20_000_000
        tracemalloc.start()
        for _ in range(5):
            one.post(b"frame", [payload])
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 2_000_000
        assert not one._may_write
        assert one._transport.get_write_buffer_size() < 1_000_000  # type: ignore[union-attr]
        messages, _ = collect(other)
        other._transport.resume_reading()  # type: ignore[union-attr]
        while len(messages) < 5:
            await asyncio.sleep(0)
        assert all(buffers == [payload] for _, buffers in messages)


async def test_what_was_posted_before_a_close_arrives() -> None:
    """All of it, then the end."""
    async with pair() as (one, other):
        one.post(b"last", [b"x" * 3_000_000])
        one.close()
        one.post(b"after the close", [])
        messages, reasons = collect(other)
        while not reasons:
            await asyncio.sleep(0)
        assert messages == [(b"last", [b"x" * 3_000_000])]
        assert one.ended.done()


async def test_what_changes_after_it_was_posted() -> None:
    """Buffers are sent as they were."""
    async with pair() as (one, other):
        messages, _ = collect(other)
        data = bytearray(b"a" * 3_000_000)
        one.post(b"", [data, memoryview(data).cast("B", (3, 1_000_000))])
        data[:] = b"b" * len(data)
        data.append(0)
        while not messages:
            await asyncio.sleep(0)
        assert messages[0][1] == [b"a" * 3_000_000] * 2


async def test_messages_before_there_is_a_listener() -> None:
    """Messages wait until somebody listens; `receive()` takes one."""
    async with pair() as (one, other):
        for number in range(5):
            one.post(b"%d" % number, [])
        assert await other.receive() == (b"0", [])
        await asyncio.sleep(0.01)
        assert await other.receive() == (b"1", [])
        messages, _ = collect(other)
        while len(messages) < 3:
            await asyncio.sleep(0)
        assert [frame for frame, _ in messages] == [b"2", b"3", b"4"]
        one.close()
        assert await other.receive() is None


async def test_a_listener_that_fails() -> None:
    """It ends the channel, with what it raised."""

    def fail(frame: bytes, buffers: list[Any]) -> None:
        raise LookupError("not taken in")

    async with pair() as (one, other):
        reasons: list[str] = []
        other.listen(fail, reasons.append)
        one.post(b"frame", [])
        while not reasons:
            await asyncio.sleep(0)
        assert "not taken in" in reasons[0]


async def test_garbage_from_the_other_side() -> None:
    """It ends the channel, with the reason."""
    here, there = socket.socketpair()
    end = await open_pipe(here)
    _, reasons = collect(end)
    with there:
        there.sendall(b"\0\0\0\0")
        while not reasons:
            await asyncio.sleep(0)
    assert "not a message: it has 0 parts" in reasons[0]
