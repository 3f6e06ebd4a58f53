"""Columns, indexes and arrays of Python objects keep their dtype and their objects: pandas infers no other dtype."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import pytest

pd: Any = pytest.importorskip(
    "pandas", reason="pandas is not installed: in Pyodide its wheel is neither in npm nor in PyPI"
)
np: Any = pytest.importorskip("numpy")

from workerlib import FrameError
from workerlib._native import decode, encode

from same import assert_same_table
from trip import frame_of_extension


def objects(*values: object) -> Any:
    return np.fromiter(values, dtype=object, count=len(values))


OBJECTS: dict[str, Any] = {
    "strs": objects("a", "b"),
    "strs and None": objects("Rome", None),
    "strs and nan": objects("a", float("nan")),
    "strs and NA": objects("a", pd.NA),
    "timestamps": objects(pd.Timestamp("2026-01-01"), pd.Timestamp("2026-01-02")),
    "timestamps with a zone": objects(pd.Timestamp("2026-01-01", tz="UTC"), None),
    "timedeltas": objects(pd.Timedelta("1s"), pd.NaT),
    "periods": objects(pd.Period("2026"), pd.Period("2027")),
    "intervals": objects(pd.Interval(0, 1), pd.Interval(1, 2)),
    "datetimes": objects(datetime.datetime(2026, 1, 1), None),
    "dates": objects(datetime.date(2026, 1, 1), None),
    "numpy's datetimes": objects(np.datetime64("2026-01-01"), np.datetime64("2026-01-02")),
    "ints": objects(1, 2),
    "floats": objects(1.5, None),
    "bools": objects(True, False),
    "bytes": objects(b"x", b"y"),
    "a mixture": objects(1j, "x"),
    "nothing": objects(),
}
PLACES: dict[str, Callable[[Any], tuple[Any, Callable[[Any], Any]]]] = {
    "series": lambda o: (pd.Series(o, dtype=object), lambda back: back),
    "array": lambda o: (pd.arrays.NumpyExtensionArray(o), lambda back: back),
    "index": lambda o: (pd.Index(o, dtype=object), lambda back: back),
    "only column": lambda o: (pd.DataFrame({"a": pd.Series(o, dtype=object)}), lambda back: back["a"]),
    "column beside another": lambda o: (
        pd.DataFrame({"a": pd.Series(o, dtype=object), "n": range(len(o))}),
        lambda back: back["a"],
    ),
    "rows": lambda o: (
        pd.DataFrame({"n": range(len(o))}, index=pd.Index(o, dtype=object)),
        lambda back: back.index,
    ),
    "columns": lambda o: (
        pd.DataFrame([range(len(o))], columns=pd.Index(o, dtype=object)),
        lambda back: back.columns,
    ),
    "level of an index": lambda o: (
        pd.MultiIndex.from_arrays([pd.Index(o, dtype=object), range(len(o))]),
        lambda back: back.levels[0],
    ),
    "categories": lambda o: (
        pd.Categorical([], categories=pd.Index(o, dtype=object).dropna().unique()),
        lambda back: back.categories,
    ),
    "categories of a column": lambda o: (
        pd.DataFrame({"c": pd.Categorical([], categories=pd.Index(o, dtype=object).dropna().unique())}),
        lambda back: back["c"].cat.categories,
    ),
    "categories of an index": lambda o: (
        pd.CategoricalIndex([], categories=pd.Index(o, dtype=object).dropna().unique()),
        lambda back: back.categories,
    ),
    "attrs": lambda o: (with_attrs(o), lambda back: back.attrs["x"]),
}


def with_attrs(values: Any) -> Any:
    series = pd.Series([1])
    series.attrs["x"] = pd.Series(values, dtype=object)
    return series


def strictly(value: Any) -> Any:
    """Sends a value where nothing may be converted."""
    frame, buffers = encode(value, strict=True)
    return decode(frame, [bytes(memoryview(buffer)) for buffer in buffers])


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", OBJECTS)
def test_objects_stay_objects(name: str, place: str) -> None:
    """dtype, type of each object and the object itself, wherever they stand in a table."""
    value, part_of = PLACES[place](OBJECTS[name])
    expected, back = part_of(value), part_of(strictly(value))
    assert type(back) is type(expected)
    assert back.dtype == expected.dtype
    assert len(back) == len(expected)
    for one, other in zip(list(back), list(expected), strict=True):
        assert type(one) is type(other)
        assert one is other or one == other or one != one  # noqa: PLR0124 - a nan


def test_rows_that_have_one_name() -> None:
    """Columns of objects are put together without aligning them by their rows' names."""
    frame = pd.DataFrame({"a": pd.Series(objects("x", None), dtype=object), "b": [1, 2]})
    frame.index = [7, 7]
    back = strictly(frame)
    assert back["a"].dtype == object
    assert back["a"].tolist() == ["x", None]
    assert back.index.tolist() == [7, 7]


