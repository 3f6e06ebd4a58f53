"""`connect()`: opens a connection to a worker that is given by its name.

Users call it, in a page or in a native Python. How a worker is found or started is the host's business
(`_hosts`), and so is the channel to it.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar, overload

from workerlib import _exports
from workerlib._api.opening import Opening
from workerlib._api.worker import Worker
from workerlib._config.adapters import load_adapters
from workerlib._config.settings import Settings, settings
from workerlib._errors import ConnectError, ConnectTimeoutError
from workerlib._hosts.greeting import Greeting
from workerlib._hosts.host import Found, OnOutput, OnProgress, Progress, SpawnProgress
from workerlib._hosts.traces import traced_connection
from workerlib._pool.restarts import Policy, Restarts
from workerlib._rpc.call_log import CallLog
from workerlib._rpc.connection import Connection
from workerlib._rpc.heartbeat import Heartbeat, note_connection, watch
from workerlib._rpc.questions import answer_by
from workerlib._rpc.starts import say
from workerlib._rpc.timers import TimeLimit
from workerlib._users.options import require_callable, require_count, require_flag, require_seconds
from workerlib._values.adapters import AdapterSet

if TYPE_CHECKING:
    from workerlib._hosts.host import JavaScriptObject


_I = TypeVar("_I")
_I_co = TypeVar("_I_co", covariant=True)


class Connecting(Opening[_I_co]):
    """The result of `connect()` and `spawn()`.

    Type checkers see the result as the interface that the caller has named. At run time it is always a
    `Worker`.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, Any], caller: str = "connect") -> None:
        """Wraps the coroutine that opens the connection.

        Args:
            coroutine: Returns the `Worker`.
            caller: The name of the function that the user has called, for messages.
        """
        call = f"workerlib.{caller}(…)"
        super().__init__(
            coroutine,
            caller,
            f"{call} is not a worker yet, and has no {{name}}: `worker = await {call}` first, or"
            f" `async with {call} as worker:`",
        )


