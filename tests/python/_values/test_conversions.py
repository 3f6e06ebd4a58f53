"""Values of other types arrive as a listed type, with a warning, or are refused; nothing crashes the walk."""

from __future__ import annotations

import collections
import collections.abc
import contextlib
import datetime
import gc
import subprocess
import sys
import warnings
import weakref
from array import array
from collections.abc import Callable, Iterator
from types import MappingProxyType, SimpleNamespace
from typing import Any, cast

import pytest
import workerlib
from workerlib import ConversionWarning, UnsendableError, Worker, portable
from workerlib._native import decode, encode

from alike import assert_alike
from trip import round_trip

Connect = Callable[[], contextlib.AbstractAsyncContextManager[Worker]]


class OwnMapping(collections.abc.Mapping[str, int]):
    """A mapping that is not a dict."""

    def __getitem__(self, key: str) -> int:
        return {"a": 1, "b": 2}[key]

    def __iter__(self) -> Iterator[str]:
        return iter("ab")

    def __len__(self) -> int:
        return 2


class OwnIterable:
    """Only an `__iter__`."""

    def __iter__(self) -> Iterator[object]:
        return iter((1, "two"))


class OwnTuple(tuple[int, ...]):
    """A subclass of a builtin class."""


class OwnInt(int):
    """Another one."""


class OwnStr(str):
    """A hashable one more."""


def own(base: type, **methods: object) -> type:
    """Makes a subclass that no test has seen before."""
    return type(f"Own{base.__name__}", (base,), {"__module__": "tests", **methods})


def convertible() -> dict[str, tuple[object, object]]:
    """Makes pairs of a value that is sent and the value that arrives."""
    return {
        "generator": ((n * n for n in range(4)), [0, 1, 4, 9]),
        "map": (map(str, (1, 2)), ["1", "2"]),
        "iterator": (iter([1, 2]), [1, 2]),
        "keys view": ({"a": 1}.keys(), ["a"]),
        "values view": ({"a": [1]}.values(), [[1]]),
        "items view": ({"a": 1}.items(), [("a", 1)]),
        "own iterable": (OwnIterable(), [1, "two"]),
        "own mapping": (OwnMapping(), {"a": 1, "b": 2}),
        "ChainMap": (collections.ChainMap({"a": 1}, {"b": 2}), {"b": 2, "a": 1}),
        "UserDict": (collections.UserDict({"a": 1}), {"a": 1}),
        "UserList": (collections.UserList([1]), [1]),
        "UserString": (collections.UserString("text"), "text"),
        "deque": (own(collections.deque)([1, 2], 5), [1, 2]),
        "date": (own(datetime.date)(2026, 1, 2), datetime.date(2026, 1, 2)),
        "datetime": (
            own(datetime.datetime)(2026, 10, 25, 2, 30, 1, 5, datetime.UTC, fold=1),
            datetime.datetime(2026, 10, 25, 2, 30, 1, 5, datetime.UTC, fold=1),
        ),
        "time": (own(datetime.time)(1, 2, 3, 4, fold=1), datetime.time(1, 2, 3, 4, fold=1)),
        "timedelta": (own(datetime.timedelta)(1, 2, 3), datetime.timedelta(1, 2, 3)),
        "int": (own(int)(2**70), 2**70),
        "float": (own(float)(-0.0), -0.0),
        "complex": (own(complex)(1, -0.0), complex(1, -0.0)),
        "str": (own(str)("a\ud800"), "a\ud800"),
        "bytes": (own(bytes)(b"x"), b"x"),
        "bytearray": (own(bytearray)(b"x"), bytearray(b"x")),
        "large bytearray": (own(bytearray)(b"x" * 50_000), bytearray(b"x" * 50_000)),
        "tuple": (own(tuple)((1, [2])), (1, [2])),
        "list": (own(list)([1, [2]]), [1, [2]]),
        "dict": (own(dict)({"b": 1, "a": 2}), {"b": 1, "a": 2}),
        "set": (own(set)({1, "x"}), {1, "x"}),
        "frozenset": (own(frozenset)({1, "x"}), frozenset({1, "x"})),
        "defaultdict": (own(collections.defaultdict)(list, {"a": [1]}), {"a": [1]}),
        "Counter": (own(collections.Counter)("aab"), {"a": 2, "b": 1}),
        "array": (own(array)("d", [1.5]), [1.5]),
    }


