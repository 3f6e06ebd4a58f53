"""Takes apart and builds tables, columns, indexes and scalars of pandas.

The table of types calls it, once pandas is imported or a frame has such an object. A table is sent as its
columns, each as the array that it is: numpy's content goes out of band, Python objects travel as a list of
values like any other. Every column and index keeps its dtype: pandas is never asked to find one for Python
objects. Tables are built by pandas' public constructors, which check what a frame says; what they would
believe is checked here. pandas' own arrays are in `pandas_arrays`.
"""

from __future__ import annotations

import importlib
from typing import Any

from workerlib._values.libraries import pandas_arrays
from workerlib._values.libraries.pandas_arrays import (
    as_array,
    check_index,
    content_of,
    content_of_array,
    integers,
    is_plain,
    make_index,
    make_range_index,
    short_text,
    time_zone,
    writeable,
    zone_of,
)

# Without their types: whether pandas is installed must not matter to who checks this package.
np: Any = importlib.import_module("numpy")
pd: Any = importlib.import_module("pandas")

Parts = tuple[Any, ...]


# Tables and columns.


def take_apart_frame(frame: Any) -> Parts:
    """Gives columns, index, content, attrs and flags; columns of one dtype of numpy's are one array."""
    is_wide = frame.shape[1] > _FEW_COLUMNS
    columns = [] if is_wide else _arrays_of(frame)
    dtypes = set(frame.dtypes) if is_wide else {column.dtype for column in columns}
    if len(dtypes) == 1 and is_plain(dtypes.pop()):
        content: Any = writeable(frame.to_numpy())
    else:
        content = [content_of_array(column) for column in columns or _arrays_of(frame)]
    return (frame.columns, frame.index, content, *_remarks(frame))


def _arrays_of(frame: Any) -> list[Any]:
    """Gives the array of each column, without making a Series, for which pandas has no public method."""
    iterate = getattr(frame, "_iter_column_arrays", None)
    return [column.array for _, column in frame.items()] if iterate is None else list(iterate())


_FEW_COLUMNS = 16
"""Of so many columns pandas gives each faster than it gives all their dtypes."""


def build_frame(columns: Any, index: Any, content: Any, attrs: Any, unique: Any) -> Any:
    """Builds a DataFrame over the content, which belongs to nobody else."""
    check_index(columns)
    check_index(index)
    if type(content) is list:
        arrays = [as_array(column) for column in content]
        if len(arrays) != len(columns):
            raise ValueError(f"{len(arrays)} arrays do not fit {len(columns)} columns")
        for array in arrays:
            _check_length(array, index)
        frame = _assembled(arrays, columns, index)
    else:
        array = as_array(content)
        if not isinstance(array, np.ndarray) or array.shape != (len(index), len(columns)):
            raise ValueError(f"the content does not fit {len(index)} rows and {len(columns)} columns")
        frame = pd.DataFrame(array, index=index, columns=columns, copy=False)
    return _with_remarks(frame, attrs, unique)


_SMALL = 1 << 14
"""A table of so many values is copied in less time than pandas' constructor takes to look at its columns."""


def _assembled(arrays: list[Any], columns: Any, index: Any) -> Any:
    """Builds a table of columns that have been checked: arrays of the index's length, one for each label.

    pandas has a function for such columns, which copies those of one dtype into one block and infers nothing.
    It is not public, so the constructor stands in for it.
    """
    from_arrays = pandas_arrays.find_hidden(pd.DataFrame, "_from_arrays")
    if from_arrays is not None and 0 < len(arrays) * len(index) <= _SMALL:
        return from_arrays(arrays, columns, index, verify_integrity=False)
    # By their numbers: names may occur twice. Of a Series with its dtype pandas infers no other.
    columns_of = {number: _typed(array, index) for number, array in enumerate(arrays)}
    frame = pd.DataFrame(columns_of, index=index, copy=False)
    frame.columns = columns
    return frame


def _typed(array: Any, index: Any) -> Any:
    """Gives an array as it can stand in a table without that pandas infers another dtype."""
    if isinstance(array, np.ndarray) and array.dtype.hasobject:
        return pd.Series(array, index=index, dtype=array.dtype, copy=False)
    return array


def take_apart_series(series: Any) -> Parts:
    """Gives content, index, name, attrs and flags."""
    return (content_of(series), series.index, series.name, *_remarks(series))


def build_series(content: Any, index: Any, name: Any, attrs: Any, unique: Any) -> Any:
    """Builds a Series over the content, which belongs to nobody else."""
    array = as_array(content)
    check_index(index)
    _check_length(array, index)
    series = pd.Series(array, index=index, dtype=array.dtype, name=name, copy=False)
    return _with_remarks(series, attrs, unique)