@overload
def connect(
    name: str | os.PathLike[str] | JavaScriptObject | None = None,
    *,
    interface: ModuleType | None = None,
    timeout: float | None = 60.0,
    strict: bool | None = None,
    max_in_flight: int | None = None,
    config: str | os.PathLike[str] | Mapping[str, Any] | None = None,
    on_progress: OnProgress | None = None,
    on_output: OnOutput | str | JavaScriptObject | None = None,
    heartbeat: float | None = None,
    heartbeat_in_calls: bool = False,
    restart: bool = False,
) -> Connecting[Worker]: ...
@overload
def connect(
    name: str | os.PathLike[str] | JavaScriptObject | None = None,
    *,
    # Not type[_I]: mypy takes no Protocol for that.
    interface: Callable[..., _I],
    timeout: float | None = 60.0,
    strict: bool | None = None,
    max_in_flight: int | None = None,
    config: str | os.PathLike[str] | Mapping[str, Any] | None = None,
    on_progress: OnProgress | None = None,
    on_output: OnOutput | str | JavaScriptObject | None = None,
    heartbeat: float | None = None,
    heartbeat_in_calls: bool = False,
    restart: bool = False,
) -> Connecting[_I]: ...
def connect(
    name: str | os.PathLike[str] | JavaScriptObject | None = None,
    *,
    interface: object = None,
    timeout: float | None = 60.0,
    strict: bool | None = None,
    max_in_flight: int | None = None,
    config: str | os.PathLike[str] | Mapping[str, Any] | None = None,
    on_progress: OnProgress | None = None,
    on_output: OnOutput | str | JavaScriptObject | None = None,
    heartbeat: float | None = None,
    heartbeat_in_calls: bool = False,
    restart: bool = False,
) -> Connecting[Any]:
    """Connects to a worker of the page; outside of a browser, starts the worker as a subprocess.

    `worker = await connect("name")`, or `async with connect("name") as worker:`, which closes the
    connection at the end of the block.

    Args:
        name: The `name` attribute of the worker's script tag, or the object that `pyscript.PyWorker(…)`
            returned. By default, the page's only worker. Outside of a browser, the worker's script: a file
            (`"worker.py"`), or the name of a module.
        interface: The functions that the worker should export: a Protocol, or the worker's module. Editors
            and type checkers take a Protocol as the worker's type (docs/typing.md).
        timeout: The number of seconds without a new step after which to give up; None for never.
        strict: Whether to refuse an argument that would arrive as another type, such as a generator as a
            list, or an instance of a subclass as its base. Otherwise such arguments are converted with a
            warning. By default, the setting `strict` of the section `[workerlib]`, else False.
        max_in_flight: The number of calls that may be in flight at a time. Further calls wait in the order in
            which they were started, and their arguments are read when they are sent. By default, the setting
            `max_in_flight` of the section `[workerlib]`, else 10,000.
        config: The configuration of both sides, outside of a browser: the path of a TOML or JSON file, its
            text, or a dict. In a page, the script tags have the configuration.
        on_progress: A function that is called with each step on the way, a `SpawnProgress`. An exception that
            it raises ends the attempt.
        on_output: Where the output goes that the worker's setting `forward` names: a function that is called
            with the name of the stream and the text; in a page also an element, or its id, to whose end the
            text is added. By default the page's console.
        heartbeat: In a page, the number of seconds without a sign of life after which the worker is
            terminated, for a worker whose event loop stands. The worker's Python answers, out of its event
            loop. Only time in which no call is in flight counts, because a function may compute. By
            default, the page asks for no sign.
        heartbeat_in_calls: Whether the time in which calls are in flight counts too, so that a function that
            computes for longer ends its worker.
        restart: Whether the worker's script is started again when the worker has died: after 0.1 s, which
            doubles up to 5 s, and at most three times in a minute. Then a warning says that it stays down,
            with the cause. Under PyScript by a copy of its tag.

    Returns:
        An object to be awaited, or used by `async with`; it gives the `Worker`.

    Raises:
        NoSuchWorkerError: If no tag has that name, one second after the call; if there is no such script.
        WorkerStartError: If the worker's script failed or could not be loaded.
        WorkerDiedError: If the worker has ended before, or ends meanwhile.
        ConnectTimeoutError: If no new step was made in time.
        InterfaceError: If the worker does not fit the interface; the message lists all differences.
        ProtocolError: If the worker's version of workerlib has another protocol.
        ConfigError: If a section of the configuration is malformed, or names something that does not exist.
        ConnectError: If the page has several workers and `name` is None; if the page has no PyScript; if
            `config` is given in a page.
        TypeError: If an argument is of another type.
        ValueError: If a number makes no sense.
    """
    overrides = {"strict": strict, "max_in_flight": max_in_flight}
    flags = {"strict": strict, "heartbeat_in_calls": heartbeat_in_calls, "restart": restart}
    check_options(interface, timeout, on_progress, max_in_flight, **flags)
    signs = heartbeat_of(heartbeat, heartbeat_in_calls)

    def start(chosen: Any) -> Coroutine[Any, Any, Worker]:
        return _connect(chosen, interface, timeout, config, on_progress, on_output, overrides, signs)

    def another(dead: str) -> Coroutine[Any, Any, Worker]:
        chosen = name
        if sys.platform == "emscripten":
            from workerlib._hosts.pyscript.copies import copy_of

            chosen = copy_of(dead)
        return start(chosen)

    return Connecting(start_again_by(partial(start, name), another, restart))


