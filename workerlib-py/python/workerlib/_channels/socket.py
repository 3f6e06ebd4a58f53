"""A stream socket as an endpoint: how frames travel between two processes of one machine.

A message is its number of parts and their lengths, little-endian, then the parts: the frame and its buffers
(docs/adr/0024-workers-outside-the-browser.md). Large parts get room as their bytes come. A message waits
in a queue of this side's for as long as the other side does not read; this side goes on reading meanwhile,
so two sides that send to each other at once cannot block each other.

It knows nothing of processes, and it does not check what it carries: that is the session's work.
"""

from __future__ import annotations

import asyncio
import select
import socket
import struct
import sys
from collections import deque
from collections.abc import Callable
from typing import Any

# More parts than that are a sign of bytes that are not a message.
_MOST_PARTS = 1 << 20
_COUNT = struct.Struct("<I")
# The number of bytes that are read at once, while it is not known where they belong.
_SCRATCH = 64 << 10
# The room that a large part has at first.
_FIRST_ROOM = 1 << 20
# The number of bytes that are written at once. The transport keeps, and before Python 3.12 copies, the bytes
# that the socket does not take.
_CHUNK = 256 << 10

OnMessage = Callable[[bytes, list[Any]], None]
OnBroken = Callable[[str], None]


class PipeEndpoint(asyncio.BufferedProtocol):
    """An `Endpoint` over a connected stream socket."""

    def __init__(self) -> None:
        """Makes an endpoint without a socket; `open_pipe()` is the way to get one that works."""
        self._on_message: OnMessage | None = None
        self._on_broken: OnBroken | None = None
        self._transport: asyncio.Transport | None = None
        self._arrived: deque[list[Any]] = deque()
        self._reader = _MessageReader(self._arrived.append)
        self._waiting: deque[memoryview] = deque()
        self._may_write = True
        self._closing = False
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """Done when nothing more can arrive: with the reason."""

    # The protocol `Endpoint`, for a connection.

    def starts_at_once(self, _name: str, _function: object, _has_callback: bool) -> bool:
        """Tells that each call may: `Endpoint.starts_at_once`. Outside of a browser, any stack can wait."""
        return True

    def listen(
        self, on_message: OnMessage, on_broken: OnBroken, on_death: Callable[[str], None] | None = None
    ) -> None:
        """Starts to deliver; what arrived before is delivered too."""
        self._on_message, self._on_broken = on_message, on_broken
        asyncio.get_running_loop().call_soon(self._deliver)

    async def receive(self) -> tuple[bytes, list[Any]] | None:
        """Waits for one message, before anybody listens; None if the channel has ended."""
        received: asyncio.Future[tuple[bytes, list[Any]] | None] = asyncio.get_running_loop().create_future()

        def take(*message: Any) -> None:
            self._on_message = self._on_broken = None
            if not received.done():
                received.set_result(message if len(message) == 2 else None)

        self.listen(take, take)
        return await received

    def post(self, frame: bytes, buffers: list[Any]) -> None:
        """Sends; what the socket does not take at once is kept, as a copy where it could change."""
        if self._closing or self.ended.done():
            return
        parts = [frame, *buffers]
        lengths = [memoryview(part).nbytes for part in parts]
        head = _COUNT.pack(len(parts)) + struct.pack(f"<{len(parts)}Q", *lengths)
        if lengths[0] <= _CHUNK:
            self._waiting.append(memoryview(head + frame))
        else:
            self._waiting.extend((memoryview(head), memoryview(frame)))
        for buffer in buffers:
            # Only bytes stay as they are when this has returned.
            self._waiting.append(memoryview(buffer if type(buffer) is bytes else bytes(memoryview(buffer))))
        self._write()

    def post_all(self, messages: list[tuple[bytes, list[Any]]]) -> None:
        """Sends several, in their order."""
        for message in messages:
            self.post(*message)

    def close(self) -> None:
        """Closes the socket, after what was posted has been sent."""
        self._on_message = self._on_broken = None
        self._closing = True
        self._write()

    def abort(self, reason: str) -> None:
        """Closes the socket at once: the other side is gone."""
        self._waiting.clear()
        if self._transport is not None:
            self._transport.abort()
        self._end(reason)

    # For sync code that waits, while the event loop stands.

    @property
    def can_block(self) -> bool:
        """Whether sync code can wait here: not where another thread of the system reads (Windows)."""
        return sys.platform != "win32"

    def sleep(self, seconds: float) -> None:
        """Sleeps until the socket can be read, or takes what waits to be written."""
        if self._transport is None or self._transport.is_closing() or self.ended.done():
            return
        socket = self._transport.get_extra_info("socket")
        writing = [socket] if self._transport.get_write_buffer_size() else []
        select.select([socket], writing, [], seconds)

    def take_in(self) -> None:
        """Reads and writes as much as the socket allows now, and delivers what is whole."""
        transport: Any = self._transport
        if transport is None or transport.is_closing():
            # It has been delivered already that the channel has ended, or the loop will say so.
            self._end("the channel is closed")
            return
        socket = transport.get_extra_info("socket")
        readable, writable, _ = select.select([socket], [socket], [], 0)
        if writable and transport.get_write_buffer_size():
            # asyncio itself calls these then; there is no public way to have the loop write while it stands.
            transport._write_ready()
        if readable:
            transport._read_ready()

    # The protocol of asyncio's transports.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Takes the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def get_buffer(self, sizehint: int) -> memoryview:
        """Tells where to put what is read next."""
        return self._reader.room()

    def buffer_updated(self, nbytes: int) -> None:
        """Takes in what was read."""
        try:
            self._reader.take(nbytes)
        except _NoMessageError as error:
            self.abort(f"what arrived is not a message: {error}")
        self._deliver()

    def eof_received(self) -> None:
        """Notes that the other side has closed; the transport closes then, too."""
        self._end("the other side has closed its end")

    def connection_lost(self, exc: Exception | None) -> None:
        """Notes that the socket is gone."""
        self._transport = None
        self._waiting.clear()
        self._end("the channel is closed" if exc is None else f"the channel failed: {exc}")

    def pause_writing(self) -> None:
        """Stops writing: the other side does not read."""
        self._may_write = False

    def resume_writing(self) -> None:
        """Writes what has waited."""
        self._may_write = True
        self._write()

    def _deliver(self) -> None:
        while self._arrived and self._on_message is not None:
            frame, *buffers = self._arrived.popleft()
            try:
                self._on_message(frame, buffers)
            except Exception as error:
                self.abort(f"a message could not be taken in: {error!r}")
        if self.ended.done() and not self._arrived and self._on_broken is not None:
            on_broken, self._on_broken = self._on_broken, None
            on_broken(self.ended.result())

    def _write(self) -> None:
        if self._transport is None:
            return
        while self._waiting and self._may_write and not self._transport.is_closing():
            part = self._waiting.popleft()
            if len(part) > _CHUNK:
                self._waiting.appendleft(part[_CHUNK:])
            self._transport.write(part[:_CHUNK])
        if self._closing and not self._waiting:
            self._transport.close()

    def _end(self, reason: str) -> None:
        if not self.ended.done():
            self.ended.set_result(reason)
            self._deliver()


