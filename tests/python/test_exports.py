"""Descriptions of exports: what the handshake tells of functions."""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from workerlib import _exports
from workerlib._result_kinds import DECORATED, EITHER, STREAM


def nothing(): ...  # type: ignore[no-untyped-def]


def all_kinds(a, /, b: int, c=1, *d: str, e, f: list[int] = [], **g: "float") -> dict[str, Any]:  # type: ignore[no-untyped-def]  # noqa: B006, UP037
    """Has parameters of all kinds.

    And a docstring with an indent.
    """
    return {}


def only_by_name(*, first: int = 1, second) -> None:  # type: ignore[no-untyped-def]
    """Has no other."""


def only_by_place(a, b=None, /) -> None: ...  # type: ignore[no-untyped-def]


def rest_by_name(**options: int) -> None: ...


def generator(count: int = 3) -> Iterator[int]:
    yield from range(count)


async def asynchronous(value: int) -> int:
    return value


async def async_generator() -> AsyncIterator[int]:
    yield 1


def empty_default(value=inspect.Parameter.empty, other=1): ...  # type: ignore[no-untyped-def]


def with_locals(a: int, *rest: int) -> int:
    own, more = a, rest
    return own + len(more)


def decorated(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def around(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return around


wrapped = decorated(all_kinds)


class Base:
    """Has methods with docstrings."""

    def method(self, value: int = 1) -> None:
        """Is inherited."""


class Derived(Base):
    """Has none."""

    def method(self, value: int = 1) -> None: ...

    @staticmethod
    def static(value: str) -> str:
        return value


class Faulty:
    """Cannot be shown."""

    def __repr__(self) -> str:
        raise RuntimeError


def with_faulty_default(value: object = Faulty()) -> None: ...


def changed(a: int, b: int = 2) -> int:
    return a + b


changed.__defaults__ = (1, 2)
changed.__annotations__ = {"a": "float", "return": Faulty}

FUNCTIONS = [
    *(nothing, all_kinds, only_by_name, only_by_place, rest_by_name, generator, asynchronous),
    *(async_generator, empty_default, with_locals, wrapped, Derived.method, Derived.static),
    *(Derived().method, with_faulty_default, changed, lambda x, y=1: x, functools.partial(all_kinds, 1)),
    *(print, dict, Base),
]


def _by_inspect(name: str, function: Callable[..., Any]) -> object:
    """Describes a function by the standard library alone."""
    kind = inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)
    kind += 2 * (function is wrapped)
    try:
        signature = inspect.signature(function)
    except ValueError:
        return name, inspect.getdoc(function), None, None, int(kind)
    empty = inspect.Parameter.empty

    def text(annotation: Any) -> str | None:
        if annotation is empty:
            return None
        return annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)

    def default(value: object) -> str | None:
        if value is empty:
            return None
        try:
            return repr(value)
        except RuntimeError:
            return "..."

    parameters = [
        (one.name, int(one.kind), default(one.default), text(one.annotation))
        for one in signature.parameters.values()
    ]
    # A class returns its instance, whatever its `__init__` says.
    returns = function.__name__ if isinstance(function, type) else text(signature.return_annotation)
    return name, inspect.getdoc(function), parameters, returns, int(kind)


@pytest.mark.parametrize("function", FUNCTIONS, ids=repr)
def test_a_description_says_what_inspect_says(function: Callable[..., Any]) -> None:
    """The description of a plain function is read from the function itself: it must be the same as by `inspect`."""
    assert _exports.describe_export("f", function) == _by_inspect("f", function)


def passed_on(function: Callable[..., Any]) -> Callable[..., Any]:
    def around(*args: Any) -> Any:
        return function(*args)

    return around


class Yields:
    def __call__(self, count: int) -> Iterator[int]:
        yield from range(count)

    def _from(self, count: int) -> Iterator[int]:
        yield from range(count)

    three = functools.partialmethod(_from, 3)


class Strange:
    """Has attributes that are no functions, and raises where it is asked for others."""

    __wrapped__ = 3
    registry = {"a": generator}  # noqa: RUF012

    def __call__(self) -> None: ...

    def __getattr__(self, name: str) -> Any:
        raise OSError(name)


def returns_iterator() -> Iterator[int]:
    return iter([1])


def returns_text() -> "collections.abc.AsyncGenerator[int, None]":  # type: ignore[name-defined,empty-body]  # noqa: F821, UP037
    ...


@functools.singledispatch
def by_type(count: object) -> Any:
    raise TypeError(type(count))


by_type.register(int, generator)

VALUE = 0


@pytest.mark.parametrize(
    ("function", "kind"),
    [
        (generator, STREAM),
        (async_generator, STREAM),
        (functools.partial(generator, 1), STREAM),
        (functools.partial(functools.partial(generator), 1), STREAM),
        (Yields(), STREAM),
        (Yields().three, STREAM),
        (decorated(generator), EITHER | DECORATED),
        (decorated(decorated(async_generator)), EITHER | DECORATED),
        (functools.partial(decorated(generator), 1), EITHER),
        (passed_on(generator), EITHER),
        (passed_on(passed_on(generator)), EITHER),
        (passed_on(functools.partial(generator, 1)), EITHER),
        (functools.cache(generator), EITHER),
        (contextlib.contextmanager(generator), EITHER | DECORATED),
        (by_type, EITHER | DECORATED),
        (returns_iterator, EITHER),
        (returns_text, EITHER),
        (decorated(returns_iterator), EITHER | DECORATED),
        (decorated(nothing), DECORATED),
        (passed_on(nothing), VALUE),
        (asynchronous, VALUE),
        (Yields, VALUE),
        pytest.param(Strange(), VALUE, id="strange"),
        (print, VALUE),
    ],
)
def test_the_kind_of_an_export(function: Callable[..., Any], kind: int) -> None:
    """A generator function is a stream, bound arguments or not; behind a decorator, or an annotation, only a call tells."""
    assert _exports.describe_export("f", function)[4] == kind


class Unbound:
    """A proxy that stands for something only later, as werkzeug's `request` does."""

    @property
    def __class__(self) -> Any:  # type: ignore[override]
        raise RuntimeError("working outside of request context")


def test_a_proxy_in_a_closure_is_not_asked() -> None:
    """A description makes no proxy look for its object, and does not fail where there is none."""
    absent = Unbound()

    def reads(count: int) -> Any:
        return absent, generator(count)

    def passes_on(function: Callable[..., Any]) -> Callable[..., Any]:
        def around(*args: Any) -> Any:
            return absent, function(*args)

        return around

    assert _exports.describe_export("f", reads)[4] == VALUE
    assert _exports.describe_export("f", passes_on(generator))[4] == EITHER


def test_a_circle_of_decorators() -> None:
    """Nothing is looked at without end."""
    around = decorated(nothing)
    around.__wrapped__ = around  # type: ignore[attr-defined]
    assert _exports.describe_export("f", around)[4] & EITHER == 0