def frame_without_subclass(frame: Any) -> Any:
    """Gives the DataFrame of a subclass."""
    return pd.DataFrame(frame)


def series_without_subclass(series: Any) -> Any:
    """Gives the Series of a subclass."""
    return pd.Series(series)


def _check_length(array: Any, index: Any) -> None:
    if array.ndim != 1 or len(array) != len(index):
        raise ValueError(f"an array of shape {array.shape} does not fit an index of {len(index)}")


def _remarks(of: Any) -> Parts:
    return (dict(of.attrs), of.flags.allows_duplicate_labels)


def _with_remarks(made: Any, attrs: Any, unique: Any) -> Any:
    if type(attrs) is not dict:
        raise ValueError("attrs has to be a dict")
    if attrs:
        made.attrs = attrs
    if not unique:
        made.flags.allows_duplicate_labels = False
    return made


# Indexes.


def take_apart_index(index: Any) -> Parts:
    """Gives its kind and what it is made from."""
    if isinstance(index, pd.MultiIndex):
        codes = [writeable(np.asarray(one)) for one in index.codes]
        return ("multi", list(index.levels), codes, list(index.names))
    if isinstance(index, pd.RangeIndex):
        return ("range", index.start, index.stop, index.step, index.name)
    freq = getattr(index, "freq", None) if isinstance(index, pd.DatetimeIndex | pd.TimedeltaIndex) else None
    return ("array", content_of(index), index.name, _name_of_freq(freq))


def build_index(kind: Any, *parts: Any) -> Any:
    """Builds an Index of any kind."""
    if kind == "range" and len(parts) == 4:
        start, stop, step, name = parts
        if not all(type(number) is int and -(2**63) <= number < 2**63 for number in (start, stop, step)):
            raise ValueError("a RangeIndex has to be made from ints of 64 bits")
        return make_range_index(range(start, stop, step), name)
    if kind == "multi" and len(parts) == 3:
        levels, codes, names = parts
        if not all(type(part) is list for part in parts) or not len(levels) == len(codes) == len(names):
            raise ValueError("a MultiIndex has to have as many levels, codes and names")
        for level in levels:
            check_index(level)
        codes = [integers(one) for one in codes]
        return pd.MultiIndex(levels, codes, names=names, verify_integrity=True)
    if kind == "array" and len(parts) == 3:
        content, name, freq = parts
        array = as_array(content)
        index = make_index(array, name)
        if freq is not None:
            if not isinstance(index, pd.DatetimeIndex | pd.TimedeltaIndex):
                raise ValueError("only a DatetimeIndex or a TimedeltaIndex has a freq")
            index.freq = short_text(freq)
        return index
    raise ValueError(f"{kind!r} is an unknown kind of Index")


def _name_of_freq(freq: Any) -> str | None:
    """Names an offset if pandas makes the same of its name: holidays of one's own have none."""
    try:
        name = None if freq is None else str(freq.freqstr)
        return name if name and pd.tseries.frequencies.to_offset(name) == freq else None
    except ValueError:
        return None


# Scalars.


def take_apart_scalar(scalar: Any) -> Parts:
    """Gives its kind and what it is made from."""
    if scalar is pd.NaT or scalar is pd.NA:
        return ("NaT" if scalar is pd.NaT else "NA",)
    if isinstance(scalar, pd.Timestamp):
        return ("timestamp", int(scalar.asm8.astype("i8")), scalar.unit, zone_of(scalar.tz), scalar.fold)
    if isinstance(scalar, pd.Timedelta):
        return ("timedelta", int(scalar.asm8.astype("i8")), scalar.unit)
    if isinstance(scalar, pd.Period):
        return ("period", scalar.ordinal, scalar.freqstr)
    return ("interval", scalar.left, scalar.right, scalar.closed)


def build_scalar(kind: Any, *parts: Any) -> Any:
    """Builds a scalar of any kind."""
    match (kind, *parts):
        case ("NaT",):
            return pd.NaT
        case ("NA",):
            return pd.NA
        case ("timestamp", int(count), str(unit), zone, int(fold)) if unit in _UNITS and fold in (0, 1):
            stamp = pd.Timestamp(np.datetime64(count, unit))
            if zone is not None:
                return stamp.tz_localize("UTC").tz_convert(time_zone(zone))
            return stamp.replace(fold=fold) if fold else stamp
        case ("timedelta", int(count), str(unit)) if unit in _UNITS:
            return pd.Timedelta(np.timedelta64(count, unit))
        case ("period", int(ordinal), str(freq)):
            return pd.Period(ordinal=ordinal, freq=short_text(freq))
        case ("interval", left, right, str(closed)):
            return pd.Interval(left, right, closed)
    raise ValueError(f"{kind!r} is an unknown kind of pandas scalar")


_UNITS = ("s", "ms", "us", "ns")
