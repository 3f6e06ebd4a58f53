"""Finds the form in which an object without a row is sent: as its base, a list or a dict.

`sending` asks it, once for each class and connection. An object that is more than its items is refused
instead, with a remedy; `remedies` has those of libraries.
"""

from __future__ import annotations

import collections
import io
import itertools
import operator
import sys
import types
from collections.abc import Callable, Iterable, Iterator, Mapping, MappingView, Sequence
from collections.abc import Set as AbstractSet
from datetime import date, datetime, time, timedelta
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary, WeakSet

from workerlib._errors import ConversionWarning
from workerlib._users.line import warn
from workerlib._values import remedies
from workerlib._values.bases import BASES
from workerlib._values.libraries import families
from workerlib._values.no_value import NoValue
from workerlib._values.row import RefusedError, refuse
from workerlib._values.safe_text import class_name, text_of


class Likeness(NamedTuple):
    """The type that objects of a class are sent as."""

    name: str | None
    """The name of the type that arrives; None where the objects are refused."""
    convert: Callable[[Any], Any]
    """Makes an object of that type, or raises RefusedError."""
    iterates: bool = False
    """Whether that uses up what can be iterated only once."""


_known: dict[bool, WeakKeyDictionary[type, Likeness | None]] = {
    False: WeakKeyDictionary(),
    True: WeakKeyDictionary(),
}


def find_likeness(cls: type, lists: bool) -> Likeness | None:
    """Says what objects of a class without a row are sent as; None if they are like nothing.

    Args:
        cls: The class.
        lists: Whether everything that can be iterated arrives as a list, whatever else it is.
    """
    known = _known[lists]
    if cls not in known:
        known[cls] = _find(cls, lists)
    return known[cls]


def _find(cls: type, lists: bool) -> Likeness | None:
    if issubclass(cls, NoValue):
        return _refused("it is an answer that has not arrived yet: send what `await` or its `result()` gives")
    if issubclass(cls, type | types.GenericAlias) or cls.__module__ == "typing":
        # An Enum iterates over its members, list[int] and typing.List[int] over themselves.
        return None
    if cls in _ENDLESS:
        return Likeness("list", _list_with_an_end, iterates=True)
    names = {f"{base.__module__}.{base.__qualname__}" for base in cls.__mro__}
    if found := families.find_base(cls, lists):
        return Likeness(*found) if lists else _base_of_library(cls, *found)
    if not lists and (reason := _reason_to_refuse(cls)):
        return _refused(reason)
    likeness = _likeness(cls, names, lists)
    if likeness is None:
        # To be called may be all that is wanted of it.
        called = ", or send workerlib.callback(…) to have it called" if _defines(cls, "__call__") else ""
        if not _is_installed(cls.__module__):
            return _refused(
                "it is of a class of your own: mark the class by @workerlib.portable if its attributes are"
                f" all that it is, or give it an adapter (docs/adapters.md){called}"
            )
        if cls.__module__ == "contextlib":
            return _refused(
                "it is a context manager, which is entered where it is: export a function that uses it, or a"
                " class whose instances keep it"
            )
        if called:
            return _refused(f"send what it is made of{called}")
    return likeness


def _refused(reason: str) -> Likeness:
    return Likeness(None, refuse(reason))


def _base_of_library(cls: type, name: str, convert: Callable[[Any], Any]) -> Likeness:
    """Has a table of a subclass arrive as its base, unless the subclass names further content."""
    # A Series has a name, which is not lost.
    if metadata := [one for one in getattr(cls, "_metadata", ()) if isinstance(one, str) and one != "_name"]:
        return _refused(
            f"it is a {name} that also has {', '.join(metadata)}, which would be lost: send {name}(…) of it"
            " and these by themselves"
        )
    return Likeness(name, convert)


def _likeness(cls: type, names: set[str], lists: bool) -> Likeness | None:
    if "collections.UserString" in names:
        # Its characters are UserStrings.
        return Likeness("str", str)
    for base, convert in BASES.items():
        if issubclass(cls, base):
            return Likeness(base.__name__, convert)
    for base, convert in _VALUES.items():
        if issubclass(cls, base):
            return Likeness(f"datetime.{base.__name__}", convert)
    if issubclass(cls, Mapping):
        return Likeness("dict", _iterating(dict), iterates=True)
    if issubclass(cls, Iterable):
        # A row of a table of somebody's own may be such a table again, and so on; an iterator's items are
        # other ones.
        may_nest = lists or issubclass(cls, Iterator | collections.UserList)
        return Likeness("list", _iterating(list if may_nest else _list_of_others), iterates=True)
    return None