@pytest.fixture(autouse=True)
def nothing_warned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test starts as a new program does."""
    from workerlib._values import likenesses

    monkeypatch.setattr(likenesses, "_warned", weakref.WeakSet())


@pytest.mark.parametrize("name", convertible())
def test_it_arrives_as_what_it_is_like(name: str) -> None:
    """A mapping as dict, an iterable as list, a subclass as its builtin base; with one warning."""
    value, expected = convertible()[name]
    with pytest.warns(ConversionWarning) as warned:
        back = round_trip([value])
    assert_alike(back, [expected])
    assert len(warned) == 1


@pytest.mark.parametrize("name", convertible())
def test_strict_refuses_it(name: str) -> None:
    """The error has the path, the class and what it would have arrived as; there is no warning."""
    value, expected = convertible()[name]
    with pytest.raises(UnsendableError) as caught:
        encode([value], strict=True)
    assert caught.value.path == "value[0]"
    assert type(value).__qualname__ in caught.value.type_name
    assert type(expected).__name__ in str(caught.value)
    assert "strict" in str(caught.value)


def test_strict_lets_the_listed_types_pass() -> None:
    """A strict connection refuses conversions, and no value that arrives as itself."""
    from library_values import LIBRARY_VALUES

    data, buffers = encode(list(LIBRARY_VALUES.values()), strict=True)
    assert data
    assert buffers


def test_the_warning_names_class_path_and_remedy() -> None:
    """One line that says all of it."""
    with pytest.warns(ConversionWarning) as warned:
        round_trip({"rows": [0, OwnTuple()]})
    text = str(warned[0].message)
    assert "value['rows'][1]" in text
    assert f"{OwnTuple.__module__}.OwnTuple" in text
    assert "arrives as tuple" in text
    assert "strict=True" in text
    assert "\n" not in text


def test_the_warning_is_a_user_warning_of_our_own() -> None:
    """It can be filtered by its category."""
    assert issubclass(ConversionWarning, UserWarning)
    assert ConversionWarning.__module__ == "workerlib"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConversionWarning)
        assert round_trip(OwnIterable()) == [1, "two"]


def test_there_is_one_warning_for_each_class() -> None:
    """Even where Python's own filter would show each."""
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        for _ in range(3):
            round_trip([OwnIterable(), OwnIterable(), OwnMapping()])
    assert len(warned) == 2
    assert {warning.category for warning in warned} == {ConversionWarning}


async def test_the_warning_names_the_argument(connect: Connect) -> None:
    """Over a connection the path starts with args, kwargs or result."""

    @workerlib.export
    def results(*args: object, **kwargs: object) -> object:
        return {"result": OwnInt(1), "got": [*args, kwargs]}

    async with connect() as worker:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            back = await worker.results(0, {"a": OwnIterable()}, key=[OwnStr("ann")])
    assert_alike(back, {"result": 1, "got": [0, {"a": [1, "two"]}, {"key": ["ann"]}]})
    texts = [str(warning.message) for warning in warned]
    assert len(texts) == 3
    assert texts[0].startswith("args[1]['a']: ")
    assert texts[1].startswith("kwargs['key'][0]: ")
    assert texts[2].startswith("result['result']: ")


