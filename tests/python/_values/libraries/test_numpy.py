"""numpy's arrays, scalars and dtypes arrive as themselves: natively with the real numpy."""

from __future__ import annotations

import warnings
from typing import Any, cast

import pytest

np: Any = pytest.importorskip(
    "numpy", reason="numpy is not installed: in Pyodide its wheel is neither in npm nor in PyPI"
)

import workerlib
from workerlib import UnsendableError
from workerlib._native import decode, encode

from trip import frame_of, round_trip

PLAIN = ["?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16"]
TIMES = ["M8[ns]", "M8[D]", "M8[25s]", "M8[Y]", "M8", "m8[ms]", "m8[W]", "m8"]
TEXTS = ["S1", "S5", "U1", "U3", "V7"]
SWAPPED = [">i4", ">f8", ">c16", ">U3", ">M8[us]"]
STRUCTURES: dict[str, Any] = {
    "structure": [("a", "i4"), ("b", "f8"), ("c", "U3")],
    "with a sub-array": [("a", "i4"), ("b", "f8", (2, 3))],
    "nested": [("a", [("b", ">u2"), ("c", [("d", "?")])])],
    "with titles": [(("a title", "a"), "i4")],
    "with gaps": {"names": ["x"], "formats": ["i4"], "offsets": [4], "itemsize": 16},
    "out of order": {"names": ["x", "y"], "formats": ["i2", "i2"], "offsets": [2, 0]},
    "overlapping": {"names": ["x", "y"], "formats": ["i4", "i2"], "offsets": [0, 2]},
    "empty": [],
    "a field of no bytes": [("a", "i4"), ("b", "V0")],
}
ALIGNED = np.dtype([("a", "i1"), ("b", "f8"), ("c", [("d", "i2")])], align=True)
DTYPES: dict[str, Any] = {
    **{name: np.dtype(name) for name in [*PLAIN, *TIMES, *TEXTS, *SWAPPED]},
    **{name: np.dtype(description) for name, description in STRUCTURES.items()},
    "aligned": ALIGNED,
    "long double": np.dtype("g"),
    "complex long double": np.dtype("G"),
}
LAYOUTS: dict[str, Any] = {
    "C": np.arange(24.0).reshape(2, 3, 4),
    "Fortran": np.asfortranarray(np.arange(24.0).reshape(2, 3, 4)),
    "both": np.arange(3.0),
    "0-d": np.array(5.5),
    "empty": np.zeros((0,)),
    "empty in one dimension": np.zeros((3, 0, 2), "i2"),
    "empty, Fortran": np.zeros((3, 0), "i2", order="F"),
    "32 dimensions": np.ones((1,) * 32),
    "every second": np.arange(20)[::2],
    "backwards": np.arange(5)[::-1],
    "columns": np.arange(12).reshape(3, 4)[:, 1:3],
    "transposed": np.arange(24).reshape(2, 3, 4).transpose(1, 0, 2),
    "broadcast": np.broadcast_to(np.arange(3), (4, 3)),
    "a field": np.zeros(4, [("a", "i1"), ("b", "f8")])["b"],
    "one megabyte": np.arange(131_072),
    "one megabyte, Fortran": np.asfortranarray(np.arange(131_072).reshape(256, 512)),
    "one megabyte, every second": np.arange(262_144)[::2],
}


