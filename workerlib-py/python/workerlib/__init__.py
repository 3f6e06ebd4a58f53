"""Transparent Python-to-Python calls from a page to its Web Workers, under PyScript and Pyodide.

In the worker's script::

    import workerlib

    @workerlib.export
    def mean(values: list[float]) -> float:
        return sum(values) / len(values)

In the page's script::

    import workerlib

    worker = await workerlib.connect("stats")
    print(await worker.mean([1.0, 2.5]))

Arguments, results and exceptions arrive as themselves: no JsProxy, no conversion code. docs/values.md in
the source tree is the table of what arrives as what.
"""

import sys

if sys.implementation.name == "micropython":
    raise ImportError('workerlib needs Pyodide: write type="py", not type="mpy", in the script tag')

if sys.platform == "emscripten":
    # The wheel for Pyodide has its modules in two files: ADR 64, ADR 136.
    from workerlib import _bytecode

    __path__.insert(0, f"{__path__[0]}/modules.zip")
    _bytecode.use(__path__[1], __path__[0])

from typing import TYPE_CHECKING

from workerlib._api.connect import connect
from workerlib._api.page import Page, page
from workerlib._api.worker import Worker
from workerlib._errors import (
    BackPressureError,
    CannotBlockError,
    ConfigError,
    ConnectError,
    ConnectionClosedError,
    ConnectTimeoutError,
    ConversionWarning,
    DeadlockError,
    FrameError,
    InterfaceError,
    NoSuchWorkerError,
    NotExportedError,
    NotSupportedError,
    PoolBrokenError,
    ProtocolError,
    RemoteError,
    RevokedError,
    UnsendableError,
    WorkerDiedError,
    WorkerlibError,
    WorkerStartError,
)
from workerlib._exports import export
from workerlib._hosts.host import SpawnProgress
from workerlib._location.addresses import url
from workerlib._pool.shared import shared
from workerlib._rpc.any_call import any_call
from workerlib._rpc.call_log import elapsed_time, log
from workerlib._rpc.callbacks import Callback, callback
from workerlib._rpc.references import Reference
from workerlib._rpc.remote_objects import RemoteObject, remote
from workerlib._rpc.reply import Reply
from workerlib._rpc.reports import progress, report
from workerlib._rpc.streams_consumed import Stream
from workerlib._rpc.waiting import wait
from workerlib._values.adapter import All
from workerlib._values.adapters import adapter, adapter_for, register_adapter
from workerlib._values.functions import register
from workerlib._values.streams import stream
from workerlib._values.transfer import transfer
from workerlib._values.user_classes import portable
from workerlib._version import __version__

if TYPE_CHECKING:
    from workerlib._api.interface import Interface
    from workerlib._api.pool import pool
    from workerlib._api.progress_bar import tqdm
    from workerlib._api.spawn import spawn
    from workerlib._api.worker_pool import Pool
    from workerlib._compat.diagnostics import full_name as fullName
    from workerlib._compat.diagnostics import typechecked
    from workerlib._compat.exception_display import exception_handler as exceptionHandler
    from workerlib._compat.exception_display import improve_exception_handling as improveExceptionHandling
    from workerlib._rpc.tracing import Trace, traces

    diagnostics: tuple[str, ...]
    """The platform of this Python, in lines for the console or for a report of a problem."""
    systemVersions: dict[str, str | None]
    """The versions of PyScript, Pyodide, Python and Emscripten, as far as they are known."""

# The names of these in the reference library.
anyCall = any_call
connectToWorker = connect
elapsedTime = elapsed_time

__all__ = [
    "All",
    "BackPressureError",
    "Callback",
    "CannotBlockError",
    "ConfigError",
    "ConnectError",
    "ConnectTimeoutError",
    "ConnectionClosedError",
    "ConversionWarning",
    "DeadlockError",
    "FrameError",
    "Interface",
    "InterfaceError",
    "NoSuchWorkerError",
    "NotExportedError",
    "NotSupportedError",
    "Page",
    "Pool",
    "PoolBrokenError",
    "ProtocolError",
    "Reference",
    "RemoteError",
    "RemoteObject",
    "Reply",
    "RevokedError",
    "SpawnProgress",
    "Stream",
    "Trace",
    "UnsendableError",
    "Worker",
    "WorkerDiedError",
    "WorkerStartError",
    "WorkerlibError",
    "__version__",
    "adapter",
    "adapter_for",
    "anyCall",
    "callback",
    "connect",
    "connectToWorker",
    "diagnostics",
    "elapsedTime",
    "exceptionHandler",
    "export",
    "fullName",
    "improveExceptionHandling",
    "log",
    "page",
    "pool",
    "portable",
    "progress",
    "register",
    "register_adapter",
    "remote",
    "report",
    "shared",
    "spawn",
    "stream",
    "systemVersions",
    "tqdm",
    "traces",
    "transfer",
    "typechecked",
    "url",
    "wait",
]

if not TYPE_CHECKING:
    # The first use of a name that few programs use imports its module, or computes its value.
    from workerlib._compat.lazy_names import value_of as __getattr__  # noqa: F401

if sys.platform == "emscripten":
    from workerlib._hosts.browser import suspending
    from workerlib._hosts.pyscript import worker

    suspending.install()
    _bytecode.release()

    # Last, because it may import modules of the user, and they may import this one.
    worker.serve()
