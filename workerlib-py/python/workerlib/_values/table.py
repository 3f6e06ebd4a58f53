"""What types beyond the builtin ones are sent as, and built from: the fixed table of this version.

Each row stands for one type: the extension type that its values follow (docs/wire-format.md, section 4.6),
the function that takes an object apart into these values, and the one that builds an object from them. A
frame can build nothing that has no row here. Modules are imported when the first object of theirs is seen.

What has no row may still be like something that has: `find_sending` says what it is sent as then.
"""

from __future__ import annotations

import builtins
import importlib
import operator
import sys
import types
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from workerlib._errors import ConversionWarning
from workerlib._native import adapt_builtins
from workerlib._values import adapters, functions, user_classes
from workerlib._values.async_adapters import Slot
from workerlib._values.libraries import families
from workerlib._values.row import Built, Filled, Parts, RefusedError, TakeApart, lazy, refuse
from workerlib._values.transfer import Transfer

Sending = tuple[int | None, Callable[[Any], Any] | adapters.Adapter]
"""The extension type and what makes its values; or None and what makes the object that is sent instead."""

_SLOT = 83
_HANDLE = 96


def _empty(path: str) -> Callable[[Any], Any]:
    """Makes a function that makes an empty object of a class, whatever its first value is."""
    create = lazy(path)
    return lambda _first: create()


def _attributes(*names: str) -> TakeApart:
    get = operator.attrgetter(*names)
    return get if len(names) > 1 else lambda value: (get(value),)


def _text(value: object) -> Parts:
    return (str(value),)


def _from_text(path: str) -> Callable[..., Any]:
    """Makes a function that builds from a str; from a long int, say, it might take minutes."""
    build = lazy(path)

    def from_text(text: object) -> Any:
        if not isinstance(text, str):
            raise ValueError(f"no text of {path.partition(':')[2]}")
        return build(text)

    return from_text


# Containers of the standard library.


def _pairs(mapping: Mapping[Any, Any]) -> Iterator[Any]:
    for key, value in mapping.items():
        yield key
        yield value


def _fill_mapping(mapping: Any, values: list[Any]) -> None:
    if len(values) % 2:
        raise ValueError("a key without a value")
    # The class's own method: an instance cannot be asked what it thinks of it.
    set_item = type(mapping).__setitem__
    for key, value in zip(values[::2], values[1::2], strict=True):
        set_item(mapping, key, value)


def _fill_namespace(namespace: Any, values: list[Any]) -> None:
    _fill_mapping(namespace.__dict__, values)


def _make_deque(maxlen: object) -> Any:
    from collections import deque

    return deque(maxlen=maxlen)  # type: ignore[call-overload]


def _make_default_dict(factory: object) -> Any:
    from collections import defaultdict

    if factory is not None and not isinstance(factory, type):
        raise ValueError("a defaultdict whose factory is no class")
    return defaultdict(factory)


def _take_apart_default_dict(value: Any) -> Parts:
    factory = value.default_factory
    if factory is not None and type(factory) is not type:
        raise RefusedError(f"its default_factory, {factory!r}, is no builtin class")
    return (factory, *_pairs(value))


def _fill_deque(deque: Any, values: list[Any]) -> None:
    deque.extend(values)


def _build_mapping_proxy(content: object) -> Any:
    from types import MappingProxyType

    if type(content) is not dict:
        raise ValueError("a mappingproxy of something else than a dict")
    return MappingProxyType(content)


# Dates and times.


def _take_apart_datetime(value: Any) -> Parts:
    parts = (value.year, value.month, value.day, value.hour, value.minute, value.second, value.microsecond)
    return (*parts, value.tzinfo, value.fold)


def _build_datetime(*parts: Any) -> Any:
    from datetime import datetime

    *numbers, tzinfo, fold = parts
    return datetime(*numbers, _time_zone(tzinfo), fold=fold)  # type: ignore[misc]


def _build_timedelta(days: Any, seconds: Any, microseconds: Any) -> Any:
    from datetime import timedelta

    return timedelta(days, seconds, microseconds)


def _take_apart_time(value: Any) -> Parts:
    return (value.hour, value.minute, value.second, value.microsecond, value.tzinfo, value.fold)


