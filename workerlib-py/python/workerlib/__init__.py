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

from workerlib._adapters import All, adapter, adapter_for, register_adapter
from workerlib._classes import portable
from workerlib._connect import connect
from workerlib._errors import (
    ConfigError,
    ConnectError,
    ConnectionClosedError,
    ConnectTimeoutError,
    ConversionWarning,
    FrameError,
    InterfaceError,
    NoSuchWorkerError,
    NotExportedError,
    ProtocolError,
    RemoteError,
    UnsendableError,
    WorkerDiedError,
    WorkerlibError,
    WorkerStartError,
)
from workerlib._exports import export
from workerlib._functions import register
from workerlib._interface import Interface
from workerlib._spawn import SpawnProgress, spawn
from workerlib._version import __version__
from workerlib._worker import Worker

connectToWorker = connect
"""The name that the pure-Python library of the same name gave to `connect`."""

if sys.platform == "emscripten":
    from workerlib import _pyscript

    _pyscript.serve()

__all__ = [
    "All",
    "ConfigError",
    "ConnectError",
    "ConnectTimeoutError",
    "ConnectionClosedError",
    "ConversionWarning",
    "FrameError",
    "Interface",
    "InterfaceError",
    "NoSuchWorkerError",
    "NotExportedError",
    "ProtocolError",
    "RemoteError",
    "SpawnProgress",
    "UnsendableError",
    "Worker",
    "WorkerDiedError",
    "WorkerStartError",
    "WorkerlibError",
    "__version__",
    "adapter",
    "adapter_for",
    "connect",
    "connectToWorker",
    "export",
    "portable",
    "register",
    "register_adapter",
    "spawn",
]
