"""The functions of the shared suite's worker that stand behind decorators, or return generators of others.

`worker.py` imports them.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import workerlib

from worker_state import note

Function = Callable[..., Any]


def passed_on(function: Function) -> Function:
    """Decorates as timers and caches do: returns what the function returns."""

    @functools.wraps(function)
    def passing(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return passing


def passed_on_without_wraps(function: Function) -> Function:
    def passing(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    passing.__name__ = function.__name__
    return passing


def passed_on_later(function: Function) -> Function:
    @functools.wraps(function)
    async def passing(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return passing


def listed(function: Function) -> Function:
    @functools.wraps(function)
    def listing(*args: Any, **kwargs: Any) -> list[Any]:
        return list(function(*args, **kwargs))

    return listing


def plain(count: int) -> Iterator[int]:
    """Counts."""
    yield from range(count)


async def plain_async(count: int) -> AsyncIterator[int]:
    for number in range(count):
        yield number


class Counter:
    def __call__(self, count: int) -> Iterator[int]:
        yield from range(count)


class PassedOn:
    """A decorator that is a class."""

    def __init__(self, function: Function) -> None:
        functools.update_wrapper(self, function)
        self.function = function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)


def of_another(count: int) -> Iterator[int]:
    return plain(count)


async def of_another_async(count: int) -> AsyncIterator[int]:
    return plain_async(count)


def without_annotation(count: int):  # type: ignore[no-untyped-def]
    return plain(count)


async def without_annotation_async(count: int):  # type: ignore[no-untyped-def]
    return plain_async(count)


def by_expression(count: int):  # type: ignore[no-untyped-def]
    return (number for number in range(count))


def perhaps(count: int) -> Iterator[int] | None:
    return iter(range(count)) if count else None


def sum_of_rows(count: int):  # type: ignore[no-untyped-def]
    return sum(plain(count))


@functools.singledispatch
def by_type(count: object) -> Any:
    raise TypeError(type(count))


by_type.register(int, plain)

for _name, _function in {
    "passed_on": passed_on(plain),
    "passed_on_async": passed_on(plain_async),
    "passed_on_without_wraps": passed_on_without_wraps(plain),
    "passed_on_later": passed_on_later(plain),
    "passed_on_later_async": passed_on_later(plain_async),
    "passed_on_by_class": PassedOn(plain),
    "passed_on_twice": passed_on(passed_on_without_wraps(plain)),
    "partial_passed_on": functools.partial(passed_on(plain), 3),
    "of_another": of_another,
    "of_another_async": of_another_async,
    "without_annotation": without_annotation,
    "without_annotation_async": without_annotation_async,
    "by_expression": by_expression,
    "perhaps": perhaps,
    "sum_of_rows": sum_of_rows,
    "by_type": by_type,
    "cached_rows": functools.lru_cache(maxsize=None)(plain),
    "partial_rows": functools.partial(plain, 3),
    "called_object": Counter(),
    "listed_rows": listed(plain),
    "managed": contextlib.contextmanager(plain),
    "managed_async": contextlib.asynccontextmanager(plain_async),
}.items():
    workerlib.export(name=_name)(_function)


@workerlib.export
@passed_on
def noting_behind(key: str, count: int) -> Iterator[int]:
    """Notes how it ends."""
    try:
        yield from range(count)
    except BaseException as error:
        note(key, type(error).__name__)
        raise
    finally:
        note(key, "end")


@workerlib.export
async def held_behind(key: str) -> AsyncIterator[int]:
    """Is a function of which only a call tells, and waits before it returns a generator."""
    note(key, "begun")
    try:
        await asyncio.Event().wait()
    except BaseException as error:
        note(key, type(error).__name__)
        raise
    return plain_async(1)


@workerlib.export
async def rows_of(handle: Any, method: str, count: int) -> list[Any]:
    """Iterates over a method of a handle of another side's object."""
    return [row async for row in getattr(handle, method)(count)]


@workerlib.export
async def result_of(handle: Any, method: str, count: int) -> Any:
    return await getattr(handle, method)(count)


@workerlib.export
class Decorated:
    """An exported class whose methods stand behind decorators."""

    @passed_on_without_wraps
    def behind(self, count: int) -> Any:
        yield from range(count)

    @passed_on_later
    def later(self, count: int) -> Any:
        yield from range(count)

    @passed_on_later
    async def later_async(self, count: int) -> Any:
        for number in range(count):
            yield number

    @functools.cache  # noqa: B019 - as users write it
    def cached(self, count: int) -> Any:
        yield from range(count)

    @functools.singledispatchmethod
    def by_type(self, count: int) -> Any:
        yield from range(count)

    def annotated(self, count: int) -> Iterator[int]:
        return plain(count)

    def _from(self, start: int, count: int) -> Iterator[int]:
        yield from range(start, start + count)

    from_zero = functools.partialmethod(_from, 0)

    @classmethod
    @passed_on
    def of_class(cls, count: int) -> Iterator[int]:
        yield from range(count)

    @staticmethod
    @passed_on
    def static(count: int) -> Iterator[int]:
        yield from range(count)

    @listed
    def listed(self, count: int) -> Iterator[int]:
        yield from range(count)

    @functools.cached_property
    def no_method(self) -> int:
        return 1