def _build_time(*parts: Any) -> Any:
    from datetime import time

    *numbers, tzinfo, fold = parts
    return time(*numbers, _time_zone(tzinfo), fold=fold)  # type: ignore[misc]


def _time_zone(tzinfo: Any) -> Any:
    from datetime import tzinfo as time_zone

    if tzinfo is not None and not isinstance(tzinfo, time_zone):
        raise ValueError("a time zone that is none")
    return tzinfo


def _take_apart_timezone(value: Any) -> Parts:
    # (offset,) or (offset, name): whether a name was given cannot be seen otherwise.
    return tuple(value.__getinitargs__())


def _take_apart_zone(value: Any) -> Parts:
    if value.key is None:
        raise RefusedError("a ZoneInfo made from a file has no name by which the other side could find it")
    return (value.key,)


def _build_zone(key: object) -> Any:
    from zoneinfo import ZoneInfo

    if not isinstance(key, str) or len(key) > 255:
        raise ValueError("no name of a time zone")
    return ZoneInfo(key)


# Numbers and names.


def _build_fraction(numerator: object, denominator: object) -> Any:
    from fractions import Fraction

    if type(numerator) is not int or type(denominator) is not int or denominator < 1:
        raise ValueError("no numerator and denominator")
    fraction = object.__new__(Fraction)
    # Not by Fraction(n, d): reducing what another Fraction had reduced may take minutes for long numbers.
    fraction._numerator, fraction._denominator = numerator, denominator  # type: ignore[attr-defined]
    return fraction


def _take_apart_uuid(value: Any) -> Parts:
    return (value.bytes, value.is_safe.value)


def _build_uuid(content: object, is_safe: object) -> Any:
    from uuid import UUID, SafeUUID

    return UUID(bytes=content, is_safe=SafeUUID(is_safe))  # type: ignore[arg-type]


def _path_builder(name: str) -> Callable[..., Any]:
    # A concrete path of the other system (a WindowsPath in the browser) arrives as the pure one.
    def build(path: str) -> Any:
        import pathlib

        return getattr(pathlib, name)(path)

    return build


def _build_path(path: str) -> Any:
    from pathlib import Path

    return Path(path)


# Classes as values: the builtin ones, and those of this table.


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


# Exceptions as values.


def take_apart_exception(value: BaseException) -> Parts:
    """Gives its arguments and, last, its class; what it came from; its attributes."""
    kind = type(value)
    # By the builtin class's own attributes: the user's class may call something else so.
    arguments: Any = BaseException.args.__get__(value)  # type: ignore[attr-defined]
    if isinstance(value, BaseExceptionGroup):
        group: Any = BaseExceptionGroup
        arguments = (group.message.__get__(value), list(group.exceptions.__get__(value)))
    state = user_classes.attributes(value)
    for name in _builtin_slots(kind):
        # Some keep a part of what they are in slots of their builtin class.
        content = _slot_content(value, name)
        if name not in state and content is not None:
            state[name] = content
    links = (value.__cause__, value.__context__, value.__suppress_context__)
    name = kind.__name__
    if kind.__module__ != "builtins":
        user_classes.check_sendable(kind)
        name = user_classes.key_of(kind)
    return ((*arguments, name), *links, state)


_SLOTS = (
    *("errno", "strerror", "filename", "filename2", "characters_written"),
    *("name", "path", "name_from"),
    *("msg", "lineno", "offset", "text", "end_lineno", "end_offset", "print_file_and_line"),
    *("encoding", "object", "start", "end", "reason"),
    *("value", "code"),
)


def _builtin_slots(kind: type) -> dict[str, Any]:
    """Gives the slots of an exception's builtin classes by name: a subclass may call other things so."""
    builtin = [vars(base) for base in kind.__mro__ if base.__module__ == "builtins"]
    return {name: slots[name] for slots in builtin for name in _SLOTS if name in slots}


def _slot_content(error: BaseException, name: str) -> object:
    try:
        return _builtin_slots(type(error))[name].__get__(error)
    except AttributeError:
        # As characters_written is where nothing was written.
        return None


