"""Streams as values: async iterables and what `stream()` marks, among arguments, results and items.

A frame holds the id of a stream; its items follow in messages of their own. The connection to which the
values belong keeps the iterable that is sent, and makes the stream that arrives. Values that belong to no
connection cannot hold a stream.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from typing import Any, Generic, NoReturn, SupportsIndex, TypeVar, final, overload

from workerlib._values import functions
from workerlib._values.no_value import NoValue
from workerlib._values.row import Built, RefusedError

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
        TypeError: If it is no iterable.
    """
    return iterable if is_stream(type(iterable)) else Streamed(iterable)


class IteratedOnly:
    """The base of async iterables whose `__await__` only says that they are to be iterated over."""

    __slots__ = ()

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        raise TypeError(
            f"{self!r} cannot be copied or pickled, as no iterator of this kind can: pass it on as it is"
        )


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
        raise ValueError(f"the stream {stream!r} is none of a connection")
    return connection.streams.receive(stream)


ROW = Built(_KIND, "stream", take_apart_stream, build_stream)
