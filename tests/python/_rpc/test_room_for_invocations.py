"""Calls of handles that wait until the other side takes another one: whatever makes room, or ends the wait."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import workerlib
from workerlib._rpc import connection

from peer_by_hand import TABLE, Peer

WINDOW_OF_ONE = b"\x97\x01\x01\xa10\x91\x94\xa1f\xc0\xc0\xc0\x08\x90\x01"
OBJECT = b"\xd4\x61\x04\xa6sender\x01\xa6object\xd4\x10\x02\xa1x\xd4\x10\x01\xd4\x10\x02\xa1m\xc2"
ANSWERS = {
    "Heard": lambda call: b"\x92\x21\x91" + call,
    "Return": lambda call: b"\x92\x04" + call + TABLE + b"\x01",
    "Cancelled": lambda call: b"\x92\x0a" + call,
}


async def given_up(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, bytes]:
    """Gets a handle whose window of one call is full with a call that nobody waits for any more."""
    monkeypatch.setattr("peer_by_hand.WELCOME", WINDOW_OF_ONE)
    monkeypatch.setattr(connection, "_GRACE", 0)
    await peer.open()
    call, call_id = await peer.called()
    peer.say(b"\x92\x04" + bytes([call_id]) + TABLE + OBJECT)
    handle: Any = await call
    first = asyncio.create_task(handle.m())
    invoke = await peer.frames.get()
    assert invoke[1] == 32
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert (await peer.frames.get())[1] == 6
    return handle, invoke[2:3]


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
async def test_an_answer_that_nobody_waits_for_makes_room(
    answer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The call that waits is sent at once; nothing looks for room by the clock."""
    peer = Peer()
    handle, first = await given_up(peer, monkeypatch)
    second = asyncio.create_task(handle.m())
    while peer.connection.references.room is None:
        await asyncio.sleep(0)
    peer.say(answer(first))
    invoke = await peer.frames.get()
    assert invoke[1] == 32
    peer.say(b"\x92\x21\x91" + invoke[2:3])
    assert await second is None


async def test_the_end_of_the_connection_ends_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where no call has an answer to lose."""
    peer = Peer()
    handle, _ = await given_up(peer, monkeypatch)
    second = asyncio.create_task(handle.m())
    while peer.connection.references.room is None:
        await asyncio.sleep(0)
    peer.connection.close()
    with pytest.raises(workerlib.ConnectionClosedError):
        await second
