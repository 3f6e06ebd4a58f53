"""`connect()`: from a worker's name to an open connection, on whichever host this is."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine, Generator, Mapping
from types import ModuleType, TracebackType
from typing import Any, Generic, TypeVar, overload

from workerlib._api.interface import check
from workerlib._api.worker import Worker
from workerlib._config.adapters import load_adapters
from workerlib._config.settings import Settings, settings
from workerlib._errors import ConnectError, ConnectTimeoutError
from workerlib._hosts.host import Found, Progress
from workerlib._native import Session
from workerlib._rpc import call_log
from workerlib._rpc.connection import Connection
from workerlib._values.adapters import describe_adapters
from workerlib._version import __version__

# A worker loads Pyodide and its packages before it answers: on a slow line that takes most of a minute.
_TIMEOUT = 60.0


_Config = str | os.PathLike[str] | Mapping[str, Any] | None
_I = TypeVar("_I")
_I_co = TypeVar("_I_co", covariant=True)


class Connecting(Coroutine[Any, Any, _I_co], Generic[_I_co]):
    """What `connect()` returns: to be awaited, or used by `async with`.

    For type checkers it gives what its user called the worker's interface; it is a Worker always.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Wraps the coroutine that connects."""
        self._coroutine = coroutine
        self._worker: Worker | None = None

    def __await__(self) -> Generator[Any, Any, _I_co]:
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

    async def __aenter__(self) -> _I_co:
        worker: Any = await self._coroutine
        self._worker = worker
        return worker  # type: ignore[no-any-return]

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None
    ) -> None:
        if self._worker is not None:
            await self._worker.__aexit__(kind, error, frames)


@overload
def connect(
    name: str | os.PathLike[str] | None = None,
    *,
    interface: ModuleType | None = None,
    timeout: float | None = _TIMEOUT,
    strict: bool | None = None,
    max_in_flight: int | None = None,
    config: _Config = None,
) -> Connecting[Worker]: ...
@overload
def connect(
    name: str | os.PathLike[str] | None = None,
    *,
    # Not type[_I]: mypy takes no Protocol for that.
    interface: Callable[..., _I],
    timeout: float | None = _TIMEOUT,
    strict: bool | None = None,
    max_in_flight: int | None = None,
    config: _Config = None,
) -> Connecting[_I]: ...
def connect(
    name: str | os.PathLike[str] | None = None,
    *,
    interface: object = None,
    timeout: float | None = _TIMEOUT,
    strict: bool | None = None,
    max_in_flight: int | None = None,
    config: _Config = None,
) -> Connecting[Any]:
    """Connects to a worker of the page; outside of a browser, starts the worker as a subprocess.

    `worker = await connect("name")`, or `async with connect("name") as worker:`, which closes the
    connection at the end of the block.

    Args:
        name: The `name` attribute of the worker's script tag; by default that of the page's only one.
            Outside of a browser the worker's script: a file (`"worker.py"`), or the name of a module.
        interface: What the worker should export: a Protocol, which then is the worker's type for editors and
            type checkers, or the worker's module (docs/typing.md).
        timeout: After how many seconds to give up, None for never. Pyodide's own loading time is in it.
        strict: Whether arguments that would arrive as something like them (a generator as a list, an
            instance of a subclass as one of its base) are refused instead of converted with a warning;
            by default what the configuration says under `[workerlib]`, else False.
        max_in_flight: How many calls may be under way at a time; those beyond wait for their turn, in the
            order in which they were started, and their arguments are read when it has come. By default what
            the configuration says under `[workerlib]`, else 10,000.
        config: Outside of a browser the configuration of both sides: the path of a TOML or JSON file, its
            text, or a dict. In a page the script tags have it.

    Raises:
        NoSuchWorkerError: If no tag has that name, after a second's grace for tags that are being added; if
            there is no such script.
        WorkerStartError: If the worker's script failed or could not be loaded.
        ConnectTimeoutError: If the worker did not answer in time.
        InterfaceError: If the worker does not fit the interface; it lists all that differs.
        ProtocolError: If the worker has another version of workerlib that this one does not understand.
        ConfigError: If the configuration cannot be right.
        ConnectError: If there are several workers to choose from, this is a page without PyScript, or
            `config` is given in a page.
    """
    path = None if name is None else os.fspath(name)
    overrides = {"strict": strict, "max_in_flight": max_in_flight}
    return Connecting(_connect(path, interface, timeout, config, overrides))


async def _connect(
    name: str | None,
    interface: object,
    timeout: float | None,
    config: _Config,
    overrides: Mapping[str, object],
) -> Worker:
    progress = Progress(name)
    opening: Coroutine[Any, Any, Found]
    # Imported where they are needed: each one's own imports exist on its own host only.
    if sys.platform == "emscripten":
        from workerlib._hosts.pyscript import page
        from workerlib._hosts.pyscript.config import read_config

        if config is not None:
            raise ConnectError(
                "config= is for workers outside of a browser: a page's script tags have their own"
            )
        parsed = read_config()
        chosen = settings(parsed, **overrides)
        load_adapters(parsed)
        opening = page.open_channel(progress)
    else:
        from workerlib._hosts.subprocess import parent

        parsed = parent.read_config(config)
        chosen = settings(parsed, **overrides)
        with parent.importable(config, parsed):
            load_adapters(parsed)
        opening = parent.open_channel(progress, config, parsed)
    return await establish(opening, progress, chosen, interface, timeout)


async def establish(
    opening: Coroutine[Any, Any, Found],
    progress: Progress,
    chosen: Settings,
    interface: object,
    timeout: float | None,
) -> Worker:
    """Opens a channel and then the connection.

    Args:
        opening: Gives the channel.
        progress: How far that has come.
        chosen: How this side behaves.
        interface: What the worker should export, None for anything: see `connect()`.
        timeout: After how many seconds to give up, None for never.
    """
    call_log.configure(chosen.log)
    try:
        async with asyncio.timeout(timeout):
            found = await opening
            progress.step = "waiting for the worker's side of the handshake"
            session = Session.connect(
                __version__,
                adapters=describe_adapters(),
                strict=chosen.strict,
                max_depth=chosen.max_depth,
                max_in_flight=chosen.max_in_flight,
            )
            connection = Connection(session, found.endpoint, {}, interrupt=found.interrupt)
            stop_watching = None if found.watch is None else found.watch(connection.die)
            if stop_watching is not None:
                connection.closed.add_done_callback(lambda _: stop_watching())
            try:
                exports = await connection.opened
                worker = Worker(connection, exports, found.name, found.worker, found.ended)
                if interface is not None:
                    check(interface, exports, found.name)
            except BaseException:
                connection.close("the handshake did not end as it should")
                if found.ended is not None:
                    await found.ended()
                raise
    except TimeoutError:
        raise ConnectTimeoutError(
            f"{progress.subject} did not answer within {timeout} seconds; connect() was {progress.step}"
        ) from None
    return worker
