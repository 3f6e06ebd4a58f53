"""Arrays whose content travels beside the frame: it is put where it stays, whatever the channel brings it in."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Callable
from typing import Any, cast

import pytest
import workerlib
from workerlib._native import decode

from trip import frame_of, round_trip

IN_PYODIDE = sys.platform == "emscripten"
CODES = "bBhHiIlLqQfd"
SIZE = 40_000


def large(code: str) -> array[Any]:
    """Makes an array of SIZE bytes, no two items of which are alike for long."""
    return array(code, bytes(index * 7 % 251 for index in range(SIZE)))


def javascripts(content: bytes) -> Any:
    """Gives JavaScript's buffer with that content, as a port does."""
    import js

    buffer = js.Uint8Array.new(len(content))
    buffer.assign(content)
    return buffer


SOURCES: dict[str, Callable[[bytes], Any]] = {
    "bytes": bytes,
    "bytearray": bytearray,
    "memoryview": memoryview,
    "array": lambda content: array("B", content),
    **({"JavaScript": javascripts} if IN_PYODIDE else {}),
}


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("code", CODES)
def test_a_large_array_arrives_as_itself(code: str, source: str) -> None:
    """Any object may export the buffer that came; the array owns its memory, and may grow."""
    sent = large(code)
    data, buffers = frame_of(sent)
    assert [len(buffer) for buffer in buffers] == [SIZE]
    given = SOURCES[source](buffers[0])
    back = decode(data, [given])
    assert type(back) is array
    assert (back.typecode, back.tobytes()) == (sent.typecode, sent.tobytes())
    back[0] = back[1]
    back.append(back[0])
    assert bytes(given) == buffers[0] if source != "JavaScript" else given.to_bytes() == buffers[0]


def test_an_array_of_items_of_another_size() -> None:
    """A long has four bytes here and eight there: the content says what they are."""
    data, buffers = frame_of(large("q"))
    back = decode(data.replace(b"\xa1q", b"\xa1i", 1), list(buffers))
    assert type(back) is array
    assert (back.typecode, back.tobytes()) == ("q", buffers[0])


def test_an_array_among_others() -> None:
    """Small ones, shared ones, and views of one stay what they are."""
    one, small = large("d"), array("d", [1.5])
    view = memoryview(one)
    back = cast(Any, round_trip([one, small, one, view, (one,), memoryview(small)]))
    assert back[0] is back[2] is back[4][0]
    assert back[0] == one
    assert back[1] == small
    assert type(back[3]) is memoryview
    assert back[3] == view
    assert back[5] == memoryview(small)


VIEW = frame_of(memoryview(large("d")))[0][1:]
HEAD = b"\xd4\x33\x02"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"\xd4\x33\x03\xa1d" + VIEW + b"\xc0", "argument"),
        (b"\xd4\x33\x01\xa1d", "argument"),
        (HEAD + b"\xc0" + VIEW, "content"),
        (HEAD + b"\xa1O" + VIEW, "typecode"),
        (HEAD + b"\xa2dd" + VIEW, "argument"),
        (HEAD + b"\xa1d" + VIEW.replace(b"\xa1d", b"\xa1O"), "header"),
        (HEAD + b"\xa1d" + VIEW.replace(b"\xcd\x13\x88", b"\xcd\x13\x87"), "header"),
        (HEAD + VIEW + b"\xa1d", "content"),
    ],
    ids=[
        "three values",
        "one",
        "no typecode",
        "objects",
        "two",
        "pointers",
        "another length",
        "the other way",
    ],
)
def test_what_is_no_array_is_refused(body: bytes, reason: str) -> None:
    """The rules are those for content that stands in the frame."""
    with pytest.raises(workerlib.FrameError, match=reason):
        decode(b"\x90" + body, [bytes(SIZE)])


def test_a_buffer_that_did_not_come() -> None:
    """A frame that lacks a buffer is refused, and the error names the buffer."""
    data, _ = frame_of(large("d"))
    with pytest.raises(workerlib.FrameError, match="buffer 0 did not come"):
        decode(data, [])


def test_content_that_something_refers_to_stays_a_memoryview() -> None:
    """A hostile sender may share the content, though no sender of ours does."""
    # A list: an array, and a reference to its content, which starts behind the list's and the array's own first bytes.
    body = b"\x92" + HEAD + b"\xa1d" + VIEW + b"\xd4\x50\x00"
    back = cast(Any, decode(b"\x91\x06" + body, [bytes(SIZE)]))
    assert back[0] == array("d", bytes(SIZE))
    assert type(back[1]) is memoryview
    assert back[1].nbytes == SIZE
