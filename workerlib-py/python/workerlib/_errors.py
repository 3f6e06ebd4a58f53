"""The errors that workerlib raises.

::

    WorkerlibError
    ├── ConnectError               no connection was made
    │   ├── NoSuchWorkerError      (also a LookupError) the page has no worker of that name
    │   ├── WorkerStartError       the worker's script failed, or could not be loaded
    │   ├── ConnectTimeoutError    (also a TimeoutError) the worker got no further in time
    │   ├── InterfaceError         (also a TypeError) the worker does not fit the requested interface
    │   └── ProtocolError          the two sides have different versions of workerlib
    ├── ConfigError                (also a ValueError) a configuration that cannot be right
    ├── NotExportedError           (also an AttributeError) the worker does not export that name
    ├── NotSupportedError          (also a NotImplementedError) a pool cannot do this, or not with its workers
    ├── UnsendableError            (also a TypeError) a value of a type that cannot be sent
    ├── CannotBlockError           (also a RuntimeError) sync code cannot wait here
    ├── DeadlockError              (also a RuntimeError) two calls would wait for each other
    ├── BackPressureError          (also a RuntimeError) too many calls of callbacks without an answer
    ├── RevokedError               a callback whose call was cancelled
    ├── FrameError                 (also a ValueError) bytes from the other side that cannot be read
    ├── ConnectionClosedError      (also a ConnectionError) the connection ended before the answer
    │   ├── WorkerDiedError        because the worker was terminated, or crashed
    │   └── PoolBrokenError        because each worker of the pool died too often, or cannot be started
    └── RemoteError                an exception in the worker that cannot be raised here as itself

An exception that a function in the worker raises is raised in the caller as itself, with the worker's frames
below the caller's own. It is a `RemoteError` if its class does not exist on this side, or if asyncio would
take it for a message of its own. A cancelled call raises asyncio's `CancelledError`, and a call that exceeds
its time raises `TimeoutError`.
"""

from __future__ import annotations


class WorkerlibError(Exception):
    """The base of every error that workerlib raises itself."""


class ConnectError(WorkerlibError):
    """Tells that no connection to a worker could be made."""


class NoSuchWorkerError(ConnectError, LookupError):
    """Tells that the page has no worker of that name, and which names there are."""


class WorkerStartError(ConnectError):
    """Tells that the worker's script failed or could not be loaded.

    `__cause__` is the script's error, or the error for which something could not be loaded, if it is known.
    """


class ConnectTimeoutError(ConnectError, TimeoutError):
    """Tells that the start of a worker got no further in time, and at which step."""


class InterfaceError(ConnectError, TypeError):
    """Tells what a worker lacks, or has otherwise, of the interface that `connect()` was given."""


class ProtocolError(ConnectError):
    """Tells that the two sides have versions of workerlib that do not understand each other."""


class ConfigError(WorkerlibError, ValueError):
    """Tells what in the configuration of a page or a worker cannot be right."""


class NotExportedError(WorkerlibError, AttributeError):
    """Tells that the worker does not export a function of that name, and which it does."""


class CannotBlockError(WorkerlibError, RuntimeError):
    """Tells that sync code cannot wait in this place, and what to change."""


class DeadlockError(WorkerlibError, RuntimeError):
    """Tells of a call that the other side could never start, since it waits for this side's answer."""


class BackPressureError(WorkerlibError, RuntimeError):
    """Tells that the other side takes no more calls of callbacks before it has answered some."""


class RevokedError(WorkerlibError):
    """Tells that a callback is not called any more, since the call that it was passed to was cancelled."""


class FrameError(WorkerlibError, ValueError):
    """Tells that bytes from the other side cannot be read, where, and by which section of the format."""


class ConnectionClosedError(WorkerlibError, ConnectionError):
    """Tells that the connection was closed before the call was answered, and why."""


class WorkerDiedError(ConnectionClosedError):
    """Tells that the worker is gone without having closed the connection: terminated, or crashed.

    `__cause__` is the error by which it ended, if one is known: a `RemoteError` with the name and text of an
    error of JavaScript's, or outside of a browser a `subprocess.CalledProcessError`.
    """


class PoolBrokenError(ConnectionClosedError):
    """Tells that no worker of a pool is left: each died too often, or cannot be started again."""


class NotSupportedError(WorkerlibError, NotImplementedError):
    """Tells what a pool cannot do, or not with the workers that it has, and what to do instead."""


class UnsendableError(WorkerlibError, TypeError):
    """Tells that a value cannot be sent, and where in the arguments or the result it stands."""

    path: str
    """Where the value stands, such as `args[0]['when']`."""
    type_name: str
    """The name of its type, such as `datetime.date`; empty where the type is not the reason."""
    reason: str | None
    """The reason, where it is not the type."""

    def __init__(self, path: str, type_name: str = "", reason: str | None = None) -> None:
        super().__init__(path, type_name, reason)
        self.path = path
        self.type_name = type_name
        self.reason = reason

    def __str__(self) -> str:
        if self.reason is not None:
            subject = f"{self.type_name} cannot be sent: " if self.type_name else ""
            return f"{self.path}: {subject}{self.reason}"
        return (
            f"{self.path}: {self.type_name} cannot be sent between a page and its worker; send what it is"
            " made of instead: docs/values.md has the types that arrive as themselves"
        )


class RemoteError(WorkerlibError):
    """Tells of an exception in the worker that cannot be raised here as itself.

    Either its class does not exist on this side; or asyncio, or a generator, would take it for a message of
    its own (KeyboardInterrupt, SystemExit, StopIteration, GeneratorExit, CancelledError): then `__cause__` is
    the exception itself.
    """

    type_name: str
    """The name of the exception's class, such as `json.decoder.JSONDecodeError`."""

    def __init__(self, message: str, type_name: str = "") -> None:
        super().__init__(message, type_name)
        self.type_name = type_name

    def __str__(self) -> str:
        message = str(self.args[0])
        return f"{self.type_name}: {message}" if message else self.type_name


class ConversionWarning(UserWarning):
    """Tells that a value arrives as something like it: a generator as a list, a subclass as its base."""


for _name, _kind in list(globals().items()):
    # Tracebacks show the name by which users import the class.
    if isinstance(_kind, type) and issubclass(_kind, Exception):
        _kind.__module__ = "workerlib"
