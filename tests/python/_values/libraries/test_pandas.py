"""Tables, columns, indexes, arrays and scalars of pandas arrive as themselves: natively with the real pandas."""

from __future__ import annotations

import datetime
import itertools
import zoneinfo
from typing import Any

import pytest

pd: Any = pytest.importorskip(
    "pandas", reason="pandas is not installed: in Pyodide its wheel is neither in npm nor in PyPI"
)
np: Any = pytest.importorskip("numpy")

import workerlib
from workerlib import ConversionWarning, UnsendableError
from workerlib._native import decode, encode

import second_process
from same import assert_same_table
from trip import frame_of_extension, round_trip

BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")
STAMPS = ["2026-03-29 00:30", "2026-10-25 00:30", None, "1900-01-01 00:00"]
ORDERED = pd.CategoricalDtype(["low", "high", "unused"], ordered=True)


def of_arrow(values: list[Any], dtype: str) -> Any:
    """Makes a column that pyarrow holds."""
    pytest.importorskip("pyarrow")
    return pd.array(values, dtype=dtype)


COLUMNS: dict[str, Any] = {
    **{kind: np.array([1, 0, 1], kind) for kind in ("?", "i1", "i8", "u2", "u8", "f4", "f8", "c16")},
    "float with gaps": np.array([1.5, np.nan, -0.0]),
    "object": np.array(["a", None, 1, 2.5, (1, "x"), [3], {"k": pd.Timestamp("2026-01-01")}, float("nan")], object),
    "object of str": np.array(["a", "ß", ""], object),
    "object of dates": np.array([datetime.date(2026, 1, 1), None], object),
    "str": pd.array(["a", None, "\U0001f600", ""], dtype="str"),
    "string": pd.array(["a", None, "ß"], dtype="string"),
    "string of Python": pd.array(["a", None], dtype=pd.StringDtype("python")),
    "string of Python with nan": pd.array(["a", None], dtype=pd.StringDtype("python", na_value=np.nan)),
    "category": pd.Categorical(["b", "a", None, "b"]),
    "category, ordered, with one that is not used": pd.Categorical(["low", "high", None], dtype=ORDERED),
    "category of numbers": pd.Categorical([3, 1, 3]),
    "category of dates": pd.Categorical(pd.to_datetime(["2026-01-01", "2026-01-02"])),
    "category without any": pd.Categorical([]),
    **{f"datetime, {unit}": np.array(["2026-01-01", "NaT"], f"M8[{unit}]") for unit in ("s", "ms", "us", "ns")},
    "datetime with a zone": pd.to_datetime(STAMPS).tz_localize("UTC").tz_convert(BERLIN).array,
    "datetime in UTC": pd.to_datetime(STAMPS).tz_localize("UTC").array,
    "datetime with an offset": pd.to_datetime(STAMPS).tz_localize(datetime.timezone(datetime.timedelta(hours=5.5))).array,
    "timedelta": np.array([5, "NaT"], "m8[ns]"),
    "period": pd.period_range("2026-01", periods=3, freq="M").array,
    "period with a gap": pd.array(["2026Q1", None], dtype="period[Q-NOV]"),
    "interval": pd.interval_range(0, 4, periods=3, closed="left").array,
    "interval of dates": pd.interval_range(pd.Timestamp("2026-01-01"), periods=2).array,
    **{kind: pd.array([1, None, 3], dtype=kind) for kind in ("Int8", "Int64", "UInt32", "Float32", "Float64")},
    "boolean": pd.array([True, None, False], dtype="boolean"),
    "an array of numpy's": pd.arrays.NumpyExtensionArray(np.array([1.5, 2])),
    "an array of numpy's of objects": pd.arrays.NumpyExtensionArray(np.array(["a", None], object)),
    "empty": np.array([], "i4"),
    "empty object": np.array([], object),
    "out of band": np.arange(100_000.0),
    "out of band, nullable": pd.array(np.arange(100_000), dtype="Int64"),
}  # fmt: skip
INDEXES: dict[str, Any] = {
    "range": pd.RangeIndex(5, 50, 5, name="number"),
    "empty range": pd.RangeIndex(0),
    "numbers": pd.Index([3, 1, 1], name=("a", 1)),
    "floats": pd.Index([1.5, np.nan]),
    "bools": pd.Index([True, False]),
    "str": pd.Index(["a", "b"], name="letters"),
    "object": pd.Index(["a", 1, None, (1, 2)], dtype=object),
    "dates": pd.DatetimeIndex(["2026-01-02", "2026-01-01"]),
    "days": pd.date_range("2026-01-01", periods=4, freq="D", name="day"),
    "hours in a zone": pd.date_range("2026-10-24 22:00", periods=9, freq="2h", tz=BERLIN),
    "weeks": pd.date_range("2026-01-01", periods=4, freq="W-WED", unit="s"),
    "business days": pd.date_range("2026-01-01", periods=4, freq="B"),
    "timedeltas": pd.timedelta_range("1h", periods=3, freq="30min"),
    "periods": pd.period_range("2026-01", periods=3, freq="M", name="month"),
    "intervals": pd.interval_range(0, 3),
    "categories": pd.CategoricalIndex(["b", "a", "b"], name="kind"),
    "nullable": pd.Index(pd.array([1, None], dtype="Int64")),
    "multi": pd.MultiIndex.from_product([["a", "b"], [1, 2]], names=["letter", None]),
    "multi with a gap": pd.MultiIndex.from_tuples([("a", 1.5), ("b", None), (None, 1.5)]),
    "multi of dates": pd.MultiIndex.from_product([pd.date_range("2026-01-01", periods=2), ["x"]]),
    "multi, empty": pd.MultiIndex.from_arrays([[], []], names=["a", "b"]),
}
SCALARS = [
    pd.Timestamp("2026-11-22 01:02:03.000000004"),
    pd.Timestamp(year=2026, month=10, day=25, hour=2, minute=30, tz=BERLIN, fold=1),
    pd.Timestamp(year=2026, month=10, day=25, hour=2, minute=30, fold=1),
    pd.Timestamp("0001-01-01", tz="UTC").as_unit("s"),
    pd.Timestamp("2026-01-01").as_unit("ms"),
    pd.Timestamp.min,
    pd.Timestamp.max,
    pd.Timedelta("-1 days 2h 3ns"),
    pd.Timedelta(5, "s").as_unit("s"),
    pd.Timedelta.max,
    pd.Period("2026Q3", freq="Q-NOV"),
    pd.Period("2026-11-22 01:02", freq="min"),
    pd.Interval(1, 2.5, closed="both"),
    pd.Interval(pd.Timestamp("2026-01-01"), pd.Timestamp("2026-01-02"), closed="neither"),
    pd.NaT,
    pd.NA,
]


