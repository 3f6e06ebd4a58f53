"""Tables, columns, indexes, arrays and scalars of pandas; imported only where pandas is, or comes in a frame.

A table is sent as its columns, each as the array that it is: numpy's content goes out of band, Python objects
travel as a list of values like any other. They are made again by pandas' public constructors, which check
what a frame says; what they would believe is checked here.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import Any

from workerlib._values.row import RefusedError

# Without their types: whether pandas is installed must not matter to who checks this package.
np: Any = importlib.import_module("numpy")
pd: Any = importlib.import_module("pandas")

_NAME_LENGTH = 255

Parts = tuple[Any, ...]


# Tables and columns.


def take_apart_frame(frame: Any) -> Parts:
    """Gives columns, index, content, attrs and flags; columns of one dtype of numpy's are one array."""
    dtypes = set(frame.dtypes)
    if len(dtypes) == 1 and _is_plain(dtypes.pop()):
        content: Any = _writeable(frame.to_numpy())
    else:
        content = [_content(frame.iloc[:, number]) for number in range(frame.shape[1])]
    return (frame.columns, frame.index, content, *_remarks(frame))


def build_frame(columns: Any, index: Any, content: Any, attrs: Any, unique: Any) -> Any:
    """Builds a DataFrame over the content, which belongs to nobody else."""
    _check_index(columns)
    _check_index(index)
    if type(content) is list:
        arrays = [_array(column) for column in content]
        if len(arrays) != len(columns):
            raise ValueError(f"{len(arrays)} arrays for {len(columns)} columns")
        for array in arrays:
            _check_length(array, index)
        # By their numbers: names may occur twice.
        frame = pd.DataFrame(dict(enumerate(arrays)), index=index, copy=False)
        frame.columns = columns
    else:
        array = _array(content)
        if not isinstance(array, np.ndarray) or array.shape != (len(index), len(columns)):
            raise ValueError(f"no content for {len(index)} rows and {len(columns)} columns")
        frame = pd.DataFrame(array, index=index, columns=columns, copy=False)
    return _with_remarks(frame, attrs, unique)


def take_apart_series(series: Any) -> Parts:
    """Gives content, index, name, attrs and flags."""
    return (_content(series), series.index, series.name, *_remarks(series))


def build_series(content: Any, index: Any, name: Any, attrs: Any, unique: Any) -> Any:
    """Builds a Series over the content, which belongs to nobody else."""
    array = _array(content)
    _check_index(index)
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
        raise ValueError(f"an array of shape {array.shape} for an index of {len(index)}")


def _remarks(of: Any) -> Parts:
    return (dict(of.attrs), of.flags.allows_duplicate_labels)


def _with_remarks(made: Any, attrs: Any, unique: Any) -> Any:
    if type(attrs) is not dict:
        raise ValueError("attrs that are no dict")
    if attrs:
        made.attrs = attrs
    if not unique:
        made.flags.allows_duplicate_labels = False
    return made


# Indexes.


def take_apart_index(index: Any) -> Parts:
    """Gives its kind and what it is made from."""
    if isinstance(index, pd.MultiIndex):
        codes = [_writeable(np.asarray(one)) for one in index.codes]
        return ("multi", list(index.levels), codes, list(index.names))
    if isinstance(index, pd.RangeIndex):
        return ("range", index.start, index.stop, index.step, index.name)
    freq = getattr(index, "freq", None) if isinstance(index, pd.DatetimeIndex | pd.TimedeltaIndex) else None
    return ("array", _content(index), index.name, _name_of_freq(freq))


def build_index(kind: Any, *parts: Any) -> Any:
    """Builds an Index of any kind."""
    if kind == "range" and len(parts) == 4:
        start, stop, step, name = parts
        if not all(type(number) is int and -(2**63) <= number < 2**63 for number in (start, stop, step)):
            raise ValueError("a RangeIndex of other numbers")
        return pd.RangeIndex(start, stop, step, name=name)
    if kind == "multi" and len(parts) == 3:
        levels, codes, names = parts
        if not all(type(part) is list for part in parts) or not len(levels) == len(codes) == len(names):
            raise ValueError("a MultiIndex without levels, codes and names")
        for level in levels:
            _check_index(level)
        codes = [_integers(one) for one in codes]
        return pd.MultiIndex(levels, codes, names=names, verify_integrity=True)
    if kind == "array" and len(parts) == 3:
        content, name, freq = parts
        array = _array(content)
        index = pd.Index(array, dtype=array.dtype, name=name, copy=False)
        if freq is not None:
            if not isinstance(index, pd.DatetimeIndex | pd.TimedeltaIndex):
                raise ValueError("a freq of an Index that has none")
            index.freq = _short_text(freq)
        return index
    raise ValueError(f"no kind of an Index: {kind!r}")


