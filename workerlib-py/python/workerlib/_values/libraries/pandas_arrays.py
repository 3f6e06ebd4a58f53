"""Takes apart and builds pandas' own arrays, their dtypes, and what stands in a column or an index.

`pandas_tables` builds its tables of them. An array is made again of the very parts that it is kept in.
"""

from __future__ import annotations

import functools
import importlib
import itertools
import sys
from collections.abc import Callable
from typing import Any

from workerlib._values.row import RefusedError
from workerlib._values.time_zones import find_zone, is_of_pytz

# Without their types: whether pandas is installed must not matter to who checks this package.
np: Any = importlib.import_module("numpy")
pd: Any = importlib.import_module("pandas")

_NAME_LENGTH = 255

Parts = tuple[Any, ...]


# Content: an array of numpy's or pandas', or Python objects, which travel as a list.


def is_plain(dtype: Any) -> bool:
    """Returns whether a dtype is one of numpy's without Python objects."""
    return isinstance(dtype, np.dtype) and not dtype.hasobject


def content_of(of: Any) -> Any:
    """Gives what is in a Series or an Index as it can be sent."""
    if not isinstance(of.dtype, np.dtype):
        return of.array
    return of.tolist() if of.dtype.hasobject else writeable(of.values)


def content_of_array(array: Any) -> Any:
    """Gives the array of a column, one of numpy's or pandas', as it can be sent."""
    dtype = array.dtype
    if not isinstance(dtype, np.dtype):
        return array
    # An array of pandas' of dates without a zone has numpy's dtype.
    return array.tolist() if dtype.hasobject else writeable(np.asarray(array))


def writeable(array: Any) -> Any:
    """Gives the array itself, if its memory is only marked as not to be written to.

    pandas marks what it gives away so; what arrives belongs to the receiver, who would have to copy it.
    """
    view = array.view()
    try:
        view.flags.writeable = True
    except ValueError:
        return array.copy()
    return view


def as_array(content: Any) -> Any:
    """Takes what `content_of` gave."""
    if type(content) is list:
        return np.fromiter(content, dtype=object, count=len(content))
    is_plain = isinstance(content, np.ndarray)
    if not is_plain and not isinstance(content, pd.api.extensions.ExtensionArray):
        raise ValueError("a column has to be an array or a list")
    if is_plain and (content.ndim not in (1, 2) or content.dtype.kind not in "biufcmM"):
        raise ValueError(f"a column cannot be of {content.dtype} in {content.ndim} dimensions")
    return content


def check_index(labels: Any) -> None:
    """Raises ValueError if labels are not an Index."""
    if not isinstance(labels, pd.Index):
        raise ValueError("the labels have to be an Index")


def find_hidden(cls: Any, name: str) -> Any:
    """Finds a function of a class of pandas that is not public; None where this pandas has none."""
    return getattr(cls, name, None)


def make_index(array: Any, name: Any) -> Any:
    """Makes an Index of what `as_array` gave.

    pandas' constructor looks for a class and a dtype. Most labels are texts, which have both already: a
    function that is not public makes an Index of these without a look.
    """
    simple_new = find_hidden(pd.Index, "_simple_new")
    if simple_new is not None and name is None and isinstance(array.dtype, pd.StringDtype):
        return simple_new(array, name)
    return pd.Index(array, dtype=array.dtype, name=name, copy=False)


def make_range_index(numbers: range, name: Any) -> Any:
    """Makes a RangeIndex, in the same way if it has no name."""
    simple_new = find_hidden(pd.RangeIndex, "_simple_new")
    if simple_new is not None and name is None:
        return simple_new(numbers, name)
    return pd.RangeIndex(numbers, name=name)


def integers(content: Any) -> Any:
    """Takes an array of numbers of labels."""
    if not isinstance(content, np.ndarray) or content.ndim != 1 or content.dtype.kind != "i":
        raise ValueError("the numbers of labels have to be an array of ints")
    return content


