"""Calls of functions that may return a generator: `CallOrStream` can be awaited, and iterated over.

The other side cannot tell what a decorator makes of a generator function: it may pass the generator on, or
make a list of its items. So the code that calls the function decides. `await` makes a call as any other,
`async for` one that asks for a stream. This module makes no call itself.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any, TypeVar

from workerlib._rpc.streams_consumed import AHEAD, Inbox, Stream
from workerlib._users.line import warn

_T_co = TypeVar("_T_co", covariant=True)


class CallOrStream(Stream[_T_co], Coroutine[Any, Any, Any]):
    """A call that has not been made: `await` it for the result, or iterate over it as over a stream.

    It is a coroutine to asyncio, and starts as one does: at the `await`, or as a task.
    """

    def __init__(
        self,
        name: str,
        open_: Callable[[Stream[Any]], Awaitable[Any]],
        call: Callable[[], Coroutine[Any, Any, Any]],
        timeout: float | None = None,
        ahead: int = AHEAD,
    ) -> None:
        """Makes one; users get it by calling a function.

        Args:
            name: The name of the function in messages.
            open_: Makes the call that asks for a stream, and returns the inbox.
            call: Makes the call that asks for the result.
            timeout: The number of seconds that a step may take.
            ahead: The number of items that the other side may be ahead.
        """
        super().__init__(name, open_, timeout=timeout, ahead=ahead)
        self._make: Callable[[], Coroutine[Any, Any, Any]] | None = call
        self._call: Coroutine[Any, Any, Any] | None = None
        # The name of its task in messages of asyncio.
        self.__qualname__ = self.__name__ = name

    def as_stream(self) -> Stream[_T_co]:
        """Returns the stream alone, which nobody takes for something to be awaited."""
        stream: Stream[_T_co] = Stream(self.name, self._open, timeout=self._timeout, ahead=self.ahead)
        stream.keeps = self.keeps
        self._open = self._make = None
        return stream

    async def __aenter__(self) -> Stream[_T_co]:
        """Makes the call: only its outcome tells whether there is something to iterate over."""
        if self._inbox is None and not self._is_stepping:
            self._is_stepping = True
            try:
                await self._opened()
            finally:
                self._is_stepping = False
        return self

    async def aclose(self) -> None:
        self._make = None
        await super().aclose()

    async def _opened(self) -> Inbox:
        if self._make is None and not self._is_closed:
            raise RuntimeError(f"{self.name}() has been awaited: call it again to iterate over its items")
        inbox = await super()._opened()
        self._make = None
        return inbox

    may_be_awaited = True

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._begun().__await__()

    def send(self, value: Any) -> Any:
        """Goes on with the call, as a coroutine does."""
        return self._begun().send(value)

    def throw(self, *error: Any) -> Any:
        """Raises an error where the call waits, as a coroutine does."""
        return self._begun().throw(*error)

    def close(self) -> None:
        """Gives the call up, as a coroutine does; one that has not begun is never made.

        Raises:
            RuntimeError: If it is iterated over: the end of a stream has to be awaited.
        """
        if self._call is not None:
            self._call.close()
        elif self._open is not None:
            self._is_closed = True
        elif self._is_stepping or not (self._is_closed or self._inbox is None or self._inbox.is_over):
            raise RuntimeError(
                f"{self.name}() is iterated over, and its end has to be awaited: write `await ….aclose()`"
            )
        self._make = None

    def __repr__(self) -> str:
        if self._call is not None:
            return f"<workerlib.Stream {self.name!r}, awaited>"
        return super().__repr__()

    def __del__(self) -> None:
        # Python warns so of its own coroutines. Streams that nobody iterates over have no warning.
        if self._make is not None and self._open is not None and not self._is_closed:
            warn(f"{self.name}() was never awaited, nor iterated over", RuntimeWarning)

    def _begun(self) -> Coroutine[Any, Any, Any]:
        if self._call is None:
            make, self._make = self._make, None
            if make is None or self._open is None:
                state = "has been closed" if self._is_closed else "is iterated over"
                raise RuntimeError(f"{self.name}() {state}: call it again to await its result")
            self._call = make()
        return self._call