class _NoMessageError(Exception):
    """The bytes that arrived cannot be a message."""


class _MessageReader:
    """Puts messages together from what a socket gives, and hands each on when it is whole."""

    def __init__(self, hand_on: Callable[[list[Any]], None]) -> None:
        self._hand_on = hand_on
        self._scratch = memoryview(bytearray(_SCRATCH))
        # The filled part of the scratch, in bytes.
        self._filled = 0
        # A large part that has begun, and what of it is still to come.
        self._large: bytearray | None = None
        self._room = self._scratch
        # The next bytes are a number of parts, then their lengths, then one part after the other.
        self._lengths: tuple[int, ...] | None = None
        self._parts: list[Any] = []
        self._wanted = _COUNT.size

    def room(self) -> memoryview:
        """The memory into which to read next."""
        return self._room

    def take(self, count: int) -> None:
        """Takes in `count` bytes that were put into `room()`."""
        if self._large is None:
            self._filled += count
        else:
            self._room = self._room[count:]
            if self._room:
                return
            if len(self._large) < self._wanted:
                self._grow(2 * len(self._large))
                return
            large, self._large = self._large, None
            self._step(large)
        start = 0
        while self._large is None:
            left = self._filled - start
            if self._wanted <= left:
                piece = bytes(self._scratch[start : start + self._wanted])
                start += self._wanted
                self._step(piece)
            elif self._wanted <= _SCRATCH // 2:
                # In place, and never more than half of the scratch.
                self._scratch[:left] = bytes(self._scratch[start : self._filled])
                self._filled = left
                self._room = self._scratch[left:]
                return
            else:
                self._begin_large(self._scratch[start : self._filled])
                start = self._filled = 0

    def _begin_large(self, begin: memoryview) -> None:
        self._large = bytearray(begin)
        self._grow(_FIRST_ROOM)

    def _grow(self, size: int) -> None:
        """Gives a large part more room: as much as has come, since its length is but a word."""
        assert self._large is not None
        begin = self._large
        try:
            self._large = bytearray(min(size, self._wanted))
        except MemoryError:
            raise _NoMessageError(f"a part has {self._wanted} bytes, too many for the memory") from None
        self._large[: len(begin)] = begin
        self._room = memoryview(self._large)[len(begin) :]

    def _step(self, piece: bytes | bytearray) -> None:
        if self._lengths is None:
            (count,) = _COUNT.unpack(piece)
            if not 1 <= count <= _MOST_PARTS:
                raise _NoMessageError(f"it has {count} parts")
            self._lengths = ()
            self._wanted = 8 * count
            return
        if not self._lengths:
            self._lengths = struct.unpack(f"<{len(piece) // 8}Q", piece)
        else:
            self._parts.append(piece)
        if len(self._parts) < len(self._lengths):
            self._wanted = self._lengths[len(self._parts)]
            if self._wanted > sys.maxsize:
                raise _NoMessageError(f"a part has {self._wanted} bytes, more than any memory")
            return
        parts, self._parts = self._parts, []
        self._lengths = None
        self._wanted = _COUNT.size
        self._hand_on([bytes(parts[0]), *parts[1:]])


async def open_pipe(sock: socket.socket) -> PipeEndpoint:
    """Makes an endpoint of a connected stream socket, which it takes over.

    Args:
        sock: One of `socket.socketpair()`, or its like in another process.
    """
    sock.setblocking(False)
    transport, endpoint = await asyncio.get_running_loop().create_connection(PipeEndpoint, sock=sock)
    transport.set_write_buffer_limits(high=_CHUNK)
    return endpoint
