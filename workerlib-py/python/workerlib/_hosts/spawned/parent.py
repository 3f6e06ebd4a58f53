"""Makes the worker of `spawn()`, with the Pyodide, the lock file and the workerlib of its caller.

`_api/spawn.py` calls it. The user needs no file but the worker's script: the worker's JavaScript
(javascript/src/python_worker.ts) is in the wheel, and goes to the browser by a blob: address. When the script
has run, the two Pythons talk as after `connect()`. The worker ends with the connection.
"""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path, PurePath
from typing import Any

import js
import pyodide_js
from pyodide.ffi import JsException, JsProxy, jsnull, to_js

from workerlib._channels import fatal_errors
from workerlib._channels.message_port import PortEndpoint, new_port
from workerlib._errors import RemoteError, WorkerDiedError, WorkerStartError
from workerlib._exports import Function
from workerlib._hosts.browser.liveness import watch_lock, watch_termination
from workerlib._hosts.browser.shared_memory_answers import AnswerWriter, new_answers
from workerlib._hosts.browser.shared_memory_interrupts import Interrupter, new_memory
from workerlib._hosts.browser.web_worker import NOT_LOADED, is_node, new_worker
from workerlib._hosts.host import (
    MODULES_OF_A_PAGE,
    Found,
    Progress,
    SpawnProgress,
    is_file_name,
    script_failed,
)
from workerlib._hosts.spawned.snapshots import snapshots
from workerlib._hosts.spawned.wanted import Wanted
from workerlib._location.addresses import base
from workerlib._location.package_files import folder, text_of
from workerlib._native import Session, decode
from workerlib._rpc.endpoint import OnDeath
from workerlib._rpc.timers import call_later
from workerlib._values.exceptions import rebuild

_TOLD = frozenset({"progress", "failed", "snapshot", "no_snapshot", "compiled", "locked", "died", "ready"})
"""The messages of the worker's own JavaScript; each has a method."""

_OVERTAKEN = 0.1
"""For how many seconds messages of a dead worker may still arrive by its port."""


async def open_channel(wanted: Wanted, progress: Progress) -> Found:
    """Starts the worker, waits until its script has run, and gives the channel to it.

    Raises:
        WorkerStartError: If something that it needs cannot be fetched, or its script failed; if the page
            should be isolated and is not.
    """
    # Node, which has no such thing, shares memory without it.
    if wanted.isolated and not is_node() and not js.crossOriginIsolated:
        raise WorkerStartError(
            f"the worker {progress.name!r} was not started, because the page is not cross-origin isolated:"
            " its server has to send the headers Cross-Origin-Opener-Policy: same-origin and"
            " Cross-Origin-Embedder-Policy: require-corp"
        )
    with snapshots.start(wanted.snapshot, _script, _equipment) as offer:
        worker = SpawnedWorker(wanted, progress, await offer)
        try:
            await worker.ready
        except BaseException:
            worker.close()
            raise
    return Found(
        worker.name,
        worker,
        worker.host.worker,
        worker.watch,
        worker.ended,
        worker.interrupt,
        wake=worker.wake,
    )


