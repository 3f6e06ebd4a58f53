"""Provides the functions of a page in JavaScript as a worker's functions call them: over Comlink.

Calling one starts it, in sync code too, as a callback of a Python page (`_rpc/callbacks.py`). An error in an
answer that nobody takes ends the call that the function was passed to, as long as that runs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Generator
from contextvars import ContextVar
from typing import Any

from workerlib._javascript import values
from workerlib._javascript.values import from_javascript, to_javascript
from workerlib._rpc.incoming_call import Served
from workerlib._rpc.waiting import wait
from workerlib._values.no_value import NoValue

current: ContextVar[Served | None] = ContextVar("workerlib_javascript_call", default=None)
"""The call of the page whose code runs, or has started the task that runs."""


class PageFunction:
    """A function of a page in JavaScript. Calling it sends the call at once and returns a `PageReply`."""

    def __init__(self, function: Any) -> None:
        """Wraps a function.

        Args:
            function: The JsProxy of the function, which may return a promise.
        """
        self._function = function

    def __call__(self, *args: object) -> PageReply:
        """Calls the function.

        Args:
            args: The arguments, which are converted as results are.

        Returns:
            The answer: `await` it, take its `result()` where sync code can wait, or drop it.

        Raises:
            JsException: If the function throws before it returns a promise.
            UnsendableError: If an argument cannot be sent.
        """
        given = [to_javascript(argument, f"args[{index}]") for index, argument in enumerate(args)]
        return PageReply(self._function(*given))


values.make_function = PageFunction


class PageReply(NoValue):
    """The answer of a function of a page in JavaScript: `await reply`."""

    __slots__ = ("_answer", "_is_taken", "_origin")

    def __init__(self, answer: Any) -> None:
        """Wraps what the function returned.

        Args:
            answer: A promise, or the value itself.
        """
        self._origin = current.get()
        self._is_taken = False
        self._answer: Any = (
            asyncio.ensure_future(_settle(answer)) if isinstance(answer, Awaitable) else answer
        )

    @property
    def _called(self) -> str:
        return "the page's function"

    def done(self) -> bool:
        """Tells whether the answer is there."""
        return not isinstance(self._answer, asyncio.Future) or self._answer.done()

    def result(self) -> Any:
        """Waits for the answer in sync code.

        Raises:
            CannotBlockError: If sync code cannot wait here; the message says what to change.
            JsException: If the function throws.
        """
        if not isinstance(self._answer, asyncio.Future):
            return from_javascript(self._answer)
        if not self._answer.done():
            return wait(self)
        self._is_taken = True
        return from_javascript(self._answer.result())

    def __await__(self) -> Generator[Any, Any, Any]:
        """Waits for the answer."""
        self._is_taken = True
        if not isinstance(self._answer, asyncio.Future):
            return from_javascript(self._answer)
        return from_javascript((yield from self._answer))

    def __del__(self) -> None:
        answer, origin = getattr(self, "_answer", None), getattr(self, "_origin", None)
        if isinstance(answer, asyncio.Future) and not self._is_taken:
            answer.add_done_callback(lambda future: _report(future, origin))


async def _settle(answer: Awaitable[Any]) -> Any:
    return await answer


def _report(future: asyncio.Future[Any], origin: Served | None) -> None:
    """Has an error that nobody takes end the call that the function was passed to."""
    if future.cancelled() or (error := future.exception()) is None:
        return
    if origin is not None and not origin.has_ended:
        origin.fail(error)
    else:
        message = "a function of the page threw, and nobody took its answer"
        future.get_loop().call_exception_handler({"message": message, "exception": error})
