"""The other side of a connection in the hands of a test, which writes its frames by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from workerlib import __version__
from workerlib._native import Session, encode
from workerlib._rpc.connection import Connection

from loopback import LoopbackEndpoint, loopback_channel

# Envelopes, written by hand (docs/wire-format.md, section 3).
WELCOME = b"\x96\x01\x01\xa10\x91\x94\xa1f\xc0\xc0\xc0\x08\x90"

# The sharing table of a frame in which nothing is shared (section 4.5); it stands before the values.
TABLE = b"\x90"


def returns(call: int, value: object) -> bytes:
    """Makes the frame that answers a call."""
    return b"\x92\x04" + bytes([call]) + encode(value)[0]


class Peer:
    """The other end of a connection, in the hands of the test."""

    def __init__(self, interrupt: Callable[[int, int], None] | None = None) -> None:
        self.end, page_end = loopback_channel()
        self.frames: asyncio.Queue[bytes] = asyncio.Queue()
        self.end.listen(lambda frame, buffers: self.frames.put_nowait(frame), lambda reason: None)
        self.page_end: LoopbackEndpoint = page_end
        self.connection = Connection(Session.connect(__version__), page_end, {}, interrupt=interrupt)

    def say(self, *frames: bytes) -> None:
        """Sends frames as they are."""
        for frame in frames:
            self.end.post(frame, [])

    async def open(self) -> None:
        """Does the handshake."""
        assert (await self.frames.get())[1] == 0
        self.say(WELCOME)
        await self.connection.opened

    async def called(self) -> tuple[asyncio.Task[object], int]:
        """Has the page call f(): the waiting task, and the call's id."""
        task = asyncio.create_task(self.connection.call("f", (), {}))
        frame = await self.frames.get()
        assert frame[1] == 3
        return task, frame[2]
