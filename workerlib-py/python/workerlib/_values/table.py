"""Provides the fixed table of the types beyond the builtin ones: how their objects are taken apart and built.

Each row stands for one type: the extension type that its values follow (docs/wire-format.md, section 4.6),
the function that takes an object apart into these values, and the function that builds an object from them.
A frame can build nothing that has no row here. Modules are imported when the first object of theirs is
seen.

`sending` asks this table how objects of a class are sent, and `_native` has objects built by it.
"""

from __future__ import annotations

import builtins
import importlib
import sys
import types
from collections.abc import Callable
from typing import Any

from workerlib._values import (
    exception_values,
    functions,
    named_types,
    references,
    standard_library,
    streams,
    user_classes,
)
from workerlib._values.libraries import families
from workerlib._values.row import Built, Filled, Parts, RefusedError

# Classes as values: the builtin ones, and those of this table, which is why they stand here.


def _take_apart_class(value: type) -> Parts:
    name = _name_of(value)
    if value.__module__ != "builtins" and (kind := user_classes.find_kind(value)):
        user_classes.check_sendable(value)
        return (user_classes.key_of(value), kind)
    if _class_of_name(name) is value:
        return (name,)
    raise RefusedError(
        f"the other side may not have the class {name}: mark a class of your own by @workerlib.portable, or"
        " send its name"
    )


def _build_class(name: object, *kind: Any) -> Any:
    if kind:
        return user_classes.find_class(name, *kind)
    found = _class_of_name(name) if isinstance(name, str) else None
    if found is None:
        raise ValueError("the class is unknown to this version")
    return found


_NAMELESS: dict[str, type] = {
    f"builtins.{cls.__qualname__}": cls
    for cls in (types.NoneType, types.EllipsisType, types.NotImplementedType, types.MappingProxyType)
}
"""Builtin classes that the module builtins has no name for."""


def _class_of_name(name: str) -> type | None:
    module, _, attribute = name.rpartition(".")
    found = _NAMELESS.get(name)
    if found is None and module == "builtins":
        found = getattr(builtins, attribute, None)
    elif found is None and module == "numpy":
        return families.find_scalar_class(attribute)
    elif found is None and name in _BY_NAME:
        found = _find_class(name)
    return found if isinstance(found, type) else None


def _find_class(name: str) -> Any:
    module, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(module), attribute)


_ROWS: tuple[Built | Filled, ...] = (
    *standard_library.ROWS,
    Built(72, "builtins.type", _take_apart_class, _build_class),
    exception_values.ROW,
    # Users' own classes, by their kind.
    Filled(25, "object", user_classes.take_apart_object, user_classes.make_object, user_classes.fill_object),
    Built(76, "enum", user_classes.take_apart_enum, user_classes.build_enum),
    Built(77, "namedtuple", user_classes.take_apart_namedtuple, user_classes.build_namedtuple),
    functions.ROW,
    streams.ROW,
    functions.REFERENCES_ROW,
    *families.ROWS,
    *named_types.ROWS,
)

_BY_NAME: dict[str, Built | Filled] = {row.type_name: row for row in _ROWS}
_BUILT: dict[int, Built] = {row.kind: row for row in _ROWS if isinstance(row, Built)}
_FILLED: dict[int, Filled] = {row.kind: row for row in _ROWS if isinstance(row, Filled)}

# Functions that `_native` calls while it decodes.


def find_builder(kind: int) -> Callable[..., Any]:
    """Finds the function that builds an object from all of its values, which may be anything.

    Args:
        kind: The extension type.

    Raises:
        ValueError: If this version does not know it.
    """
    row = _BUILT.get(kind)
    if row is None:
        raise ValueError(f"extension type {kind} is unknown to this version")
    return row.build


def make(kind: int, first: object) -> Any:
    """Makes an object from the first of its values."""
    row = _FILLED.get(kind)
    if row is None:
        raise ValueError(f"extension type {kind} is unknown to this version")
    return row.make(first)


def fill(kind: int, made: object, values: list[Any]) -> None:
    """Fills an object that `make` made with the rest of its values."""
    _FILLED[kind].fill(made, values)


# How objects are taken apart.


def find_row(cls: type) -> Built | Filled | None:
    """Finds the row for objects of a class that arrive as themselves; None if there is none."""
    name = _name_of(cls)
    module = name.removesuffix(f".{cls.__qualname__}")
    row = _BY_NAME.get(name)
    if row is not None and _is_itself(cls, name):
        return row
    if (
        module == "builtins"
        and issubclass(cls, BaseException)
        and getattr(builtins, cls.__name__, None) is cls
    ):
        return _BY_NAME["builtins.BaseException"]
    if cls in functions.TYPES:
        return functions.ROW
    if issubclass(cls, references.Remote | references.Marked):
        return functions.REFERENCES_ROW
    if library_type := families.find_type_name(cls):
        return _BY_NAME[library_type]
    if issubclass(cls, type):
        return _BY_NAME["builtins.type"]
    match user_classes.find_kind(cls):
        case None:
            return None
        case "exception":
            return _BY_NAME["builtins.BaseException"]
        case "enum" | "namedtuple" as kind:
            return _BY_NAME[kind]
        case _:
            return _BY_NAME["object"]


def _name_of(cls: type) -> str:
    # Some modules define their classes elsewhere: pathlib._local.PosixPath is pathlib.PosixPath.
    module = str(cls.__module__).partition("._")[0]
    return f"{module}.{cls.__qualname__}"


def _is_itself(cls: type, name: str) -> bool:
    """Returns whether a class that has the name of a row is the one that the row means."""
    if name in ("builtins.mappingproxy", "builtins.type"):
        return cls.__module__ == "builtins"
    module, _, attribute = name.rpartition(".")
    return getattr(_module_that_is_here(module), attribute, None) is cls


def _module_that_is_here(name: str) -> object:
    """Finds the module that a class names as its own; None if not even its package has been imported."""
    if name in sys.modules or "." not in name:
        return sys.modules.get(name)
    # A class may name a public module that nobody has imported yet: numpy.recarray is made in a private one,
    # and numpy imports numpy.rec when its attribute is read.
    package, _, attribute = name.rpartition(".")
    return getattr(_module_that_is_here(package), attribute, None)
