"""Instances of users' own classes: what they are made of, and how they are made again.

Dataclasses, named tuples, enums, attrs classes, pydantic models, exceptions and the classes that say so by
`@portable` need no adapter. They are made again without their `__init__`, `__post_init__` or validators: what
arrives is what was sent. A class travels by the name of its module and its own. The receiver takes only
classes that it has already: registered by `@portable`, or of one of these kinds in a module that it has
imported; nothing is imported because a frame names it.
"""

from __future__ import annotations

import dataclasses
import enum
import sys
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

_C = TypeVar("_C", bound=type)

_portable: dict[str, type] = {}


def portable(cls: _C) -> _C:
    """Makes instances of a class sendable: what is in their `__dict__` and `__slots__` travels.

    It is a decorator for classes that are not of a kind that is sendable anyway. Both sides need the class,
    of the same module and name; classes of both scripts' top level (`__main__`) count as the same.

    Raises:
        TypeError: If it is no class, or one whose instances Python cannot make empty.
    """
    if not isinstance(cls, type):
        raise TypeError(f"portable is a decorator for classes, not for {cls!r}")
    if _makes_its_own(cls):
        raise TypeError(
            f"instances of {key_of(cls)} cannot be made empty and filled: they hold more than attributes"
        )
    _portable[key_of(cls)] = cls
    return cls


def find_kind(cls: type) -> str | None:
    """Says by which of the kinds instances of a class travel; None if by none."""
    if isinstance(cls, enum.EnumMeta):
        return "enum"
    if issubclass(cls, BaseException):
        return "exception"
    if issubclass(cls, tuple) and isinstance(getattr(cls, "_fields", None), tuple):
        return "namedtuple"
    if _makes_its_own(cls):
        return None
    if _portable.get(key_of(cls)) is cls:
        return "portable"
    if dataclasses.is_dataclass(cls):
        return "dataclass"
    if "__attrs_attrs__" in cls.__dict__:
        return "attrs"
    if _pydantic_base(cls) is not None:
        return "pydantic"
    return None


def find_class(key: object, kind: str) -> type:
    """Finds the class that a frame names, which must be one that may be made here.

    Raises:
        ValueError: If this side does not have it, or not of that kind.
    """
    if not isinstance(key, str):
        raise ValueError(f"{key!r} is no name of a class")
    cls: object = _portable.get(key)
    module, _, name = key.partition(":")
    if cls is None:
        cls = sys.modules.get(module)
        if cls is None:
            raise ValueError(f"the class {name} is not known here: import {module} on this side too")
        for part in name.split("."):
            cls = getattr(cls, part, None)
    if not isinstance(cls, type):
        raise ValueError(f"the class {name} is not known here: {module} has no such class on this side")
    found = find_kind(cls)
    if found != kind:
        raise ValueError(f"{key} is {_article(kind)} on the other side and {_article(found)} on this one")
    return cls


# Named tuples and enums: made from all of their content.


def take_apart_namedtuple(value: Any) -> tuple[Any, ...]:
    """Gives the class, its fields, and the values."""
    return (key_of(type(value)), type(value)._fields, *value)


def build_namedtuple(key: object, names: object, *values: Any) -> Any:
    """Makes a named tuple."""
    cls: Any = find_class(key, "namedtuple")
    _check_fields(cls, names, cls._fields)
    if len(values) != len(cls._fields):
        raise ValueError(f"{len(values)} values for the {len(cls._fields)} fields of {key}")
    return tuple.__new__(cls, values)


def take_apart_enum(value: Any) -> tuple[Any, ...]:
    """Gives the class and the member's name; of several flags the value."""
    cls = type(value)
    if value.name is not None and cls.__members__.get(value.name) is value:
        return (key_of(cls), value.name)
    return (key_of(cls), None, value.value)


