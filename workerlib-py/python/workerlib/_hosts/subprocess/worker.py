"""Outside of a browser, the worker's side: a process that runs the worker's script and serves its exports.

`_hosts/subprocess/parent.py` starts it. The script runs as a worker's script does under PyScript: as
`__main__`, inside of a running event loop, and it may await at its top level. A module is imported by its own
name instead. The process ends when its stdin does, that is with the process that started it, whatever the
script is doing. Until then stdin says which calls to interrupt.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import importlib
import inspect
import io
import os
import socket
import sys
import threading
import time
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from workerlib import _exports
from workerlib._channels.socket import open_pipe
from workerlib._config import exports_and_imports
from workerlib._config.settings import serve, settings
from workerlib._hosts.host import internal_function, is_file_name
from workerlib._hosts.subprocess.signal_interrupts import SignalGuard
from workerlib._hosts.traces import traced_connection
from workerlib._location.addresses import address_of, start_from
from workerlib._native import Session, decode, encode
from workerlib._rpc.call_log import CallLog
from workerlib._rpc.connection import Connection
from workerlib._rpc.starts import say
from workerlib._values.exceptions import describe
from workerlib._version import __version__

# The seconds that a process may take to end after its stdin has ended.
_GRACE = 2.0
# The seconds between the interrupts that it gets meanwhile.
_PAUSE = 0.02
_SOFTWARE_ERROR = 70


_config: dict[str, Any] | None = None


def is_worker() -> bool:
    """Returns whether this process is such a worker."""
    return _config is not None


def read_config() -> dict[str, Any]:
    """Returns this worker's configuration."""
    return _config or {}


def hint_at_files() -> None:
    """Explains nothing: what `[files]` lists is found, or its import fails with the reason."""


def main(handed: int | str) -> None:
    """Runs the process.

    Args:
        handed: The socket for the session: its number, or on Windows what `socket.share()` gave.
    """
    sock = _take_over(handed)
    guard = SignalGuard()
    _keep_stdin_from_the_script(guard)
    # Printed text is to be seen at once, and not to be lost if the process is killed.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)
    sys.exit(asyncio.run(_run(sock, guard)))


def _take_over(handed: int | str) -> socket.socket:
    if sys.platform == "win32":
        return socket.fromshare(bytes.fromhex(str(handed)))
    # Processes that the script starts must not hold the channel open.
    os.set_inheritable(int(handed), False)
    return socket.socket(fileno=int(handed))


def _keep_stdin_from_the_script(guard: SignalGuard) -> None:
    """Has a thread do what stdin says, whatever the script is doing, and gives the script an empty one."""
    orders = os.fdopen(os.dup(0), "rb")
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - it is the script's, for as long as it runs

    def obey() -> None:
        for line in orders:
            call, cancels = line.split()
            guard.interrupt(int(call), int(cancels))
        # The other side has closed, or died. A function that computes would keep this process alive.
        end = time.monotonic() + _GRACE
        while time.monotonic() < end:
            guard.interrupt_all()
            time.sleep(_PAUSE)
        os._exit(_SOFTWARE_ERROR)

    threading.Thread(target=obey, name="workerlib: what stdin says", daemon=True).start()


def _keep_the_channel_from_forks(sock: socket.socket) -> None:
    """Has a fork of this process neither answer calls nor go on with the event loop, which is this process's.

    A function that the script has forked may do whatever it likes in the other process, until it returns.
    """
    loop = asyncio.get_running_loop()

    def let_go() -> None:
        number = sock.fileno()
        if number >= 0:
            # Not closed: the loop would forget the socket then, and both processes share its list of sockets.
            nothing = os.open(os.devnull, os.O_RDWR)
            os.dup2(nothing, number, inheritable=False)
            os.close(nothing)
        # Not by the loop's own end, for the same reason. In debug mode, asyncio refuses a fork of another
        # thread.
        with contextlib.suppress(RuntimeError):
            loop.call_soon(os._exit, 0)

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=let_go)


async def _run(sock: socket.socket, guard: SignalGuard) -> int:
    """Runs the script and serves its exports until the other side closes; returns the exit code."""
    pipe = await open_pipe(sock)
    _keep_the_channel_from_forks(sock)
    if sys.platform == "win32":
        pipe.post(b"open", [])
    received = await pipe.receive()
    if received is None:
        return 0
    global _config
    start: Any = decode(*received)
    script, config = start["script"], start["config"]
    _config = config
    serve(config)
    try:
        chosen = settings(config)
        say(chosen.blocking)
        await _run_script(script, config)
        adapters = exports_and_imports.complete(config)
    except BaseException as error:
        pipe.post(*encode(_refusal(script, error)))
        pipe.close()
        await pipe.ended
        return 1
    pipe.post(*encode(None))
    table = chosen.table(adapters)
    session = Session.listen(
        __version__,
        _exports.describe_exports(),
        adapters=table.adapters.describe(),
        table=table,
        max_depth=chosen.max_depth,
    )
    log = CallLog(os.path.basename(script), chosen.log)
    make = traced_connection() if chosen.trace else Connection
    connection = make(
        session, pipe, _exports.functions, table=table, log=log, guard=guard, internal=internal_function
    )
    connection.announce_exports()
    await connection.closed
    # The end of the loop would cancel once more what is cleaning up after the end of the connection.
    if cancelled := [task for task in asyncio.all_tasks() if task.cancelling()]:
        await asyncio.wait(cancelled)
    return 0


def _refusal(script: str, error: BaseException) -> tuple[str, Any]:
    if (
        isinstance(error, ModuleNotFoundError)
        and not is_file_name(script)
        and error.name is not None
        and (script == error.name or script.startswith(f"{error.name}."))
    ):
        return "missing", f"a file is given as './{script}.py'; {error}"
    return "failed", describe(error)


async def _run_script(script: str, config: Mapping[str, Any]) -> None:
    sys.argv = [script]
    if not is_file_name(script):
        sys.modules["__main__"] = importlib.import_module(script)
        return
    sys.path.insert(0, os.path.dirname(script))
    start_from(lambda: address_of(os.path.abspath(script)))
    module = ModuleType("__main__")
    module.__file__ = script
    sys.modules["__main__"] = module
    exports_and_imports.import_into(module, config)
    with open(script, "rb") as file:
        code = compile(file.read(), script, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    outcome = eval(code, module.__dict__)
    if inspect.iscoroutine(outcome):
        await outcome