def _name_of_freq(freq: Any) -> str | None:
    """Names an offset if pandas makes the same of its name: holidays of one's own have none."""
    try:
        name = None if freq is None else str(freq.freqstr)
        return name if name and pd.tseries.frequencies.to_offset(name) == freq else None
    except ValueError:
        return None


def _check_index(index: Any) -> None:
    if not isinstance(index, pd.Index):
        raise ValueError("labels that are no Index")


# Content: an array of numpy's or pandas', or Python objects, which travel as a list.


def _is_plain(dtype: Any) -> bool:
    return isinstance(dtype, np.dtype) and not dtype.hasobject


def _content(of: Any) -> Any:
    """Gives what is in a Series or an Index as it can be sent."""
    if not isinstance(of.dtype, np.dtype):
        return of.array
    return of.tolist() if of.dtype.hasobject else _writeable(of.to_numpy())


def _writeable(array: Any) -> Any:
    """Gives the array itself, if its memory is only marked as not to be written to.

    pandas marks what it gives away so; what arrives belongs to the receiver, who would have to copy it.
    """
    view = array.view()
    try:
        view.flags.writeable = True
    except ValueError:
        return array.copy()
    return view


def _array(content: Any) -> Any:
    """Takes what `_content` gave."""
    if type(content) is list:
        return np.fromiter(content, dtype=object, count=len(content))
    if not isinstance(content, np.ndarray | pd.api.extensions.ExtensionArray):
        raise ValueError("no content of a column")
    is_plain = isinstance(content, np.ndarray)
    if is_plain and (content.ndim not in (1, 2) or content.dtype.kind not in "biufcmM"):
        raise ValueError(f"no column is of {content.dtype}, in {content.ndim} dimensions")
    return content


def _integers(content: Any) -> Any:
    if not isinstance(content, np.ndarray) or content.ndim != 1 or content.dtype.kind != "i":
        raise ValueError("no numbers of labels")
    return content


def _short_text(text: Any) -> str:
    if not isinstance(text, str) or len(text) > _NAME_LENGTH:
        raise ValueError("no name of a unit or a zone")
    return text


# pandas' own arrays, by kind.


def take_apart_array(array: Any) -> Parts:
    """Gives its kind and what it is made from."""
    arrays = pd.arrays
    if isinstance(array, pd.Categorical):
        return ("categorical", _writeable(array.codes), array.categories, bool(array.ordered))
    if isinstance(array, arrays.DatetimeArray):
        naive = array if array.tz is None else array.tz_convert(None)
        return ("datetime", _writeable(naive.to_numpy()), _zone(array.tz))
    if isinstance(array, arrays.TimedeltaArray):
        return ("timedelta", _writeable(array.to_numpy()))
    if isinstance(array, arrays.PeriodArray):
        return ("period", _writeable(array.asi8), array.freqstr)
    if isinstance(array, arrays.IntervalArray):
        return ("interval", array.left, array.right, array.closed)
    if isinstance(array, arrays.IntegerArray | arrays.FloatingArray | arrays.BooleanArray):
        # Not by to_numpy(), which would copy both and lose what is behind the mask.
        return ("masked", _writeable(array._data), _writeable(array._mask))
    if isinstance(array.dtype, pd.StringDtype):
        texts = array.to_numpy(dtype=object, na_value=None).tolist()
        return ("string", array.dtype.storage, array.dtype.na_value is not pd.NA, texts)
    if isinstance(array, _of_arrow()):
        return ("arrow", array.__arrow_array__())
    if isinstance(array, _of_numpy()):
        values = array.to_numpy()
        return ("numpy", values.tolist() if values.dtype.hasobject else _writeable(values))
    remedy = "; make it dense by sparse.to_dense()" if isinstance(array, arrays.SparseArray) else ""
    raise RefusedError(f"an array of dtype {array.dtype} is none of those that travel{remedy}")


def build_array(kind: Any, *parts: Any) -> Any:
    """Builds an array of any kind."""
    build = _BUILDERS.get(kind) if isinstance(kind, str) else None
    if build is None:
        raise ValueError(f"no kind of an array of pandas': {kind!r}")
    return build(*parts)


def _build_categorical(codes: Any, categories: Any, ordered: Any) -> Any:
    _check_index(categories)
    return pd.Categorical.from_codes(_integers(codes), categories, ordered=bool(ordered))


def _build_datetime(values: Any, zone: Any) -> Any:
    index = pd.DatetimeIndex(_of_kind(values, "M"), copy=False)
    if zone is not None:
        index = index.tz_localize("UTC").tz_convert(_time_zone(zone))
    return index.array


