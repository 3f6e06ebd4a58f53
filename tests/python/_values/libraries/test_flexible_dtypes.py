"""numpy's types of items that may have no bytes, or any number of them: nothing of them arrives changed."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

np: Any = pytest.importorskip(
    "numpy", reason="numpy is not installed: in Pyodide its wheel is neither in npm nor in PyPI"
)

from workerlib import FrameError, UnsendableError
from workerlib._native import decode, encode

from trip import frame_of_extension, round_trip

EMPTY = {kind: np.zeros(3, [("a", f"{kind}0"), ("b", "i4")])["a"] for kind in ("S", "U", "V")}
"""Arrays of items without bytes: numpy makes them by way of a field."""


def of_strings(values: list[object], **arguments: object) -> Any:
    """Makes an array of strings of any length."""
    return np.array(values, np.dtypes.StringDType(**arguments))


@pytest.mark.parametrize("scalar", [np.bytes_(b""), np.str_(""), np.void(b"")], ids=repr)
def test_scalars_without_bytes(scalar: Any) -> None:
    """They arrive empty: numpy.empty() would make an item of one byte of them, whatever that byte is."""
    for _ in range(50):
        back: Any = round_trip([scalar])
        assert type(back[0]) is type(scalar)
        assert back[0].tobytes()[: scalar.dtype.itemsize] == b""
        assert back[0].dtype == scalar.dtype
        assert len(back[0].item()) == 0


@pytest.mark.parametrize("kind", EMPTY)
def test_arrays_of_items_without_bytes(kind: str) -> None:
    """Dtype, shape and the empty items arrive, in arrays of any shape and as a field of a structure."""
    for array in (EMPTY[kind], EMPTY[kind].reshape(3, 1), EMPTY[kind][:0]):
        back: Any = round_trip(array)
        assert (back.dtype, back.shape, back.dtype.itemsize) == (array.dtype, array.shape, 0)
        assert back.tolist() == array.tolist()
    structure = np.zeros(2, [("a", f"{kind}0"), ("b", "i4")])
    back = round_trip(structure)
    assert back.dtype == structure.dtype
    assert back.tolist() == structure.tolist()


def test_a_scalar_with_fields_can_be_written_to() -> None:
    """The scalar that arrives is a view, as the sender's is, and owns the memory that it views."""
    scalar = np.zeros(1, [("a", "i4"), ("b", "f8")])[0]
    back: Any = round_trip(scalar)
    back["a"] = 5
    assert back.tolist() == (5, 0.0)


@pytest.mark.parametrize(
    "array",
    [
        of_strings(["a", "ß" * 100, ""]),
        of_strings(["a", None], na_object=None),
        of_strings(["a", np.nan], na_object=np.nan),
        of_strings(["a", "nothing"], na_object="nothing"),
        of_strings([], coerce=False),
        of_strings([["a", "b"], ["c", "d"]]).T,
        of_strings(["a", "b", "c", "d"])[::2],
        of_strings(["only"]).reshape(()),
        of_strings(["x" * 3] * 20_000),
    ],
    ids=["plain", "None", "nan", "a str", "none at all", "Fortran", "every second", "0-d", "many"],
)
def test_strings_of_any_length(array: Any) -> None:
    """Each string arrives, and so does what stands for a missing one, with the dtype's arguments."""
    back: Any = round_trip(array)
    assert (type(back), back.dtype, back.shape) == (np.ndarray, array.dtype, array.shape)
    assert back.dtype.coerce == array.dtype.coerce
    assert repr(back.tolist()) == repr(array.tolist())
    assert back.flags.f_contiguous == array.flags.f_contiguous or not array.flags.contiguous
    dtype: Any = round_trip(array.dtype)
    assert dtype == array.dtype
    assert repr(dtype) == repr(array.dtype)


def test_strings_that_may_not_be_written_to() -> None:
    """The flag arrives as that of any array."""
    array = of_strings(["a"])
    array.flags.writeable = False
    back: Any = round_trip(array)
    assert not back.flags.writeable


