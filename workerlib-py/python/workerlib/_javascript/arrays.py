"""numpy's arrays as JavaScript has them: `{data: typed array, shape, dtype}`, and back.

Imported only where a value of numpy's, or an object of this shape, is met.
"""

from __future__ import annotations

from typing import Any

import numpy

from workerlib._errors import UnsendableError


def parts(array: Any, path: str) -> tuple[memoryview, list[int], str]:
    """Takes an array apart: the content in C order, the shape, the name of its dtype.

    datetime64 and timedelta64 are given as the integers that they are.

    Raises:
        UnsendableError: If there is no typed array of such items.
    """
    kind, size = array.dtype.kind, array.dtype.itemsize
    if kind not in "biufmM" or (kind == "f" and size not in (4, 8)):
        raise UnsendableError(path, "numpy.ndarray", f"JavaScript has no typed array of {array.dtype}")
    native = numpy.ascontiguousarray(array, array.dtype.newbyteorder("="))
    items = native.view(f"i{size}" if kind in "mM" else native.dtype)
    # A memoryview's cast knows one dimension, and no array of none.
    content: Any = items.reshape(-1)
    return memoryview(content), list(array.shape), str(native.dtype)


def from_parts(data: Any, shape: Any, dtype: Any) -> Any:
    """Makes the array whose parts these are.

    Args:
        data: What a typed array has become: bytes or a memoryview.
        shape: The length of each dimension.
        dtype: The name of the dtype.

    Raises:
        TypeError: If the dtype is not known, or holds Python objects.
        ValueError: If they do not fit each other.
    """
    kind = numpy.dtype(str(dtype))
    return numpy.frombuffer(bytearray(data), kind).reshape([int(length) for length in shape])
