"""`connect()`: from a worker's name to an open connection, on whichever host this is."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine, Generator
from types import TracebackType
from typing import Any

from workerlib._config import settings
from workerlib._connection import Connection
from workerlib._errors import ConnectError, ConnectTimeoutError
from workerlib._native import Session
from workerlib._version import __version__
from workerlib._worker import Worker

# A worker loads Pyodide and its packages before it answers: on a slow line that takes most of a minute.
_TIMEOUT = 60.0


class Connecting(Coroutine[Any, Any, Worker]):
    """What `connect()` returns: to be awaited, or used by `async with`."""

    def __init__(self, coroutine: Coroutine[Any, Any, Worker]) -> None:
        """Wraps the coroutine that connects."""
        self._coroutine = coroutine
        self._worker: Worker | None = None

    def __await__(self) -> Generator[Any, Any, Worker]:
        return self._coroutine.__await__()

    def send(self, value: Any) -> Any:
        """Resumes the coroutine: `collections.abc.Coroutine.send`."""
        return self._coroutine.send(value)

    def throw(self, *error: Any) -> Any:
        """Raises in the coroutine: `collections.abc.Coroutine.throw`."""
        return self._coroutine.throw(*error)

    def close(self) -> None:
        """Ends the coroutine: `collections.abc.Coroutine.close`."""
        self._coroutine.close()

    async def __aenter__(self) -> Worker:
        self._worker = await self._coroutine
        return self._worker

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None
    ) -> None:
        if self._worker is not None:
            self._worker.close()


def connect(
    name: str | None = None, *, timeout: float | None = _TIMEOUT, strict: bool | None = None
) -> Connecting:
    """Connects to a worker of the page.

    `worker = await connect("name")`, or `async with connect("name") as worker:`, which closes the
    connection at the end of the block.

    Args:
        name: The `name` attribute of the worker's script tag; by default that of the page's only one.
        timeout: After how many seconds to give up, None for never. Pyodide's own loading time is in it.
        strict: Whether arguments that would arrive as something like them (a generator as a list, an
            instance of a subclass as one of its base) are refused instead of converted with a warning;
            by default what the configuration says under `[workerlib]`, else False.

    Raises:
        NoSuchWorkerError: If no tag has that name, after a second's grace for tags that are being added.
        WorkerStartError: If the worker's script failed or could not be loaded.
        ConnectTimeoutError: If the worker did not answer in time.
        ProtocolError: If the worker has another version of workerlib that this one does not understand.
        ConfigError: If the configuration of the page cannot be right.
        ConnectError: If there are several workers to choose from, or this is no page.
    """
    return Connecting(_connect(name, timeout, strict))


async def _connect(name: str | None, timeout: float | None, strict: bool | None) -> Worker:
    if sys.platform != "emscripten":
        raise ConnectError("connect() needs a page: this Python does not run in a browser")
    # Imported where it is needed: outside a browser its own imports do not exist.
    from workerlib import _pyscript

    chosen = settings(_pyscript.read_config(), strict=strict)
    progress = _pyscript.Progress(name)
    try:
        async with asyncio.timeout(timeout):
            found = await _pyscript.open_channel(progress)
            progress.step = "waiting for the worker's side of the handshake"
            session = Session.connect(__version__, strict=chosen.strict, max_depth=chosen.max_depth)
            connection = Connection(session, found.endpoint, {})
            try:
                exports = await connection.opened
            except BaseException:
                connection.close("the handshake did not end")
                raise
    except TimeoutError:
        raise ConnectTimeoutError(
            f"{progress.subject} did not answer within {timeout} seconds; connect() was {progress.step}"
        ) from None
    return Worker(connection, exports, found.name, found.worker)
