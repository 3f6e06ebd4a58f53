"""A frame leaves nothing behind in the receiver but its values: no output, no modules, no memory, no broken text."""

from __future__ import annotations

import enum
import importlib.util
import re
import sys
from typing import Any

import pytest
import workerlib
from workerlib._native import decode, encode

numpy: Any = None
if importlib.util.find_spec("numpy"):
    import numpy


def extension(kind: int, *values: object) -> bytes:
    """Writes an extension type and its values, whatever they are."""
    return b"\x90\xd4" + bytes([kind, len(values)]) + b"".join(encode(value)[0][1:] for value in values)


def refusal(frame: bytes) -> str:
    """Gives the error of a frame that must be refused."""
    with pytest.raises(workerlib.FrameError) as caught:
        decode(frame, [])
    return str(caught.value)


def test_a_pattern_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """re.DEBUG is a wish to print where the pattern was compiled, and does not travel."""
    pattern = re.compile("a+", re.DEBUG | re.IGNORECASE)
    capsys.readouterr()
    arrived = decode(*encode(pattern))
    assert decode(extension(71, "a+", int(re.DEBUG)), []).pattern == "a+"
    assert capsys.readouterr().out == ""
    assert arrived == re.compile("a+", re.IGNORECASE)


class Bits(enum.Flag):
    """Flags of a user's."""

    A = 1
    B = 2
    C = 1 << 20


class OpenBits(enum.IntFlag):
    """Flags that keep bits that nobody has named."""

    A = 1


@pytest.mark.parametrize("cls", [re.RegexFlag, Bits, OpenBits])
def test_an_enum_of_flags_does_not_grow_for_ever(cls: type[enum.Flag]) -> None:
    """An enum keeps each combination that was ever asked for: a peer could fill the memory with them."""
    name = f"{cls.__module__}:{cls.__qualname__}"
    before = len(cls._value2member_map_)
    kept = 0
    for value in range(6000):
        try:
            kept += decode(extension(76, name, None, value), [])._value_ == value
        except workerlib.FrameError:
            pass
    assert kept >= 2
    assert len(cls._value2member_map_) <= max(before, 4096)
    assert "so many bits" in refusal(extension(76, name, None, 1 << 8000))
    assert len(cls._value2member_map_) <= max(before, 4096)


def test_combinations_that_are_known_still_arrive() -> None:
    """However many combinations there are, one that this side uses itself arrives."""
    for value in (Bits.A | Bits.C, Bits(0), OpenBits(1 << 5), re.IGNORECASE | re.MULTILINE):
        arrived = decode(*encode(value))
        assert (type(arrived), arrived) == (type(value), value)
        # Early versions of Python 3.11 make a new object of bits that nobody has named, each time.
        assert arrived is value or type(value)(value._value_) is not value


@pytest.mark.parametrize(
    "name", ["zoneinfo/x", "America/x", "../tzdata/zones", "tzdata.zoneinfo", "__init__", "", "a//b", "/UTC"]
)
def test_no_module_is_imported_for_a_zone(name: str) -> None:
    """`zoneinfo` imports the package below tzdata to which a name leads; here only names of zones are asked for."""
    before = set(sys.modules)
    refusal(extension(57, name))
    imported = {module for module in set(sys.modules) - before if module.startswith("tzdata.")}
    assert not imported


@pytest.mark.parametrize("name", ["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+5"])
def test_zones_that_there_are_arrive(name: str) -> None:
    """Names with several parts, and with every character that IANA uses."""
    zoneinfo = pytest.importorskip("zoneinfo")
    try:
        zone = zoneinfo.ZoneInfo(name)
    except zoneinfo.ZoneInfoNotFoundError:
        pytest.skip("this Python has no zones")
    assert decode(*encode(zone)) == zone


@pytest.mark.parametrize("content", [b"\xff" * 4, bytearray(b"\xff" * 8), memoryview(b"\xff" * 4), ["a"], 3])
@pytest.mark.parametrize("typecode", ["u", "w"])
def test_an_array_of_characters_is_made_of_text(typecode: str, content: object) -> None:
    """Bytes would give it numbers beyond U+10FFFF, which are not characters and end CPython where they become a str."""
    assert "an array of characters has to be made from a str" in refusal(extension(51, typecode, content))


def impossible(dtype: Any, order: Any) -> tuple[Any, memoryview]:
    """Gives the description of an array of numpy's, and content in which a character has the number 0x110000."""
    description = workerlib_numpy().take_apart_dtype(dtype)[0]
    content = bytearray(dtype.itemsize)
    content[:4] = (0x110000).to_bytes(4, order)
    return description, memoryview(bytes(content))


def workerlib_numpy() -> Any:
    """Imports what knows numpy."""
    from workerlib._values.libraries import numpy_arrays

    return numpy_arrays


@pytest.mark.skipif(numpy is None, reason="there is no numpy here")
@pytest.mark.parametrize(
    ("dtype", "order"),
    [
        ("<U5", "little"),
        (">U1", "big"),
        ([("x", "<U2"), ("y", "<f8")], "little"),
        ([("x", ">U2", (2,))], "big"),
    ],
)
def test_numpy_has_no_impossible_characters(dtype: Any, order: str) -> None:
    """Arrays and scalars, in any byte order, as fields of a structure, in the frame and beside it."""
    dtype = numpy.dtype(dtype)
    description, content = impossible(dtype, order)
    assert "Unicode" in refusal(extension(73, description, (1,), "C", True, content))
    assert "Unicode" in refusal(extension(74, description, bytes(content)))
    count = 20_000 // dtype.itemsize
    frame, buffers = encode(numpy.zeros(count, dtype))
    assert len(buffers) == 1
    assert len(decode(frame, [bytes(count * dtype.itemsize)])) == count
    with pytest.raises(workerlib.FrameError, match="Unicode"):
        decode(frame, [bytes((count - 1) * dtype.itemsize) + bytes(content)])


@pytest.mark.skipif(numpy is None, reason="there is no numpy here")
def test_arrays_of_text_arrive() -> None:
    """Every character, in any order and memory, and empty strings."""
    texts = numpy.array([["a", "\U0010ffff"], ["", "é"]])
    for array in (texts, numpy.asfortranarray(texts), texts.astype(">U3"), texts[:0], numpy.zeros(3, "U0")):
        arrived = decode(*encode(array))
        assert arrived.dtype == array.dtype
        assert (arrived == array).all()
