"""Converts arrays of numpy to objects of JavaScript, `{data: typed array, shape, dtype}`, and back.

`values.py` imports it when it meets an array of numpy, or an object with these keys.
"""

from __future__ import annotations

from typing import Any

import numpy

from workerlib._errors import UnsendableError


def parts(array: Any, path: str) -> tuple[memoryview, list[int], str]:
    """Returns the parts of an array: its content in C order, its shape, the name of its dtype.

    The content of a datetime64 or timedelta64 array is its integers.

    Args:
        array: The array.
        path: The place of the array in the value, for messages.

    Raises:
        UnsendableError: If JavaScript has no typed array of such items.
    """
    kind, size = array.dtype.kind, array.dtype.itemsize
    if kind not in "biufmM" or (kind == "f" and size not in (4, 8)):
        raise UnsendableError(path, "numpy.ndarray", f"JavaScript has no typed array of {array.dtype}")
    native = numpy.ascontiguousarray(array, array.dtype.newbyteorder("="))
    items = native.view(f"i{size}" if kind in "mM" else native.dtype)
    # A memoryview can be cast from one dimension only, and not from zero dimensions.
    content: Any = items.reshape(-1)
    return memoryview(content), list(array.shape), str(native.dtype)


def from_parts(data: Any, shape: Any, dtype: Any) -> Any:
    """Makes an array of its parts.

    Args:
        data: The content: the bytes or the memoryview that Pyodide makes of a typed array.
        shape: The length of each dimension.
        dtype: The name of the dtype.

    Raises:
        TypeError: If the dtype is unknown, or holds Python objects.
        ValueError: If the parts do not fit each other.
    """
    kind = numpy.dtype(str(dtype))
    return numpy.frombuffer(bytearray(data), kind).reshape([int(length) for length in shape])