def build_enum(key: object, name: object, *value: Any) -> Any:
    """Finds the member."""
    cls: Any = find_class(key, "enum")
    if name is None and len(value) == 1 and issubclass(cls, enum.Flag) and type(value[0]) is int:
        return cls(value[0])
    if not isinstance(name, str) or name not in cls.__members__:
        raise ValueError(f"{key} has no member {name!r} on this side; it has {', '.join(cls.__members__)}")
    return cls.__members__[name]


# Objects with attributes: made empty, then filled.


def take_apart_object(value: Any) -> tuple[Any, ...]:
    """Gives kind, class and fields, then the attributes, each with its value."""
    cls = type(value)
    kind = find_kind(cls)
    base = _pydantic_base(cls) if kind == "pydantic" else None
    state = dict(attributes(value)) if base is None else base.__getstate__(value)
    first = (kind, key_of(cls), _fields(cls, kind))
    return (first, *(part for pair in state.items() for part in pair))


def make_object(first: object) -> Any:
    """Makes an object without attributes."""
    kind, key, names = first if isinstance(first, tuple) and len(first) == 3 else (None, None, None)
    if kind not in ("dataclass", "attrs", "pydantic", "portable"):
        raise ValueError(f"{kind!r} is no kind of an object")
    cls = find_class(key, kind)
    _check_fields(cls, names, _fields(cls, kind))
    return object.__new__(cls)


def fill_object(made: Any, values: list[Any]) -> None:
    """Gives the object its attributes."""
    cls = type(made)
    names = values[::2]
    if len(values) % 2 or not all(isinstance(name, str) for name in names):
        raise ValueError("no attributes of an object")
    state = dict(zip(names, values[1::2], strict=True))
    if (base := _pydantic_base(cls)) is not None and find_kind(cls) == "pydantic":
        base.__setstate__(made, state)
        return
    for name, value in state.items():
        # Not what Python itself acts on, such as __class__; what a name mangles to is fine.
        if name.startswith("__") and name.endswith("__"):
            raise ValueError(f"{name!r} is no attribute of an object")
        # Not the class's own __setattr__: that of a frozen one refuses.
        object.__setattr__(made, name, value)


def attributes(value: Any) -> Iterator[tuple[str, Any]]:
    """Gives what stands in the slots and the `__dict__` of an object, by its name there."""
    for cls in reversed(type(value).__mro__):
        slots = cls.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if name in ("__dict__", "__weakref__"):
                continue
            mangled = f"_{cls.__name__.lstrip('_')}{name}" if name.startswith("__") else name
            try:
                yield mangled, object.__getattribute__(value, mangled)
            except AttributeError:
                # A slot may be empty.
                continue
    yield from getattr(value, "__dict__", {}).items()


def _fields(cls: Any, kind: str | None) -> tuple[str, ...] | None:
    if kind == "dataclass":
        return tuple(field.name for field in dataclasses.fields(cls))
    if kind == "attrs":
        return tuple(attribute.name for attribute in cls.__attrs_attrs__)
    if kind == "pydantic":
        return tuple(cls.model_fields)
    return None


def _check_fields(cls: type, theirs: object, ours: tuple[str, ...] | None) -> None:
    if theirs != ours:
        raise ValueError(
            f"{key_of(cls)} has other fields on the two sides: {_listed(theirs)} there, {_listed(ours)} here"
        )


def _listed(names: object) -> str:
    return ", ".join(map(str, names)) or "none" if isinstance(names, tuple) else repr(names)


def key_of(cls: type) -> str:
    """Names a class as a frame does."""
    return f"{cls.__module__}:{cls.__qualname__}"


def _article(kind: str | None) -> str:
    if kind is None:
        return "nothing that may be made"
    return f"an {kind}" if kind[0] in "ae" else f"a {kind}"


def _makes_its_own(cls: type) -> bool:
    """Returns whether instances hold what only the class's own base can put there, as those of `dict` do."""
    new: Callable[..., Any] = object.__new__
    try:
        new(cls)
    except TypeError:
        return True
    return False


def _pydantic_base(cls: type) -> Any:
    for base in cls.__mro__:
        if base.__name__ == "BaseModel" and base.__module__.startswith("pydantic."):
            return base
    return None