def make_exception(first: object) -> BaseException:
    """Makes an exception of its arguments and its class, without a constructor of a user's."""
    # The name stands last, so that an argument has the index in a path that it has in `args`.
    arguments, name = (first[:-1], first[-1]) if isinstance(first, tuple) and first else ((), None)
    if isinstance(name, str) and ":" in name:
        own = user_classes.find_class(name, "exception")
        builtin: Any = own
        while builtin.__module__ != "builtins":
            builtin = builtin.__base__
        # A group wants its members when it is made; others take whatever `args` is.
        made: BaseException = builtin.__new__(own, *arguments)
        BaseException.args.__set__(made, arguments)  # type: ignore[attr-defined]
        return made
    kind = getattr(builtins, name, None) if isinstance(name, str) else None
    if not (isinstance(kind, type) and issubclass(kind, BaseException)):
        raise ValueError("no builtin exception")
    if issubclass(kind, BaseExceptionGroup):
        return kind(*arguments)
    try:
        error = kind(*arguments)
    except Exception:
        # Its constructor may want more than `args` keeps; the rest follows as attributes.
        error = kind.__new__(kind)
    error.args = arguments
    return error


def fill_exception(error: BaseException, values: list[Any]) -> None:
    """Gives it what else `take_apart_exception` gave."""
    cause, context, suppress, state = values
    error.__cause__ = cause
    error.__context__ = context
    error.__suppress_context__ = bool(suppress)
    if type(state) is not dict:
        raise ValueError("no attributes of an exception")
    user_classes.set_attributes(error, state, _SLOTS)
    check_positions(error)


def check_positions(error: BaseException) -> None:
    """Checks what CPython believes when it makes the text of a UnicodeError: it would read any address.

    Raises:
        ValueError: If the error's position is none in what could not be converted.
    """
    if isinstance(error, UnicodeDecodeError | UnicodeEncodeError | UnicodeTranslateError):
        kind = bytes if isinstance(error, UnicodeDecodeError) else str
        if type(error.object) is not kind or error.start < 0:
            raise ValueError("no position of a UnicodeError")


# Arrays.


def _take_apart_array(value: Any) -> Parts:
    # Their characters have no format that a memoryview could be cast to.
    if value.typecode in "uw":
        return (value.typecode, str(value.tounicode()))
    return (value.typecode, memoryview(value))


def _build_array(typecode: object, content: Any) -> Any:
    from array import array

    if typecode in ("u", "w"):
        # 'u' is on its way out of Python, 'w' came with 3.13.
        return array("w" if sys.version_info >= (3, 13) else "u", content)
    if not isinstance(content, memoryview) or not isinstance(typecode, str):
        raise ValueError("no content of an array")
    made = array(typecode)
    if made.itemsize != content.itemsize:
        # 'l' has four bytes here and eight there: the content decides.
        made = array(content.format)
    made.frombytes(content.cast("B"))
    return made


