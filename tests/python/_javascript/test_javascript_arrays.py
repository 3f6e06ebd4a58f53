"""numpy's arrays on their way to a page in JavaScript and back: data, shape and dtype."""

from __future__ import annotations

from typing import Any

import pytest
import workerlib

np: Any = pytest.importorskip(
    "numpy", reason="numpy is not installed: in Pyodide its wheel is neither in npm nor in PyPI"
)

ARRAYS = [
    "np.arange(6.0).reshape(2, 3)",
    "np.asfortranarray(np.ones((2, 3), 'f4'))",
    "np.array([[1, -2], [3, 4]], 'i2')[:, ::-1]",
    "np.array([2**62, -1])",
    "np.array([True, False])",
    "np.array(5, 'u1')",
    "np.zeros((3, 0))",
    "np.array([1, 2], '>i4')",
    "np.array(['2026-11-22', 'NaT'], 'M8[D]')",
]


@pytest.mark.parametrize("expression", ARRAYS)
def test_parts_make_the_same_array(expression: str) -> None:
    """The parts of an array become an equal array, which may be written to."""
    from workerlib._javascript.arrays import from_parts, parts

    array = eval(expression, {"np": np})
    content, shape, dtype = parts(array, "result")
    assert content.ndim == 1
    made = from_parts(bytes(content), [float(length) for length in shape], dtype)
    np.testing.assert_array_equal(made, array)
    assert made.dtype == array.dtype.newbyteorder("=")
    assert made.flags.writeable


@pytest.mark.parametrize(
    "array", ["np.array([1j])", "np.array(['text'])", "np.array([None])", "np.ones(2, 'f2')"]
)
def test_items_without_a_typed_array(array: str) -> None:
    """JavaScript has no such items, and the error says so."""
    from workerlib._javascript.arrays import parts

    with pytest.raises(workerlib.UnsendableError, match=r"result\.x: numpy\.ndarray .*no typed array of"):
        parts(eval(array, {"np": np}), "result.x")


@pytest.mark.parametrize("wrong", [{"shape": [4]}, {"dtype": "O"}, {"dtype": "no such"}, {"shape": ["x"]}])
def test_parts_that_do_not_fit(wrong: dict[str, Any]) -> None:
    """A page may send anything; what is not an array raises."""
    from workerlib._javascript.arrays import from_parts

    with pytest.raises((TypeError, ValueError)):
        from_parts(**{"data": bytes(16), "shape": [2], "dtype": "float64", **wrong})