class SpawnedWorker:
    """A worker that was spawned, which is the endpoint of the channel to it too, and ends with it.

    On its own channel it tells how far it has come, and later on that it lives.
    """

    def __init__(self, wanted: Wanted, progress: Progress, offer: Any) -> None:
        """Starts the worker.

        Args:
            wanted: The script, and how it is to run.
            progress: Notes the worker's messages.
            offer: The memory snapshot for it: see `Snapshots.start`.
        """
        self.name = str(progress.name)
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when the worker's script has run, or with the error for which it could not."""
        self._wanted = wanted
        self._progress = progress
        self._lock = f"workerlib {self.name} {js.Math.random()}"
        self._die: OnDeath | None = None
        self._cause: RemoteError | None = None
        self._stop_watching: Callable[[], None] = lambda: None
        self._stop_lock: Callable[[], None] = lambda: None
        self._stop_following: Callable[[], object] = lambda: None
        self._forget_end: Callable[[], object] = lambda: None
        order = to_js(
            {**_order(wanted), "name": self.name, "lock": self._lock, "snapshot": offer},
            dict_converter=js.Object.fromEntries,
        )
        order.memory = memory = new_memory()
        order.answers = answers = new_answers()
        self.wake = AnswerWriter(answers).write if answers else None
        """Tells the worker something while its thread sleeps, where memory can be shared with it."""
        self.interrupt = Interrupter(memory) if memory else None
        """Interrupts a call, where memory can be shared with the worker."""
        try:
            self.host = new_worker(_script(), self.name, self._receive, self._on_error)
        except JsException as error:
            # WebKit refuses an address that the policy forbids at once; other engines tell of it by an event.
            raise WorkerStartError(
                f"the worker {self.name!r} could not be started: {NOT_LOADED} ({error})"
            ) from error
        port, ports = new_port(self.host.worker, self._lock)
        if ports:
            (order.port,) = ports
        self._port = PortEndpoint(port, f"the worker {self.name!r}")
        if not is_node():
            # A thread of Node's has an event for its end.
            self._stop_watching = watch_termination(self.host.worker, lambda: self._end("it was terminated"))
        if (fatal := fatal_errors.watch()) is not None:
            # Nobody could reach the worker any more.
            self._stop_following = fatal.listen(self.host.worker.terminate.bind(self.host.worker))
        self.host.post(order, to_js(ports))

    def starts_at_once(self, name: str, function: Function | None, has_callback: bool) -> bool:
        """Tells whether a call may start while a message is handled: `Endpoint.starts_at_once`."""
        return self._port.starts_at_once(name, function, has_callback)

    def listen(
        self,
        on_message: Callable[[bytes, list[Any]], None],
        on_broken: Callable[[str], None],
        on_death: OnDeath | None = None,
    ) -> None:
        """Starts to deliver: `Endpoint.listen`."""
        self._port.listen(on_message, on_broken, on_death)

    def shorten(self, session: Session, connection: Any) -> tuple[int, int] | None:
        """Has small frames take a shorter way: `ShortEndpoint.shorten`."""
        return self._port.shorten(session, connection)

    def post(self, frame: bytes, buffers: list[Any]) -> None:
        """Copies and sends: `Endpoint.post`."""
        self._port.post(frame, buffers)

    def together(self) -> AbstractContextManager[object]:
        """Has tasks go on at the end of the block: `Endpoint.together`."""
        return self._port.together()

    def ask(self, on_answer: Callable[[], None]) -> None:
        """Asks for a sign of life: `BeatingEndpoint.ask`."""
        self._port.ask(on_answer)

    def post_all(self, messages: list[tuple[bytes, list[Any]]]) -> None:
        """Does so with several: `Endpoint.post_all`."""
        self._port.post_all(messages)

    def close(self) -> None:
        """Ends the worker at once: nobody else can reach it."""
        self._port.close()
        for stop in (self._stop_watching, self._stop_lock, self._stop_following, self._forget_end):
            stop()
        # They refer to this object, and so does the connection.
        self._stop_watching = self._stop_lock = self._stop_following = self._forget_end = lambda: None
        self._die = None
        self.host.terminate()

    async def ended(self) -> None:
        """Waits until the worker has ended, which it has when it is closed."""

    def watch(self, die: OnDeath) -> None:
        """Has a function called with the reason if the worker dies, or gives no sign of life for too long."""
        self._die = die

    def _end(self, reason: str) -> None:
        """Tells of the worker's death: the connection, or during its start those who wait for it."""
        if self._die is not None:
            self._die(f"the worker {self.name!r} is gone: {reason}", self._cause)
        else:
            during = f"{self._progress.caller} was {self._progress.step}"
            self._fail(WorkerDiedError(f"the worker {self.name!r} is gone: {reason}; {during}"), self._cause)

    def _receive(self, message: Any) -> None:
        # The script may post messages of its own.
        if not js.Array.isArray(message) or message.length == 0 or message[0] not in _TOLD:
            return
        kind, *details = message
        try:
            getattr(self, f"_on_{kind}")(*details)
        except (TypeError, ValueError):
            # A message of the script's that looks like one of workerlib's.
            return

    def _on_progress(self, stage: str, what: str, done: int | None, total: int | None) -> None:
        step = SpawnProgress(stage, what, done, total)
        try:
            self._progress.enter(str(step), step)
        except Exception as error:
            self._fail(error)

    def _on_failed(self, message: str, description: Any, cause: Any = None) -> None:
        message = f"the worker {self.name!r} could not be started: {message}"
        if isinstance(description, JsProxy):
            cause = rebuild(decode(description.to_bytes(), []))
            self._fail(script_failed(message.removesuffix(" failed"), cause, MODULES_OF_A_PAGE))
        else:
            self._fail(WorkerStartError(message), _rebuilt_cause(cause))

    def _on_ready(self) -> None:
        if not self.ready.done():
            self.ready.set_result(None)

    def _on_snapshot(self, image: Any, module: Any) -> None:
        snapshots.keep(image, module)

    def _on_no_snapshot(self, cause: str) -> None:
        snapshots.refuse(cause)

    def _on_compiled(self, module: Any) -> None:
        if not self.ready.done():
            snapshots.note_compiled(module)

    def _on_locked(self) -> None:
        # Node has no locks, but an event.
        self._stop_lock = watch_lock(self._lock, lambda: self._end("it closed itself, or it crashed"))

    def _on_died(self, reason: str, cause: Any = None) -> None:
        self._cause = _rebuilt_cause(cause)
        if self._die is None:
            self._end(reason)
        else:
            # The port tells it too, after all that the worker has sent; this message may overtake that.
            self._forget_end = call_later(asyncio.get_running_loop(), _OVERTAKEN, self._end, reason).cancel

    def _on_error(self, message: str, has_ended: bool) -> None:
        # In a browser, an error that the worker does not catch is no reason to give it up later on.
        if has_ended:
            self._end(message)
        self._fail(WorkerStartError(f"the worker {self.name!r} could not be started: {message}"))

    def _fail(self, error: Exception, cause: BaseException | None = None) -> None:
        if not self.ready.done():
            error.__cause__ = error.__cause__ or cause
            self.ready.set_exception(error)