@pytest.mark.parametrize(
    "values",
    [
        ({"coerce": True}, (2,), "C", True, ["a"]),
        ({"coerce": True}, (1,), "C", True, [None]),
        ({"coerce": True}, (1,), "C", True, [b"a"]),
        ({"coerce": True}, (1,), "X", True, ["a"]),
        ({"coerce": True}, (-1,), "C", True, ["a"]),
        ({"coerce": True}, [1], "C", True, ["a"]),
        ({"coerce": True}, (1,), "C", True, memoryview(bytes(16))),
        ({"coerce": 1}, (1,), "C", True, ["a"]),
        ("<f8", (1,), "C", True, ["a"]),
    ],
    ids=repr,
)
def test_strings_that_lie(values: tuple[object, ...]) -> None:
    """A frame cannot have addresses taken for strings, nor anything else for one."""
    frame, buffers = frame_of_extension(73, values)
    with pytest.raises(FrameError):
        decode(frame, list(buffers))


def test_a_scalar_of_strings_that_lies() -> None:
    """Sixteen bytes are not a string of any length: numpy would follow an address."""
    frame, buffers = frame_of_extension(74, ({"coerce": True}, b"\x01" * 16))
    with pytest.raises(FrameError, match="string"):
        decode(frame, list(buffers))


MASKED: dict[str, Any] = {
    "some": np.ma.array([1, 2, 3], mask=[0, 1, 0]),
    "none": np.ma.array([1.5, 2.5]),
    "a fill value": np.ma.array([1, 2], mask=[1, 0], fill_value=7),
    "a hard mask": np.ma.array([1, 2], mask=[1, 0], hard_mask=True),
    "a structure": np.ma.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")], mask=[(0, 1)]),
    "Fortran": np.ma.array(np.asfortranarray([[1, 2], [3, 4]]), mask=[[0, 1], [1, 0]]),
    "0-d": np.ma.array(5, mask=True),
    "empty": np.ma.array(np.zeros((0, 3)), mask=np.zeros((0, 3), bool)),
    "large": np.ma.array(np.arange(10_000.0), mask=np.arange(10_000) % 2 == 0),
}


@pytest.mark.parametrize("name", MASKED)
def test_a_masked_array(name: str) -> None:
    """Data (also what is masked), mask, fill value, and whether the mask is hard arrive."""
    array = MASKED[name]
    back: Any = round_trip({"deep": [array]})["deep"][0]  # type: ignore[index]
    assert type(back) is np.ma.MaskedArray
    assert back.data.tobytes() == array.data.tobytes()
    assert (back.dtype, back.shape, back.hardmask) == (array.dtype, array.shape, array.hardmask)
    assert (np.ma.getmask(back) is np.ma.nomask) == (np.ma.getmask(array) is np.ma.nomask)
    assert np.array_equal(np.ma.getmaskarray(back), np.ma.getmaskarray(array))
    assert back.fill_value.tobytes() == array.fill_value.tobytes()
    assert repr(back) == repr(array)


def test_masked_itself() -> None:
    """There is one of it, here as there."""
    back: Any = round_trip([np.ma.masked, np.ma.masked])
    assert back[0] is back[1] is np.ma.masked


def test_data_of_a_subclass_under_a_mask_is_refused() -> None:
    """The base of the data would be another value."""

    class Metres(np.ndarray):  # type: ignore[misc]
        pass

    with pytest.raises(UnsendableError, match="Metres"):
        encode(np.ma.array(np.arange(3).view(Metres), mask=[0, 1, 0]))


