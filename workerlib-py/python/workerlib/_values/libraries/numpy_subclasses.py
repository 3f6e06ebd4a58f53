"""Takes apart and builds arrays of numpy's own subclasses: masked arrays, matrices, records, chars.

The table of types calls it for these classes themselves. Somebody else's subclass of an array, one with a
unit for example, has no row: it is refused, since the base alone would be another value.
"""

from __future__ import annotations

import importlib
from typing import Any

from workerlib._values.row import RefusedError

# Without their types: whether numpy is installed must not matter to who checks this package.
np: Any = importlib.import_module("numpy")


def take_apart_masked(array: Any) -> tuple[Any, ...]:
    """Gives the data, the mask or None, the fill value or None, and whether the mask is hard.

    Raises:
        RefusedError: If the data is of a subclass itself, whose own content would be lost.
    """
    data = array.data
    if type(data) is not np.ndarray:
        raise RefusedError(
            f"its data is of the class {type(data).__qualname__}: send its data and its mask by themselves"
        )
    if data.dtype.hasobject:
        raise RefusedError(
            "it holds Python objects, not numbers: send its data and its mask as lists by tolist()"
        )
    mask = np.ma.getmask(array)
    # The attribute is None as long as nobody has asked for the value or given one.
    fill = array._fill_value
    return (
        data,
        None if mask is np.ma.nomask else mask,
        None if fill is None else np.asarray(fill),
        bool(array.hardmask),
    )


def build_masked(data: Any, mask: Any, fill: Any, hard: Any) -> Any:
    """Builds a masked array over its data."""
    _check_array(data)
    if mask is not None:
        _check_array(mask)
        if mask.shape != data.shape or mask.dtype != np.ma.make_mask_descr(data.dtype):
            raise ValueError("the mask does not fit the data")
    if fill is not None:
        _check_array(fill)
        if fill.shape != () or fill.dtype != data.dtype:
            raise ValueError("the fill value does not fit the data")
    made = np.ma.MaskedArray(data, np.ma.nomask if mask is None else mask, hard_mask=hard is True, copy=False)
    if fill is not None:
        made.fill_value = fill[()]
    return made


def take_apart_masked_constant(_constant: Any) -> tuple[Any, ...]:
    """Gives nothing: there is only one `numpy.ma.masked`."""
    return ()


def build_masked_constant() -> Any:
    """Gives this side's `numpy.ma.masked`."""
    return np.ma.masked


def take_apart_view(array: Any) -> tuple[Any, ...]:
    """Gives an array of a subclass that has no content of its own as a plain array."""
    return (array.view(np.ndarray),)


def build_matrix(array: Any) -> Any:
    """Builds a matrix over an array of two dimensions."""
    _check_array(array)
    if array.ndim != 2:
        raise ValueError(f"a matrix cannot have {array.ndim} dimensions")
    return array.view(np.matrix)


def build_records(array: Any) -> Any:
    """Builds an array of records over an array with fields."""
    _check_array(array)
    return array.view(np.recarray)


def build_chars(array: Any) -> Any:
    """Builds an array of chars over an array of strings of one length."""
    _check_array(array)
    if array.dtype.kind not in "SU":
        raise ValueError(f"an array of chars cannot be of {array.dtype}")
    return array.view(np.char.chararray)


def _check_array(array: Any) -> None:
    if type(array) is not np.ndarray:
        raise ValueError("the value has to be an array of numpy")