def table() -> Any:
    """Makes a table with a column of every kind that people use, and names that occur twice."""
    frame = pd.DataFrame(
        {
            "int": [3, 1, 2],
            "float": [1.5, np.nan, -0.0],
            "text": ["a", None, "ß"],
            "object": [[1], None, {"k": (1,)}],
            "category": pd.Categorical(["x", "y", "x"]),
            "when": pd.date_range("2026-01-01", periods=3, tz=BERLIN),
            "nullable": pd.array([1, None, 3], dtype="Int64"),
        },
        index=pd.Index(["r1", "r2", "r2"], name="row"),
    )
    frame = pd.concat([frame, frame[["int", "text"]]], axis=1)
    frame.attrs = {"unit": "m", "parts": [1, 2]}
    return frame


@pytest.mark.parametrize("name", COLUMNS)
def test_a_series_of_every_dtype(name: str) -> None:
    """With its name, and as a column of a table beside another one."""
    series = pd.Series(COLUMNS[name], name=("name", 1))
    back: Any = round_trip(series)
    assert_same_table(back, series)
    assert back.dtype == series.dtype
    frame = pd.DataFrame({"it": series, "number": range(len(series))})
    assert_same_table(round_trip(frame), frame)


@pytest.mark.parametrize("name", [name for name, one in COLUMNS.items() if not isinstance(one, np.ndarray)])
def test_an_array_of_every_dtype(name: str) -> None:
    """pandas' own arrays are values, too."""
    assert_same_table(round_trip(COLUMNS[name]), COLUMNS[name])


