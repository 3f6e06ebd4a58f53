"""Takes apart and builds numpy's arrays, scalars and dtypes.

The table of types calls it for each object of numpy's, once numpy is there or a frame has such an object.
Arrays of numpy's own subclasses (masked arrays, matrices, records) are in `numpy_subclasses`. No array is
ever made with memory that a frame does not fill.
"""

from __future__ import annotations

import importlib
import math
from typing import Any

from workerlib._values.row import RefusedError

# Without their types: whether numpy is installed must not matter to who checks this package.
np: Any = importlib.import_module("numpy")


def take_apart_array(array: Any) -> tuple[Any, ...]:
    """Gives dtype, shape, order, whether it is writable, and the content.

    The content is a memoryview of bytes; of strings of any length it is a list of strs and None.

    Raises:
        RefusedError: If its items are Python objects.
    """
    descr = _describe(array.dtype)
    fortran = array.flags.f_contiguous and not array.flags.c_contiguous
    if _is_strings(array.dtype):
        return (
            descr,
            array.shape,
            "F" if fortran else "C",
            bool(array.flags.writeable),
            _texts(array, fortran),
        )
    content = memoryview(b"")
    if array.nbytes:
        ordered = np.asarray(array.T if fortran else array, order="C")
        content = memoryview(ordered.reshape(-1).view(np.uint8))
    return (descr, array.shape, "F" if fortran else "C", bool(array.flags.writeable), content)


def build_array(descr: Any, shape: Any, order: Any, writeable: Any, content: Any) -> Any:
    """Builds an array over the content.

    Raises:
        ValueError: If dtype, shape and content do not fit each other.
    """
    if type(content) is list:
        return _build_strings(descr, shape, order, writeable, content)
    if not isinstance(content, memoryview):
        raise ValueError("an array has to be made from a memoryview, or a list of strs")
    dtype = _check_array(descr, shape, order, content.nbytes)
    if content.nbytes == 0:
        # Not by numpy.empty(): it takes items of no bytes for items of one byte, and leaves that as it is.
        array = np.ndarray(shape, dtype, order=order)
    else:
        array = np.ndarray(shape, dtype, buffer=content, order=order)
    _check_characters(array)
    if array.flags.writeable and not writeable:
        array.flags.writeable = False
    # A read-only array may have been sent from memory that had to be copied to be sent.
    return array.copy(order) if writeable and not array.flags.writeable else array


def receive_array(descr: Any, shape: Any, order: Any, _writeable: Any, length: int) -> tuple[Any, int] | None:
    """Makes an array for so many bytes that came beside the frame, and tells where they belong.

    The caller fills all of these bytes, or drops the array.

    Returns:
        The array and the address of its memory, or None if `build_array` has to look at the content.
    """
    dtype = _check_array(descr, shape, order, length)
    if _has_characters(dtype):
        return None
    array = np.empty(shape, dtype, order)
    return array, array.__array_interface__["data"][0]


def _check_array(descr: Any, shape: Any, order: Any, length: int) -> Any:
    """Gives the dtype of an array that has so many bytes."""
    dtype = _dtype(descr)
    _check_shape(shape, order)
    # The memory of strings of any length holds addresses.
    if dtype.hasobject:
        raise ValueError("an array of StringDType has to be made from strings, not from bytes")
    if dtype.itemsize * math.prod(shape) != length:
        raise ValueError(f"{length} bytes do not fit an array of shape {shape!r} of {dtype}")
    return dtype


def _check_shape(shape: Any, order: Any) -> None:
    if not isinstance(shape, tuple) or order not in ("C", "F"):
        raise ValueError("an array has to have a tuple as its shape, and the order C or F")
    for count in shape:
        if type(count) is not int or count < 0:
            raise ValueError(f"the shape of an array cannot be {shape!r}")


def _texts(array: Any, fortran: bool) -> list[str | None]:
    """Gives the strings of an array in its order; None for those that are missing."""
    texts: list[Any] = array.reshape(-1, order="F" if fortran else "C").tolist()
    if all(type(text) is str for text in texts):
        return texts
    return [text if type(text) is str else None for text in texts]


def _build_strings(descr: Any, shape: Any, order: Any, writeable: Any, texts: list[Any]) -> Any:
    dtype = _dtype(descr)
    _check_shape(shape, order)
    if not _is_strings(dtype) or len(texts) != math.prod(shape):
        raise ValueError(f"{len(texts)} strs do not fit an array of shape {shape!r} of {dtype}")
    missing = getattr(dtype, "na_object", _NO_NA)
    for index, text in enumerate(texts):
        if text is None and missing is not _NO_NA:
            texts[index] = missing
        elif type(text) is not str:
            raise ValueError("the items of an array of strings have to be strs")
    array = np.array(texts, dtype).reshape(shape, order=order)
    if not writeable:
        array.flags.writeable = False
    return array


def _has_characters(dtype: Any) -> bool:
    """Returns whether there are characters of four bytes in a dtype."""
    if dtype.subdtype is not None:
        return _has_characters(dtype.subdtype[0])
    if dtype.names is not None:
        return any(_has_characters(dtype.fields[name][0]) for name in dtype.names)
    return dtype.kind == "U"  # type: ignore[no-any-return]


