"""The error for a value that cannot be sent names its type and the path to it."""

from __future__ import annotations

import datetime
import sys
from collections import OrderedDict, deque
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import cast

import pytest
import workerlib
from workerlib._native import Session, encode

from sessions import connected
from trip import round_trip


class Odd:
    """A user's class."""


THING = object()
CASES: list[tuple[object, str, str]] = [
    (THING, "value", "object"),
    ([THING], "value[0]", "object"),
    ({"when": THING}, "value['when']", "object"),
    ([{"when": THING}], "value[0]['when']", "object"),
    ([0, (1, {"a": [2, THING]})], "value[1][1]['a'][1]", "object"),
    ({1: {(2, "x"): THING}}, "value[1][(2, 'x')]", "object"),
    ({b"k": {None: THING}}, "value[b'k'][None]", "object"),
    ({"it's": THING}, 'value["it\'s"]', "object"),
    ([Odd], "value[0]", "type"),
    ([len], "value[0]", "builtin_function_or_method"),
    ([object()], "value[0]", "object"),
    ([lambda: None], "value[0]", "function"),
    ([sys], "value[0]", "module"),
    ({"a": Odd()}, "value['a']", f"{__name__}.Odd"),
    (MappingProxyType({"a": [THING]}), "value['a'][0]", "object"),
    ([MappingProxyType({"a": 1, THING: 2})], "value[0].keys()[1]", "object"),
]


@pytest.mark.parametrize(("value", "path", "type_name"), CASES, ids=[path for _, path, _ in CASES])
def test_type_and_path_are_named(value: object, path: str, type_name: str) -> None:
    """The message reads `args[0]['when']: datetime.date`, and both parts are attributes."""
    with pytest.raises(workerlib.UnsendableError) as caught:
        round_trip(value)
    assert caught.value.path == path
    assert caught.value.type_name == type_name
    assert f"{path}: {type_name}" in str(caught.value)


def test_a_users_class_is_named_with_its_module() -> None:
    """The name is the one by which a user would import the class."""
    with pytest.raises(workerlib.UnsendableError) as caught:
        round_trip([Odd()])
    assert caught.value.type_name == f"{Odd.__module__}.Odd"


def test_a_key_that_cannot_be_sent() -> None:
    """A dict's key is looked at as its values are."""
    with pytest.raises(workerlib.UnsendableError, match="object"):
        round_trip({"a": 1, THING: 2})
    with pytest.raises(workerlib.UnsendableError, match="object"):
        round_trip([{(1, (THING,)): 2}])


def nested(levels: int) -> object:
    """Makes a tuple of so many levels."""
    value: object = ()
    for _ in range(levels - 1):
        value = (value,)
    return value


DEEP = nested(300)
FITS = nested(200)


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({DEEP}, "value[0]"),
        ([DEEP, {1}, [{DEEP}]], "value[2][0][0]"),
        ([DEEP, {DEEP: 1}], "value[1].keys()[0]"),
        ([DEEP, {(1, DEEP): 1}], "value[1].keys()[0]"),
        ([DEEP, deque([1, DEEP])], "value[1][1]"),
    ],
    ids=["alone", "again in a set", "again as a key", "again in a key", "again in a deque"],
)
def test_what_is_too_deep_where_it_is_hashed(value: object, path: str) -> None:
    """The sender says so, also where it only refers to what it sent before; the receiver would refuse it."""
    with pytest.raises(
        workerlib.UnsendableError, match="more than 200 levels of containers in a key"
    ) as caught:
        encode(value)
    assert caught.value.path == path


def test_what_is_just_not_too_deep_where_it_is_hashed() -> None:
    """Sender and receiver count alike, by reference too."""
    sent = [FITS, {FITS}, {FITS: FITS}, frozenset({FITS}), deque([FITS]), [DEEP, {"a": DEEP}]]
    assert len(cast("list[object]", round_trip(sent))) == len(sent)


def test_the_way_to_what_is_too_deep() -> None:
    """Its two ends are named; what lies between would be longer than anybody reads."""
    value: object = []
    for level in range(400):
        value = {"a key " + "x" * 30: value} if level % 2 else [value]
    page, _ = connected(Session.connect("1", max_depth=300), Session.listen("1", []))
    call, _ = page.begin(False)
    with pytest.raises(workerlib.UnsendableError) as caught:
        page.send(call, "f", (value,), {}, False)
    assert caught.value.path.startswith("args[0]['a key xxx")
    assert "[… 276 levels …]" in caught.value.path
    assert len(caught.value.path) < 1_500


