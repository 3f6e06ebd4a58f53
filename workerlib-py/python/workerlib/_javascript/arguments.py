"""Builds the arguments of a call from a page in JavaScript as the function's annotations say.

JavaScript has no dataclasses, enums or decimals: it sends an object, a value, a text. An argument whose
annotation names such a class becomes an instance of it, so that whatever `values.py` sends of a type comes
back as that type. Annotations that need nothing, or that cannot be resolved, leave their argument as it is.
An argument that the page left out by `undefined` becomes the parameter's default. A decorator may supply
arguments by itself, so that the places of the others are not those of the signature: arguments that are left
out at the end of such a call are not passed at all. The module knows nothing of JavaScript.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import inspect
import types
import typing
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, Final
from weakref import WeakKeyDictionary

from workerlib._exports import attempt, is_decorated
from workerlib._javascript.text_types import TEXT_TYPES
from workerlib._values.streams import Streamed

_Build = Callable[[Any], Any]


class _LeftOut(Enum):
    LEFT_OUT = "LEFT_OUT"


LEFT_OUT: Final = _LeftOut.LEFT_OUT
"""Stands for a positional argument that is `undefined` in JavaScript."""

_SEQUENCES: dict[Any, _Build] = {
    list: list,
    tuple: tuple,
    deque: deque,
    collections.abc.Sequence: list,
    collections.abc.MutableSequence: list,
    collections.abc.Iterable: list,
    collections.abc.Collection: list,
    set: set,
    frozenset: frozenset,
    collections.abc.Set: set,
    collections.abc.MutableSet: set,
}
# `ReadOnly` is there since Python 3.13.
_TRANSPARENT = (
    typing.Annotated,
    typing.Required,
    typing.NotRequired,
    typing.Final,
    getattr(typing, "ReadOnly", None),
)
_MAPPINGS = (dict, collections.abc.Mapping, collections.abc.MutableMapping)

_SUPPLIED = (
    "; a decorator that supplies arguments by itself has to say which ones remain, by the attribute"
    " __signature__ of the function that it returns"
)

_plans: WeakKeyDictionary[Callable[..., Any], _Plan | None] = WeakKeyDictionary()


@dataclasses.dataclass(frozen=True)
class _Plan:
    """The parameters of a function of which an argument has to be built."""

    positional: list[tuple[str, _Build | None]]
    rest: tuple[str, _Build] | None
    by_name: dict[str, _Build]
    other_names: _Build | None


def build_arguments(
    function: Callable[..., Any], args: list[Any], kwargs: dict[str, Any]
) -> tuple[list[Any], dict[str, Any]]:
    """Builds the arguments of one call.

    Args:
        function: The exported function.
        args: The positional arguments, as `arguments_from_javascript` returns them.
        kwargs: The keyword arguments.

    Raises:
        TypeError: If an argument does not fit its annotation. The cause is the error of the class.
    """
    try:
        plan = _plans[function]
    except KeyError:
        plan = _plans[function] = _plan_of(function)
    except TypeError:
        # A callable that has no weak references or no hash.
        plan = _plan_of(function)
    defaults: dict[int, Any] = {}
    # By identity: an argument may be an array, whose comparison is an array.
    if any(value is LEFT_OUT for value in args):
        args, defaults = _fill_in(function, args)
    if plan is None:
        return [defaults.get(at) if value is LEFT_OUT else value for at, value in enumerate(args)], kwargs
    built = []
    for at, value in enumerate(args):
        if at in defaults:
            built.append(defaults[at])
            continue
        name, build = plan.positional[at] if at < len(plan.positional) else plan.rest or ("", None)
        built.append(_built(function, build, None if value is LEFT_OUT else value, name))
    named = {
        name: _built(function, plan.by_name.get(name, plan.other_names), value, name)
        for name, value in kwargs.items()
    }
    return built, named


def _fill_in(function: Callable[..., Any], args: list[Any]) -> tuple[list[Any], dict[int, Any]]:
    """Finds the defaults of the parameters whose arguments are left out.

    Returns:
        The arguments without those at the end that the function has defaults for: it takes them itself. The
        defaults of the others, by their positions.
    """
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return args, {}
    by_position = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    if attempt(lambda: is_decorated(function)) is True and any(
        one.kind in by_position and one.default is not inspect.Parameter.empty for one in parameters
    ):
        args = list(args)
        while args and args[-1] is LEFT_OUT:
            args.pop()
    defaults = {
        at: one.default
        for at, (one, value) in enumerate(zip(parameters, args, strict=False))
        if value is LEFT_OUT and one.kind in by_position and one.default is not inspect.Parameter.empty
    }
    count = len(args)
    while count - 1 in defaults:
        count -= 1
        del defaults[count]
    return args[:count], defaults


def _built(function: Callable[..., Any], build: _Build | None, value: Any, name: str) -> Any:
    if build is None:
        return value
    try:
        return build(value)
    except Exception as error:
        remedy = _SUPPLIED if attempt(lambda: is_decorated(function)) is True else ""
        raise TypeError(f"the argument {name} does not fit its annotation: {error}{remedy}") from error


def _plan_of(function: Callable[..., Any]) -> _Plan | None:
    try:
        parameters = inspect.signature(function).parameters.values()
        hints = typing.get_type_hints(function, include_extras=True)
    except (TypeError, ValueError, NameError, AttributeError):
        # Without a signature, or with names that only a type checker imports.
        return None
    builders = {one.name: find_builder(hints[one.name]) for one in parameters if one.name in hints}
    if not any(builders.values()) and not any(
        typing.get_origin(hint) is typing.Unpack for hint in hints.values()
    ):
        return None
    of_kind: dict[Any, list[tuple[str, _Build | None]]] = {}
    for one in parameters:
        of_kind.setdefault(one.kind, []).append((one.name, builders.get(one.name)))
    positional = of_kind.get(inspect.Parameter.POSITIONAL_ONLY, [])
    either = of_kind.get(inspect.Parameter.POSITIONAL_OR_KEYWORD, [])
    named = either + of_kind.get(inspect.Parameter.KEYWORD_ONLY, [])
    [(rest, build_rest)] = of_kind.get(inspect.Parameter.VAR_POSITIONAL, [("", None)])
    [(others, other_names)] = of_kind.get(inspect.Parameter.VAR_KEYWORD, [("", None)])
    by_name = {name: build for name, build in named if build}
    if typing.get_origin(hints.get(others)) is typing.Unpack:
        # `**options: Unpack[Options]`: the items of a TypedDict, each by its name.
        [options] = typing.get_args(hints[others])
        for name, hint in typing.get_type_hints(options, include_extras=True).items():
            if build := find_builder(hint):
                by_name[name] = build
    return _Plan(
        positional + either,
        (rest, build_rest) if build_rest else None,
        by_name,
        other_names,
    )


def find_builder(annotation: Any) -> _Build | None:
    """Finds what builds a value of an annotation; None if JavaScript's value is right as it is.

    Args:
        annotation: The annotation, resolved.
    """
    if isinstance(annotation, typing.NewType):
        return find_builder(annotation.__supertype__)
    if isinstance(annotation, dataclasses.InitVar):
        return find_builder(annotation.type)
    if hasattr(annotation, "__value__"):
        # `type X = …`
        return lambda value: _apply(annotation.__value__, value)
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is not None and origin in _TRANSPARENT:
        return find_builder(arguments[0])
    if isinstance(annotation, typing.TypeVar):
        members = annotation.__constraints__ or (annotation.__bound__,)
        return _find_for_union(tuple(member for member in members if member is not None))
    if origin in (typing.Union, types.UnionType):
        return _find_for_union(arguments)
    if origin is collections.abc.Callable:
        return _find_for_callable(arguments)
    container = origin or annotation
    if isinstance(container, type) and issubclass(container, collections.abc.AsyncIterable):
        return _find_for_async_iterable(arguments)
    if container in _SEQUENCES:
        return _find_for_sequence(container, arguments)
    if container in _MAPPINGS and len(arguments) == 2:
        return _find_for_mapping(*arguments)
    return _find_for_class(container, annotation) if isinstance(container, type) else None


def _apply(annotation: Any, value: Any) -> Any:
    build = find_builder(annotation)
    return value if build is None else build(value)


def _find_for_union(members: tuple[Any, ...]) -> _Build | None:
    builders = [(member, find_builder(member)) for member in members]
    if not any(build for _, build in builders):
        return None

    def build_first(value: Any) -> Any:
        for member, build in builders:
            kind = typing.get_origin(member) or member
            if build is None and isinstance(kind, type) and isinstance(value, kind):
                return value
        failure: Exception | None = None
        for member, build in builders:
            try:
                if build is not None and isinstance(built := build(value), _kind_of(member)):
                    return built
            except Exception as error:
                failure = failure or error
        if failure is not None:
            raise failure
        return value

    return build_first


def _kind_of(member: Any) -> Any:
    """The class of the values of a type, for `isinstance`."""
    kind = typing.get_origin(member) or member
    if typing.is_typeddict(kind):
        return dict
    return kind if isinstance(kind, type) else object


def _find_for_callable(arguments: tuple[Any, ...]) -> _Build | None:
    result = arguments[-1] if arguments else None
    if typing.get_origin(result) in (collections.abc.Awaitable, collections.abc.Coroutine):
        result = typing.get_args(result)[-1]
    build = find_builder(result)
    if build is None:
        return None

    def wrap(callback: Any) -> Any:
        async def call(*args: object) -> Any:
            return build(await callback(*args))

        return call if callable(callback) else callback

    return wrap


def _find_for_async_iterable(arguments: tuple[Any, ...]) -> _Build:
    build = find_builder(arguments[0]) if arguments else None

    async def built(items: AsyncIterable[Any], build: _Build) -> AsyncIterator[Any]:
        try:
            async for item in items:
                yield build(item)
        finally:
            if hasattr(items, "aclose"):
                await items.aclose()

    def wrap(items: Any) -> Any:
        if isinstance(items, (list, set)):
            items = Streamed(items)
        if build is None or not isinstance(items, AsyncIterable):
            return items
        return built(items, build)

    return wrap


def _find_for_sequence(container: Any, arguments: tuple[Any, ...]) -> _Build | None:
    make = _SEQUENCES[container]
    is_fixed = container is tuple and arguments and arguments[-1] is not ...
    builders = [find_builder(one) for one in arguments if one is not ...]
    if make is list and not any(builders):
        return None

    def build_items(value: Any) -> Any:
        if not isinstance(value, (list, set)):
            return value
        if is_fixed:
            if len(value) != len(builders):
                raise ValueError(f"it has {len(value)} items, and the tuple has {len(builders)}")
            pairs = zip(value, builders, strict=True)
            return tuple(item if build is None else build(item) for item, build in pairs)
        build = builders[0] if builders else None
        return make(value if build is None else [build(item) for item in value])

    return build_items


def _find_for_mapping(key: Any, value: Any) -> _Build | None:
    build_key, build_value = find_builder(key), find_builder(value)
    if build_key is None and build_value is None:
        return None

    def build_items(given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        return {
            (build_key(one) if build_key else one): (build_value(item) if build_value else item)
            for one, item in given.items()
        }

    return build_items


def _find_for_class(cls: type, annotation: Any) -> _Build | None:
    if issubclass(cls, Enum):
        return cls
    if typing.is_typeddict(cls):
        return lambda value: _fill(value, typing.get_type_hints(cls, include_extras=True))
    if dataclasses.is_dataclass(cls):
        return lambda value: _construct(cls, value)
    if hasattr(cls, "__attrs_attrs__"):
        return lambda value: _construct(cls, value)
    if callable(getattr(cls, "model_validate", None)):
        # The annotation and not its origin: a generic model is given its types.
        validate = annotation.model_validate
        # The page gets fields with an alias under their own names, and sends them so (pydantic 2.11).
        options = {"by_name": True} if "by_name" in inspect.signature(validate).parameters else {}
        return lambda value: value if isinstance(value, cls) else validate(value, **options)
    if issubclass(cls, tuple) and hasattr(cls, "_fields"):
        return lambda value: _construct_tuple(cls, value)
    return _find_for_library_class(cls)


def _find_for_library_class(cls: type) -> _Build | None:
    if issubclass(cls, Decimal):
        return lambda value: cls(value) if isinstance(value, str) else cls(str(value))
    if issubclass(cls, TEXT_TYPES):
        return lambda value: cls(value) if isinstance(value, str) else value
    if issubclass(cls, date) and not issubclass(cls, datetime):
        return lambda value: value.date() if isinstance(value, datetime) else value
    if issubclass(cls, timedelta):
        return lambda value: cls(milliseconds=value) if isinstance(value, (int, float)) else value
    if issubclass(cls, time):
        return lambda value: cls.fromisoformat(value) if isinstance(value, str) else value
    if issubclass(cls, bytearray):
        return lambda value: cls(value) if isinstance(value, (bytes, memoryview)) else value
    return None


def _construct(cls: type, value: Any) -> Any:
    """Makes a dataclass or an attrs class of the object that has its fields."""
    if not isinstance(value, dict):
        return value
    try:
        hints = typing.get_type_hints(cls, include_extras=True)
    except NameError:
        hints = {}
    arguments = _fill(value, hints)
    for field, argument in _renamed(cls).items():
        if field in arguments:
            item = arguments.pop(field)
            if argument is not None:
                arguments[argument] = item
    return cls(**arguments)


def _renamed(cls: Any) -> dict[str, str | None]:
    """Finds the fields that the constructor takes under another name, or computes by itself."""
    if dataclasses.is_dataclass(cls):
        return {field.name: None for field in dataclasses.fields(cls) if not field.init}
    fields = {one.name: one.alias if one.init else None for one in getattr(cls, "__attrs_attrs__", ())}
    return {name: alias for name, alias in fields.items() if alias != name}


def _construct_tuple(cls: Any, value: Any) -> Any:
    """Makes a named tuple of an array, or of an object that has its fields."""
    if isinstance(value, dict):
        return _construct(cls, value)
    if not isinstance(value, list):
        return value
    if len(value) > len(cls._fields):
        raise ValueError(f"it has {len(value)} items, and {cls.__name__} has {len(cls._fields)}")
    return _construct(cls, dict(zip(cls._fields, value, strict=False)))


def _fill(value: Any, hints: Mapping[str, Any]) -> Any:
    if not isinstance(value, dict):
        return value
    return {name: _apply(hints[name], item) if name in hints else item for name, item in value.items()}