def _check_characters(array: Any) -> None:
    """Checks that all characters are of Unicode: numpy makes a str of them without a look.

    Raises:
        ValueError: If one is beyond U+10FFFF.
    """
    dtype = array.dtype
    if dtype.names is not None:
        for name in dtype.names:
            if _has_characters(dtype.fields[name][0]):
                _check_characters(array[name])
    elif dtype.kind == "U" and array.size and dtype.itemsize:
        # A field of a structure is copied, any other array is looked at as it lies.
        numbers = np.ravel(array, order="K").view(np.dtype("u4").newbyteorder(dtype.byteorder))
        if numbers.max() > 0x10FFFF:
            raise ValueError("the array has a character that Unicode does not have")


def take_apart_scalar(scalar: Any) -> tuple[Any, ...]:
    """Gives dtype and content."""
    # An empty str_ says that it has a character.
    return (_describe(scalar.dtype), scalar.tobytes()[: scalar.dtype.itemsize])


def build_scalar(descr: Any, content: Any) -> Any:
    """Builds a scalar."""
    dtype = _dtype(descr)
    if not isinstance(content, bytes) or len(content) != dtype.itemsize:
        raise ValueError(f"a scalar of {dtype} has to be made from {dtype.itemsize} bytes")
    if dtype.hasobject:
        raise ValueError("a scalar of StringDType has to be made from a string, not from bytes")
    # A scalar with fields is a view, and may be written to.
    memory = bytearray(content) if dtype.names is not None else content
    array = np.ndarray((), dtype, buffer=memory) if content else np.ndarray((), dtype)
    _check_characters(array)
    return array[()]


_SIMPLE = "biufc"
"""The kinds of dtypes whose scalars are numbers: the class of a scalar says which dtype it has."""


def describe_scalars(cls: Any) -> str | None:
    """Describes the dtype of a class of scalars.

    Args:
        cls: A class of numpy's scalars.

    Returns:
        The description, or None if each scalar has a dtype of its own.
    """
    if not issubclass(cls, (np.number, np.bool_)) or cls is np.timedelta64:
        return None
    descr: str = np.dtype(cls).str
    return descr


def scalar_maker(descr: Any) -> tuple[Any, Any, int] | None:
    """Finds what makes the scalars of a dtype.

    Args:
        descr: A description, or whatever a frame has in its place.

    Returns:
        A function of dtype and bytes, the dtype, and the number of bytes; None if `build_scalar` makes them.
    """
    dtype = np.dtype(descr) if type(descr) is str and len(descr) < 5 and descr[1:2] in _SIMPLE else None
    if dtype is None or dtype.kind not in _SIMPLE or not dtype.isnative:
        return None
    # The function that pickle calls for such a scalar.
    make: Any = dtype.type().__reduce__()[0]
    return make, dtype, dtype.itemsize


def take_apart_dtype(dtype: Any) -> tuple[Any, ...]:
    """Gives its description; that of a dtype of Python objects is `"|O"`."""
    return ("|O",) if dtype == np.dtype(object) else (_describe(dtype),)


def build_dtype(descr: Any) -> Any:
    """Builds a dtype."""
    return np.dtype(object) if descr == "|O" else _dtype(descr)


def without_subclass(array: Any) -> Any:
    """Gives a subclass's array as a plain one."""
    return array.view(np.ndarray)


_NO_NA = object()
"""Stands for the missing string of a dtype that has none."""


def _is_strings(dtype: Any) -> bool:
    return bool(dtype.kind == "T")


def _describe(dtype: Any) -> Any:
    """Describes a dtype by its str, by base and shape, or by a dict.

    Raises:
        RefusedError: If it holds Python objects.
    """
    if _is_strings(dtype):
        missing = getattr(dtype, "na_object", _NO_NA)
        return {"coerce": bool(dtype.coerce)} | ({} if missing is _NO_NA else {"na": missing})
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
    # numpy.record gives its fields as attributes.
    record = {"record": True} if dtype.type is np.record else {}
    return record | {
        "names": list(dtype.names),
        "formats": [_describe(kind) for kind, *_ in fields],
        "offsets": [offset for _, offset, *_ in fields],
        "titles": [field[2] if len(field) > 2 else None for field in fields],
        "itemsize": dtype.itemsize,
        "aligned": dtype.isalignedstruct,
    }


def _dtype(descr: Any) -> Any:
    if type(descr) is str:
        dtype = np.dtype(descr)
    elif isinstance(descr, tuple) and len(descr) == 2:
        dtype = np.dtype((_dtype(descr[0]), descr[1]))
    elif isinstance(descr, dict) and isinstance(descr.get("formats"), list):
        dtype = np.dtype({**descr, "formats": [_dtype(kind) for kind in descr["formats"]]})
        if descr.get("record") is True:
            dtype = np.dtype((np.record, dtype))
    elif isinstance(descr, dict) and type(descr.get("coerce")) is bool:
        missing = {"na_object": descr["na"]} if "na" in descr else {}
        return np.dtypes.StringDType(coerce=descr["coerce"], **missing)
    else:
        raise ValueError(f"{descr!r} describes no dtype")
    # Pointers from the other side would be followed.
    if dtype.hasobject:
        raise ValueError("a dtype of Python objects is refused")
    return dtype
