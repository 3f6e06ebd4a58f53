"""Provides `wait()`: sync code waits for something that has to be awaited, where that is possible.

It is the one place where this library blocks. There are two ways, and a host says which of them it has:

- The stack of the sync code is suspended while the event loop goes on (`Ways.suspend`): by JSPI in a browser.
- The thread sleeps until a message has arrived (`BlockingEndpoint`): natively at the socket, in a browser at
  shared memory. The event loop stands meanwhile, so only a call to the other side can be waited for.

A page never blocks: its endpoints are not of that kind.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Awaitable, Callable, Coroutine, Generator
from types import CoroutineType
from typing import Any, TypeGuard, TypeVar, cast

from workerlib._errors import CannotBlockError
from workerlib._rpc.endpoint import BlockingEndpoint, Endpoint
from workerlib._rpc.incoming_call import current_call, serving_connections
from workerlib._rpc.outgoing_call import Pending, driver
from workerlib._rpc.streams_consumed import STEPS, cannot_step
from workerlib._values.safe_text import class_name
from workerlib._values.streams import is_awaitable

_T = TypeVar("_T")

_LONGEST_SLEEP = 0.05
"""The time in seconds that a thread sleeps at most before it looks for interrupts and timers."""


class Ways:
    """The ways of this host to wait, but for those of the endpoints."""

    def suspend(self) -> Callable[[Awaitable[Any]], Any] | None:
        """Gives what suspends the running stack until an awaitable is done; None where that is impossible."""
        return None

    def remedy(self) -> str:
        """Tells what to change where sync code cannot wait."""
        return "make the function that calls it async, and await there"


ways = Ways()
"""The ways to wait in this host, which replaces them."""


def wait(awaitable: Awaitable[_T]) -> _T:
    """Waits in sync code: returns what `await` would return in async code.

    Natively any worker can wait. In a browser it can in an export where the browser has JSPI (Chrome 137,
    Firefox 153, Safari 27), and everywhere on a page that is cross-origin isolated. With JSPI the worker's
    event loop goes on meanwhile. Without it the loop stands still, and code can wait only for calls of the
    page's functions.

    Args:
        awaitable: A call of the page's function, such as `workerlib.page().ask("Name?")`.

    Returns:
        The result.

    Raises:
        CannotBlockError: If sync code cannot wait here, or not for this; the message says what to change.
        TypeError: If `await` would not take it, such as a stream, whose steps are waited for instead.
        DeadlockError: If the page's function calls this worker meanwhile, which starts no call; raised there.
        BaseException: Any exception of the awaitable.
    """
    if not is_awaitable(awaitable):
        raise TypeError(_no_awaitable(awaitable))
    try:
        suspending = ways.suspend()
        return _driven(awaitable) if suspending is None else suspended(awaitable, suspending)
    finally:
        # An error refers to this frame, and the awaitable may refer to the error.
        del awaitable


def _driven(awaitable: Awaitable[_T]) -> _T:
    """Waits while the thread sleeps, and with it the event loop."""
    call = current_call.get()
    connections = serving_connections if call is None else [call.connection]
    if not any(_can_block(connection.endpoint) for connection in connections):
        # Before anything is sent.
        if isinstance(awaitable, Coroutine):
            awaitable.close()
        raise _cannot_block()
    if isinstance(awaitable, CoroutineType) and awaitable.cr_code in STEPS:
        # Also where the item has arrived already: otherwise it would depend on time whether this works.
        awaitable.close()
        raise cannot_step()
    steps = awaitable.__await__()
    # From here on no variable leads to an error that is raised: the error refers to this frame.
    del awaitable
    resume: Callable[[Any], Any] = _sender(steps)
    values: list[Any] = [None]
    while True:
        driver.is_on = True
        try:
            values = [resume(values.pop())]
        except StopIteration as end:
            return cast("_T", end.value)
        finally:
            driver.is_on = False
        try:
            _sleep_until_done(values.pop())
        except BaseException as error:
            resume, values = steps.throw, [error]
        else:
            resume, values = _sender(steps), [None]


def suspended(awaitable: Awaitable[_T], suspending: Callable[[Awaitable[Any]], Any]) -> _T:
    """Waits with the running stack suspended, while the event loop goes on.

    Args:
        awaitable: The awaitable to wait for.
        suspending: The result of `ways.suspend()`.

    Raises:
        BaseException: The exception of the awaitable.
    """
    waiting = asyncio.ensure_future(awaitable)
    call = current_call.get()
    if call is not None:
        # A cancel of the call reaches what it waits for, since its own code is suspended.
        call.waits = [*call.waits, waiting]
    try:
        return cast("_T", suspending(waiting))
    finally:
        if call is not None:
            call.waits = [one for one in call.waits if one is not waiting]
        # An error refers to this frame, and the task to its error.
        del awaitable, waiting


def _sender(steps: Generator[Any, Any, Any]) -> Callable[[Any], Any]:
    # An iterator that is not a generator takes no value.
    send = getattr(steps, "send", None)
    return send if send is not None else lambda _value: next(steps)


def _sleep_until_done(awaited: Any) -> None:
    """Sleeps until a call has been answered; the event loop stands.

    Raises:
        CannotBlockError: If it is not a call, or its connection cannot be waited at.
    """
    if not isinstance(awaited, Pending):
        raise CannotBlockError(
            "workerlib.wait(…) waits for calls of the page's functions here, and for nothing that needs the"
            f" event loop, such as {awaited!r}: the loop stands meanwhile; {ways.remedy()}"
        )
    awaited._asyncio_future_blocking = False
    if awaited.done():
        return
    endpoint = awaited.connection.endpoint
    if not _can_block(endpoint):
        raise _cannot_block()
    with awaited.connection.blocking(awaited.call):
        while not awaited.done():
            endpoint.sleep(min(_LONGEST_SLEEP, awaited.seconds_left()))
            awaited.connection.take_in(endpoint)
            awaited.run_due_timers()


def _no_awaitable(thing: object) -> str:
    """Tells what to write where something cannot be awaited."""
    name = class_name(type(thing))
    if isinstance(thing, AsyncIterable):
        return (
            f"workerlib.wait(…) waits for one thing, and {name} gives its items one by one: write `async for`"
            " in async code, or wait for a step where the event loop goes on meanwhile:"
            " workerlib.wait(anext(items))"
        )
    return f"workerlib.wait(…) takes what `await` takes, such as a call of the page's function, not {name}"


def _can_block(endpoint: Endpoint) -> TypeGuard[BlockingEndpoint]:
    """Tells whether sync code can wait for what comes over a channel."""
    return isinstance(endpoint, BlockingEndpoint) and endpoint.can_block


def _cannot_block() -> CannotBlockError:
    return CannotBlockError(f"sync code cannot wait for the other side here: {ways.remedy()}")
