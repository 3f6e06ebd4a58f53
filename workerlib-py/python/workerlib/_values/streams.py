"""Streams as values: async iterables and what `stream()` marks, among arguments, results and items.

A frame holds the id of a stream; its items follow in messages of their own. The connection to which the
values belong keeps the iterable that is sent, and makes the stream that arrives. Values that belong to no
connection cannot hold a stream.
"""

from __future__ import annotations

import inspect
import sys
import types
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from typing import Any, Generic, NoReturn, SupportsIndex, TypeVar, final, overload

from workerlib._values import functions
from workerlib._values.no_value import NoValue
from workerlib._values.row import Built, RefusedError
from workerlib._values.safe_text import class_name

_T = TypeVar("_T")

_KIND = 98


@overload
def stream(iterable: AsyncIterable[_T]) -> AsyncIterable[_T]: ...
@overload
def stream(iterable: Iterable[_T]) -> Streamed[_T]: ...
def stream(iterable: Any) -> Any:
    """Marks an iterable to arrive as a stream: `await worker.total(workerlib.stream(lines))`.

    Async iterables (PEP 492) stream without it. A generator or another iterable that is not marked arrives as
    a list.

    Args:
        iterable: A generator, an iterator or another iterable. It is stepped when the other side asks for
            items, and closed when that side stops.

    Returns:
        An async iterable over the same items, which is sent as a stream. An async iterable is returned as it
        is.

    Raises:
        TypeError: If it is not an iterable.
    """
    return iterable if is_stream(type(iterable)) else Streamed(iterable)


class IteratedOnly:
    """The base of async iterables whose `__await__` only says that they are to be iterated over."""

    __slots__ = ()

    may_be_awaited = False
    """Whether `__await__` does more, in a class that is both."""

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        raise TypeError(
            f"{self!r} cannot be copied or pickled, as no iterator of this kind can: pass it on as it is"
        )


def is_awaitable(value: object) -> bool:
    """Tells whether something is to be awaited, which a stream is not.

    `inspect.isawaitable` takes as long as the rest of a small call.

    Args:
        value: The value, such as what a function has returned.
    """
    kind: Any = type(value)
    if kind is types.GeneratorType:
        return inspect.isawaitable(value)
    return hasattr(kind, "__await__") and (not issubclass(kind, IteratedOnly) or kind.may_be_awaited)


def to_stream(name: str, result: Any) -> Any:
    """Returns what a function has returned in answer to a call that asks for a stream.

    Args:
        name: The name of the function.
        result: Its result: an async iterable, a generator or another iterator.

    Raises:
        TypeError: If there is nothing to iterate over.
    """
    kind = type(result)
    if is_stream(kind) or isinstance(result, Iterator):
        return result.as_stream() if getattr(kind, "may_be_awaited", False) is True else result
    if hasattr(kind, "__enter__") or hasattr(kind, "__aenter__"):
        remedy = "a context manager is entered where it is: export a function that uses it"
    else:
        remedy = f"write `await {name}(…)`"
    raise TypeError(f"{name}() returned {class_name(kind)}, which is nothing to be streamed: {remedy}")


@final
class Streamed(Generic[_T]):
    """An iterable that is sent as a stream; `stream()` makes it."""

    def __init__(self, iterable: Iterable[_T]) -> None:
        """Takes the iterator of an iterable."""
        if callable(iterable) and not isinstance(iterable, Iterable):
            raise TypeError(f"{iterable!r} is a function: call it, workerlib.stream(f(…))")
        try:
            self.iterator: Iterator[_T] = iter(iterable)
        except TypeError:
            raise TypeError(
                f"workerlib.stream(…) takes a generator or another iterable, not {iterable!r}"
            ) from None

    async def __aiter__(self) -> AsyncIterator[_T]:
        """Iterates on this side, where the function is not called from another."""
        for item in self.iterator:
            yield item

    def __repr__(self) -> str:
        return f"<workerlib.stream({type(self.iterator).__qualname__})>"


_MRO: Any = vars(type)["__mro__"]


def is_stream(cls: type) -> bool:
    """Tells whether objects of a class are sent as streams.

    Args:
        cls: The class.
    """
    # Its method only says that there is nothing to iterate.
    if issubclass(cls, NoValue):
        return False
    # Not by hasattr(): a metaclass may answer anything.
    if not any("__aiter__" in vars(base) for base in _MRO.__get__(cls)):
        return False
    ffi = sys.modules.get("pyodide.ffi")
    return ffi is None or not issubclass(cls, ffi.JsProxy)


def take_apart_stream(source: Any) -> tuple[int]:
    """Has the connection of the values keep what is to be streamed, and returns the id of the stream."""
    connection = functions.current()
    if connection is None:
        raise RefusedError("a stream belongs to a connection: it can be an argument, a result or an item")
    return (connection.streams.send(source),)


def build_stream(stream: object) -> Any:
    """Makes the stream that a frame means."""
    connection = functions.current()
    if connection is None or type(stream) is not int or not 0 <= stream < 1 << 32:
        raise ValueError(f"the stream {stream!r} belongs to no connection")
    return connection.streams.receive(stream)


ROW = Built(_KIND, "stream", take_apart_stream, build_stream)
