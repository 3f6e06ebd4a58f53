"""What can go wrong, and how an exception travels from the worker to its caller.

::

    WorkerlibError
    ├── ConnectError               no connection was made
    │   ├── NoSuchWorkerError      (also a LookupError) the page has no worker of that name
    │   ├── WorkerStartError       the worker's script failed, or could not be loaded
    │   ├── ConnectTimeoutError    (also a TimeoutError) the worker did not answer in time
    │   ├── InterfaceError         (also a TypeError) the worker does not fit the interface that was asked for
    │   └── ProtocolError          the two sides have different versions of workerlib
    ├── ConfigError                (also a ValueError) a configuration that cannot be right
    ├── NotExportedError           (also an AttributeError) the worker does not export that name
    ├── UnsendableError            (also a TypeError) a value of a type that cannot be sent
    ├── FrameError                 (also a ValueError) bytes from the other side that cannot be read
    ├── ConnectionClosedError      (also a ConnectionError) the connection ended before the answer
    │   └── WorkerDiedError        because the worker was terminated, or crashed
    └── RemoteError                an exception in the worker whose class does not exist here

An exception of a builtin class that a function in the worker raises is raised in the caller as itself.
The worker's traceback is its `__cause__`, a `RemoteTraceback`.
"""

from __future__ import annotations

import builtins
import os
import traceback
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any

_PACKAGE = os.path.dirname(__file__) + os.sep

# What asyncio or a generator would take for a message of its own if it were raised in the caller.
_NOT_AS_THEMSELVES = (StopIteration, StopAsyncIteration)

# Exception groups that stand deeper inside each other than this arrive as RemoteError.
_GROUP_DEPTH = 32


class WorkerlibError(Exception):
    """The base of every error that workerlib raises itself."""


class ConnectError(WorkerlibError):
    """Tells that no connection to a worker could be made."""


class NoSuchWorkerError(ConnectError, LookupError):
    """Tells that the page has no worker of that name, and which names there are."""


class WorkerStartError(ConnectError):
    """Tells that the worker's script failed or could not be loaded; `__cause__` is the script's error."""


class ConnectTimeoutError(ConnectError, TimeoutError):
    """Tells that the worker did not answer in time."""


class InterfaceError(ConnectError, TypeError):
    """Tells what a worker lacks, or has otherwise, of the interface that `connect()` was given."""


class ProtocolError(ConnectError):
    """Tells that the two sides have versions of workerlib that do not understand each other."""


class ConfigError(WorkerlibError, ValueError):
    """Tells what in the configuration of a page or a worker cannot be right."""


class NotExportedError(WorkerlibError, AttributeError):
    """Tells that the worker does not export a function of that name, and which it does."""


class FrameError(WorkerlibError, ValueError):
    """Tells that bytes from the other side cannot be read, where, and by which section of the format."""


class ConnectionClosedError(WorkerlibError, ConnectionError):
    """Tells that the connection was closed before the call was answered, and why."""


class WorkerDiedError(ConnectionClosedError):
    """Tells that the worker is gone without having closed the connection: terminated, or crashed."""


class UnsendableError(WorkerlibError, TypeError):
    """Tells that a value cannot be sent, and where in the arguments or the result it stands."""

    path: str
    """Where the value stands, such as `args[0]['when']`."""
    type_name: str
    """The name of its type, such as `datetime.date`; empty where the type is not the reason."""
    reason: str | None
    """What is wrong, where it is not the type."""

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
    """An exception in the worker whose class is not a builtin one: its name and its text."""

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


