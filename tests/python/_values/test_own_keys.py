"""Objects that are keys of dicts, or stand in sets, that they hold themselves: what pickle can send, arrives.

Python hashes a key when it is put in. An object that holds the dict may not have all of its attributes then.
"""

from __future__ import annotations

import contextlib
import pickle
import random
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable
from typing import Any, cast

import pytest
import workerlib
from workerlib import portable
from workerlib._native import decode

from pace import repeats
from trip import frame_of, round_trip
from users_classes import FrozenSlotted, Place, Slotted


@portable
class Node:
    """Its hash asks for an attribute."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.of: Any = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Node) and self.name == other.name

    def __hash__(self) -> int:
        return hash(self.name)


class LateError(Exception):
    """Its hash asks for an attribute, and those of exceptions come last."""

    def __hash__(self) -> int:
        return hash(cast(Any, self).name)


@portable
class Plain:
    """Its hash asks for nothing."""

    of: Any


WAYS: dict[str, Callable[[Any], Any]] = {
    "dict": lambda key: {key: 1},
    "set": lambda key: {key},
    "frozenset": lambda key: frozenset({key}),
    "tuple in a dict": lambda key: {(key, 1): 2},
    "OrderedDict": lambda key: OrderedDict({key: 1}),
    "defaultdict": lambda key: defaultdict(int, {key: 1}),
    "Counter": lambda key: Counter([key]),
}


def trips(value: object) -> tuple[Any, Any]:
    """Sends a value by pickle and by the codec; None where that fails."""
    try:
        pickled = pickle.loads(pickle.dumps(value, 5))
    except AttributeError:
        pickled = None
    return pickled, round_trip(value)


def holds(keys: Any, key: object) -> bool:
    """Tells whether an object, or the tuple around it, is found in a dict or a set by its hash."""
    return key in keys or (key, 1) in keys


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "make", [lambda: Node("a"), Plain, lambda: ValueError(1)], ids=["Node", "Plain", "error"]
)
def test_a_key_that_holds_its_dict(way: str, make: Callable[[], Any]) -> None:
    """From whichever end it is sent, it is found again under its hash; pickle cannot do more."""
    key = make()
    key.of = WAYS[way](key)
    _, back = trips(key)
    assert holds(back.of, back)
    pickled, container = trips(key.of)
    member = next(iter(container))
    member = member[0] if isinstance(member, tuple) else member
    assert member.of is container or way == "frozenset"
    assert holds(container, member)
    assert pickled is None or holds(pickled, next(iter(pickled)))


def test_a_key_whose_hash_cannot_be_told_yet() -> None:
    """Pickle fails as well; the error says what it is that cannot arrive."""
    key: Any = LateError()
    key.name = "a"
    key.of = {key: 1}
    with pytest.raises(AttributeError):
        pickle.loads(pickle.dumps(key, 5))
    data, buffers = frame_of(key)
    with pytest.raises(
        workerlib.FrameError, match="the hash of a key was asked for before all of its attributes"
    ):
        decode(data, list(buffers))


def test_the_dict_of_such_a_key() -> None:
    """Sent from the dict's end it arrives, as with pickle."""
    key: Any = LateError()
    key.name = "a"
    key.of = {key: 1}
    for back in trips(key.of):
        member = next(iter(back))
        assert member.of is back
        assert back[member] == 1


def test_damaged_frames_of_objects() -> None:
    """Damaged bytes give an error, or objects that can be looked at."""
    chance = random.Random(20261122)
    place = Place(1, 2.5, "a place", ["x"])
    place.parent = [place, Slotted(1, Slotted(2)), FrozenSlotted(x=3, y=[{place.name: place}])]
    frame, _ = frame_of([place, Node("a"), Node("b"), place.parent, Slotted(3)])
    refused = 0
    runs = repeats(30_000)
    for _ in range(runs):
        damaged = bytearray(frame)
        for _ in range(chance.randrange(1, 4)):
            damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
        if chance.randrange(2):
            start, end = sorted(chance.randrange(len(damaged)) for _ in range(2))
            del damaged[start : min(end, start + 8)]
        try:
            back = decode(bytes(damaged), [])
        except workerlib.FrameError:
            refused += 1
        else:
            # A dataclass may lack attributes that its repr() asks for.
            with contextlib.suppress(Exception):
                repr(back)
    assert 0 < refused < runs
