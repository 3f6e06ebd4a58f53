"""Finds iterators among the arguments of tasks, and what is transferred: such a task is sent once.

An iterator gives each item once, and an object of JavaScript's that was transferred is the worker's.

A run (`_pool/run.py`) asks before it sends several items at a time, since a worker may give items back.
It asks again after the worker's death, before a task runs anew. `pool.each` and `pool.share()` refuse such
values.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from typing import Any

from workerlib._errors import UnsendableError
from workerlib._values.streams import Streamed
from workerlib._values.transfer import Transfer

_SENT_ONCE = (Iterator, AsyncIterator, Streamed, Transfer)
_CONTAINERS = frozenset({list, tuple, dict, set, frozenset})
_LONG = 16
"""Containers with more elements than this are taken for data, where a search would delay the common case."""


def any_sent_once(items: list[Any]) -> bool:
    """Tells whether one of many items can be sent once only, or is a short container with such an element."""
    kinds = set(map(type, items))
    if not kinds.isdisjoint(_CONTAINERS):
        for item in items:
            if type(item) in _CONTAINERS and len(item) <= _LONG:
                kinds.update(map(type, _elements(item)))
    return any(issubclass(kind, _SENT_ONCE) for kind in kinds)


def holds_sent_once(value: Any, longest: float = math.inf) -> bool:
    """Tells whether a value can be sent once only, or has such a part at any depth.

    The attributes of objects count as their parts.

    Args:
        value: The value.
        longest: The number of elements that a searched container has at most.
    """
    line, seen = [value], {id(value)}
    while line:
        one = line.pop()
        if issubclass(type(one), _SENT_ONCE):
            return True
        if type(one) in _CONTAINERS:
            parts = _elements(one) if len(one) <= longest else ()
        elif not callable(one) and not isinstance(one, type) and type(getattr(one, "__dict__", None)) is dict:
            parts = vars(one).values()
        else:
            continue
        fresh = [part for part in parts if id(part) not in seen]
        seen.update(map(id, fresh))
        line += fresh
    return False


def check_for_each(values: Mapping[str, Any]) -> None:
    """Checks values that every worker is to get, also one that starts later.

    Args:
        values: The values, by the names that stand for them in the message.

    Raises:
        UnsendableError: If one of them can be sent once only.
    """
    for name, value in values.items():
        if holds_sent_once(value, _LONG):
            raise UnsendableError(
                name,
                reason="it is, or has, an iterator or something that is transferred: only one worker could"
                " get that, and every worker is to get this value, also one that starts later; send a list,"
                " or an iterable that begins anew each time",
            )


def _elements(container: Any) -> Iterable[Any]:
    return container.values() if type(container) is dict else container
