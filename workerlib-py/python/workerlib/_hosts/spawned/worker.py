"""The worker's side of `spawn()`: runs the script and serves what it exports, over the port that was sent.

javascript/src/python_worker.ts has loaded Pyodide, with what the configuration says under `packages` and
`[files]`, and calls `start`.
"""

from __future__ import annotations

import json
from typing import Any

import js
from pyodide.code import eval_code_async
from pyodide.ffi import to_js

import __main__
from workerlib._channels.message_port import PortEndpoint, own_channel
from workerlib._config import exports_and_imports
from workerlib._config.settings import serve, settings
from workerlib._exports import describe_exports, functions
from workerlib._hosts.browser.shared_memory_answers import AnswerReader
from workerlib._hosts.browser.shared_memory_interrupts import MemoryGuard
from workerlib._hosts.host import internal_function
from workerlib._hosts.traces import traced_connection
from workerlib._location.addresses import start_from
from workerlib._native import Session, encode
from workerlib._rpc.call_log import CallLog
from workerlib._rpc.connection import Connection
from workerlib._rpc.starts import say
from workerlib._values.exceptions import describe
from workerlib._version import __version__

_is_worker = False
_config: dict[str, Any] = {}
_connection: Connection | None = None


def is_worker() -> bool:
    """Returns whether this Python is a worker that was spawned."""
    return _is_worker


def read_config() -> dict[str, Any]:
    """Returns this worker's configuration."""
    return _config


def hint_at_files() -> None:
    """Explains nothing: a file of `[files]` that is not there has ended the start before."""


async def start(source: str, script: str, base: str, order: Any) -> Any:
    """Runs the worker's script, then opens the connection.

    Args:
        source: The script's text.
        script: Its address.
        base: The address from which relative addresses start.
        order: From the Python that called `spawn()`: the worker's `name`; its `config`, as JSON; the
            `port` to that Python, or nothing where the worker's own channel is it, and the `lock` is the mark
            of its messages; the `memory` that it shares, to interrupt what computes here, or nothing;
            likewise the `answers`, for sync code that waits.

    Returns:
        None, or what the script raised, described and encoded as a Uint8Array.
    """
    global _is_worker, _config, _connection
    _is_worker = True
    start_from(lambda: base)
    _config = json.loads(order.config)
    file = script.rpartition("/")[2]
    __main__.__dict__["__file__"] = file
    serve(_config)
    try:
        chosen = settings(_config)
        say(chosen.blocking)
        exports_and_imports.import_into(__main__, _config)
        await eval_code_async(source, __main__.__dict__, filename=file)
        adapters = exports_and_imports.complete(_config)
    # SystemExit and KeyboardInterrupt are what became of the script, too.
    except BaseException as error:
        return to_js(encode(describe(error))[0])
    table = chosen.table(adapters)
    session = Session.listen(
        __version__,
        describe_exports(),
        adapters=table.adapters.describe(),
        table=table,
        max_depth=chosen.max_depth,
    )
    guard = MemoryGuard(order.memory) if order.memory else None
    log = CallLog(order.name, chosen.log)
    port = getattr(order, "port", None) or own_channel(js.globalThis, order.lock)
    endpoint = PortEndpoint(port)
    if order.answers:
        endpoint.answers = AnswerReader(order.answers)
    make = traced_connection() if chosen.trace else Connection
    _connection = make(
        session, endpoint, functions, table=table, log=log, guard=guard, internal=internal_function
    )
    _connection.announce_exports()
    return None