class RemoteTraceback(Exception):
    """The worker's traceback as text, which a traceback shows above the local one."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f'\n"""\n{self.text}"""'


for _name, _kind in list(globals().items()):
    # Tracebacks show the name by which users import the class.
    if isinstance(_kind, type) and issubclass(_kind, Exception):
        _kind.__module__ = "workerlib"


def describe(error: BaseException) -> dict[str, Any]:
    """Describes an exception in values that can be sent: docs/wire-format.md, section 5.

    Arguments of the exception that cannot be sent are replaced by their `repr()`.
    """
    try:
        return _describe(error)
    except Exception as failure:
        # An exception may override anything, args included; its caller must hear of it all the same.
        return _describe(
            RuntimeError(f"{type(error).__qualname__} was raised and could not be described: {failure!r}")
        )


def _describe(error: BaseException) -> dict[str, Any]:
    own_frames = _without_own_frames(error.__traceback__)
    kind = type(error)
    return {
        "type": f"{kind.__module__}.{kind.__qualname__}",
        "args": tuple(_sendable(argument) for argument in _arguments(error)),
        "message": _text(error),
        "notes": [str(note) for note in getattr(error, "__notes__", [])],
        "traceback": "".join(traceback.format_exception(kind, error, own_frames)),
        "exceptions": [_describe(one) for one in error.exceptions]
        if isinstance(error, BaseExceptionGroup)
        else None,
    }


def rebuild(description: object) -> BaseException:
    """Makes the exception that `describe` described on the other side."""
    error = _rebuild(description, 0)
    text = _field(description, "traceback", str)
    error.__cause__ = RemoteTraceback(text)
    return error


def _rebuild(description: object, depth: int) -> BaseException:
    type_name = _field(description, "type", str)
    message = _field(description, "message", str)
    args = _field(description, "args", tuple)
    kind = _class(type_name)
    error: BaseException | None = None
    if kind is not None and issubclass(kind, BaseExceptionGroup):
        members = description.get("exceptions") if isinstance(description, dict) else None
        if isinstance(members, list) and members and depth < _GROUP_DEPTH:
            error = _build(kind, (args[0] if args else "", [_rebuild(one, depth + 1) for one in members]))
    elif kind is not None:
        error = _build(kind, args)
    if error is None:
        error = RemoteError(message, type_name.removeprefix("builtins."))
    for note in _field(description, "notes", list):
        error.add_note(str(note))
    return error


def _class(type_name: str) -> type[BaseException] | None:
    """Finds the class of an exception that is raised here as itself: builtin ones, and workerlib's own."""
    module, _, name = type_name.rpartition(".")
    kind: object = None
    if module == "builtins":
        kind = getattr(builtins, name, None)
    elif module == WorkerlibError.__module__:
        kind = globals().get(name)
    if not isinstance(kind, type) or not issubclass(kind, Exception) or issubclass(kind, _NOT_AS_THEMSELVES):
        return None
    return kind


def _build(kind: Callable[..., BaseException], args: Iterable[Any]) -> BaseException | None:
    # Imported late: that module needs the classes of this one.
    from workerlib._types import check_positions

    try:
        error = kind(*args)
        check_positions(error)
    except Exception:
        # Arguments that were replaced by their repr() may not be what the class demands.
        return None
    return error


def _arguments(error: BaseException) -> tuple[object, ...]:
    if isinstance(error, OSError):
        # Its `args` leave out the file's name.
        reduced = error.__reduce__()
        if isinstance(reduced, tuple) and isinstance(reduced[1], tuple):
            return reduced[1]
    return error.args


def _sendable(value: object) -> object:
    # Imported late: the extension module imports the classes of this module by name.
    from workerlib._native import encode

    try:
        # Strictly: what would be converted, an iterator say, would be used up by the trial.
        encode(value, strict=True)
    except Exception:
        return _text(value, repr)
    return value


def _text(value: object, to_text: Callable[[object], str] = str) -> str:
    try:
        return to_text(value)
    except Exception:
        return f"<{type(value).__name__} whose {to_text.__name__}() failed>"


def _field(description: object, name: str, kind: type[Any]) -> Any:
    value = description.get(name) if isinstance(description, dict) else None
    if not isinstance(value, kind):
        raise FrameError(
            f"an exception without {name!r} of type {kind.__name__} (docs/wire-format.md, section 5)"
        )
    return value


def _without_own_frames(frames: TracebackType | None) -> TracebackType | None:
    while frames is not None and frames.tb_frame.f_code.co_filename.startswith(_PACKAGE):
        frames = frames.tb_next
    return frames
