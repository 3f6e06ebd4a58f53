"""Which arguments of a pool's tasks can be sent once only, wherever in an argument they stand."""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque, namedtuple
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import workerlib
from workerlib._pool.sent_once import holds_sent_once


@dataclass
class Open:
    rows: Any


@dataclass(slots=True)
class Slotted:
    rows: Any


class Both(Slotted):
    """Has a slot of its base's and attributes."""

    def __init__(self, rows: Any, more: Any) -> None:
        super().__init__(rows)
        self.more = more


class Listed(list[Any]):
    """A list of a class of its own."""


Row = namedtuple("Row", ["rows"])


class Again:
    """Begins anew each time."""

    def __iter__(self) -> Iterator[int]:
        return iter([1, 2])

    def __aiter__(self) -> AsyncIterator[int]:
        raise NotImplementedError


HOLDERS = {
    "list": lambda value: [1, value],
    "tuple": lambda value: (value,),
    "dict": lambda value: {"a": value},
    "set": lambda value: {value},
    "deep": lambda value: [[{"a": ([value],)}]],
    "deque": lambda value: deque([value]),
    "OrderedDict": lambda value: OrderedDict(a=value),
    "defaultdict": lambda value: defaultdict(list, a=value),
    "namedtuple": Row,
    "subclass": lambda value: Listed([value]),
    "object": Open,
    "slots": Slotted,
    "slots of a base": lambda value: Both(value, 1),
    "attributes beside slots": lambda value: Both(1, value),
}


@pytest.mark.parametrize("holder", HOLDERS)
def test_iterators_are_found_wherever_they_stand(holder: str) -> None:
    """A task that ran again would find an iterator empty, so each is found; iterables that begin anew are not meant."""
    for once in (iter([1]), (number for number in [1]), workerlib.stream([1]), zip([1])):
        assert holds_sent_once([HOLDERS[holder](once)])
    for again in (1, "text", Again(), range(3), len, Open):
        assert not holds_sent_once([HOLDERS[holder](again)])


def test_the_search_ends() -> None:
    """Objects that contain themselves, or each other many times over, are looked at once."""
    circle: list[Any] = []
    circle += [circle, Open(circle)]
    assert not holds_sent_once(circle)
    many: list[Any] = [1]
    for _ in range(200):
        many = [many, many]
    assert not holds_sent_once(many)
    many[0][0].append(iter([1]))
    assert holds_sent_once(many)


def test_the_search_of_items_is_bounded() -> None:
    """Items of a map are searched as far as the caller says: long containers, and deep ones, are data."""
    assert holds_sent_once([[iter([1])]], longest=1, levels=2)
    assert not holds_sent_once([[[iter([1])]]], levels=2)
    assert not holds_sent_once([[1] * 16 + [iter([1])]], longest=16)
    assert holds_sent_once([1] * 100 + [iter([1])], longest=16)
