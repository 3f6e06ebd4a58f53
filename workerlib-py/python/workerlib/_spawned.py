"""The worker's side of `spawn()`: runs the script and serves what it exports, over the port that was sent.

javascript/src/python_worker.ts has loaded Pyodide and calls `start`.
"""

from __future__ import annotations

import json
from typing import Any

from pyodide.code import eval_code_async
from pyodide.ffi import to_js

import __main__
from workerlib._adapter_entries import load_adapters
from workerlib._adapters import describe_adapters
from workerlib._config import settings
from workerlib._connection import Connection
from workerlib._exceptions import describe
from workerlib._exports import describe_exports, functions
from workerlib._interrupts import MemoryGuard
from workerlib._native import Session, encode
from workerlib._port import PortEndpoint
from workerlib._version import __version__

base: str | None = None
"""Where relative addresses start in this worker: at its script. None where nobody spawned it."""

_connection: Connection | None = None


async def start(source: str, script: str, config: str, port: Any, memory: Any) -> Any:
    """Runs the worker's script, then opens the connection.

    Args:
        source: The script's text.
        script: Its address.
        config: The worker's configuration, as JSON.
        port: The MessagePort to the Python that called `spawn()`.
        memory: What that shares with this worker, by which it interrupts what computes here; or nothing.

    Returns:
        None, or what the script raised, described and encoded as a Uint8Array.
    """
    global base, _connection
    base = script
    name = script.rpartition("/")[2]
    __main__.__dict__["__file__"] = name
    try:
        parsed = json.loads(config)
        chosen = settings(parsed)
        await eval_code_async(source, __main__.__dict__, filename=name)
        # After the script, whose own classes the configuration may name.
        load_adapters(parsed)
    # SystemExit and KeyboardInterrupt are what became of the script, too.
    except BaseException as error:
        return to_js(encode(describe(error))[0])
    session = Session.listen(
        __version__,
        describe_exports(),
        adapters=describe_adapters(),
        strict=chosen.strict,
        max_depth=chosen.max_depth,
    )
    guard = MemoryGuard(memory) if memory else None
    _connection = Connection(session, PortEndpoint(port), functions, guard=guard)
    _connection.announce_exports()
    return None
