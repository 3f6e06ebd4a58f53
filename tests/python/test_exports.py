"""Descriptions of exports: what the handshake tells of functions."""

from __future__ import annotations

import ast
import contextlib
import functools
import inspect
import sys
import typing
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Annotated, Any, Literal, Optional, Union

import pytest
from workerlib import _exports
from workerlib._result_kinds import DECORATED, EITHER, STREAM
from workerlib._rpc.described_classes import methods_of


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


def helper_call(count: int = 3):  # type: ignore[no-untyped-def]
    return generator(count)


def one_of_two(count: int) -> Any:
    if count:
        return []
    return async_generator()


def one_in_line(count: int):  # type: ignore[no-untyped-def]
    return generator(count) if count else None


async def helper_call_later(count: int):  # type: ignore[no-untyped-def]
    return generator(count)


def helper_call_by_name(count: int):  # type: ignore[no-untyped-def]
    return generator(count=count)


def module_call():  # type: ignore[no-untyped-def]
    return ast.walk(ast.parse("1"))


def expression(rows: list[int]):  # type: ignore[no-untyped-def]
    return (row + 1 for row in rows)


def with_inner(count: int):  # type: ignore[no-untyped-def]
    def inner() -> Iterator[int]:
        yield count

    return inner()


def sums(rows: list[int]):  # type: ignore[no-untyped-def]
    return sum(row + 1 for row in rows) + sum(generator(1))


def sums_at_last(rows: list[int]):  # type: ignore[no-untyped-def]
    return sum(row + len(list(generator(row))) for row in rows)


def first_of(count: int):  # type: ignore[no-untyped-def]
    return next(generator(count))


def sends(count: int):  # type: ignore[no-untyped-def]
    return generator(count).send(None)  # type: ignore[attr-defined]


def lists(count: int):  # type: ignore[no-untyped-def]
    return list(generator(count))


class HasRows:
    def _rows(self) -> Iterator[int]:
        yield 1

    def rows(self):  # type: ignore[no-untyped-def]
        return self._rows()

    def total(self):  # type: ignore[no-untyped-def]
        return sum(self._rows())


# ruff: noqa: UP007, UP045 - these are the forms to be read.
Rows = Iterator[int]
Later = AsyncIterator
NAMED = "Iterator[int]"


def annotated(returns: Any) -> Callable[..., Any]:
    """Makes a function of this module with that annotation of its result."""

    def function() -> None: ...

    function.__annotations__["return"] = returns
    return function


SAYING = [
    *("Iterator[int] | None", "None | Iterator[int]", "Optional[Iterator[int]]", "typing.Optional[Iterator]"),
    *(
        "Union[list[int], 'Iterator[int]']",
        "Annotated[Iterator[int], 'rows']",
        "Rows",
        "Rows | None",
        "Later[int]",
    ),
    *("Optional['Rows']", " Iterator[int]", "NAMED", "Awaitable[Iterator[int]]", "'Iterator[int] | None'"),
    *(Iterator[int] | None, Optional[Iterator[int]], Annotated[Iterator[int], "rows"], Rows, Rows | None),
    *(Optional["Rows"], Union[None, "Later[int]"]),
    *(Optional["Iterator[int]"], Union[list[int], AsyncIterator[int]], typing.Iterator, Iterator, Later[int]),
    *(Annotated[Optional[Rows], 1], Annotated[Iterator[int] | None, 1], Coroutine[Any, Any, Iterator[int]]),
]
NOT_SAYING = [
    *(
        "list[Iterator[int]]",
        "Callable[[], Iterator[int]]",
        "Rows_",
        "tuple[Rows, ...]",
        "Iterator[",
        "",
        "x" * 9000,
    ),
    *("NAMED_", "dict[str, Any] | None", "Annotated[int, Iterator]", "Literal['Iterator']", "itself", "("),
    # Names that name each other: each was looked up again for every name that leads to it.
    *("tree", "tree | branch", Optional["tree"]),
    *(
        list[Iterator[int]],
        Callable[[], Iterator[int]],
        Annotated[int, Iterator],
        Literal["Iterator"],
        int | None,
    ),
    *(None, 3, Any, Optional["int"], typing.NoReturn),
]
itself = "itself"
tree = "tree | leaf | branch"
leaf = "leaf | branch | tree"
branch = "branch | tree | leaf"


@pytest.mark.parametrize("returns", SAYING, ids=repr)
def test_annotations_that_say_an_iterator(returns: object) -> None:
    """An annotation says an iterator also where `None`, metadata, quotes or an alias stand around it."""
    assert _exports.describe_export("f", annotated(returns))[4] == EITHER
    assert _exports.describe_export("f", decorated(annotated(returns)))[4] & EITHER


@pytest.mark.parametrize("returns", NOT_SAYING, ids=lambda one: repr(one)[:40])
def test_annotations_that_say_no_iterator(returns: object) -> None:
    """An iterator within another type is a part of the result, and text that is no annotation is none."""
    assert _exports.describe_export("f", annotated(returns))[4] == VALUE


@pytest.mark.skipif(sys.version_info < (3, 12), reason="`type X = …` is Python 3.12's")
def test_annotations_by_type_statements() -> None:
    """`type Rows = Iterator[int]` says an iterator, with parameters too; one that names itself ends."""
    names: dict[str, Any] = {"Iterator": Iterator}
    exec(  # noqa: S102 - the statement is a syntax error before Python 3.12
        "type Rows = Iterator[int]\ntype Of[T] = Iterator[T] | None\ntype Itself = Itself | None\n"
        "type Missing = Absent[int]\n"
        "def rows() -> Rows: ...\ndef of() -> Of[int]: ...\ndef text() -> 'Rows | None': ...\n"
        "def itself() -> Itself: ...\ndef missing() -> Missing: ...\n",
        names,
    )
    kinds = [
        _exports.describe_export(name, names[name])[4] for name in ("rows", "of", "text", "itself", "missing")
    ]
    assert kinds == [EITHER, EITHER, EITHER, VALUE, VALUE]


def test_methods_that_return_a_generator() -> None:
    """A method that returns the generator of another method gives either."""
    methods = methods_of(HasRows)
    assert methods == {"rows": None, "total": False}


def test_a_partial_function_of_itself() -> None:
    """A partial function that is its own function, and one of a circle of two, are described and not followed for ever."""
    own, one = functools.partial(nothing), functools.partial(nothing)
    two = functools.partial(one)
    own.__setstate__((own, (), {}, {}))
    one.__setstate__((two, (), {}, {}))
    try:
        for function in (own, one, decorated(own), passed_on(own)):
            assert _exports.describe_export("f", function)[4] & ~DECORATED == VALUE
    finally:
        # The interpreter cannot free such circles by itself.
        own.__setstate__((nothing, (), {}, {}))
        one.__setstate__((nothing, (), {}, {}))


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
        (helper_call, EITHER),
        (helper_call_by_name, EITHER),
        (one_of_two, EITHER),
        (one_in_line, EITHER),
        (helper_call_later, EITHER),
        (module_call, EITHER),
        (expression, EITHER),
        (with_inner, EITHER),
        (decorated(helper_call), EITHER | DECORATED),
        (functools.partial(helper_call, 1), EITHER),
        (sums, VALUE),
        (sums_at_last, VALUE),
        (first_of, VALUE),
        (sends, VALUE),
        (lists, VALUE),
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
