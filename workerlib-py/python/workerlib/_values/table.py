"""What types beyond the builtin ones are sent as, and built from: the fixed table of this version.

Each row stands for one type: the extension type that its values follow (docs/wire-format.md, section 4.6),
the function that takes an object apart into these values, and the one that builds an object from them. A
frame can build nothing that has no row here. Modules are imported when the first object of theirs is seen.

What has no row may still be like something that has: `find_sending` says what it is sent as then.
"""

from __future__ import annotations

import builtins
import importlib
import sys
import types
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from workerlib._errors import ConversionWarning
from workerlib._native import adapt_builtins
from workerlib._values import adapters, exception_values, functions, standard_library, user_classes
from workerlib._values.adapter import ADAPTED, Adapter, Whole
from workerlib._values.bases import BASES
from workerlib._values.libraries import families
from workerlib._values.row import Built, Filled, Parts, RefusedError, refuse
from workerlib._values.slot import Slot
from workerlib._values.transfer import Transfer

Sending = tuple[int | None, Callable[[Any], Any] | Adapter]
"""The extension type and what makes its values; or None and what makes the object that is sent instead."""

_SLOT = 83
_HANDLE = 96


# Classes as values: the builtin ones, and those of this table, which is why they stand here.


def _take_apart_class(value: type) -> Parts:
    name = _name_of(value)
    if value.__module__ != "builtins" and (kind := user_classes.find_kind(value)):
        user_classes.check_sendable(value)
        return (user_classes.key_of(value), kind)
    if _class_of_name(name) is value:
        return (name,)
    raise RefusedError(f"the class {name} is none of those that both sides are sure to have")


def _build_class(name: object, *kind: Any) -> Any:
    if kind:
        return user_classes.find_class(name, *kind)
    found = _class_of_name(name) if isinstance(name, str) else None
    if found is None:
        raise ValueError("no class that can be named")
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
    *families.ROWS,
)

_BY_NAME: dict[str, Built | Filled] = {row.type_name: row for row in _ROWS}
_BUILT: dict[int, Built] = {row.kind: row for row in _ROWS if isinstance(row, Built)}
_FILLED: dict[int, Filled] = {row.kind: row for row in _ROWS if isinstance(row, Filled)}

SENDING: dict[type, Sending] = {}
"""How objects of the types that were met so far are sent; `_native` looks here first."""


ADAPTED_BUILTINS: set[type] = set()
"""The types that `_native` knows by heart, and that adapters are for all the same."""

_BUILTINS = (
    *(str, int, float, bool, types.NoneType, bytes, bytearray, memoryview, list, tuple, dict, set, frozenset),
    *(complex, types.EllipsisType, types.NotImplementedType),
)


def forget_sending() -> None:
    """Has every class looked up anew, since adapters have changed."""
    SENDING.clear()
    user_classes.PLANS.clear()
    ADAPTED_BUILTINS.clear()
    ADAPTED_BUILTINS.update(cls for cls in _BUILTINS if adapters.find_adapter(cls) is not None)
    adapt_builtins(bool(ADAPTED_BUILTINS))


adapters.listeners.append(forget_sending)


# What `_native` calls while it decodes.


def build(kind: int, values: Parts) -> Any:
    """Builds an object from all of its values, which may be anything: they come from a frame."""
    if kind == ADAPTED:
        return adapters.build(*values)
    row = _BUILT.get(kind)
    if row is None:
        raise ValueError(f"extension type {kind} is none of this version")
    return row.build(*values)


def make(kind: int, first: object) -> Any:
    """Makes an object from the first of its values."""
    row = _FILLED.get(kind)
    if row is None:
        raise ValueError(f"extension type {kind} is none of this version")
    return row.make(first)


def fill(kind: int, made: object, values: list[Any]) -> None:
    """Fills an object that `make` made with the rest of its values."""
    _FILLED[kind].fill(made, values)


# What `_native` calls while it encodes.


def find_sending(cls: type, strict: bool) -> Sending | None:
    """Says how objects of a class that `SENDING` does not have are sent; None if they cannot be.

    Args:
        cls: The class.
        strict: Whether an object that would arrive as something like it is refused instead.
    """
    if sending := _find_exact(cls):
        SENDING[cls] = sending
        return sending
    likeness = _find_likeness(cls)
    if likeness is None:
        return None
    name, convert = likeness
    if strict:
        return None, refuse(f"it would arrive as {name}, and this connection is strict")
    return None, convert


def _find_exact(cls: type) -> Sending | None:
    """Says how objects of a class are sent that arrive as themselves."""
    if cls is Slot:
        return _SLOT, lambda slot: (slot.number,)
    if cls is Transfer:
        return _HANDLE, Transfer.check
    adapter = adapters.find_total() if cls is Whole else adapters.find_adapter(cls)
    if adapter is None and cls in functions.TYPES:
        # Most functions would be refused: where there is a last resort, it takes all of them.
        adapter = adapters.find_last_resort()
    if adapter is None and (row := _row(cls)):
        return row.kind, row.take_apart
    # What passes through it need not be refused, nor made into something like it.
    adapter = adapter or adapters.find_last_resort()
    return None if adapter is None else (ADAPTED, adapter)


def _row(cls: type) -> Built | Filled | None:
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
    # Not imported: a class of that module could not be here.
    module, _, attribute = name.rpartition(".")
    return getattr(sys.modules.get(module), attribute, None) is cls


_likenesses: WeakKeyDictionary[type, tuple[str, Callable[[Any], Any]] | None] = WeakKeyDictionary()


def _find_likeness(cls: type) -> tuple[str, Callable[[Any], Any]] | None:
    if cls not in _likenesses:
        _likenesses[cls] = _likeness(cls)
    return _likenesses[cls]


def _likeness(cls: type) -> tuple[str, Callable[[Any], Any]] | None:
    """Says what an object of another class is like, and makes that of it."""
    if issubclass(cls, type | types.GenericAlias):
        # An Enum iterates over its members, list[int] over itself.
        return None
    names = {f"{base.__module__}.{base.__qualname__}" for base in cls.__mro__}
    if any(name.startswith("pyodide.") or name.startswith("_pyodide") for name in names):
        return "nothing", refuse("it is an object of JavaScript's: convert it by its to_py() first")
    if likeness := families.find_likeness(cls):
        return likeness
    if "collections.UserString" in names:
        # Its characters are UserStrings.
        return "str", str
    for base, convert in BASES.items():
        if issubclass(cls, base):
            return base.__name__, convert
    if issubclass(cls, Mapping):
        return "dict", dict
    if issubclass(cls, Iterable):
        return "list", list
    return None


_warned: WeakSet[type] = WeakSet()


def warn_of_conversion(cls: type, path: str) -> None:
    """Warns, once for each class, that its objects arrive as something like them."""
    if cls in _warned:
        return
    _warned.add(cls)
    likeness = _find_likeness(cls)
    name = likeness[0] if likeness else "something else"
    made = "list(…)" if name == "list" else f"{name}(…)"
    warnings.warn(
        f"{path}: {cls.__module__}.{cls.__qualname__} arrives as {name}; send {made} to say so,"
        " or connect with strict=True to have it refused",
        ConversionWarning,
        stacklevel=4,
    )