@pytest.mark.parametrize(
    "dtype",
    ["int64[pyarrow]", "string[pyarrow]", "list<item: double>[pyarrow]", "timestamp[us, tz=UTC][pyarrow]"],
)
def test_columns_that_pyarrow_holds(dtype: str) -> None:
    """Columns that pyarrow holds travel as Arrow's stream."""
    pa = pytest.importorskip("pyarrow")
    values: dict[str, list[Any]] = {
        "int64": [1, None],
        "string": ["a", None],
        "list<i": [[1.5], None],
        "timest": [0, None],
    }
    if dtype.startswith("list"):
        kind: Any = pd.ArrowDtype(pa.list_(pa.float64()))
    elif dtype.startswith("string"):
        kind = pd.ArrowDtype(pa.string())
    else:
        kind = dtype
    array = pd.array(values[dtype[:6].removesuffix("[")], dtype=kind)
    assert_same_table(round_trip(array), array)
    assert_same_table(round_trip(pd.Series(array)), pd.Series(array))


@pytest.mark.parametrize("name", INDEXES)
def test_every_kind_of_index(name: str) -> None:
    """With its name, its dtype and its freq; as labels of rows, and of columns."""
    index = INDEXES[name]
    assert_same_table(round_trip(index), index)
    frame = pd.DataFrame({"x": np.arange(len(index))}, index=index)
    assert_same_table(round_trip(frame), frame)
    if index.is_unique:
        assert_same_table(round_trip(frame.T), frame.T)


@pytest.mark.parametrize("scalar", SCALARS, ids=repr)
def test_every_scalar(scalar: Any) -> None:
    """A Timestamp is not a datetime, and NaT and NA are the only ones of their kind."""
    back: Any = round_trip([scalar, {"k": scalar}])
    for one in (back[0], back[1]["k"]):
        assert type(one) is type(scalar)
        assert repr(one) == repr(scalar)
        if scalar is pd.NaT or scalar is pd.NA:
            assert one is scalar
            continue
        assert one == scalar
        assert getattr(one, "unit", None) == getattr(scalar, "unit", None)
        assert getattr(one, "fold", None) == getattr(scalar, "fold", None)
        assert str(getattr(one, "tzinfo", None)) == str(getattr(scalar, "tzinfo", None))


def test_a_whole_table() -> None:
    """Every kind of column at once, with labels that occur twice, and attrs."""
    assert_same_table(round_trip(table()), table())
    assert_same_table(round_trip({"deep": [table()]})["deep"][0], table())  # type: ignore[index]


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame(),
        pd.DataFrame(index=[1, 2]),
        pd.DataFrame(columns=["a", "b"]),
        pd.DataFrame({"a": pd.Series([], dtype="str")}),
        pd.DataFrame(np.arange(12.0).reshape(3, 4)),
        pd.DataFrame(np.asfortranarray(np.arange(12).reshape(3, 4)), columns=list("abca")),
        pd.DataFrame(np.ones((2, 3), "M8[s]")),
        pd.DataFrame({"a": [1]}).set_flags(allows_duplicate_labels=False),
        pd.DataFrame(np.arange(20.0).reshape(4, 5)).iloc[::2, 1:4],
    ],
    ids=["nothing", "rows", "columns", "no rows", "floats", "ints", "dates", "flags", "a part"],
)
def test_tables_at_the_edge(frame: Any) -> None:
    """Without rows, without columns, of one dtype, and such as are parts of others."""
    assert_same_table(round_trip(frame), frame)


