"""Long strs: their content comes into the frame when it is put together, and everything else keeps its place."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from workerlib import _native

from trip import round_trip

LENGTHS = [0, 1, 31, 32, 255, 256, 511, 512, 513, 65_535, 65_536, 70_000]
#: One, two, three and four bytes of UTF-8.
CHARACTERS = ["a", "é", "€", "😀"]


def head_of(count: int) -> bytes:
    """Writes the marker of a str of that many bytes: docs/wire-format.md, section 4.1."""
    if count < 32:
        return bytes([0xA0 | count])
    for marker, size in ((0xD9, 1), (0xDA, 2), (0xDB, 4)):
        if count < 1 << 8 * size:
            return bytes([marker]) + count.to_bytes(size, "big")
    raise AssertionError


@pytest.mark.parametrize("character", CHARACTERS)
@pytest.mark.parametrize("length", LENGTHS)
def test_a_text_of_any_length_has_its_bytes_where_they_belong(length: int, character: str) -> None:
    """The frame is the same as if every text had been copied at once."""
    text = character * length
    content = text.encode()
    frame, buffers = _native.encode([1, character * length, 2.5, {"key": f"{text}!"}])
    expected = bytes([0x94, 1]) + head_of(len(content)) + content + bytes.fromhex("cb4004000000000000")
    tail = bytes([0x81]) + b"\xa3key" + head_of(len(content) + 1) + content + b"!"
    assert not buffers
    assert frame.endswith(expected + tail)


@pytest.mark.parametrize("length", LENGTHS)
def test_what_is_shared_behind_a_long_text_is_found(length: int) -> None:
    """The sharing table counts the texts that were left out while it was written."""
    text = "x" * length + "é"
    shared = ["shared", text]
    value = [text, shared, "y" * length, {text: shared, "list": shared}, (text, shared), shared]
    arrived: Any = round_trip(value)
    assert arrived == value
    expected = pickle.loads(pickle.dumps(value, 5))
    assert arrived[1] is arrived[5]
    assert (arrived[0] is arrived[1][1]) == (expected[0] is expected[1][1])
    assert arrived[3]["list"] is arrived[4][1] is arrived[1]


def test_a_tuple_in_itself_behind_long_texts_arrives() -> None:
    """An object that is written anew, since a cycle was found, stands behind the texts that were left out."""
    inner: list[Any] = ["a" * 1000]
    cycle = ("b" * 2000, inner, "c" * 3000)
    inner.append(cycle)
    arrived: Any = round_trip(["d" * 4000, cycle, cycle])
    assert arrived[1] is arrived[2]
    assert arrived[1][1][1] is arrived[1]
    assert (arrived[1][0], arrived[1][2], arrived[1][1][0]) == ("b" * 2000, "c" * 3000, "a" * 1000)


def test_a_text_that_python_code_drops_meanwhile_is_sent_as_it_was() -> None:
    """A long text is kept until its content was copied, whatever runs before that."""

    outer = {"text": "".join(["dropped "] * 1000)}

    class Clearing:
        def __iter__(self) -> Any:
            outer.clear()
            return iter([1, 2, 3])

    with pytest.warns(Warning, match="Clearing"):
        arrived: Any = round_trip([outer, Clearing()])
    assert arrived == [{"text": "dropped " * 1000}, [1, 2, 3]]
