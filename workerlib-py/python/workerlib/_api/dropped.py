"""Closes the connection of a `Worker` that nobody holds any more.

It warns by a ResourceWarning, as asyncio's transports do. A function that was taken from the Worker keeps the
connection open, and so does a call, a stream or a reference. The connection itself outlives its Worker,
because the browser holds the connection's handlers.
"""

from __future__ import annotations

import asyncio
import warnings
import weakref
from collections.abc import Awaitable, Callable, Generator

from workerlib._rpc.connection import Connection

# The seconds until a connection is looked at, and looked at again.
_AGAIN = 0.1


def close_when_dropped(worker: object, connection: Connection, title: str) -> None:
    """Closes a connection when an object has been dropped.

    Args:
        worker: The object, in the thread of the event loop that is running.
        connection: The connection, which must not refer to the object.
        title: The object's title in the warning: "the worker 'stats'".
    """
    loop = asyncio.get_running_loop()

    def note() -> None:
        # Python may be anywhere when it frees the object, and a call may not have been sent yet.
        if not loop.is_closed() and not connection.closed.done():
            loop.call_later(_AGAIN, _release, loop, connection, title)

    finalizer = weakref.finalize(worker, note)
    finalizer.atexit = False
    connection.closed.add_done_callback(lambda _: finalizer.detach())


def _release(loop: asyncio.AbstractEventLoop, connection: Connection, title: str) -> None:
    if connection.closed.done():
        return
    if connection.functions_there.let_go() or connection.is_in_use:
        loop.call_later(_AGAIN, _release, loop, connection, title)
        return
    tasks = asyncio.all_tasks(loop)
    if tasks and all(task.cancelling() for task in tasks):
        # The end of asyncio.run() closes what is open.
        return
    message = (
        f"{title} was dropped and is still connected: close it by `await worker.close()` or `async with`"
    )
    warnings.warn(message, ResourceWarning, stacklevel=2, source=connection)
    connection.close("its Worker was dropped without close()")


class Closing:
    """The result of `Worker.close()`: it may be awaited, and need not be."""

    def __init__(self, ended: Callable[[], Awaitable[None]] | None) -> None:
        """Wraps what waits for the worker's end, where the worker ends with its connection."""
        self._ended = ended

    def __await__(self) -> Generator[object, None, None]:
        if self._ended is not None:
            yield from self._ended().__await__()