async def start_again_by(
    first: Callable[[], Coroutine[Any, Any, Worker]],
    another: Callable[[str], Coroutine[Any, Any, Worker]],
    restart: bool,
) -> Worker:
    """Starts a worker that can be started again.

    Args:
        first: Makes the coroutine that starts the worker. A task that is cancelled before its first step
            leaves none behind.
        another: Starts its script again; it is given the name of the worker that is gone.
        restart: Whether it is started again when it has died.
    """
    worker = await first()
    worker._restart_by(another, Restarts(Policy()) if restart else None)
    return worker


async def _connect(  # noqa: PLR0917 - what `connect()` takes
    name: str | os.PathLike[str] | JavaScriptObject | None,
    interface: object,
    timeout: float | None,
    config: str | os.PathLike[str] | Mapping[str, Any] | None,
    on_progress: OnProgress | None,
    on_output: Any,
    overrides: Mapping[str, object],
    heartbeat: Heartbeat | None,
) -> Worker:
    is_named = name is None or isinstance(name, str | os.PathLike)
    worker: Any = None if is_named else name
    path: Any = name if is_named else None
    progress = Progress(None if path is None else os.fspath(path), on_progress=on_progress)
    open_channel: Callable[[], Coroutine[Any, Any, Found]]
    # Each host is imported where it is used: its own imports exist on that host only.
    if sys.platform == "emscripten":
        from workerlib._hosts.pyscript import page
        from workerlib._hosts.pyscript.config import read_config

        if config is not None:
            raise ConnectError(
                "config= is for workers outside of a browser: a page's script tags have their own"
            )
        parsed = read_config()
        chosen = settings(parsed, **overrides)
        adapters = load_adapters(parsed)
        open_channel = partial(page.open_channel, progress, partial(Greeting, chosen, adapters), worker)
    else:
        from workerlib._hosts.subprocess import parent

        if heartbeat is not None:
            raise ConnectError("heartbeat= is for workers of a page: the end of a process is noticed anyway")
        parsed = parent.read_config(config)
        chosen = settings(parsed, **overrides)
        with parent.importable(config, parsed):
            adapters = load_adapters(parsed)
        open_channel = partial(parent.open_channel, progress, config, parsed)
    return await establish(
        open_channel,
        progress,
        chosen,
        adapters,
        interface=interface,
        timeout=timeout,
        on_output=on_output,
        heartbeat=heartbeat,
    )


def _writer(on_output: Any) -> OnOutput:
    """Makes the function that takes the output of a worker, and has this page answer its questions."""
    if sys.platform == "emscripten":
        from workerlib._hosts.browser import output

        answer_by(output.ask)
        return output.writer(on_output)
    answer_by(partial(asyncio.to_thread, input))
    if on_output is None:
        # The worker's process writes to the same terminal.
        return lambda _stream, _text: None
    if not callable(on_output):
        raise TypeError(f"on_output={on_output!r}: outside of a browser, write a function")
    return on_output  # type: ignore[no-any-return]


def check_options(
    interface: object,
    timeout: float | None,
    on_progress: OnProgress | None,
    max_in_flight: int | None,
    **flags: bool | None,
) -> None:
    """Checks arguments of `connect()` and `spawn()`, before anything is started.

    Args:
        interface: A class, a module, or None.
        timeout: The number of seconds that each step of the start may take; None for any.
        on_progress: A function, or None.
        max_in_flight: A number of calls, or None.
        flags: Arguments that are True, False or None, by their names.

    Raises:
        TypeError: If one of them is something else.
        ValueError: If a number makes no sense.
    """
    if interface is not None and not isinstance(interface, type | ModuleType):
        raise TypeError(f"interface={interface!r}: write a Protocol, another class or a module")
    if timeout is not None and require_seconds("timeout", timeout) < 0:
        raise ValueError(f"timeout={timeout!r}: write a number of seconds from 0 on, or None for no limit")
    require_callable("on_progress", on_progress)
    if max_in_flight is not None:
        require_count("max_in_flight", max_in_flight, 1)
    for option, value in flags.items():
        require_flag(option, value)