class Words(Mapping[str, int]):
    """A mapping that can be hashed, and arrives as a dict."""

    def __getitem__(self, key: str) -> int:
        return len(key)

    def __iter__(self) -> Iterator[str]:
        return iter(("a", "bc"))

    def __len__(self) -> int:
        return 2

    def __hash__(self) -> int:
        return 1


class Steps:
    """An iterable, which can be hashed as any object, and arrives as a list."""

    def __iter__(self) -> Iterator[int]:
        return iter((1, 2))


class Bytes(bytearray):
    """A bytearray that can be hashed."""

    def __hash__(self) -> int:  # type: ignore[override]
        return 1


class Pair(tuple[object, ...]):
    """A tuple that can be hashed whatever it holds."""

    __slots__ = ()

    def __hash__(self) -> int:
        return 1


ROW = [1]


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({Steps(): 1}, "value.keys()[0]"),
        ({1: {Steps()}}, "value[1][0]"),
        (frozenset({Steps()}), "value[0]"),
        ({(1, (Steps(),)): 1}, "value.keys()[0]"),
        ({Words(): 1}, "value.keys()[0]"),
        ({Bytes(b"x")}, "value[0]"),
        ({Pair([[]]): 1}, "value.keys()[0]"),
        ([ROW, {Pair([ROW]): 1}], "value[1].keys()[0]"),
        (OrderedDict({Steps(): 1}), "value.keys()[0]"),
    ],
    ids=["key", "set", "frozenset", "in a key", "mapping", "bytearray", "list in a key", "again", "ordered"],
)
@pytest.mark.filterwarnings("ignore::workerlib.ConversionWarning")
def test_a_key_that_would_arrive_without_a_hash(value: object, path: str) -> None:
    """A key that can be hashed here and would arrive as a list is the sender's error, not the receiver's."""
    with pytest.raises(workerlib.UnsendableError, match="cannot hash") as caught:
        encode(value)
    assert caught.value.path == path


@pytest.mark.filterwarnings("ignore::workerlib.ConversionWarning")
def test_what_is_converted_beside_a_key() -> None:
    """Only what is hashed has to have a hash."""
    assert round_trip({1: Steps(), (2,): [Steps()]}) == {1: [1, 2], (2,): [[1, 2]]}


def test_a_released_view() -> None:
    """A memoryview without memory raises what Python raises for it."""
    view = memoryview(b"abc")
    view.release()
    with pytest.raises((ValueError, workerlib.UnsendableError)):
        round_trip([view])


def test_it_is_a_type_error() -> None:
    """Callers may catch it as Python's own class, or as the library's."""
    assert issubclass(workerlib.UnsendableError, TypeError)
    assert issubclass(workerlib.UnsendableError, workerlib.WorkerlibError)


def test_the_remedy_is_named() -> None:
    """The message says what to do about it."""
    with pytest.raises(workerlib.UnsendableError) as caught:
        round_trip(THING)
    assert "docs/values.md" in str(caught.value)


class _OfMyOwn:
    """A class without a kind that travels."""


class _Zone(datetime.tzinfo):
    """A zone that is of no kind that travels."""


def test_a_class_of_the_users_names_both_remedies() -> None:
    """`@workerlib.portable` and adapters; the types that travel are of no use for it."""
    with pytest.raises(workerlib.UnsendableError) as caught:
        encode([_OfMyOwn()])
    message = str(caught.value)
    assert message.startswith("value[0]: "), message
    assert "@workerlib.portable" in message
    assert "docs/adapters.md" in message


def test_the_path_to_the_zone_of_a_datetime() -> None:
    """The path is what Python would say, not the number of a part."""
    for value in (datetime.datetime(2020, 1, 1, tzinfo=_Zone()), datetime.time(1, tzinfo=_Zone())):
        with pytest.raises(workerlib.UnsendableError) as caught:
            encode({"when": [value]})
        assert caught.value.path == "value['when'][0].tzinfo"