def short_text(text: Any) -> str:
    """Takes the name of a unit or a zone."""
    if not isinstance(text, str) or len(text) > _NAME_LENGTH:
        raise ValueError("the name of a unit or a zone has to be a short str")
    return text


# pandas' own arrays, by kind.


def take_apart_array(array: Any) -> Parts:
    """Gives its kind and what it is made from."""
    arrays, dtype = pd.arrays, array.dtype
    if isinstance(dtype, pd.StringDtype):
        has_nan = dtype.na_value is not pd.NA
        if dtype.storage == "pyarrow":
            return ("texts", has_nan, *_texts_of_arrow(array.__arrow_array__()))
        return ("string", dtype.storage, has_nan, _texts_of_python(array))
    if isinstance(array, pd.Categorical):
        return ("categorical", writeable(array.codes), array.categories, bool(array.ordered))
    if isinstance(array, arrays.DatetimeArray):
        naive = array if array.tz is None else array.tz_convert(None)
        return ("datetime", writeable(naive.to_numpy()), zone_of(array.tz))
    if isinstance(array, arrays.TimedeltaArray):
        return ("timedelta", writeable(array.to_numpy()))
    if isinstance(array, arrays.PeriodArray):
        return ("period", writeable(array.asi8), array.freqstr)
    if isinstance(array, arrays.IntervalArray):
        return ("interval", array.left, array.right, array.closed)
    if isinstance(array, arrays.IntegerArray | arrays.FloatingArray | arrays.BooleanArray):
        # Not by to_numpy(), which would copy both and lose what is behind the mask.
        return ("masked", writeable(array._data), writeable(array._mask))
    if isinstance(array, _of_arrow()):
        return ("arrow", array.__arrow_array__())
    if isinstance(array, _of_numpy()):
        values = array.to_numpy()
        return ("numpy", values.tolist() if values.dtype.hasobject else writeable(values))
    remedy = "; make it dense by sparse.to_dense()" if isinstance(array, arrays.SparseArray) else ""
    raise RefusedError(f"arrays of dtype {array.dtype} are not supported{remedy}")


def build_array(kind: Any, *parts: Any) -> Any:
    """Builds an array of any kind."""
    build = _BUILDERS.get(kind) if isinstance(kind, str) else None
    if build is None:
        raise ValueError(f"{kind!r} is an unknown kind of pandas array")
    return build(*parts)


def _build_categorical(codes: Any, categories: Any, ordered: Any) -> Any:
    check_index(categories)
    return pd.Categorical.from_codes(integers(codes), categories, ordered=bool(ordered))


def _build_datetime(values: Any, zone: Any) -> Any:
    index = pd.DatetimeIndex(_of_kind(values, "M"), copy=False)
    if zone is not None:
        index = index.tz_localize("UTC").tz_convert(time_zone(zone))
    return index.array


def _build_timedelta(values: Any) -> Any:
    return pd.TimedeltaIndex(_of_kind(values, "m"), copy=False).array


def _build_period(ordinals: Any, freq: Any) -> Any:
    freq = short_text(freq)
    return pd.PeriodIndex.from_ordinals(_of_kind(ordinals, "i"), freq=freq).array


def _build_interval(left: Any, right: Any, closed: Any) -> Any:
    check_index(left)
    check_index(right)
    return pd.arrays.IntervalArray.from_arrays(left, right, closed=short_text(closed))


def _build_masked(values: Any, mask: Any) -> Any:
    _of_kind(mask, "b")
    kind = _of_kind(values, "biuf").dtype.kind
    arrays = pd.arrays
    cls = {"b": arrays.BooleanArray, "f": arrays.FloatingArray}.get(kind, arrays.IntegerArray)
    return cls(values, mask)


