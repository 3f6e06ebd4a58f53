"""Functions as values: by their names where they are exported or registered, and as callbacks where not.

A function that the sender exports arrives as a function that the receiver can call. A function of the
receiver's, which the sender has as such, arrives as itself. A function that both sides have registered is
found by the names of its module and its own. Any other function stays where it is, and a reference to it
travels (`references`). Nothing is imported because a frame names it, and nothing is called.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any, Protocol, TypeVar

from workerlib import _exports
from workerlib._values import references, user_classes
from workerlib._values.row import Built, RefusedError

_T = TypeVar("_T", bound=Callable[..., Any])

TYPES = (types.FunctionType, types.BuiltinFunctionType, types.MethodType)
"""The types of functions: none of them has subclasses."""

OTHER_TYPES: tuple[type, ...] = (
    *(types.MethodDescriptorType, types.ClassMethodDescriptorType, types.WrapperDescriptorType),
    *(types.MethodWrapperType, type(functools.lru_cache(abs))),
)
"""Types of what is used as a function, such as `str.upper` or a function with a cache: callbacks, too."""


class CalledThere:
    """The base of what calls the other side and is not a function: it is sent as one."""

    __name__: str


_REMOTE = "_workerlib_remote"
"""The attribute by which a function of the other side tells its connection and its name."""

_registered: dict[str, Any] = {}


class _Connection(Protocol):
    functions: Mapping[str, Any]
    streams: Any

    @property
    def functions_there(self) -> Mapping[str, Any]: ...

    @property
    def references(self) -> references.References: ...


# Of the context, not of the module: what async adapters await may be of several connections at a time.
_current: ContextVar[_Connection | None] = ContextVar("connection", default=None)


# The codec calls them too, before the first value for which Python is needed.
enter = _current.set
"""Says of which connection values are, that are written or read in this context from now on."""
leave = _current.reset
"""Takes that back, given what `enter` returned."""
current = _current.get
"""Returns the connection of the values that are written or read; None if they belong to no connection."""


def register(thing: _T) -> _T:
    """Makes a function, or a class, a value that can be sent to a side that has registered it too.

    It is a decorator for what both sides have: in a module that both import, or at the top level of both
    scripts. A function arrives as the receiver's own of the same module and name; a class is made `portable`.

    Args:
        thing: The function or the class.

    Raises:
        TypeError: If it is neither, or has no name by which the other side could find it.
    """
    if isinstance(thing, type):
        user_classes.portable(thing)
        return thing
    key = _key_of(thing)
    if key is None:
        raise TypeError(
            f"{thing!r} is not a function that the other side could find by its name: write a `def` at the"
            " top level of a module that both sides import"
        )
    _registered[key] = thing
    return thing


def mark_remote(function: Any, connection: _Connection, name: str) -> None:
    """Marks what calls a function of the other side, so that it can be sent there."""
    setattr(function, _REMOTE, (connection, name))


def take_apart_known(function: Any) -> tuple[str, str] | None:
    """Says whose function it is, and its name there; None if the other side cannot find it by a name."""
    remote = getattr(function, _REMOTE, None)
    here = _current.get()
    if remote is not None:
        connection, name = remote
        return ("receiver", name) if connection is here else None
    key = _key_of(function)
    if key is not None and _registered.get(key) is function:
        return ("both", key)
    if here is not None and (name := _name_in(here.functions, function)) is not None:
        # A module that both sides have imported exports it on both, and the receiver uses its own.
        is_of_both = key is not None and not key.startswith("__main__:") and name in here.functions_there
        return ("both", key) if is_of_both and key is not None else ("sender", name)
    if key is not None and _name_in(_exports.functions, function) is not None:
        return ("both", key)
    return None


def take_apart_function(function: Any) -> tuple[Any, ...]:
    """Says how a function stands in a frame: by a name, or as a reference, which has more values."""
    here = _current.get()
    known = take_apart_known(function)
    if known is None and here is None:
        raise _refused(function, "there is no connection here, by which it could be called")
    return known or references.take_apart_reference(_references(), function)


def is_known(thing: Any) -> bool:
    """Tells whether the other side knows something that is called: a class, or a function by its name.

    Args:
        thing: A class, a function, or a `functools.partial` of one.
    """
    while type(thing) is functools.partial:
        thing = thing.func
    return is_factory(thing)


def is_factory(thing: Any) -> bool:
    """Tells whether it is a class, or a function that the other side finds by its name."""
    return isinstance(thing, type) or (type(thing) in TYPES and take_apart_known(thing) is not None)


class KnownPartial:
    """Stands for a `functools.partial` whose function the other side knows, so that it arrives as itself."""

    __slots__ = ("partial",)

    def __init__(self, partial: functools.partial[Any]) -> None:
        """Wraps it."""
        self.partial = partial


def convert_partial(value: functools.partial[Any]) -> object:
    """Says how a partial function is sent: as itself if its function is known there, else as a callback."""
    if is_known(value) or _current.get() is None:
        return KnownPartial(value)
    return references.Marked(value)


def convert_partial_strictly(value: functools.partial[Any]) -> object:
    """Says so for a strict connection, where callbacks have to be marked."""
    if not is_known(value):
        raise _refused(value, "this connection is strict: send workerlib.callback(…) to have it called")
    return KnownPartial(value)


def take_apart_strictly(function: Any) -> tuple[str, str]:
    """Says how a function stands in a frame of a strict connection, where callbacks have to be marked."""
    if (known := take_apart_known(function)) is None:
        raise _refused(function, "this connection is strict: send workerlib.callback(…) to have it called")
    return known


def take_apart_named(function: Any) -> tuple[str, str]:
    """Says how a function stands in a frame that has no references, such as one of an exception."""
    if (known := take_apart_known(function)) is None:
        raise _refused(function, "an exception's attributes can hold a function by its name only")
    return known


def _refused(function: Any, reason: str) -> RefusedError:
    called = getattr(function, "__qualname__", repr(function))
    return RefusedError(
        f"{called} is neither exported nor registered, and {reason}; or export it from the worker by"
        " @workerlib.export, or have both sides register it by @workerlib.register"
    )


def build_function(origin: object, name: object) -> Any:
    """Finds the function that a frame means."""
    found, here = None, _current.get()
    if isinstance(name, str):
        if origin == "both":
            found = _registered.get(name) or _exported_by_key(name)
        elif origin == "sender" and here is not None:
            found = here.functions_there.get(name)
        elif origin == "receiver" and here is not None:
            found = here.functions.get(name)
    if found is None:
        raise ValueError(
            f"the function {name!r} ({origin!r}) is not known here: have both sides register it, or export it"
        )
    return found


def _references() -> references.References | None:
    here = _current.get()
    return None if here is None else here.references


ROW = Built(86, "function", take_apart_function, build_function)
REFERENCES_ROW = references.row(
    lambda value: references.take_apart_reference(_references(), value),
    lambda *values: references.build_reference(_references(), *values),
)


def is_exported_class(cls: type) -> bool:
    """Tells whether the instances of a class stay where they are since it is exported.

    An exported class whose instances can be sent as values, such as `str` or a dataclass, makes values.
    """
    return any(known is cls for known in _exports.functions.values())


def take_apart_object(value: Any) -> tuple[Any, ...]:
    """Says how an object that stays where it is stands in a frame."""
    return references.take_apart_object(_references(), value)


def _key_of(function: Any) -> str | None:
    """Names a function as a class is named; None if it has no name that another Python knows it by."""
    if not isinstance(function, types.FunctionType | types.BuiltinFunctionType):
        return None
    module, name = function.__module__, function.__qualname__
    owner = getattr(function, "__self__", None)
    is_bound = owner is not None and not isinstance(owner, types.ModuleType)
    return None if is_bound or not module or name.endswith("<lambda>") else f"{module}:{name}"


def _name_in(functions: Mapping[str, Any], function: Any) -> str | None:
    # Bound methods are made anew each time, and equal.
    return next((name for name, known in functions.items() if known is function or known == function), None)


def _exported_by_key(key: str) -> Any:
    return next((one for one in _exports.functions.values() if _key_of(one) == key), None)
