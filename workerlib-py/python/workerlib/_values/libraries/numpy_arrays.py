"""Arrays, scalars and dtypes of numpy; imported only where numpy is there already, or comes in a frame."""

from __future__ import annotations

import importlib
import math
from typing import Any

from workerlib._values.row import RefusedError

# Without their types: whether numpy is installed must not matter to who checks this package.
np: Any = importlib.import_module("numpy")


def take_apart_array(array: Any) -> tuple[Any, ...]:
    """Gives dtype, shape, order, whether it is writable, and the content as a memoryview."""
    descr = _describe(array.dtype)
    fortran = array.flags.f_contiguous and not array.flags.c_contiguous
    ordered = np.asarray(array.T if fortran else array, order="C")
    content = memoryview(b"" if ordered.nbytes == 0 else ordered.reshape(-1).view(np.uint8))
    return (descr, array.shape, "F" if fortran else "C", bool(array.flags.writeable), content)


def build_array(descr: Any, shape: Any, order: Any, writeable: Any, content: Any) -> Any:
    """Builds an array over the content."""
    if not isinstance(content, memoryview):
        raise ValueError("no array")
    dtype = _check_array(descr, shape, order, content.nbytes)
    if content.nbytes == 0:
        array = np.empty(shape, dtype, order)
    else:
        array = np.ndarray(shape, dtype, buffer=content, order=order)
    if array.flags.writeable and not writeable:
        array.flags.writeable = False
    # A read-only array may have been sent from memory that had to be copied to be sent.
    return array.copy(order) if writeable and not array.flags.writeable else array


def receive_array(descr: Any, shape: Any, order: Any, _writeable: Any, length: int) -> tuple[Any, int]:
    """Makes an array for so many bytes that came beside the frame, and tells where they belong."""
    array = np.empty(shape, _check_array(descr, shape, order, length), order)
    return array, array.__array_interface__["data"][0]


def _check_array(descr: Any, shape: Any, order: Any, length: int) -> Any:
    """Gives the dtype of an array that has so many bytes."""
    dtype = _dtype(descr)
    if not isinstance(shape, tuple) or order not in ("C", "F"):
        raise ValueError("no array")
    if not all(type(count) is int and count >= 0 for count in shape):
        raise ValueError(f"no shape of an array: {shape!r}")
    if dtype.itemsize * math.prod(shape) != length:
        raise ValueError(f"{length} bytes for an array of shape {shape!r} of {dtype}")
    return dtype


def take_apart_scalar(scalar: Any) -> tuple[Any, ...]:
    """Gives dtype and content."""
    # An empty str_ says that it has a character.
    return (_describe(scalar.dtype), scalar.tobytes()[: scalar.dtype.itemsize])


def build_scalar(descr: Any, content: Any) -> Any:
    """Builds a scalar."""
    dtype = _dtype(descr)
    if not isinstance(content, bytes) or len(content) != dtype.itemsize:
        raise ValueError(f"no {dtype}")
    return (np.empty((), dtype) if not content else np.ndarray((), dtype, buffer=content))[()]


def take_apart_dtype(dtype: Any) -> tuple[Any, ...]:
    """Gives its description."""
    return (_describe(dtype),)


def build_dtype(descr: Any) -> Any:
    """Builds a dtype."""
    return _dtype(descr)


def without_subclass(array: Any) -> Any:
    """Gives a subclass's array as a plain one."""
    return array.view(np.ndarray)


def _describe(dtype: Any) -> Any:
    """Describes a dtype: its str; base and shape of a sub-array; a dict of a structure's fields."""
    if dtype.hasobject:
        raise RefusedError(
            "it holds Python objects, not numbers: send it as a list by tolist(), or convert it by astype()"
        )
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        return (_describe(base), shape)
    if dtype.names is None:
        return dtype.str
    fields = [dtype.fields[name] for name in dtype.names]
    return {
        "names": list(dtype.names),
        "formats": [_describe(kind) for kind, *_ in fields],
        "offsets": [offset for _, offset, *_ in fields],
        "titles": [field[2] if len(field) > 2 else None for field in fields],
        "itemsize": dtype.itemsize,
        "aligned": dtype.isalignedstruct,
    }


def _dtype(descr: Any) -> Any:
    if isinstance(descr, tuple) and len(descr) == 2:
        dtype = np.dtype((_dtype(descr[0]), descr[1]))
    elif isinstance(descr, dict) and isinstance(descr.get("formats"), list):
        dtype = np.dtype({**descr, "formats": [_dtype(kind) for kind in descr["formats"]]})
    elif isinstance(descr, str):
        dtype = np.dtype(descr)
    else:
        raise ValueError(f"no description of a dtype: {descr!r}")
    # Pointers from the other side would be followed.
    if dtype.hasobject:
        raise ValueError("a dtype of Python objects")
    return dtype