@pytest.mark.parametrize(
    "name",
    [
        *(
            "object",
            "int64",
            "datetime64[ns]",
            "Int64",
            "boolean",
            "Float32",
            "category",
            "string",
            "period[M]",
        ),
        *("interval[int64]", "datetime64[ns, UTC]"),
    ],
)
def test_dtypes_are_values(name: str) -> None:
    """The dtypes of pandas and of numpy, which `df.dtypes` holds side by side."""
    dtype = pd.api.types.pandas_dtype(name)
    back = strictly(dtype)
    assert type(back) is type(dtype)
    assert back == dtype
    assert repr(back) == repr(dtype)


def test_dtypes_that_are_more_than_their_names() -> None:
    """Categories and their order, the zone and the unit."""
    for dtype in (
        pd.CategoricalDtype(["b", "a"], ordered=True),
        pd.CategoricalDtype(pd.Index(["b"], dtype=object)),
        pd.DatetimeTZDtype("us", "Europe/Berlin"),
        pd.IntervalDtype("datetime64[ns]", closed="both"),
    ):
        back = strictly([dtype])[0]
        assert back == dtype
        assert getattr(back, "ordered", None) == getattr(dtype, "ordered", None)
    frame = pd.DataFrame({"a": [1], "b": ["x"], "c": pd.Categorical(["y"])})
    assert strictly(frame.dtypes).tolist() == frame.dtypes.tolist()


@pytest.mark.parametrize("given", ["", "Sparse[int]x", "nothing", 7, None, "int64", [1], "x" * 300])
def test_dtypes_that_lie(given: object) -> None:
    """A frame names a dtype of pandas, or has an array of one."""
    frame, buffers = frame_of_extension(78, ("pandas.api.extensions.ExtensionDtype", given))
    with pytest.raises(FrameError):
        decode(frame, list(buffers))


def zones() -> list[Any]:
    pytz = pytest.importorskip("pytz")
    return [pytz.timezone("Europe/Berlin"), pytz.FixedOffset(60), pytz.FixedOffset(-90), pytz.UTC]


def test_zones_of_pytz() -> None:
    """Zones with a name, and zones that are an offset: in an index, a column and a scalar."""
    for zone in zones():
        stamp = pd.Timestamp("2026-07-01 12:00", tz=zone)
        for value in (pd.DatetimeIndex([stamp]), pd.Series([stamp]), stamp):
            assert_same_table(strictly(value), value)


TEXTS: dict[str, list[Any]] = {
    "plain": ["a", "ß", "", "\U0001f600"],
    "with gaps": ["a", None, "ß" * 50, None],
    "only gaps": [None, None],
    "none": [],
    "many": [f"name {index}" for index in range(20_000)],
}
STORAGES = ["str", "string", "string[python]"]


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("name", TEXTS)
def test_strings(name: str, storage: str) -> None:
    """Strings of any storage, whole and in part: a slice has the buffers of the whole."""
    array = pd.array(TEXTS[name], dtype=storage)
    for value in (array, array[1:], array[::2], pd.Series(array), pd.Index(array, name="n")):
        assert_same_table(strictly(value), value)