def filled(dtype: Any, shape: Any) -> Any:
    """Makes an array with bytes that are not all the same; the bytes of bools are 0 or 1."""
    count = int(np.prod(shape)) * dtype.itemsize
    content = bytes(index * 7 % 251 % (2 if dtype == np.dtype("?") else 256) for index in range(count))
    if dtype.kind == "U":
        content = np.array("aß\U0001f600"[: dtype.itemsize // 4]).astype(dtype).tobytes() * int(
            np.prod(shape)
        )
    array = np.zeros(shape, dtype)
    if content:
        array.reshape(-1).view("V1")[...] = np.frombuffer(content, "V1")
    for name in dtype.names or ():
        if dtype[name].kind == "U":
            # Not any bytes are characters.
            array[name] = "aß\U0001f600"
    return array


def assert_same_array(actual: Any, expected: Any) -> None:
    """Compares type, dtype, shape, order, flag and every byte of the content."""
    assert type(actual) is np.ndarray
    assert_same_dtype(actual.dtype, expected.dtype)
    assert actual.shape == expected.shape
    assert actual.flags.writeable == expected.flags.writeable
    assert actual.tobytes() == expected.tobytes()
    assert actual.flags.aligned
    if expected.flags.c_contiguous or expected.flags.f_contiguous:
        assert actual.flags.c_contiguous == expected.flags.c_contiguous
        assert actual.flags.f_contiguous == expected.flags.f_contiguous
    else:
        assert actual.flags.c_contiguous


def assert_same_dtype(actual: Any, expected: Any) -> None:
    """Compares what numpy's `==` overlooks too."""
    assert type(actual) is type(expected)
    assert actual == expected
    assert actual.str == expected.str
    assert actual.fields == expected.fields
    assert actual.isalignedstruct == expected.isalignedstruct
    assert actual.itemsize == expected.itemsize


@pytest.mark.parametrize("name", DTYPES)
@pytest.mark.parametrize("shape", [(), (3,), (2, 2), (0,)], ids=str)
def test_an_array_of_every_dtype(name: str, shape: tuple[int, ...]) -> None:
    """Every dtype without Python objects, in arrays of several shapes."""
    array = filled(DTYPES[name], shape)
    assert_same_array(round_trip(array), array)
    assert_same_array(cast(Any, round_trip({"deep": [array]}))["deep"][0], array)


@pytest.mark.parametrize("name", DTYPES)
def test_a_dtype_itself(name: str) -> None:
    """A dtype is a value too."""
    assert_same_dtype(round_trip(DTYPES[name]), DTYPES[name])


def test_a_sub_array_dtype() -> None:
    """It exists only as a value: an array of it has other dimensions."""
    for dtype in (np.dtype(("i4", (2, 3))), np.dtype((ALIGNED, (2,)))):
        assert_same_dtype(round_trip(dtype), dtype)
        assert cast(Any, round_trip(dtype)).subdtype == dtype.subdtype


def test_metadata_of_a_dtype_stays() -> None:
    """It may be anything; the dtype is the same without it."""
    array = np.zeros(2, np.dtype("i4", metadata={"unit": object()}))
    back: Any = round_trip(array)
    assert back.dtype == array.dtype
    assert back.dtype.metadata is None


@pytest.mark.parametrize("name", DTYPES)
def test_a_scalar_of_every_dtype(name: str) -> None:
    """A scalar is neither a 0-d array nor a Python number."""
    scalar = filled(DTYPES[name], (1,))[0]
    back: Any = round_trip(scalar)
    assert type(back) is type(scalar)
    assert_same_dtype(back.dtype, scalar.dtype)
    assert meaningful(back) == meaningful(scalar)


def meaningful(scalar: Any) -> bytes:
    """Gives the bytes of a scalar that mean something: x86's long double has ten, and numpy copies no others."""
    content = bytearray(np.asarray(scalar).tobytes())
    if scalar.dtype.char in "gG" and np.finfo("g").nmant == 63:
        for padding in range(10, len(content), 16):
            content[padding : padding + 6] = bytes(6)
    return bytes(content)


with warnings.catch_warnings():
    # Later versions of numpy do not want units to be left out; values of that kind can be sent all the same.
    warnings.simplefilter("ignore", DeprecationWarning)
    EDGES = [np.float64("nan"), np.float64(-0.0), np.str_(""), np.bytes_(b""), np.str_("a\0b"), np.True_,
             np.datetime64("NaT"), np.datetime64("2026-11-22T01:02:03.000000004"), np.timedelta64(-5, "h"),
             np.void(b"")]  # fmt: skip


@pytest.mark.parametrize("scalar", EDGES, ids=repr)
def test_scalars_at_the_edge(scalar: Any) -> None:
    """Such as those that are Python's floats, strs and bytes by inheritance."""
    back: Any = round_trip(scalar)
    assert type(back) is type(scalar)
    assert repr(back) == repr(scalar)
    assert back.tobytes() == scalar.tobytes()


@pytest.mark.parametrize("name", LAYOUTS)
def test_an_array_of_every_layout(name: str) -> None:
    """C and Fortran order stay; what is neither arrives in C order with the same content."""
    assert_same_array(round_trip(LAYOUTS[name]), LAYOUTS[name])


@pytest.mark.parametrize("count", [3, 100_000])
@pytest.mark.parametrize("order", ["C", "F"])
def test_the_flag_writeable_travels(count: int, order: Any) -> None:
    """An array that is read-only arrives read-only, small or large."""
    for writeable in (True, False):
        array = np.zeros((count, 2), order=order)
        array.flags.writeable = writeable
        assert_same_array(round_trip(array), array)


@pytest.mark.parametrize("count", [3, 100_000])
def test_what_arrives_owns_its_memory(count: int) -> None:
    """Neither the source nor the frame can be seen in it, and it can be written to."""
    source = np.arange(count)
    data, buffers = encode(source)
    frame = [bytearray(memoryview(buffer)) for buffer in buffers]
    source[:] = -1
    back: Any = decode(data, list(frame))
    for buffer in frame:
        buffer[:] = bytes(len(buffer))
    assert back[1] == 1
    back[0] = 5
    assert back[0] == 5
    assert source[0] == -1


def test_arrays_are_aligned_whatever_stands_before_them() -> None:
    """Their memory is their own, not a part of the frame."""
    for shift in range(17):
        for dtype in ("f8", "c16", "g", ALIGNED):
            _, array = cast(Any, round_trip((b"x" * shift, np.ones(3, dtype))))
            assert array.flags.aligned
            assert array.__array_interface__["data"][0] % array.dtype.alignment == 0


def test_a_large_array_goes_out_of_band() -> None:
    """The content is one buffer, without a copy on this side."""
    array = np.arange(100_000.0)
    data, buffers = encode(array)
    assert len(data) < 100
    assert len(buffers) == 1
    assert memoryview(buffers[0]).nbytes == array.nbytes


def test_an_array_in_two_places_is_one() -> None:
    """Sharing is kept; views of one memory become arrays of their own."""
    array = np.arange(10)
    one, other, view = cast(Any, round_trip([array, array, array[2:5]]))
    assert one is other
    view[0] = 99
    assert one[2] == 2


@pytest.mark.parametrize(
    "value",
    [
        np.array([1, None], object),
        np.array(object(), object),
        np.zeros(2, [("a", "i4"), ("b", "O")]),
        np.ma.array([1, None], mask=[0, 1], dtype=object),
    ],
    ids=["objects", "0-d object", "an object in a structure", "masked objects"],
)
def test_arrays_of_objects_are_refused(value: Any) -> None:
    """The error says that it is the objects, where, and what to do instead."""
    with pytest.raises(UnsendableError, match="Python objects") as caught:
        round_trip({"a": [value]})
    assert caught.value.path == "value['a'][0]"
    assert "tolist" in str(caught.value)


def extension(kind: int, *values: object) -> bytes:
    """Makes a frame of an extension whose values are these, whatever they are."""
    bodies = b"".join(frame_of(value)[0][1:] for value in values)
    return b"\x90\xd4" + bytes([kind, len(values)]) + bodies


EIGHT = memoryview(bytes(8))
HOSTILE: dict[str, tuple[int, tuple[object, ...]]] = {
    "objects": (73, ("O", (1,), "C", True, EIGHT)),
    "objects in a structure": (73, ({"names": ["a"], "formats": ["O"]}, (1,), "C", True, EIGHT)),
    "objects in a sub-array": (73, (("O", (1,)), (1,), "C", True, EIGHT)),
    "objects as text": (75, ("i4,O",)),
    "objects as a class": (75, (object,)),
    "variable strings": (75, ("T",)),
    "more than the content": (73, ("i8", (2,), "C", True, EIGHT)),
    "less than the content": (73, ("i4", (1,), "C", True, EIGHT)),
    "a negative length": (73, ("i8", (-1,), "C", True, EIGHT)),
    "a product that overflows": (73, ("i8", (2**32, 2**32), "C", True, EIGHT)),
    "a product that overflows to nothing": (73, ("i8", (2**63, 0), "C", True, memoryview(b""))),
    "a bool as length": (73, ("i8", (True,), "C", True, EIGHT)),
    "a float as length": (73, ("i8", (1.0,), "C", True, EIGHT)),
    "a list as shape": (73, ("i8", [1], "C", True, EIGHT)),
    "70 dimensions": (73, ("i8", (1,) * 70, "C", True, EIGHT)),
    "another order": (73, ("i8", (1,), "A", True, EIGHT)),
    "bytes as content": (73, ("i8", (1,), "C", True, bytes(8))),
    "no content": (73, ("i8", (1,), "C", True)),
    "a long item": (74, ("S2147483647", b"x")),
    "an item that is too short": (74, ("i8", b"x")),
    "an item of objects": (74, ("O", bytes(8))),
    "an item of text": (74, ("i8", "x" * 8)),
    "a long sub-array": (75, (("i4", (2**31, 2**31)),)),
    "a negative sub-array": (75, (("i4", (-1,)),)),
    "a long description": (75, ("(" * 5_000,)),
    "a long number": (75, ("(" + "9" * 5_000 + ",)i4",)),
    "a negative offset": (75, ({"names": ["a"], "formats": ["i4"], "offsets": [-4]},)),
    "an offset beyond the item": (75, ({"names": ["a"], "formats": ["i4"], "offsets": [2], "itemsize": 4},)),
    "two fields of one name": (75, ({"names": ["a", "a"], "formats": ["i4", "i4"]},)),
    "names without formats": (75, ({"names": ["a"]},)),
    "formats that are none": (75, ({"names": ["a"], "formats": [None]},)),
    "an unknown dtype": (75, ("nonsense",)),
    "a unit beyond numbers": (75, ("M8[99999999999999999999s]",)),
    "None": (75, (None,)),
    "a number": (75, (5,)),
    "nothing": (75, ()),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_descriptions_that_lie(name: str) -> None:
    """Each is refused with a FrameError, before memory is asked for or an object is believed."""
    kind, values = HOSTILE[name]
    with pytest.raises(workerlib.FrameError):
        decode(extension(kind, *values), [])


def test_a_description_in_itself_is_refused() -> None:
    """A dict that is shared can be a part of itself."""
    body = b"\xd4\x4b\x01" + b"\x82\xa5names\x91\xa1a\xa7formats\x91\xd4\x50\x00"
    with pytest.raises(workerlib.FrameError):
        decode(b"\x91\x03" + body, [])


def test_an_array_is_not_longer_than_its_content() -> None:
    """Items of no bytes could be any number of them; using them must not crash."""
    back: Any = decode(extension(73, "V0", (1_000,), "C", True, memoryview(b"")), [])
    assert back.shape == (1_000,)
    assert back.nbytes == 0


@pytest.mark.parametrize("writeable", [True, False])
@pytest.mark.parametrize("order", ["C", "F"])
def test_content_beside_the_frame_is_put_into_the_array(order: str, writeable: bool) -> None:
    """The array owns its memory, and has the order and the flag of the array that was sent."""
    array = np.array(np.arange(24_000.0).reshape(200, 120), order=order)
    array.flags.writeable = writeable
    data, buffers = frame_of(array)
    assert len(buffers) == 1
    back = cast(Any, decode(data, list(buffers)))
    assert_same_array(back, array)
    assert back.flags.owndata
    assert back.flags.writeable is writeable


LARGE = frame_of(np.arange(24_000.0).reshape(200, 120))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (LARGE[0].replace(b"\xcc\xc8\x78", b"\xcc\xc8\x79"), "192000 bytes do not fit an array of shape"),
        (LARGE[0].replace(b"\xd4\x49\x05", b"\xd4\x49\x06") + b"\xc0", "argument"),
        (LARGE[0].replace(b"\xa3<f8", b"\xa3|O8"), "Python objects"),
        (LARGE[0].replace(b"\xa1C", b"\xa1K"), "the order C or F"),
    ],
    ids=["another shape", "one value more", "objects", "no order"],
)
def test_a_large_array_that_is_none(data: bytes, reason: str) -> None:
    """The same is refused as where the content stands in the frame."""
    assert data != LARGE[0]
    with pytest.raises(workerlib.FrameError, match=reason):
        decode(data, list(LARGE[1]))