def receive_array(typecode: object, form: str, itemsize: int, length: int, content: Any) -> Any:
    """Makes an array for content that came beside the frame, without another copy of it on the way.

    Args:
        typecode: What the frame has for it.
        form: The format of the items here.
        itemsize: The size of an item in bytes.
        length: The number of bytes.
        content: The bytes, or None if `_native` fills the array.

    Returns:
        The array, or None if it is one for `_build_array`.
    """
    from array import array

    if not isinstance(typecode, str) or typecode not in _NUMBERS:
        return None
    made = array(typecode)
    if made.itemsize != itemsize and form in _NUMBERS:
        # 'l' has four bytes here and eight there: the content decides.
        made = array(form)
    if made.itemsize != itemsize:
        return None
    if content is None:
        return array(made.typecode, bytes(itemsize)) * (length // itemsize)
    made.frombytes(content)
    return made


_NUMBERS = frozenset("bBhHiIlLqQfd")
"""The typecodes of arrays whose items are numbers."""


_ROWS: tuple[Built | Filled, ...] = (
    Filled(19, "collections.deque", lambda v: (v.maxlen, *v), _make_deque, _fill_deque),
    Filled(
        20,
        "collections.OrderedDict",
        lambda v: (None, *_pairs(v)),
        _empty("collections:OrderedDict"),
        _fill_mapping,
    ),
    Filled(
        21,
        "collections.defaultdict",
        _take_apart_default_dict,
        _make_default_dict,
        _fill_mapping,
    ),
    Filled(
        22,
        "collections.Counter",
        lambda v: (None, *_pairs(v)),
        _empty("collections:Counter"),
        _fill_mapping,
    ),
    Filled(
        23,
        "types.SimpleNamespace",
        lambda v: (None, *_pairs(v.__dict__)),
        _empty("types:SimpleNamespace"),
        _fill_namespace,
    ),
    Built(48, "builtins.range", _attributes("start", "stop", "step"), range),
    Built(49, "builtins.slice", _attributes("start", "stop", "step"), slice),
    Built(50, "builtins.mappingproxy", lambda v: (dict(v),), _build_mapping_proxy),
    Built(51, "array.array", _take_apart_array, _build_array),
    Built(52, "datetime.datetime", _take_apart_datetime, _build_datetime),
    Built(53, "datetime.date", _attributes("year", "month", "day"), lazy("datetime:date")),
    Built(54, "datetime.time", _take_apart_time, _build_time),
    Built(55, "datetime.timedelta", _attributes("days", "seconds", "microseconds"), _build_timedelta),
    Built(56, "datetime.timezone", _take_apart_timezone, lazy("datetime:timezone")),
    Built(57, "zoneinfo.ZoneInfo", _take_apart_zone, _build_zone),
    Built(58, "decimal.Decimal", _text, _from_text("decimal:Decimal")),
    Built(59, "fractions.Fraction", _attributes("numerator", "denominator"), _build_fraction),
    Built(60, "uuid.UUID", _take_apart_uuid, _build_uuid),
    Built(61, "pathlib.PurePosixPath", _text, _path_builder("PurePosixPath")),
    Built(62, "pathlib.PureWindowsPath", _text, _path_builder("PureWindowsPath")),
    Built(63, "pathlib.PosixPath", _text, _build_path),
    Built(64, "pathlib.WindowsPath", _text, _path_builder("PureWindowsPath")),
    Built(65, "ipaddress.IPv4Address", _text, _from_text("ipaddress:IPv4Address")),
    Built(66, "ipaddress.IPv6Address", _text, _from_text("ipaddress:IPv6Address")),
    Built(67, "ipaddress.IPv4Network", _text, _from_text("ipaddress:IPv4Network")),
    Built(68, "ipaddress.IPv6Network", _text, _from_text("ipaddress:IPv6Network")),
    Built(69, "ipaddress.IPv4Interface", _text, _from_text("ipaddress:IPv4Interface")),
    Built(70, "ipaddress.IPv6Interface", _text, _from_text("ipaddress:IPv6Interface")),
    Built(
        71,
        "re.Pattern",
        lazy("workerlib._values.patterns:take_apart_pattern"),
        lazy("workerlib._values.patterns:build_pattern"),
    ),
    Built(72, "builtins.type", _take_apart_class, _build_class),
    Filled(24, "builtins.BaseException", take_apart_exception, make_exception, fill_exception),
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
    ADAPTED_BUILTINS.clear()
    ADAPTED_BUILTINS.update(cls for cls in _BUILTINS if adapters.find_adapter(cls) is not None)
    adapt_builtins(bool(ADAPTED_BUILTINS))


# What `_native` calls while it decodes.


def build(kind: int, values: Parts) -> Any:
    """Builds an object from all of its values, which may be anything: they come from a frame."""
    if kind == adapters.ADAPTED:
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
    adapter = adapters.find_total() if cls is adapters.Whole else adapters.find_adapter(cls)
    if adapter is None and cls in functions.TYPES:
        # Most functions would be refused: where there is a last resort, it takes all of them.
        adapter = adapters.find_last_resort()
    if adapter is None and (row := _row(cls)):
        return row.kind, row.take_apart
    # What passes through it need not be refused, nor made into something like it.
    adapter = adapter or adapters.find_last_resort()
    return None if adapter is None else (adapters.ADAPTED, adapter)


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


BASES: dict[type, Callable[[Any], Any]] = {
    # The base's own methods: those of a subclass may do anything.
    int: int.__index__,
    float: float.__float__,
    complex: complex.__complex__,
    str: str.__str__,
    bytes: bytes.__bytes__,
    bytearray: bytearray,
    tuple: lambda value: tuple.__getitem__(value, slice(None)),
    list: lambda value: list.__getitem__(value, slice(None)),
    dict: dict.copy,
    set: lambda value: set(set.__iter__(value)),
    frozenset: lambda value: frozenset(frozenset.__iter__(value)),
}

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