def test_warnings_that_are_errors_are_raised() -> None:
    """The conversion raises the warning, as `-W error` wants it."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ConversionWarning):
            round_trip(OwnIterable())


def test_a_generator_in_two_places_is_read_once() -> None:
    """A generator that occurs twice arrives as one list."""
    numbers = (n for n in range(3))
    with pytest.warns(ConversionWarning):
        back = cast(list[Any], round_trip([numbers, numbers, {"k": numbers}]))
    assert back[0] == [0, 1, 2]
    assert back[0] is back[1] is back[2]["k"]


def test_a_subclass_in_two_places_is_one_object() -> None:
    """Identity survives the conversion, also in a circle."""
    made = own(list)([1])
    made.append(made)
    with pytest.warns(ConversionWarning):
        back = cast(list[Any], round_trip((made, made)))
    assert back[0] is back[1] is back[0][1]
    assert type(back[0]) is list


def test_a_tuple_subclass_in_a_circle() -> None:
    """A tuple can be referred to only when it is complete, converted or not."""
    inner: list[Any] = []
    made = own(tuple)([inner])
    inner.append(made)
    with pytest.warns(ConversionWarning):
        back = cast(tuple[Any, ...], round_trip(made))
    assert type(back) is tuple
    assert back[0][0] is back


def test_converted_keys_and_elements() -> None:
    """Keys and elements of sets are converted as values are."""
    with pytest.warns(ConversionWarning):
        back = round_trip([{OwnInt(1): 1}, {OwnStr("ann")}, {(OwnStr("bob"), 1): 2}])
    assert_alike(back, [{1: 1}, {"ann"}, {("bob", 1): 2}])


def refused() -> dict[str, object]:
    """Makes objects that are like nothing that can be sent."""

    async def coroutine() -> None: ...

    made = coroutine()
    made.close()
    return {
        "object": object(),
        "function": refused,
        "lambda": lambda: None,
        "builtin function": len,
        "module": sys,
        "own class": OwnIterable,
        "generic alias": list[int],
        "union": int | None,
        "coroutine": made,
        "property": property(),
        "code": refused.__code__,
        "weak reference": weakref.ref(OwnIterable),
        "own instance": own(object)(),
        "class with an odd module": type("Odd", (), {"__module__": 5})(),
    }


@pytest.mark.parametrize("name", refused())
def test_anything_else_is_refused_with_type_and_path(name: str) -> None:
    """Nothing is silently sent as something else."""
    value = refused()[name]
    with pytest.raises(UnsendableError) as caught:
        round_trip({"a": [value]})
    assert caught.value.path == "value['a'][0]"
    assert caught.value.type_name
    assert caught.value.type_name in str(caught.value)


PATHS: dict[str, tuple[object, str]] = {
    "OrderedDict": (collections.OrderedDict(a=[object()]), "value['a'][0]"),
    "defaultdict": (collections.defaultdict(list, {"a": [object()]}), "value['a'][0]"),
    "SimpleNamespace": (SimpleNamespace(a=[object()]), "value.a[0]"),
    "deque": (collections.deque([1, object()], 5), "value[1]"),
    "mappingproxy": (MappingProxyType({"a": object()}), "value['a']"),
    "exception": (ValueError(1, object()), "value.args[1]"),
}


@pytest.mark.parametrize("name", PATHS)
def test_the_path_leads_through_other_containers(name: str) -> None:
    """It is an expression that finds the value."""
    value, path = PATHS[name]
    with pytest.raises(UnsendableError) as caught:
        round_trip(value)
    assert caught.value.path == path


def raiser(error: BaseException) -> Callable[..., object]:
    """Makes a method that raises."""

    def method(*_: object) -> object:
        raise error

    return method


@pytest.mark.parametrize(
    "error", [RuntimeError("own"), KeyError("k"), StopIteration(), KeyboardInterrupt()], ids=repr
)
def test_what_iterating_raises_is_told_with_path_and_type(error: BaseException) -> None:
    """An Exception is the cause of an error that names the place; what is none passes."""
    is_exception = isinstance(error, Exception)
    expected: type[BaseException] = UnsendableError if is_exception else type(error)
    bad_iterable = own(object, __iter__=raiser(error))()
    with pytest.raises(expected) as caught:
        round_trip([1, bad_iterable])
    if isinstance(caught.value, UnsendableError):
        assert (caught.value.path, caught.value.type_name) == ("value[1]", "tests.Ownobject")
        assert f"iterating over it raised {type(error).__name__}" in str(caught.value)
        assert caught.value.__cause__ is error
    keys = own(
        collections.abc.Mapping,
        __getitem__=raiser(error),
        __len__=lambda self: 1,
        __iter__=lambda self: iter("a"),
    )()
    with pytest.raises(expected):
        round_trip([keys])


@pytest.mark.parametrize(
    "base", [int, float, complex, str, bytes, tuple, list, set, frozenset], ids=lambda one: one.__name__
)
def test_methods_of_a_subclass_are_not_asked(base: Any) -> None:
    """The methods of a subclass do not decide as what its instances are sent."""
    names = (
        "__iter__",
        "__len__",
        "__getitem__",
        "__index__",
        "__int__",
        "__float__",
        "__complex__",
        "__str__",
    )
    methods = {name: raiser(RuntimeError(name)) for name in (*names, "__bytes__", "__repr__", "__contains__")}
    value = own(base, **methods)
    content = value(1) if base in (int, float, complex) else value("ab") if base is str else value((1, 2))
    with pytest.warns(ConversionWarning):
        back = round_trip([content])
    plain = base(1) if base in (int, float, complex) else "ab" if base is str else base((1, 2))
    assert_alike(back, [plain])


@portable
class Holder:
    """Has nothing but its `__dict__`."""


@portable
class Slots:
    """Has nothing but slots."""

    __slots__ = ("a", "b", "c")


def mutators() -> dict[str, Callable[[list[Any]], object]]:
    """The changes that a class's methods may make to the list that is being walked."""
    return {
        "clear": list.clear,
        "append": lambda walked: walked.append(object()),
        "pop": lambda walked: walked.pop(),
        "replace": lambda walked: walked.__setitem__(slice(None), [None] * 50),
        "insert": lambda walked: walked.insert(0, "new"),
        "collect": lambda walked: (walked.clear(), gc.collect()),
        "fill": lambda walked: (walked.clear(), walked.extend(bytearray(100) for _ in range(100))),
    }