def heartbeat_of(limit: float | None, in_calls: bool) -> Heartbeat | None:
    """Reads the two arguments of `connect()` and `spawn()`.

    Raises:
        ValueError: If the limit is not positive.
    """
    if limit is None:
        return None
    if require_seconds("heartbeat", limit) <= 0:
        raise ValueError(f"heartbeat={limit!r}: write a number of seconds above 0, or None for no watch")
    return Heartbeat(limit, in_calls)


def _expect_signs(found: Found, connection: Connection, heartbeat: Heartbeat | None) -> None:
    """Has the worker watched, if the user wants that; notes the connection for watches of others."""
    endpoint: Any = found.endpoint
    if not hasattr(endpoint, "ask"):
        return
    key = found.key or connection
    note_connection(key, connection)
    if heartbeat is None:
        return

    def end(reason: str) -> None:
        connection.die(f"the worker {found.name!r} {reason}")
        if found.terminate is not None:
            found.terminate()

    watch(heartbeat, key, connection, endpoint, end)


async def establish(
    open_channel: Callable[[], Coroutine[Any, Any, Found]],
    progress: Progress,
    chosen: Settings,
    adapters: AdapterSet,
    *,
    interface: object,
    timeout: float | None,
    on_output: Any = None,
    heartbeat: Heartbeat | None = None,
) -> Worker:
    """Opens a channel and then the connection.

    Args:
        open_channel: Makes the host's coroutine that opens the channel.
        progress: The step that the host is at.
        chosen: The settings of this side.
        adapters: The adapters of this side.
        interface: The functions that the worker should export; None for any: see `connect()`.
        timeout: The number of seconds without a new step after which to give up; None for never.
        on_output: Where the output goes that the worker forwards: see `connect()`.
        heartbeat: The seconds for which the worker may be silent once the connection is open; None for any.

    Returns:
        The worker, whose connection is open.

    Raises:
        WorkerDiedError: If the worker has ended before, or ends meanwhile.
        ConnectTimeoutError: If no new step was made in time.
        InterfaceError: If the worker does not fit the interface.
    """
    say(chosen.blocking)
    write = _writer(on_output)
    try:
        async with TimeLimit(timeout) as limit:
            progress.on_new_stage = limit.begin_anew
            if timeout is not None and timeout <= 0:
                # The event loop ends this wait. A worker that is there may answer before its next turn.
                await asyncio.sleep(0)
            found = await open_channel()
            progress.enter("waiting for the worker's side of the handshake")
            greeting = found.greeting or Greeting(chosen, adapters)
            log = CallLog(found.name, chosen.log)
            make = traced_connection() if chosen.trace else Connection
            connection = make(
                greeting.session,
                found.endpoint,
                _exports.functions,
                table=greeting.table,
                log=log,
                interrupt=found.interrupt,
                wake=found.wake,
            )
            connection.on_output = write
            connection.announce_exports()
            greeting.announce_later_exports()
            stop_watching = None if found.watch is None else found.watch(connection.die)
            if stop_watching is not None:
                connection.closed.add_done_callback(lambda _: stop_watching())
            connection.take_in_first(found.frames)
            try:
                exports = await connection.opened
                worker = Worker(connection, exports, found.name, found.worker, found.ended, found.terminate)
                if interface is not None:
                    # It takes a while to import, and few programs name an interface.
                    from workerlib._api.interface import check

                    check(interface, exports, found.name)
                _expect_signs(found, connection, heartbeat)
                progress.enter("ready", SpawnProgress("ready", found.name))
            except BaseException:
                connection.close("the handshake did not end as it should")
                if found.ended is not None:
                    await found.ended()
                raise
    except TimeoutError:
        raise ConnectTimeoutError(
            f"{progress.subject} did not get any further within {timeout} seconds;"
            f" {progress.caller} was {progress.step}"
        ) from None
    finally:
        progress.on_new_stage = lambda: None
    return worker
