"""Finds iterators among the arguments of tasks, and what is transferred: such a task is sent once.

An iterator gives each item once, and an object of JavaScript's that was transferred is the worker's.

A run (`_pool/run.py`) asks before it sends several items at a time, since a worker may give items back.
It asks again after the worker's death, before a task runs anew. `pool.each` and `pool.share()` refuse such
values.
"""

from __future__ import annotations

import contextlib
import math
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from types import MemberDescriptorType
from typing import Any

from workerlib._errors import UnsendableError
from workerlib._values.streams import Streamed
from workerlib._values.transfer import Transfer

_SENT_ONCE = (Iterator, AsyncIterator, Streamed, Transfer)
_LINEAR = (list, tuple, set, frozenset, deque)
_LONG = 16
"""Containers with more elements than this are taken for data, where a search would delay the common case."""
_LEVELS = 2
"""How deep the items of a chunk are searched: an item, and its elements."""


def any_sent_once(items: list[Any]) -> bool:
    """Tells whether an item of a chunk can be sent once only, or is a short container with such a part."""
    return holds_sent_once(items, _LONG, _LEVELS)


def holds_sent_once(values: Sequence[Any], longest: float = math.inf, levels: float = math.inf) -> bool:
    """Tells whether one of several values can be sent once only, or has such a part.

    Elements of containers, values of dicts and attributes of objects count as parts. The search goes level by
    level and compares the types of each level, since most levels have many values of few types.

    Args:
        values: The values, which are the first level.
        longest: The number of elements that a searched container has at most.
        levels: The number of levels that are searched.
    """
    level: Iterable[Any] = values
    seen: set[int] = set()
    while levels > 0:
        kinds = set(map(type, level))
        if any(issubclass(kind, _SENT_ONCE) for kind in kinds):
            return True
        readers = {kind: reader for kind in kinds if (reader := _reader(kind)) is not None}
        levels -= 1
        if not readers or not levels:
            return False
        # A value that several others hold is read once.
        holders = {
            id(value): value for value in level if type(value) in readers and id(value) not in seen
        }.values()
        seen.update(map(id, holders))
        level = [part for holder in holders for part in readers[type(holder)](holder, longest)]
    return False


def _reader(kind: type) -> Callable[[Any, float], Iterable[Any]] | None:
    """Returns the function that gives the parts of a type's values; None if they have none."""
    if issubclass(kind, _LINEAR):
        return _elements
    if issubclass(kind, dict):
        return _values
    members = [vars(base) for base in kind.__mro__]
    if any("__call__" in own for own in members):
        # A function is called and not iterated over, wherever it stands.
        return None
    slots = [
        slot
        for own in members
        if "__slots__" in own
        for slot in own.values()
        if isinstance(slot, MemberDescriptorType)
    ]
    if not slots and not kind.__dictoffset__:
        return None

    def attributes(value: Any, _longest: float) -> Iterable[Any]:
        # Another `__dict__` than an object's own, as a proxy has it, is not read.
        content = getattr(value, "__dict__", None) if kind.__dictoffset__ else None
        yield from content.values() if type(content) is dict else ()
        for slot in slots:
            with contextlib.suppress(AttributeError):
                yield slot.__get__(value)

    return attributes


def _elements(container: Any, longest: float) -> Iterable[Any]:
    return container if len(container) <= longest else ()


def _values(container: Any, longest: float) -> Iterable[Any]:
    return container.values() if len(container) <= longest else ()


def check_for_each(values: Mapping[str, Any]) -> None:
    """Checks values that every worker is to get, also one that starts later.

    Args:
        values: The values, by the names that stand for them in the message.

    Raises:
        UnsendableError: If one of them can be sent once only.
    """
    for name, value in values.items():
        if holds_sent_once([value], _LONG):
            raise UnsendableError(
                name,
                reason="it is, or has, an iterator or something that is transferred: only one worker could"
                " get that, and every worker is to get this value, also one that starts later; send a list,"
                " or an iterable that begins anew each time",
            )