def outcome(value: object) -> object:
    """Goes through the codec; what may happen is a value, or an error that says what is wrong."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConversionWarning)
        try:
            data, buffers = encode(value)
        except UnsendableError as error:
            # An iterable may be hashable; the list that it arrives as is not.
            assert any(text in str(error) for text in ("changed", "cannot be sent", "cannot hash"))
            return error
        back = decode(data, [bytes(memoryview(buffer)) for buffer in buffers])
        repr(back)
        return back


@pytest.mark.parametrize("name", mutators())
def test_a_list_that_changes_under_the_walk(name: str) -> None:
    """Error or value, never a crash, wherever the object stands that does it."""
    mutate = mutators()[name]
    for place in range(5):
        walked: list[Any] = [[index, f"text {index}", {"k": index}] for index in range(5)]
        walked[place] = own(object, __iter__=lambda self, walked=walked: (mutate(walked), iter([1]))[1])()
        assert outcome([walked, walked]) is not None


@pytest.mark.parametrize("name", mutators())
def test_a_dict_that_changes_under_the_walk(name: str) -> None:
    """The same for its values, and for keys that are objects of their own."""
    mutate = mutators()[name]

    def change(walked: dict[Any, Any]) -> Iterator[int]:
        values = list(walked.values())
        mutate(values)
        walked.clear()
        walked.update(enumerate(values))
        gc.collect()
        return iter([1])

    for place in range(4):
        walked: dict[Any, Any] = {f"key {index}": [f"value {index}"] for index in range(3)}
        evil = own(object, __iter__=lambda self, walked=walked: change(walked))()
        if place < 3:
            walked[f"key {place}"] = evil
        else:
            walked = {evil: bytearray(b"value"), "b": [2]}
        assert outcome((walked, [walked])) is not None


@pytest.mark.parametrize(
    "make",
    [
        set,
        frozenset,
        collections.deque,
        lambda items: collections.OrderedDict((item, item) for item in items),
    ],
    ids=["set", "frozenset", "deque", "OrderedDict"],
)
def test_other_containers_that_change_under_the_walk(make: Any) -> None:
    """Content that was copied when the walk came to it stays alive."""
    holder: list[Any] = []

    def change(_: object) -> Iterator[int]:
        for one in holder:
            if hasattr(one, "clear"):
                one.clear()
        gc.collect()
        return iter([1])

    evil = own(object, __iter__=change)
    holder.append(make([evil(), "text", evil(), ("a", "b")]))
    assert outcome(holder) is not None


@pytest.mark.parametrize("place", range(3))
@pytest.mark.parametrize(
    "change",
    [
        lambda one: vars(one).clear(),
        lambda one: vars(one).update(more=object()),
        lambda one: vars(one).pop("b"),
        lambda one: setattr(one, "__dict__", {}),
        lambda one: (vars(one).clear(), vars(one).update({f"x{index}": [index] for index in range(50)})),
    ],
    ids=["clear", "append", "pop", "another", "fill"],
)
def test_an_object_that_changes_under_the_walk(change: Callable[[Any], object], place: int) -> None:
    """The object's `__dict__` is walked as a dict is: an error or a value, never a crash."""

    def iterate(_: object) -> Iterator[int]:
        change(holder)
        gc.collect()
        return iter([1])

    holder = Holder()
    evil = own(object, __iter__=iterate)()
    for index, name in enumerate("abc"):
        setattr(holder, name, evil if index == place else [f"value {index}"])
    # The second time, objects of the class are read without Python's help.
    assert round_trip(Holder()) is not None
    assert outcome([holder, [holder]]) is not None


