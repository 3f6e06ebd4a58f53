"""Frames about adapters as no writer writes them: extension types 82 to 85 and deferred values. Errors, never a crash."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest
from workerlib import FrameError, register_adapter
from workerlib._native import Session, decode
from workerlib._rpc.connection import Connection
from workerlib._values.adapters import AdapterSet
from workerlib._values.async_adapters import finish, restore

from loopback import loopback_channel
from pace import PACE
from sessions import connected


class Thing:
    def __init__(self, content: Any = None) -> None:
        self.content = content


@pytest.fixture(autouse=True)
def adapters(no_adapters: None) -> None:
    """One that is sync, one that is async."""
    register_adapter(Thing, lambda thing: thing.content, Thing, name="m:C")

    async def later(data: Any) -> Any:
        return data

    register_adapter(Later, lambda thing: thing.content, later, name="m:L")


class Later(Thing):
    pass


KEY, NAME = b"\xa3m:C", b"\xa3m.C"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (b"\xd4\x52\x00", "missing 3 required"),
        (b"\xd4\x52\x02" + KEY + b"\x07", "missing 1 required"),
        (b"\xd4\x52\x04" + KEY + b"\x07" + NAME + b"\x07", "takes 4 positional arguments"),
        (b"\xd4\x52\x03" + KEY + b"\x07", "values should follow|ends here"),
        (b"\xd4\x52\x03\x90\x07" + NAME, "needs the adapter's key"),
        (b"\xd4\x53\x01\x00", "deferred value 0 has not come before"),
        (b"\xd4\x53\x00", "a slot has to have one value"),
        (b"\xd4\x53\x02\x00\x00", "deferred value 0 has not come|a slot has to have one value"),
        (b"\xd4\x53\x01" + KEY, "a slot has to have one value"),
        (b"\xd4\x54\x00", "extension type 84 is unknown"),
        (b"\xd4\x55\x01\x00", "extension type 85 is unknown"),
    ],
)
def test_values_that_are_none(values: bytes, message: str) -> None:
    """Wrong numbers of values, keys that are not strs, slots without a number, deferred values where a value should be."""
    with pytest.raises(FrameError, match=message):
        decode(b"\x90" + values, [])


def test_a_key_that_this_side_does_not_have() -> None:
    """Nothing is looked up anywhere else, whatever the name is."""
    for key in (b"\xa9os:system", b"\xa3m:D", b"\xa0"):
        with pytest.raises(LookupError, match="this side has no adapter"):
            decode(b"\x90\xd4\x52\x03" + key + b"\xa2id" + NAME, [])


def _row(number: bytes = b"\x00", key: bytes = KEY, data: bytes = b"\x07") -> bytes:
    return b"\x90" + number + key + data + NAME + b"\xa1p"


CALL = b"\x93\x03\x01\xa1f"
NO_ARGUMENTS = b"\x90\xd4\x10\x00\x80"
SLOT = b"\x90\xd4\x10\x01\xd4\x53\x01\x00\x80"


async def _answer(frame: bytes) -> tuple[int, bytes]:
    """Sends a call to a new worker; returns the kind of its answer, and all of it."""
    ours, theirs = loopback_channel()
    answers: asyncio.Queue[bytes] = asyncio.Queue()
    ours.listen(lambda answer, _buffers: answers.put_nowait(answer), lambda _reason: None)
    connection = Connection(Session.listen("0", []), theirs, {"f": lambda *args, **kwargs: len(args)})
    ours.post(b"\x96\x00\x01\xa10\x90\x08\x90", [])
    assert (await answers.get())[1] == 1
    ours.post(frame, [])
    answer = await asyncio.wait_for(answers.get(), 5 * PACE)
    while answer[1] == 8:
        answer = await asyncio.wait_for(answers.get(), 5 * PACE)
    connection.close()
    await connection.closed
    return answer[1], answer


async def test_deferred_values_that_are_right() -> None:
    """The right frames, which the tests below spoil."""
    assert (await _answer(CALL + b"\xd4\x54\x01" + _row() + SLOT))[1][-1:] == b"\x01"
    assert (await _answer(CALL + b"\xd4\x54\x00\xd4\x54\x01" + _row(key=b"\xa3m:L") + SLOT))[0] == 4


@pytest.mark.parametrize(
    "rest",
    [
        b"\xd4\x54\x01",
        b"\xd4\x54\xff" + _row() + SLOT,
        b"\xd6\x54\xff\xff\xff\xff" + _row() + SLOT,
        b"\xd4\x54\x01" + _row(number=KEY) + SLOT,
        b"\xd4\x54\x01" + _row(number=b"\xd4\x53\x01\x00") + SLOT,
        b"\xd4\x54\x01" + _row(key=b"\x90") + SLOT,
        b"\xd4\x54\x01" + _row(key=b"\xa3m:D") + SLOT,
        b"\xd4\x54\x01" + _row(data=b"\xd4\x53\x01\x00") + SLOT,
        b"\xd4\x54\x01" + _row(data=b"\xc1") + SLOT,
        b"\xd4\x54\x01\x91\x63" + _row()[1:] + SLOT,
        b"\xd4\x54\x01" + _row(number=b"\x01") + SLOT,
        b"\xd4\x54\x02" + _row() + _row() + SLOT,
        b"\xd4\x54\x01" + _row() + b"\xd4\x54\x01" + _row() + SLOT,
        b"\xd4\x54\x01" + _row() + NO_ARGUMENTS + b"\x00",
        b"\xd4\x54\x01" + _row() + b"\x90\x80\x80",
    ],
)
async def test_deferred_values_that_are_wrong(rest: bytes) -> None:
    """The call is answered by an error; the connection is not harmed."""
    assert (await _answer(CALL + rest))[0] == 5


async def test_any_bytes_after_deferred_values() -> None:
    """Frames with deferred values, spoilt at random: an answer comes, or the envelope was hit and the connection ends."""
    whole = (
        CALL
        + b"\xd4\x54\x02"
        + _row()
        + _row(b"\x01", b"\xa3m:L", b"\x93\x01\xa1x\xd4\x52\x03" + KEY + b"\x01" + NAME)
    )
    whole += b"\x91\x03\xd4\x10\x02\xd4\x53\x01\x00\xd4\x53\x01\x01\x81\xa1k\xd4\x50\x00"
    assert (await _answer(whole))[0] == 4
    chance = random.Random(82)
    for _ in range(400):
        spoilt = bytearray(whole)
        for _ in range(chance.randint(1, 3)):
            spoilt[chance.randrange(len(CALL), len(spoilt))] = chance.randrange(256)
        assert (await _answer(bytes(spoilt)))[0] in (4, 5)
        assert (await _answer(whole[: chance.randrange(len(CALL), len(whole))]))[0] == 5


async def test_slots_and_deferred_values_have_their_bytes() -> None:
    """The example of docs/wire-format.md, section 4.8."""
    page, worker = connected(Session.connect("0"), Session.listen("0", []))
    call, _ = page.begin(False)
    page.send(call, "f", (), {}, False)
    sent: Any = page.poll_transmit()
    worker.handle(*sent)
    while (step := worker.poll(True)) and step[0] != "call":
        pass
    assert step is not None

    async def encode(_: Any) -> int:
        return 7

    register_adapter(Example, encode, Example, name="m:C")
    unfinished: Any = worker.return_value(call, Example())
    worker.return_with_deferred(call, unfinished, await finish(unfinished))
    while (frame := worker.poll_transmit()) and frame[0][1] != 4:
        pass
    assert frame is not None
    example = "92 04 01 d4 54 01 90 00 a3 6d 3a 43 07 a3 6d 2e 43 a6 72 65 73 75 6c 74 90 d4 53 01 00"
    assert frame[0].hex(" ") == example
    page.handle(*frame)
    while (step := page.poll(True)) and step[0] != "return_with_deferred":
        pass
    assert step is not None
    _, arrival = step[1]
    await restore(arrival, AdapterSet())
    assert type(arrival.result()) is Example


class Example:
    def __init__(self, data: Any = None) -> None:
        assert data in (None, 7)


Example.__module__, Example.__qualname__ = "m", "C"
