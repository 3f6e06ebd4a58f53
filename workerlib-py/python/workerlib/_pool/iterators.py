"""Finds iterators among the arguments of tasks: they give each item once, so such a task is sent once.

A run (`_pool/run.py`) asks before it sends several items at a time, since a worker may give items back.
After a death the driver (`_pool/driver.py`) asks before a task runs again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

from workerlib._values.streams import Streamed

_ITERATORS = (Iterator, AsyncIterator, Streamed)
_CONTAINERS = frozenset({list, tuple, dict, set, frozenset})
_LONG = 16
"""Containers with more elements than this are taken for data, when many items are looked at."""


def any_iterator(items: list[Any]) -> bool:
    """Tells whether one of many items is an iterator, or a short container with one."""
    kinds = set(map(type, items))
    if not kinds.isdisjoint(_CONTAINERS):
        for item in items:
            if type(item) in _CONTAINERS and len(item) <= _LONG:
                kinds.update(map(type, _elements(item)))
    return any(issubclass(kind, _ITERATORS) for kind in kinds)


def holds_iterator(value: Any) -> bool:
    """Tells whether a value is an iterator, or has one at any depth, also among the attributes of objects."""
    line, seen = [value], {id(value)}
    while line:
        one = line.pop()
        if issubclass(type(one), _ITERATORS):
            return True
        if type(one) in _CONTAINERS:
            parts = _elements(one)
        elif not callable(one) and not isinstance(one, type) and type(getattr(one, "__dict__", None)) is dict:
            parts = vars(one).values()
        else:
            continue
        fresh = [part for part in parts if id(part) not in seen]
        seen.update(map(id, fresh))
        line += fresh
    return False


def _elements(container: Any) -> Iterable[Any]:
    return container.values() if type(container) is dict else container
