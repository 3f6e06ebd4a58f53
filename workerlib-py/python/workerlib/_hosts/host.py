"""Gives what all hosts share: how far a start has come, and the channel that a host hands out.

`connect()` and `spawn()` ask a host for a channel to a worker: a page of PyScript's
(`_hosts/pyscript/page.py`), a Pyodide that starts a worker itself (`_hosts/spawned/parent.py`), or outside
of a browser a Python that starts a subprocess (`_hosts/subprocess/parent.py`). This module starts nothing.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from workerlib._errors import RemoteError, WorkerStartError
from workerlib._hosts.greeting import Greeting
from workerlib._rpc.endpoint import Endpoint, OnDeath
from workerlib._values.safe_text import class_name, notes_of, text_of


@dataclass(frozen=True)
class SpawnProgress:
    """A step on the way to a worker that can be called, of `connect()` or `spawn()`."""

    stage: str
    """`find`, `download`, `install`, `import` or `connect`, and at last `ready`."""
    what: str
    """The thing that is looked for, fetched, installed or run: worker, Pyodide, a package, the script."""
    done: int | None = None
    """The number of packages that have come this far, where packages are loaded."""
    total: int | None = None
    """Of how many."""

    def __str__(self) -> str:
        doing = {"download": "fetching", "install": "installing", "import": "running"}
        return f"{doing.get(self.stage, self.stage)} {self.what}"


OnProgress = Callable[[SpawnProgress], object]
"""Is called with each step."""

OnOutput = Callable[[str, str], object]
"""Is called with the name of a stream and the text that the worker has written to it."""


if TYPE_CHECKING:

    class JavaScriptObject(Protocol):
        """An object of JavaScript as Python has it: a `pyodide.ffi.JsProxy`.

        Checkers know it without Pyodide's types, which are not installed where workers are tested.
        """

        @property
        def js_id(self) -> int:
            """The number by which Pyodide knows the object."""


class Progress:
    """The progress of a worker's start: for the user, for the time limit, and for its message."""

    def __init__(
        self,
        name: str | None,
        step: str = "looking for the worker",
        caller: str = "connect()",
        on_progress: OnProgress | None = None,
    ) -> None:
        """Begins.

        Args:
            name: The name that was asked for.
            step: The first thing that is waited for.
            caller: The function that the user called, for messages.
            on_progress: The user's function that hears of each step.
        """
        self.name = name
        """The name that was asked for, then the one that was found."""
        self.step = step
        """The thing that is waited for."""
        self.caller = caller
        self.on_new_stage: Callable[[], None] = lambda: None
        """Is called at each step: the time limit is one for a step."""
        self._on_progress = on_progress

    def enter(self, step: str, told: SpawnProgress | None = None) -> None:
        """Notes a new step.

        Args:
            step: The thing that is waited for, for messages: "connect() was …".
            told: The argument of the user's function, which may raise anything.
        """
        self.step = step
        self.on_new_stage()
        if told is not None and self._on_progress is not None:
            self._on_progress(told)

    @property
    def subject(self) -> str:
        """The worker, for messages."""
        return "the worker" if self.name is None else f"the worker {self.name!r}"


def script_failed(what: str, cause: BaseException, remedy: str = "") -> WorkerStartError:
    """Makes the error of a script that failed, whose own text says why and where.

    Args:
        what: The script, for the message: "the script of the worker 'stats'".
        cause: The script's exception.
        remedy: The way in which this host makes a module importable, for a module that was not found.
    """
    name = (cause.type_name if isinstance(cause, RemoteError) else class_name(type(cause))).removeprefix(
        "workerlib."
    )
    # A RemoteError's own text begins with the name.
    text = str(cause.args[0]) if isinstance(cause, RemoteError) else text_of(cause)
    frames = traceback.extract_tb(cause.__traceback__)
    where = f" ({frames[-1].filename.removeprefix('worker:')}, line {frames[-1].lineno})" if frames else ""
    if isinstance(cause, SyntaxError):
        # Its text has the place.
        where = ""
    if isinstance(cause, ModuleNotFoundError):
        where += "".join(f"; {hint}" for hint in (remedy, *notes_of(cause)) if hint)
    error = WorkerStartError(
        f"{what} failed: {name}: {text}{where}" if text else f"{what} failed: {name}{where}"
    )
    error.__cause__ = cause
    return error


@dataclass(frozen=True)
class Found:
    """A worker that has handed out a channel."""

    name: str
    """The worker's name, for people."""
    endpoint: Endpoint
    """The channel."""
    worker: Any
    """The host's own object for the worker."""
    watch: Callable[[OnDeath], Callable[[], None] | None] | None = None
    """Has a function called with the reason if the worker dies, where the host can tell; returns the function
    that ends the watch, where it has to be ended."""
    ended: Callable[[], Awaitable[None]] | None = None
    """Waits until the worker has ended, where it ends with its connection."""
    interrupt: Callable[[int, int], None] | None = None
    """Interrupts a call, by its id, that was cancelled so many times, if its code is running in the worker at
    that moment."""
    terminate: Callable[[], object] | None = None
    """Ends the worker at once, where it does not end with its connection."""
    wake: Callable[[bytes, list[Any]], bool] | None = None
    """Tells the worker something while its thread sleeps; returns False if there is no room."""
    key: object = None
    """Identifies the worker among those to which several connections may lead."""
    greeting: Greeting | None = None
    """The session, if the host has carried the first message of the handshake to the worker."""
    frames: tuple[bytes, ...] = ()
    """The worker's messages that came with the channel, before all that the channel brings."""


def is_html(text: str) -> bool:
    """Tells whether a text is a page, which some servers send for files that do not exist.

    Args:
        text: The text that a server has sent for a script or a configuration.
    """
    return text.lstrip("\ufeff \t\r\n")[:15].lower().startswith(("<!doctype html", "<html"))


MODULES_OF_A_PAGE = (
    "a module of the site must stand under [files] in the worker's configuration, one of a package under"
    " packages"
)
"""The remedy for a module that a browser's worker does not find."""


def is_file_name(name: str) -> bool:
    """Tells whether a worker's script is named as a file or an address, not as a module."""
    return name.endswith(".py") or "/" in name or os.sep in name


def is_module_name(name: str) -> bool:
    """Tells whether a module can have this name."""
    return all(part.isidentifier() for part in name.split("."))


def internal_function(name: str) -> Callable[..., Any] | None:
    """Returns the function of workerlib's own of that name, for a page's pool; None if there is none."""
    # Imported here, because most workers are in no pool.
    from workerlib._pool.served import internal_function

    return internal_function(name)