def _build_string(storage: Any, has_nan: Any, texts: Any) -> Any:
    if storage not in ("python", "pyarrow") or type(texts) is not list:
        raise ValueError("an array of strings has to have a known storage and a list")
    if storage == "pyarrow" and _pyarrow() is None:
        storage = "python"
    if not all(text is None or type(text) is str for text in texts):
        raise ValueError("the items of an array of strings have to be strs or None")
    return pd.array(texts, dtype=_string_dtype(storage, bool(has_nan)))


def _texts_of_python(array: Any) -> list[Any]:
    texts: list[Any] = array.to_numpy().tolist()
    if all(type(text) is str for text in texts):
        return texts
    return array.to_numpy(dtype=object, na_value=None).tolist()  # type: ignore[no-any-return]


def _texts_of_arrow(texts: Any) -> Parts:
    """Gives the strs of an array of pyarrow as it keeps them: offsets, UTF-8, gaps."""
    pa = _pyarrow()
    if isinstance(texts, pa.ChunkedArray):
        texts = texts.chunk(0) if texts.num_chunks == 1 else texts.combine_chunks()
    if texts.type != pa.large_string():
        texts = texts.cast(pa.large_string())
    count = len(texts)
    _, offsets, content = texts.buffers()
    if count == 0 or offsets is None:
        return (np.zeros(1, np.int64), b"", None)
    # A slice of an array has the buffers of the whole.
    starts = np.frombuffer(offsets, np.int64, count + 1, texts.offset * 8)
    first, last = int(starts[0]), int(starts[-1])
    data = memoryview(b"" if content is None else content)[first:last]
    missing = texts.is_null().to_numpy(zero_copy_only=False) if texts.null_count else None
    return (writeable(starts - first if first else starts), data, missing)


def _build_texts(has_nan: Any, starts: Any, content: Any, missing: Any) -> Any:
    _of_kind(starts, "i")
    if starts.dtype != np.int64 or len(starts) < 1 or not isinstance(content, bytes | memoryview):
        raise ValueError("an array of strings has to have a known storage and a list")
    count = len(starts) - 1
    if missing is not None and len(_of_kind(missing, "b")) != count:
        raise ValueError("each string of the array needs a bool that says whether it is missing")
    size = len(content) if type(content) is bytes else memoryview(content).nbytes
    if not _is_rising(starts, size):
        raise ValueError("the positions in the content of an array of strings have to rise")
    pa = _pyarrow()
    if pa is None:
        return _build_string("python", has_nan, _texts(starts, content, missing))
    valid = None if missing is None else pa.py_buffer(np.packbits(~missing, bitorder="little"))
    texts = pa.Array.from_buffers(
        pa.large_string(), count, [valid, pa.py_buffer(starts), pa.py_buffer(content)]
    )
    # Of ASCII every part is UTF-8; for other content pyarrow looks at each text.
    if size and not _is_ascii(content, size):
        texts.validate(full=True)
    return _string_dtype("pyarrow", bool(has_nan)).__from_arrow__(texts)


_SMALL = 1 << 10
"""For so few numbers or bytes, Python's own lists and copies take less time than functions of numpy's."""


def _is_rising(starts: Any, size: int) -> bool:
    """Returns whether each number is at least the one before it, from 0 to `size`."""
    if len(starts) <= _SMALL:
        numbers: list[int] = starts.tolist()
        return numbers[0] >= 0 and numbers[-1] <= size and sorted(numbers) == numbers
    return int(starts[0]) >= 0 and int(starts[-1]) <= size and not bool((starts[1:] < starts[:-1]).any())


def _is_ascii(content: Any, size: int) -> bool:
    if size <= _SMALL:
        return bytes(content).isascii()
    return bool(np.frombuffer(content, np.uint8).max() < 0x80)


def _texts(starts: Any, content: Any, missing: Any) -> list[str | None]:
    data, ends = bytes(content), starts.tolist()
    texts: list[str | None] = [data[begin:end].decode() for begin, end in itertools.pairwise(ends)]
    if missing is not None:
        for index in np.flatnonzero(missing).tolist():
            texts[index] = None
    return texts