def test_what_arrives_can_be_changed_and_the_source_does_not_notice() -> None:
    """Although pandas marks what it gives away as read-only."""
    source = pd.DataFrame(
        {"a": np.arange(50_000), "b": np.ones(50_000), "c": pd.array([1] * 50_000, dtype="Int64")}
    )
    back: Any = round_trip(source)
    for name in source:
        back.loc[0, name] = 7
        back[name].array[1] = 7
    assert back.loc[0].tolist() == [7, 7, 7]
    assert source.loc[0].tolist() == [0, 1, 1]
    same: Any = round_trip(source[["b"]])
    same.iloc[0, 0] = 9
    assert same.iloc[0, 0] == 9
    assert source.loc[0, "b"] == 1


def test_large_columns_go_out_of_band_without_a_copy() -> None:
    """Each as a buffer of its own; a table of one dtype as a single one."""
    rows = 100_000
    one = np.arange(rows, dtype="f8")
    mixed = pd.DataFrame(
        {"a": one, "b": np.arange(rows), "c": pd.Categorical(["x", "y"] * (rows // 2))}, copy=False
    )
    data, buffers = encode(mixed)
    assert len(data) < 1_000
    assert [memoryview(buffer).nbytes for buffer in buffers] == [8 * rows, 8 * rows, rows]
    assert np.shares_memory(np.asarray(memoryview(buffers[0])), mixed["a"].to_numpy())
    plain = pd.DataFrame(np.ones((rows, 4)))
    data, buffers = encode(plain)
    assert len(data) < 1_000
    assert [memoryview(buffer).nbytes for buffer in buffers] == [32 * rows]


def test_a_table_in_two_places_is_one() -> None:
    """A table, or an index, that occurs twice in a value arrives as one object."""
    frame = table()
    one, other, labels = round_trip([frame, frame, frame.index])  # type: ignore[misc]
    assert one is other
    assert one.index is labels


def test_subclasses_arrive_as_their_base_with_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    """Subclasses of users arrive as those of builtin classes do; strict refuses them."""
    from workerlib._values import likenesses

    class Report(pd.DataFrame):  # type: ignore[misc]
        pass

    class Column(pd.Series):  # type: ignore[misc]
        pass

    monkeypatch.setattr(likenesses, "_warned", set())
    for value, base in ((Report({"a": [1]}), pd.DataFrame), (Column([1]), pd.Series)):
        with pytest.raises(UnsendableError, match=rf"pandas\.{base.__name__}.*strict"):
            encode(value, strict=True)
        with pytest.warns(ConversionWarning, match=rf"arrives as pandas\.{base.__name__}"):
            assert_same_table(round_trip(value), base(value))


def test_what_cannot_be_sent_is_told_by_its_place() -> None:
    """Where the object stands, and what to do about a sparse column."""
    with pytest.raises(UnsendableError) as caught:
        encode(pd.DataFrame({"a": [1, 2], "b": [1, object()]}))
    assert caught.value.path == "value.array[1][1]"
    with pytest.raises(UnsendableError, match=r"sparse\.to_dense"):
        encode(pd.DataFrame({"a": pd.arrays.SparseArray([0, 0, 1]), "b": 1}))


def test_a_freq_without_a_name_is_left_out() -> None:
    """Holidays of one's own have no name that pandas could read; the days are the same."""
    holidays = pd.offsets.CustomBusinessDay(holidays=["2026-01-02"])
    index = pd.date_range("2026-01-01", periods=3, freq=holidays)
    back: Any = round_trip(index)
    assert back.freq is None
    assert list(back) == list(index)


def test_a_zone_of_pytz_arrives_by_its_name() -> None:
    """Version 2 of pandas makes its zones by pytz."""
    pytz = pytest.importorskip("pytz")
    index = pd.DatetimeIndex(["2026-07-01"]).tz_localize(pytz.timezone("Europe/Berlin"))
    back: Any = round_trip(index)
    assert back.dtype == index.dtype
    assert list(back) == list(index)


def test_to_another_process_and_back() -> None:
    """Which imports pandas when the table comes, and not before."""
    values = [table(), *(pd.Series(one) for one in COLUMNS.values()), *INDEXES.values(), *SCALARS[:-2]]
    modules, back = second_process.there_and_back(values)
    assert not {"pandas", "numpy", "pyarrow"} & modules
    for one, value in zip(back, values, strict=True):
        if isinstance(value, pd.DataFrame | pd.Series | pd.Index):
            assert_same_table(one, value)
        else:
            assert (type(one), one) == (type(value), value)


INT = np.arange(3)
LABELS = pd.RangeIndex(3)
HOSTILE: dict[str, tuple[int, tuple[object, ...]]] = {
    "a table of nothing": (88, ()),
    "columns that are not an index": (88, (["a"], LABELS, [INT], {}, True)),
    "rows that are not an index": (88, (LABELS, None, [INT], {}, True)),
    "too few columns": (88, (LABELS, LABELS, [INT], {}, True)),
    "columns of other lengths": (88, (pd.RangeIndex(2), LABELS, [INT, INT[:2]], {}, True)),
    "a column for too many rows": (88, (pd.RangeIndex(1), pd.RangeIndex(2**62), [INT], {}, True)),
    "no columns, and rows beyond memory": (88, (LABELS, pd.RangeIndex(2**62), [[], [], []], {}, True)),
    "a column that is a table": (88, (pd.RangeIndex(1), LABELS, [pd.DataFrame({"a": INT})], {}, True)),
    "a column of two dimensions": (88, (pd.RangeIndex(1), LABELS, [np.ones((3, 3))], {}, True)),
    "a column of no dimensions": (88, (pd.RangeIndex(1), LABELS, [np.array(3)], {}, True)),
    "content of one dimension": (88, (LABELS, LABELS, INT, {}, True)),
    "content of three": (88, (LABELS, LABELS, np.ones((3, 3, 3)), {}, True)),
    "content of text": (88, (pd.RangeIndex(1), LABELS, [np.array(["a", "b", "c"])], {}, True)),
    "content that is a structure": (88, (pd.RangeIndex(1), LABELS, [np.zeros(3, "i4,i4")], {}, True)),
    "attrs that are none": (88, (pd.RangeIndex(1), LABELS, [INT], [1], True)),
    "one label for two, not allowed": (88, (pd.Index(["a", "a"]), LABELS, [INT, INT], {}, False)),
    "a series of another length": (89, (INT, pd.RangeIndex(2), None, {}, True)),
    "a series of a table's content": (89, (np.ones((3, 3)), LABELS, None, {}, True)),
    "a series beyond memory": (89, ([], pd.RangeIndex(2**62), None, {}, True)),
    "a series whose name cannot be one": (89, (INT, LABELS, [1], {}, True)),
    "no kind of an index": (90, ("other", 1)),
    "an index of nothing": (90, ()),
    "a range of texts": (90, ("range", "a", 1, 1, None)),
    "a range with a step of nothing": (90, ("range", 0, 1, 0, None)),
    "a range beyond numbers": (90, ("range", 0, 2**70, 1, None)),
    "codes beyond the levels": (90, ("multi", [LABELS], [np.array([0, 3])], [None])),
    "codes below nothing": (90, ("multi", [LABELS], [np.array([0, -2])], [None])),
    "codes of floats": (90, ("multi", [LABELS], [np.array([0.5])], [None])),
    "codes of two lengths": (90, ("multi", [LABELS, LABELS], [INT, INT[:1]], [None, None])),
    "levels without codes": (90, ("multi", [LABELS], [], [None])),
    "levels that are none": (90, ("multi", [[1]], [INT], [None])),
    "a level that has something twice": (90, ("multi", [pd.Index([1, 1])], [np.array([0, 1])], [None])),
    "an index of objects that have no hash": (90, ("array", INT, [1], None)),
    "a freq that does not fit": (90, ("array", np.array(["2026-01-01", "2026-01-03"], "M8[D]"), None, "D")),
    "a freq that is none": (90, ("array", np.array(["2026-01-01"], "M8[ns]"), None, "x" * 300)),
    "a freq for numbers": (90, ("array", INT, None, "D")),
    "no kind of an array": (91, ("other", INT)),
    "a kind that is none": (91, ([], INT)),
    "codes beyond the categories": (91, ("categorical", np.array([5]), pd.Index(["a"]), False)),
    "codes of bools": (91, ("categorical", np.array([True]), pd.Index(["a"]), False)),
    "categories twice": (91, ("categorical", np.array([0]), pd.Index(["a", "a"]), False)),
    "categories with a gap": (91, ("categorical", np.array([0]), pd.Index([1.0, np.nan]), False)),
    "dates of numbers": (91, ("datetime", INT, None)),
    "dates in no zone": (91, ("datetime", np.array([0], "M8[ns]"), 5)),
    "dates in a zone of a file": (91, ("datetime", np.array([0], "M8[ns]"), "dateutil//etc/passwd")),
    "dates in a zone elsewhere": (91, ("datetime", np.array([0], "M8[ns]"), "../../etc/passwd")),
    "durations of dates": (91, ("timedelta", np.array([0], "M8[ns]"))),
    "periods of nothing": (91, ("period", INT, "nonsense")),
    "periods of floats": (91, ("period", np.ones(3), "M")),
    "intervals of two lengths": (91, ("interval", LABELS, pd.RangeIndex(2), "left")),
    "intervals that end before they begin": (91, ("interval", pd.Index([2]), pd.Index([1]), "left")),
    "intervals that are not closed": (91, ("interval", LABELS, LABELS, "somewhere")),
    "a mask of another length": (91, ("masked", INT, np.array([True]))),
    "a mask of numbers": (91, ("masked", INT, INT)),
    "a mask over dates": (91, ("masked", np.array([0, 0, 0], "M8[ns]"), np.array([True] * 3))),
    "texts of another storage": (91, ("string", "disk", True, ["a"])),
    "texts that are numbers": (91, ("string", "python", True, [1])),
    "texts that are a text": (91, ("string", "python", True, "abc")),
    "arrow that is none": (91, ("arrow", INT)),
    "numpy's array that is none": (91, ("numpy", "x")),
    "a moment in no unit": (92, ("timestamp", 0, "Y", None, 0)),
    "a moment beyond numbers": (92, ("timestamp", 2**70, "ns", None, 0)),
    "a moment in no zone": (92, ("timestamp", 0, "ns", 5, 0)),
    "a moment that comes five times": (92, ("timestamp", 0, "ns", None, 5)),
    "a period of nothing": (92, ("period", 0, "nonsense")),
    "an interval of objects": (92, ("interval", "a", 1, "left")),
    "a scalar of nothing": (92, ()),
    "a scalar that is none": (92, ("DataFrame",)),
    "NaT with something": (92, ("NaT", 1)),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.filterwarnings("ignore")
def test_descriptions_that_lie(name: str) -> None:
    """Each is refused with a FrameError, before memory is asked for or an object is believed."""
    data, buffers = frame_of_extension(*HOSTILE[name])
    with pytest.raises(workerlib.FrameError):
        decode(data, list(buffers))


@pytest.mark.filterwarnings("ignore")
def test_parts_of_tables_in_other_places() -> None:
    """Objects in wrong places, those of pandas too, give an error or a value that can be used."""
    parts = [
        None,
        1,
        "x",
        [],
        [1, 2],
        {},
        INT,
        LABELS,
        np.ones((3, 3)),
        pd.Series(INT),
        pd.DataFrame({"a": INT}),
    ]
    parts += [
        COLUMNS["category"],
        COLUMNS["Int64"],
        COLUMNS["datetime with a zone"],
        INDEXES["multi"],
        pd.NA,
        "D",
    ]
    kinds = {88: [()], 89: [()], 90: [("array",), ("multi",), ("range",)], 92: [("interval",), ("period",)]}
    kinds[91] = [
        (kind,) for kind in ("categorical", "datetime", "interval", "masked", "string", "arrow", "numpy")
    ]
    made = 0
    for kind, starts in kinds.items():
        for start in starts:
            for one, other in itertools.product(parts, repeat=2):
                for rest in ([], [None], [None, {}, True]):
                    data, buffers = frame_of_extension(kind, (*start, one, other, *rest))
                    try:
                        value: Any = decode(data, list(buffers))
                    except workerlib.FrameError:
                        continue
                    repr(value)
                    made += 1
    assert made > 10