@pytest.mark.parametrize("place", range(3))
def test_an_object_whose_slots_change_under_the_walk(place: int) -> None:
    """Its values are taken before the first of them is walked."""

    def iterate(_: object) -> Iterator[int]:
        for name in "abc":
            delattr(holder, name)
        gc.collect()
        return iter([1])

    holder = Slots()
    evil = own(object, __iter__=iterate)()
    for index, name in enumerate("abc"):
        setattr(holder, name, evil if index == place else [f"value {index}"])
    assert round_trip(Slots()) is not None
    back = cast(Any, outcome([holder, [holder]]))
    assert [getattr(back[0], name) for name in "abc"] == [
        [1] if index == place else [f"value {index}"] for index in range(3)
    ]


def test_an_object_that_frees_what_was_remembered() -> None:
    """Values that were sent already may be freed by the class of a later one; their addresses are used again."""
    for count in range(20):
        walked: list[Any] = [[f"text {index}" * 3] for index in range(count + 1)]

        def free(_: object, walked: list[Any] = walked) -> Iterator[object]:
            del walked[:-1]
            gc.collect()
            return iter([[f"other {index}" * 3] for index in range(50)])

        evil = own(object, __iter__=free)
        walked.append(evil())
        outcome([walked])
        # The same, one level up: what stood before is not changed, so that all of it arrives.
        first = [[f"text {index}" * 3] for index in range(count)]
        back = cast(
            list[Any],
            outcome([*first, own(object, __iter__=lambda self: iter([["x" * 30] for _ in range(50)]))()]),
        )
        assert_alike(back, [*first, [["x" * 30] for _ in range(50)]])


