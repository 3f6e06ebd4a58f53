"""Reads the golden bytes of tests/vectors, which Rust's tests read too: both sides mean the same format."""

from __future__ import annotations

import io
import json
import struct
from pathlib import Path
from typing import Any

import pytest
import workerlib
from workerlib._native import decode

from exact import assert_same
from trip import frame_of

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "values.json").read_text(encoding="utf-8"))
VALUES: list[dict[str, Any]] = VECTORS["values"]
REFUSED: list[dict[str, Any]] = VECTORS["refused"]
# Values that JSON cannot describe: each is a Python expression.
EXPRESSIONS: list[dict[str, Any]] = [*VECTORS["shared"], *VECTORS["library"]]


def value_of(description: Any) -> object:
    """Makes the value that a vector describes: see "format" in the file."""
    if description is None or isinstance(description, (bool, str)):
        return description
    if isinstance(description, list):
        return [value_of(item) for item in description]
    ((tag, content),) = description.items()
    match tag:
        case "int":
            return int(content)
        case "float":
            return struct.unpack(">d", bytes.fromhex(content))[0]
        case "surrogates":
            return bytes.fromhex(content).decode("utf-8", "surrogatepass")
        case "bytes":
            return bytes.fromhex(content)
        case "bytearray":
            return bytearray(bytes.fromhex(content))
        case "tuple":
            return tuple(value_of(item) for item in content)
        case "dict":
            return {value_of(key): value_of(value) for key, value in content}
        case "view":
            return view_of(content)
        case "complex":
            return complex(*struct.unpack(">2d", bytes.fromhex(content)))
        case "set":
            return {value_of(item) for item in content}
        case "frozenset":
            return frozenset(value_of(item) for item in content)
        case "ellipsis":
            return ...
        case "notimplemented":
            return NotImplemented
    raise ValueError(f"the vectors use a tag that this test does not know: {tag}")


def view_of(content: dict[str, Any]) -> memoryview:
    """Makes the memoryview that a vector describes."""
    view = memoryview(bytearray(bytes.fromhex(content["data"])))
    if 0 not in content["shape"]:
        view = view.cast(content["format"], content["shape"])
    assert view.itemsize == content["itemsize"]
    assert view.format == content["format"]
    assert list(view.shape or ()) == content["shape"]
    return view.toreadonly() if content["readonly"] else view


def test_the_vectors_were_read() -> None:
    """Protects the tests of this file, which would pass with an empty list."""
    assert len(VALUES) > 60
    assert len(REFUSED) > 10
    assert len(EXPRESSIONS) > 20


@pytest.mark.parametrize("vector", VALUES, ids=[vector["name"] for vector in VALUES])
def test_values_have_their_golden_bytes(vector: dict[str, Any]) -> None:
    """Encoding gives exactly these bytes."""
    frame, buffers = frame_of(value_of(vector["value"]))
    assert frame.hex() == vector["frame"]
    assert [buffer.hex() for buffer in buffers] == vector["buffers"]


@pytest.mark.parametrize("vector", VALUES, ids=[vector["name"] for vector in VALUES])
def test_golden_bytes_are_read_as_their_values(vector: dict[str, Any]) -> None:
    """Decoding these bytes gives exactly the value."""
    buffers = [bytes.fromhex(buffer) for buffer in vector["buffers"]]
    assert_same(decode(bytes.fromhex(vector["frame"]), list(buffers)), value_of(vector["value"]))


@pytest.mark.parametrize("vector", EXPRESSIONS, ids=[vector["name"] for vector in EXPRESSIONS])
def test_expressions_have_their_golden_bytes(vector: dict[str, Any]) -> None:
    """Shared values and those of the standard library are written as these bytes, and read back to values that are."""
    value = eval(vector["python"])
    assert frame_of(value) == (bytes.fromhex(vector["frame"]), [])
    back = decode(bytes.fromhex(vector["frame"]), [])
    assert type(back) is type(value)
    assert shown(back) == shown(value)
    assert frame_of(back) == (bytes.fromhex(vector["frame"]), [])


def shown(value: Any) -> object:
    """Gives what a value is: the `repr()` of a buffer has its address."""
    return (value.getvalue(), value.tell()) if isinstance(value, io.IOBase) else repr(value)


@pytest.mark.parametrize("vector", REFUSED, ids=[vector["name"] for vector in REFUSED])
def test_refused_bytes_tell_where_and_why(vector: dict[str, Any]) -> None:
    """The error names the offset and the section of the wire format."""
    with pytest.raises(workerlib.FrameError) as caught:
        decode(bytes.fromhex(vector["frame"]), [])
    assert f"at byte {vector['offset']}:" in str(caught.value)
    assert f"wire format, section {vector['section']})" in str(caught.value)