def _iterating(convert: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Makes a function that tells what iterating raised as the reason for which an object cannot be sent."""

    def iterate(value: Any) -> Any:
        try:
            return convert(value)
        except RefusedError:
            raise
        except Exception as error:
            text = text_of(error)
            said = f"{class_name(type(error))}{': ' if text else ''}{text}"
            raise RefusedError(f"iterating over it raised {said}") from error

    return iterate


def _list_of_others(value: Any) -> list[Any]:
    cls = type(value)
    items: list[Any] = []
    for item in value:
        if type(item) is cls:
            raise RefusedError(
                f"its items are of its own class, {cls.__qualname__}, and theirs again: send what they are"
                " made of"
            )
        items.append(item)
    return items


_ENDLESS = (itertools.count, itertools.cycle, itertools.repeat)
"""Iterators that have no end; `itertools.repeat` has one if it was told how often."""


def _list_with_an_end(value: Any) -> list[Any]:
    if type(value) is not itertools.repeat or operator.length_hint(value, -1) < 0:
        raise RefusedError(
            "it has no end: send list(itertools.islice(…, n)), or workerlib.stream(…), whose items arrive"
            " one by one"
        )
    return list(value)


def _of_date(value: date) -> date:
    return date(value.year, value.month, value.day)


def _of_datetime(value: datetime) -> datetime:
    parts = (value.year, value.month, value.day, value.hour, value.minute, value.second, value.microsecond)
    return datetime(*parts, value.tzinfo, fold=value.fold)


def _of_time(value: time) -> time:
    return time(value.hour, value.minute, value.second, value.microsecond, value.tzinfo, fold=value.fold)


def _of_timedelta(value: timedelta) -> timedelta:
    return timedelta(value.days, value.seconds, value.microseconds)


_VALUES: dict[type, Callable[[Any], Any]] = {
    # A datetime is a date.
    datetime: _of_datetime,
    date: _of_date,
    time: _of_time,
    timedelta: _of_timedelta,
}
"""Types whose subclasses arrive as their base."""


# Objects that are more than their items.


def _reason_to_refuse(cls: type) -> str | None:
    """Says why objects of a class are refused, and what to send; None if they are not."""
    if found := remedies.find_remedy(cls):
        return found
    if families.find_base(cls, True):
        return (
            "a subclass of an array may have more than its items, a unit for example: send numpy.asarray(…)"
        )
    if issubclass(cls, (*BASES, *_VALUES)):
        # As any subclass of a builtin class it arrives as that.
        return None
    if issubclass(cls, io.IOBase) or _defines(cls, "read") or _defines(cls, "write"):
        return (
            "it is something to read from or write to: send what it holds, such as its read() or getvalue()"
        )
    if _defines(cls, "fetchall"):
        return "it is a cursor, whose rows are in a database: send the rows by fetchall()"
    if _defines(cls, "nnz") and (_defines(cls, "tocoo") or _defines(cls, "todense")):
        return "it is a sparse array: send its tocoo()'s data and coordinates, or its todense()"
    if _defines(cls, "__await__"):
        return "it is to be awaited, did you forget `await`? Send what comes of it"
    if str(cls.__module__).startswith("workerlib._api."):
        return "it stays where it is: send its functions, such as worker.f, or the results of its calls"
    if _is_of_library(cls) and issubclass(cls, Iterable) and not _is_all_items(cls):
        return f"an object of a library may be more than its items: send {remedies.general_remedy(cls)}"
    return None


_MRO: Any = vars(type)["__mro__"]


def _defines(cls: type, name: str) -> bool:
    # Not by hasattr(): a metaclass may answer anything.
    return any(name in vars(base) for base in _MRO.__get__(cls))


def _is_all_items(cls: type) -> bool:
    """Returns whether an object is its items and nothing else, by what its class says of itself."""
    kinds = (*BASES, *_VALUES, Iterator, MappingView, Mapping, Sequence, AbstractSet, collections.UserString)
    return issubclass(cls, kinds)


def _is_of_library(cls: type) -> bool:
    """Returns whether the class or a base is of an installed package or the standard library."""
    return any(_is_installed(base.__module__) for base in cls.__mro__ if _iterates_itself(base))


def _iterates_itself(base: type) -> bool:
    return "__iter__" in vars(base) and base.__module__ not in _ABSTRACT


_ABSTRACT = ("collections.abc", "typing", "abc", "builtins")
"""Modules whose classes say nothing of what an object is."""


def _is_installed(module: object) -> bool:
    name = str(module).partition(".")[0]
    if name in sys.stdlib_module_names and name != "__main__":
        return True
    file = getattr(sys.modules.get(name), "__file__", None) or ""
    folders = str(file).replace("\\", "/").split("/")
    return "site-packages" in folders or "dist-packages" in folders


_warned: WeakSet[type] = WeakSet()


def warn_of_conversion(cls: type, path: str, lists: bool) -> None:
    """Warns, once for each class, that its objects arrive as something like them.

    Args:
        cls: The class.
        path: Where an object of it stands: `args[0].rows`.
        lists: As in `find_likeness`.
    """
    if cls in _warned:
        return
    _warned.add(cls)
    likeness = find_likeness(cls, lists)
    name = (likeness and likeness.name) or "something else"
    made = f"{name}(…)"
    if issubclass(cls, Iterator):
        made += ", or workerlib.stream(…), whose items arrive one by one,"
    warn(
        f"{path}: {cls.__module__}.{cls.__qualname__} arrives as {name}; send {made} to say so,"
        " or connect with strict=True to have it refused",
        ConversionWarning,
    )