def test_a_finalizer_that_changes_the_list() -> None:
    """The collector does not run in the middle of the walk, and what it would free stays."""
    walked: list[Any] = []

    class Cyclic:
        def __init__(self) -> None:
            self.own = self

        def __del__(self) -> None:
            walked.clear()

    threshold = gc.get_threshold()
    gc.set_threshold(1)
    try:
        for _ in range(50):
            Cyclic()
            walked[:] = [[index, {"k": [index]}] for index in range(50)]
            outcome(walked)
    finally:
        gc.set_threshold(*threshold)
    assert gc.isenabled()


def test_the_collector_runs_again_after_an_error() -> None:
    """Encoding and decoding pause it; every way out ends the pause."""
    for attempt in (lambda: encode(object()), lambda: decode(b"\x90\xc1", []), lambda: encode([1])):
        with contextlib.suppress(workerlib.WorkerlibError):
            attempt()
        assert gc.isenabled()
    gc.disable()
    try:
        round_trip([[1]])
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_a_class_is_not_kept_alive_by_having_been_sent() -> None:
    """Classes that are made in a loop do not pile up."""
    made = own(list)
    gone = weakref.ref(made)
    with pytest.warns(ConversionWarning):
        round_trip(made([1]))
    del made
    gc.collect()
    assert gone() is None


def test_a_subclass_of_an_ordered_dict_keeps_its_order() -> None:
    """It has an order of its own, which is not that of the dict inside."""
    value = own(collections.OrderedDict)(a=1, b=2, c=3)
    value.move_to_end("a")
    value.move_to_end("c", last=False)
    with pytest.warns(ConversionWarning):
        assert_alike(round_trip(value), {"c": 3, "b": 2, "a": 1})


LIGHT = """
import sys
# The package's own imports bring some of them along.
import asyncio, importlib.metadata, pathlib, tomllib, urllib.parse
before = set(sys.modules)
import workerlib, workerlib._values.sending
from workerlib._native import decode, encode
decode(*encode([None, 1, 2.5, "x", b"y", (1,), {"k": {1}}, frozenset(), 1j, ...]))
heavy = {"numpy", "decimal", "_decimal", "fractions", "ipaddress", "zoneinfo", "uuid", "array", "pydantic", "attr"}
print(sorted(heavy & (set(sys.modules) - before)))
"""

LIKE_NUMPY = """
import sys
import workerlib
from workerlib._native import encode
class ndarray:
    __module__ = "numpy"
class Decimal:
    __module__ = "decimal"
for value in (ndarray(), Decimal()):
    try:
        encode(value)
    except workerlib.UnsendableError:
        print(type(value).__name__, "numpy" in sys.modules)
"""


@pytest.mark.skipif(sys.platform == "emscripten", reason="Pyodide has no other processes")
def test_importing_workerlib_imports_none_of_the_types_modules() -> None:
    """They are imported when the first value of theirs is sent or arrives."""
    ran = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


@pytest.mark.skipif(sys.platform == "emscripten", reason="Pyodide has no other processes")
def test_a_class_that_only_looks_like_numpys_is_refused() -> None:
    """The name of a module is no reason to import it."""
    ran = subprocess.run([sys.executable, "-c", LIKE_NUMPY], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["ndarray", "False", "Decimal", "False"]


def test_an_iterable_of_its_own_kind() -> None:
    """An iterable that yields itself for ever is refused, before memory runs out."""

    class Endless:
        def __iter__(self) -> Iterator[Any]:
            return iter([Endless()])

    class Two:
        def __iter__(self) -> Iterator[Any]:
            return iter([[Two()]])

    assert isinstance(Endless(), collections.abc.Iterable)
    for value in (Endless(), [Endless()], {"k": (Endless(),)}):
        with pytest.raises(UnsendableError, match="its items are of its own class"):
            encode(value)
    with pytest.raises(UnsendableError, match="levels"):
        encode(Two())


def test_a_mappingproxy_in_itself() -> None:
    """Each look at it gives another dict; that ends, and early."""
    content: dict[str, Any] = {}
    content["self"] = MappingProxyType(content)
    with pytest.raises(UnsendableError, match="levels"):
        encode(content)