def _rebuilt_cause(described: Any, most: int = 8) -> RemoteError | None:
    """Rebuilds an error of JavaScript's that a worker has described: the `DescribedCause` of `causes.ts`.

    Args:
        described: The description; anything else has no cause.
        most: The most causes of causes that are rebuilt.
    """
    message, name = getattr(described, "message", None), getattr(described, "name", None)
    if not isinstance(message, str) or not isinstance(name, str) or not most:
        return None
    error = RemoteError(message, name)
    error.__cause__ = _rebuilt_cause(getattr(described, "cause", None), most - 1)
    return error


@functools.cache
def _script() -> str:
    """Returns the text of the worker's own JavaScript."""
    return text_of("javascript", "python_worker.js")


def _equipment() -> dict[str, Any]:
    """Describes this Python for another: the `Equipment` of javascript/src/python_worker.ts."""
    host = pyodide_js._api.config
    start = base()
    return {
        "pyodide": {
            "indexURL": str(js.URL.new(host.indexURL, start).href),
            "version": str(pyodide_js.version),
            "lockFileContents": str(js.JSON.stringify(pyodide_js.lockfile)),
            "packageBaseUrl": str(pyodide_js.lockfileBaseUrl or host.indexURL),
        },
        "base": start,
        "files": _contents(),
    }


def _order(wanted: Wanted) -> dict[str, Any]:
    """Describes the worker that is wanted: the `Order` of javascript/src/python_worker.ts."""
    return {
        **_equipment(),
        "packages": wanted.packages,
        "indexURLs": wanted.index_urls,
        "filesToFetch": wanted.files,
        "script": str(wanted.script),
        "source": _source(wanted.script),
        "config": json.dumps(wanted.config),
    }


def _source(script: str | PurePath) -> Any:
    """Returns the text of a script that the worker cannot fetch, else JavaScript's null."""
    if not isinstance(script, str):
        return Path(script).read_text()
    return jsnull if is_file_name(script) else f"import {script}"


@functools.cache
def _contents() -> Any:
    """Reads workerlib's files, once, for all workers: a JavaScript Array of paths and contents."""
    return to_js([[str(path), path.read_bytes()] for path in _own_files()])


def _own_files() -> list[Path]:
    """Lists the files of the installed workerlib and its metadata, whatever name its distribution has."""
    package = folder()
    records = package.parent.glob("*.dist-info/RECORD")
    own = [record.parent for record in records if "workerlib/_native.pyi," in record.read_text()]
    paths = [path for folder in [package, *own] for path in sorted(folder.rglob("*"))]
    return [path for path in paths if path.suffix != ".pyc" and path.is_file()]