def _build_timedelta(values: Any) -> Any:
    return pd.TimedeltaIndex(_of_kind(values, "m"), copy=False).array


def _build_period(ordinals: Any, freq: Any) -> Any:
    freq = _short_text(freq)
    return pd.PeriodIndex.from_ordinals(_of_kind(ordinals, "i"), freq=freq).array


def _build_interval(left: Any, right: Any, closed: Any) -> Any:
    _check_index(left)
    _check_index(right)
    return pd.arrays.IntervalArray.from_arrays(left, right, closed=_short_text(closed))


def _build_masked(values: Any, mask: Any) -> Any:
    _of_kind(mask, "b")
    kind = _of_kind(values, "biuf").dtype.kind
    arrays = pd.arrays
    cls = {"b": arrays.BooleanArray, "f": arrays.FloatingArray}.get(kind, arrays.IntegerArray)
    return cls(values, mask)


def _build_string(storage: Any, has_nan: Any, texts: Any) -> Any:
    if storage not in ("python", "pyarrow") or type(texts) is not list:
        raise ValueError("no texts")
    if storage == "pyarrow" and not _has_arrow():
        storage = "python"
    if not all(text is None or type(text) is str for text in texts):
        raise ValueError("texts that are none")
    # The argument is as old as the kind of str that has nan.
    dtype = pd.StringDtype(storage, na_value=np.nan) if has_nan else pd.StringDtype(storage)
    return pd.array(texts, dtype=dtype)


def _build_arrow(chunks: Any) -> Any:
    from workerlib._values.libraries import arrow_tables

    return pd.arrays.ArrowExtensionArray(arrow_tables.as_chunks(chunks))


def _build_numpy(content: Any) -> Any:
    array = _array(content)
    if not isinstance(array, np.ndarray) or array.ndim != 1:
        raise ValueError("no array of numpy's")
    return _of_numpy()(array)


_BUILDERS: dict[str, Callable[..., Any]] = {
    "categorical": _build_categorical,
    "datetime": _build_datetime,
    "timedelta": _build_timedelta,
    "period": _build_period,
    "interval": _build_interval,
    "masked": _build_masked,
    "string": _build_string,
    "arrow": _build_arrow,
    "numpy": _build_numpy,
}


def _of_kind(array: Any, kinds: str) -> Any:
    if not isinstance(array, np.ndarray) or array.ndim != 1 or array.dtype.kind not in kinds:
        raise ValueError(f"no array of kind {kinds!r}")
    return array


def _of_arrow() -> Any:
    return getattr(pd.arrays, "ArrowExtensionArray", ())


def _of_numpy() -> Any:
    # Version 2 of pandas calls it so too; before, it was PandasArray.
    return pd.arrays.NumpyExtensionArray


def _has_arrow() -> bool:
    try:
        importlib.import_module("pyarrow")
    except ImportError:
        return False
    return True


# Time zones: those of the standard library travel as themselves, those of pytz by their name.


def _zone(zone: Any) -> Any:
    if type(zone).__module__.partition(".")[0] == "pytz":
        return str(zone)
    return zone


def _time_zone(zone: Any) -> Any:
    from datetime import tzinfo
    from zoneinfo import ZoneInfo

    if isinstance(zone, str):
        pytz = sys.modules.get("pytz")
        return ZoneInfo(_short_text(zone)) if pytz is None else pytz.timezone(_short_text(zone))
    if not isinstance(zone, tzinfo):
        raise ValueError("a time zone that is none")
    return zone


# Scalars.


def take_apart_scalar(scalar: Any) -> Parts:
    """Gives its kind and what it is made from."""
    if scalar is pd.NaT or scalar is pd.NA:
        return ("NaT" if scalar is pd.NaT else "NA",)
    if isinstance(scalar, pd.Timestamp):
        return ("timestamp", int(scalar.asm8.astype("i8")), scalar.unit, _zone(scalar.tz), scalar.fold)
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
                return stamp.tz_localize("UTC").tz_convert(_time_zone(zone))
            return stamp.replace(fold=fold) if fold else stamp
        case ("timedelta", int(count), str(unit)) if unit in _UNITS:
            return pd.Timedelta(np.timedelta64(count, unit))
        case ("period", int(ordinal), str(freq)):
            return pd.Period(ordinal=ordinal, freq=_short_text(freq))
        case ("interval", left, right, str(closed)):
            return pd.Interval(left, right, closed)
    raise ValueError(f"no kind of a scalar of pandas': {kind!r}")


_UNITS = ("s", "ms", "us", "ns")
