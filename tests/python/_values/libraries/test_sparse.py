"""Sparse arrays and matrices of scipy arrive in the format that they have: natively with the real scipy."""

from __future__ import annotations

import time
from typing import Any

import pytest

sparse: Any = pytest.importorskip(
    "scipy.sparse", reason="scipy is not installed: in Pyodide its wheel is neither in npm nor in PyPI"
)
np: Any = pytest.importorskip("numpy")

from workerlib import FrameError, UnsendableError
from workerlib._native import decode, encode

from pace import seconds
from trip import frame_of_extension, round_trip

DENSE = np.array([[1, 0, 2, 0], [0, 0, 3, 0], [0, 4, 0, 0], [0, 0, 0, 5]])
CLASSES = [
    f"{form}_{kind}"
    for form in ("bsr", "coo", "csc", "csr", "dia", "dok", "lil")
    for kind in ("array", "matrix")
]


def assert_same(actual: Any, expected: Any) -> None:
    """Compares class, dtype, shape and content."""
    assert type(actual) is type(expected)
    assert (actual.dtype, actual.shape, actual.nnz) == (expected.dtype, expected.shape, expected.nnz)
    assert np.array_equal(actual.toarray(), expected.toarray())


@pytest.mark.parametrize("kind", ["f8", "f4", "i4", "c16", "?"])
@pytest.mark.parametrize("name", CLASSES)
def test_every_class(name: str, kind: str) -> None:
    """In every format, with numbers of several kinds."""
    array = getattr(sparse, name)(DENSE.astype(kind))
    assert_same(round_trip({"deep": [array]})["deep"][0], array)  # type: ignore[index]


@pytest.mark.parametrize("name", CLASSES)
def test_without_content(name: str) -> None:
    """Shapes with sides of no length, and arrays of zeros."""
    for shape in ((3, 2), (1, 1)):
        array = getattr(sparse, name)(shape)
        assert_same(round_trip(array), array)


def test_the_parts_are_the_same() -> None:
    """The size of the indices, zeros that are kept, and numbers that stand twice in one place."""
    for size in ("i4", "i8"):
        csr = sparse.csr_array(
            (np.array([1.0, 0.0]), np.array([0, 1], size), np.array([0, 1, 2], size)), shape=(2, 2)
        )
        csr.indices, csr.indptr = csr.indices.astype(size), csr.indptr.astype(size)
        back: Any = round_trip(csr)
        assert (back.indices.dtype, back.indptr.dtype) == (csr.indices.dtype, csr.indptr.dtype)
        assert back.data.tolist() == [1.0, 0.0]
    coo = sparse.coo_array((np.array([1, 2]), (np.array([0, 0]), np.array([1, 1]))), shape=(2, 2))
    back = round_trip(coo)
    assert (back.nnz, back.data.tolist()) == (2, [1, 2])


def test_one_dimension() -> None:
    """Sparse arrays may have one dimension, sparse matrices may not."""
    array = sparse.coo_array(np.array([0, 1, 0, 2]))
    assert_same(round_trip(array), array)


def test_a_large_one_takes_no_time() -> None:
    """A large array travels as its parts: as an iterable of rows it took a minute."""
    array = sparse.csr_array(sparse.eye_array(5000, format="csr"))
    start = time.perf_counter()
    frame, buffers = encode(array)
    back: Any = decode(frame, [bytes(memoryview(buffer)) for buffer in buffers])
    assert time.perf_counter() - start < seconds(5)
    assert back.nnz == 5000
    assert len(buffers) == 3


def test_a_subclass_is_refused() -> None:
    """A subclass of a sparse array has no row, and its base would be another value."""
    own = type("Own", (sparse.csr_array,), {})
    with pytest.raises(UnsendableError, match="tocoo"):
        encode(own(DENSE))


def ints(*numbers: int) -> Any:
    return np.array(numbers, "i4")


@pytest.mark.parametrize(
    "values",
    [
        ("csr_array", (2, 2), np.ones(1), ints(5), ints(0, 1, 1)),
        ("csr_array", (2, 2), np.ones(1), ints(-1), ints(0, 1, 1)),
        ("csr_array", (2, 2), np.ones(1), ints(0), ints(0, 5, 1)),
        ("csr_array", (2, 2), np.ones(1), ints(0), ints(0, 1)),
        ("csr_array", (2, 2), np.ones(1), ints(0), ints(1, 1, 1)),
        ("csc_array", (2, 2), np.ones(2), ints(0), ints(0, 1, 2)),
        ("csr_array", (-2, 2), np.ones(1), ints(0), ints(0, 1, 1)),
        ("csr_array", [2, 2], np.ones(1), ints(0), ints(0, 1, 1)),
        ("csr_array", (2, 2), [1.0], ints(0), ints(0, 1, 1)),
        ("csr_array", (2, 2), np.ones(1), [0], ints(0, 1, 1)),
        ("csr_array", (2, 2), np.array(["x"]), ints(0), ints(0, 1, 1)),
        ("bsr_array", (2, 2), np.ones((1, 2, 2)), ints(3), ints(0, 1)),
        ("lil_array", (10**9, 1), np.ones(1), ints(0), ints(0, 1)),
        ("coo_array", (2, 2), np.ones(1), ints(7), ints(0)),
        ("coo_array", (2, 2), np.ones(1), ints(-1), ints(0)),
        ("coo_array", (2, 2), np.ones(2), ints(0), ints(0)),
        ("dok_array", (2, 2), np.ones(1), ints(7), ints(0)),
        ("dia_array", (2, 2), np.ones((2, 2)), ints(0)),
        ("dia_array", (2, 2), np.ones((1, 2)), ints(0, 0)),
        ("xyz_array", (2, 2), np.ones(1), ints(0), ints(0)),
        ("csr_array",),
    ],
    ids=lambda values: repr(values)[:50],
)
def test_parts_that_lie(values: tuple[Any, ...]) -> None:
    """scipy's own code would read and write where the indices say."""
    name, *parts = values
    frame, buffers = frame_of_extension(78, (f"scipy.sparse.{name}", *parts))
    with pytest.raises(FrameError):
        decode(frame, list(buffers))