def test_many_strings_go_out_of_band() -> None:
    """The buffers of strings that pyarrow holds travel as they are."""
    pytest.importorskip("pyarrow")
    array = pd.array(TEXTS["many"], dtype=pd.StringDtype("pyarrow"))
    frame, buffers = encode(array)
    assert len(frame) < 1000
    assert sum(memoryview(buffer).nbytes for buffer in buffers) < 12 * len(array) + sum(map(len, array))


def starts(*numbers: int) -> Any:
    return np.array(numbers, np.int64)


@pytest.mark.parametrize(
    "parts",
    [
        (True, starts(0, 2), b"a", None),
        (True, starts(-1, 1), b"a", None),
        (True, starts(1, 0), b"a", None),
        (True, starts(0, 2, 1), b"ab", None),
        (True, starts(), b"", None),
        (True, starts(0, 1), b"\xff", None),
        (True, starts(0, 1, 2), "ß".encode(), None),
        (True, starts(0, 1), b"a", np.zeros(2, bool)),
        (True, starts(0, 1), b"a", np.zeros(1)),
        (True, starts(0, 1).astype("i4"), b"a", None),
        (True, np.zeros((1, 2), np.int64), b"a", None),
        (True, starts(0, 1), "a", None),
        (True, [0, 1], b"a", None),
    ],
    ids=lambda parts: repr(parts[1:])[:60],
)
def test_strings_that_lie(parts: tuple[object, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Offsets that lead elsewhere, bytes that are not UTF-8: with pyarrow and without."""
    from workerlib._values.libraries import pandas_arrays

    frame, buffers = frame_of_extension(91, ("texts", *parts))
    with pytest.raises(FrameError):
        decode(frame, list(buffers))
    monkeypatch.setattr(pandas_arrays, "_pyarrow", lambda: None)
    with pytest.raises(FrameError):
        decode(frame, list(buffers))


def test_strings_for_a_receiver_without_pyarrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Strings that pyarrow held arrive in Python's storage."""
    pytest.importorskip("pyarrow")
    from workerlib._values.libraries import pandas_arrays

    array = pd.array(["a", None, "ß"], dtype=pd.StringDtype("pyarrow"))
    frame, buffers = encode(array)
    monkeypatch.setattr(pandas_arrays, "_pyarrow", lambda: None)
    back: Any = decode(frame, [bytes(memoryview(buffer)) for buffer in buffers])
    assert back.dtype.storage == "python"
    assert back.tolist() == ["a", pd.NA, "ß"]


def test_tables_arrive_where_pandas_lacks_what_is_not_public(monkeypatch: pytest.MonkeyPatch) -> None:
    """Functions of pandas that are not public save time and no more: without them the same table arrives."""
    from workerlib._values.libraries import pandas_arrays

    table = pd.DataFrame(
        {
            "id": [1, 2, 3],
            "name": ["a", None, "c"],
            "when": pd.to_datetime(["2026-01-01", "2026-01-02", None]),
            "what": np.array([1, "x", None], object),
        }
    )
    frame, buffers = encode(table)
    copies = [[bytes(memoryview(buffer)) for buffer in buffers] for _ in range(2)]
    fast: Any = decode(frame, copies[0])
    monkeypatch.setattr(pandas_arrays, "find_hidden", lambda *_: None)
    slow: Any = decode(frame, copies[1])
    for arrived in (fast, slow):
        pd.testing.assert_frame_equal(arrived, table, check_column_type="exact", check_index_type="exact")
        assert list(arrived.dtypes) == list(table.dtypes)
        assert type(arrived.index) is pd.RangeIndex and arrived.columns.dtype == table.columns.dtype


def test_a_table_with_more_than_its_columns_is_refused() -> None:
    """A subclass that says what else it keeps, as geopandas' does, would lose that."""
    from workerlib import UnsendableError

    class Geo(pd.DataFrame):  # type: ignore[misc]
        _metadata = ("crs",)

    with pytest.raises(UnsendableError, match=r"also has crs.*pandas\.DataFrame\(…\)"):
        encode([Geo({"a": [1]})])
