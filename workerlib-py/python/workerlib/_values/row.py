"""The rows of the table of types: see `_values/table.py`, which has the table."""

from __future__ import annotations

import importlib
import operator
from collections.abc import Callable
from typing import Any, NamedTuple

Parts = tuple[Any, ...]
TakeApart = Callable[[Any], Parts]


class RefusedError(ValueError):
    """Says why an object cannot be sent although others of its type can."""


class Built(NamedTuple):
    """A type whose objects are made from all of their values."""

    kind: int
    type_name: str
    take_apart: TakeApart
    build: Callable[..., Any]


class Filled(NamedTuple):
    """A type whose objects are made from the first of their values, then filled with the others.

    They can contain themselves.
    """

    kind: int
    type_name: str
    take_apart: TakeApart
    make: Callable[[Any], Any]
    fill: Callable[[Any, list[Any]], None]


class Named(NamedTuple):
    """A type whose objects are made from all of their values, and that a frame names instead of numbering it.

    All of them have one extension type, whose first value is the name: docs/wire-format.md, section 4.6.
    """

    name: str
    """The name in a frame."""
    type_name: str
    """The module and the name of the class, as the class itself tells them."""
    take_apart: TakeApart
    build: Callable[..., Any]


def lazy(path: str) -> Callable[..., Any]:
    """Makes a function that calls what stands under that path, and imports its module at the first call.

    Args:
        path: The names of a module and of what is in it, with a colon between them.
    """
    module, _, name = path.partition(":")

    found: Callable[..., Any] | None = None

    def call(*args: Any, **kwargs: Any) -> Any:
        nonlocal found
        if found is None:
            found = operator.attrgetter(name)(importlib.import_module(module))
        return found(*args, **kwargs)

    return call


def refuse(reason: str) -> Callable[[Any], Any]:
    """Makes a function that refuses every object, for that reason."""

    def refuse_object(_value: object) -> Any:
        raise RefusedError(reason)

    return refuse_object