@functools.lru_cache(maxsize=8)
def _string_dtype(storage: str, has_nan: bool) -> Any:
    # The argument is as old as the kind of str that has nan.
    # pandas looks for pyarrow each time that it makes one.
    return pd.StringDtype(storage, na_value=np.nan) if has_nan else pd.StringDtype(storage)


def _build_arrow(chunks: Any) -> Any:
    from workerlib._values.libraries import arrow_tables

    return pd.arrays.ArrowExtensionArray(arrow_tables.as_chunks(chunks))


def _build_numpy(content: Any) -> Any:
    # An array, other than a column, may also be of strings of one length.
    is_plain_array = isinstance(content, np.ndarray) and content.dtype.kind in "SU"
    array = content if is_plain_array else as_array(content)
    if not isinstance(array, np.ndarray) or array.ndim != 1:
        raise ValueError("the value has to be an array of numpy")
    return _of_numpy()(array)


_BUILDERS: dict[str, Callable[..., Any]] = {
    "categorical": _build_categorical,
    "datetime": _build_datetime,
    "timedelta": _build_timedelta,
    "period": _build_period,
    "interval": _build_interval,
    "masked": _build_masked,
    "string": _build_string,
    "texts": _build_texts,
    "arrow": _build_arrow,
    "numpy": _build_numpy,
}


def _of_kind(array: Any, kinds: str) -> Any:
    if not isinstance(array, np.ndarray) or array.ndim != 1 or array.dtype.kind not in kinds:
        raise ValueError(f"the value has to be an array of the kinds {kinds!r}")
    return array


def _of_arrow() -> Any:
    return getattr(pd.arrays, "ArrowExtensionArray", ())


def _of_numpy() -> Any:
    # Version 2 of pandas calls it so too; before, it was PandasArray.
    return pd.arrays.NumpyExtensionArray


def _pyarrow() -> Any:
    """Gives pyarrow, or None where it cannot be imported. `import_module` takes longer than to look."""
    found = sys.modules.get("pyarrow")
    if found is not None:
        return found
    try:
        return importlib.import_module("pyarrow")
    except ImportError:
        return None


# Time zones: those of the standard library travel as themselves, named ones of pytz by their name.


def zone_of(zone: Any) -> Any:
    """Gives a time zone as it can be sent: the name of one of pytz, or the zone itself."""
    if is_of_pytz(zone) and zone.zone is not None:
        return str(zone)
    return zone


def time_zone(zone: Any) -> Any:
    """Takes what `zone_of` gave."""
    from datetime import tzinfo

    if isinstance(zone, str):
        pytz = sys.modules.get("pytz")
        return find_zone(zone) if pytz is None else pytz.timezone(short_text(zone))
    if not isinstance(zone, tzinfo):
        raise ValueError("a time zone has to be a tzinfo")
    return zone


# dtypes: by their names, or by way of an empty array.


def take_apart_dtype(dtype: Any) -> Parts:
    """Gives the name of a dtype, or an empty array of a dtype that is more than its name.

    Raises:
        RefusedError: If arrays of it cannot be sent.
    """
    name = str(dtype)
    try:
        if len(name) <= _NAME_LENGTH and _is_same(pd.api.types.pandas_dtype(name), dtype):
            return (name,)
    except (TypeError, ValueError):
        # Not every dtype has a name that pandas reads.
        pass
    return (dtype.construct_array_type()._from_sequence([], dtype=dtype),)


def build_dtype(given: Any) -> Any:
    """Finds a dtype by its name, or takes that of an array."""
    dtype = pd.api.types.pandas_dtype(short_text(given)) if isinstance(given, str) else given.dtype
    if not isinstance(dtype, pd.api.extensions.ExtensionDtype):
        raise ValueError("the dtype has to be one of pandas")
    return dtype


def _is_same(one: Any, other: Any) -> bool:
    # A category without categories is equal to any other.
    return one == other and getattr(one, "categories", None) is None is getattr(other, "categories", None)