RECORD = np.rec.array([(1, 2.0), (3, 4.0)], dtype=[("a", "i4"), ("b", "f8")])


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
@pytest.mark.parametrize(
    "array",
    [
        lambda: np.asmatrix([[1, 2], [3, 4]]),
        lambda: RECORD,
        lambda: RECORD[:1],
        lambda: np.char.array(["a", "bc "]),
        lambda: np.char.array([b"a"]),
    ],
    ids=["matrix", "records", "one record", "chars", "bytes"],
)
def test_numpys_own_subclasses(array: Any) -> None:
    """Matrices, records and chars arrive as what they are."""
    array = array()
    back: Any = round_trip(array)
    assert type(back) is type(array)
    assert (back.dtype, back.dtype.type, back.shape) == (array.dtype, array.dtype.type, array.shape)
    assert back.tobytes() == array.tobytes()


def test_a_record() -> None:
    """Its fields are attributes, as those of an array of records, and of a plain array of that dtype."""
    for value in (RECORD[0], RECORD, np.asarray(RECORD)):
        back: Any = round_trip(value)
        assert type(back) is type(value)
        assert back.dtype.type is np.record
    one: Any = round_trip(RECORD[1])
    assert (one.a, one.b) == (3, 4.0)


@pytest.mark.skipif(sys.platform == "emscripten", reason="Pyodide starts no processes")
def test_records_where_only_numpy_is_imported() -> None:
    """A worker that imports numpy with the first array has not imported `numpy.rec`, the module that the class names."""
    code = (
        "import sys, numpy, workerlib._native as native\n"
        "records = numpy.zeros(2, [('a', 'i4')]).view(numpy.recarray)\n"
        "assert 'numpy.rec' not in sys.modules\n"
        "back = native.decode(*native.encode(records))\n"
        "assert type(back) is numpy.recarray, type(back)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_subclass_that_numpy_does_not_have_is_refused() -> None:
    """A unit, a file, anything may be in it; the remedy is named, and a setting has it stripped as it was before."""

    class Quantity(np.ndarray):  # type: ignore[misc]
        unit = "m"

    for value in (np.arange(3).view(Quantity), np.arange(3).view(Quantity)[0:0]):
        with pytest.raises(UnsendableError, match=r"numpy\.asarray\(…\)"):
            round_trip([value])


@pytest.mark.parametrize(
    "kind", [np.float64, np.int8, np.bool_, np.str_, np.datetime64, np.generic, np.floating, np.ndarray]
)
def test_classes_of_scalars(kind: Any) -> None:
    """They are values, as Python's builtin classes are."""
    assert round_trip([kind]) == [kind]


@pytest.mark.parametrize(
    "name", ["numpy.os", "numpy.load", "numpy.nothing", "numpy.linalg.LinAlgError", "numpy.memmap.x"]
)
def test_classes_that_lie(name: str) -> None:
    """A frame chooses a class of scalars, and nothing else of numpy."""
    frame, buffers = frame_of_extension(72, (name,))
    with pytest.raises(FrameError):
        decode(frame, list(buffers))


@pytest.mark.parametrize(
    "values",
    [
        ("numpy.ma.MaskedArray", np.arange(3), np.zeros(2, bool), None, False),
        ("numpy.ma.MaskedArray", np.arange(3), np.zeros(3), None, False),
        ("numpy.ma.MaskedArray", [1], None, None, False),
        ("numpy.ma.MaskedArray", np.arange(3), None, np.zeros(3), False),
        ("numpy.ma.MaskedArray", np.arange(3), None, np.array(1.5), False),
        ("numpy.matrix", np.arange(3)),
        ("numpy.matrix", [[1]]),
        ("numpy.rec.recarray", 7),
        ("numpy.char.chararray", np.arange(3)),
        ("numpy.ma.masked", 1),
        ("numpy.memmap", np.arange(3)),
        (7, np.arange(3)),
        (),
    ],
    ids=lambda values: repr(values[:1]),
)
def test_subclasses_that_lie(values: tuple[object, ...]) -> None:
    """A frame cannot have parts put together that do not fit, nor name a class without a row."""
    frame, buffers = frame_of_extension(78, values)
    with pytest.raises(FrameError):
        decode(frame, list(buffers))
