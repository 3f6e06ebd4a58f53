"""A worker of the host's, made from the text of its script: a Web Worker, or in Node a worker thread.

It knows nothing of Python or of what is sent.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import js
from pyodide.ffi import create_proxy

from workerlib._channels.proxies import destroy_later
from workerlib._errors import WorkerStartError

NOT_LOADED = (
    "the browser did not load its script, which has a blob: address, or in a sandboxed frame a data: address:"
    " if the page has a Content Security Policy, it has to allow them, by `worker-src blob:` or"
    " `worker-src data:`"
)
"""The reason that an engine has for a worker of which it only says that it failed."""


class WebWorker:
    """A worker of the browser's."""

    def __init__(
        self, source: str, name: str, on_message: Callable[[Any], None], on_error: Callable[[str, bool], None]
    ) -> None:
        """Starts the worker.

        Args:
            source: Its script, JavaScript that is a module.
            name: Its name in developer tools.
            on_message: Is called with what the worker posts.
            on_error: Is called when an error in the worker is caught by nobody, with what it says and
                whether the worker has ended by it.
        """

        def take(event: Any) -> None:
            self._revoke()
            on_message(event.data)

        def fail(event: Any) -> None:
            self._revoke()
            # Where no script was loaded, the event is not an ErrorEvent: it says nothing.
            message = getattr(event, "message", None)
            on_error(str(message) if message else NOT_LOADED, False)

        self._listeners = {"message": create_proxy(take), "error": create_proxy(fail)}
        self._address: str | None = None
        try:
            self.worker = js.Worker.new(self._address_of(source), type="module", name=name)
        except BaseException:
            self._revoke()
            destroy_later(self._listeners.values())
            raise
        # Not `onmessage` and `onerror`: a page may set these, to hear what its script posts itself.
        for event, listener in self._listeners.items():
            self.worker.addEventListener(event, listener)

    def post(self, message: Any, transfer: Any) -> None:
        """Posts a JavaScript value, and transfers what an Array of JavaScript's names."""
        self.worker.postMessage(message, transfer)

    def terminate(self) -> None:
        """Ends the worker at once."""
        self._revoke()
        for event, listener in self._listeners.items():
            self.worker.removeEventListener(event, listener)
        self.worker.terminate()
        # One of them may be what is calling this.
        destroy_later(self._listeners.values())
        self._listeners = {}

    def _address_of(self, source: str) -> str:
        """Makes an address of the script.

        No file of the user's is needed, and none has to be where the library expects it.
        """
        if getattr(js, "origin", None) == "null":
            # A sandboxed frame. Chromium loads no module from a blob: address there.
            return _data_address(source)
        self._address = str(js.URL.createObjectURL(js.Blob.new([source], type="text/javascript")))
        return self._address

    def _revoke(self) -> None:
        """Frees the script, once the worker has loaded it: its address would keep it for the page's life."""
        address, self._address = self._address, None
        if address is not None:
            js.URL.revokeObjectURL(address)


class NodeWorker:
    """A worker thread of Node's."""

    def __init__(
        self, source: str, name: str, on_message: Callable[[Any], None], on_error: Callable[[str, bool], None]
    ) -> None:
        """Starts the thread: see `WebWorker`; that it has ended is an error, too."""
        self._listeners = {
            "message": create_proxy(on_message),
            "error": create_proxy(lambda error: on_error(str(getattr(error, "message", error)), True)),
            "exit": create_proxy(lambda code: on_error(f"it ended with code {code}", True)),
        }
        threads = node_module("worker_threads")
        self.worker = threads.Worker.new(js.URL.new(_data_address(source)), name=name)
        for event, listener in self._listeners.items():
            self.worker.on(event, listener)

    def post(self, message: Any, transfer: Any) -> None:
        """Posts a JavaScript value, and transfers what an Array of JavaScript's names."""
        self.worker.postMessage(message, transfer)

    def terminate(self) -> None:
        """Ends the thread at once."""
        for event, listener in self._listeners.items():
            self.worker.off(event, listener)
        destroy_later(self._listeners.values())
        self._listeners = {}
        self.worker.terminate()


def new_worker(
    source: str, name: str, on_message: Callable[[Any], None], on_error: Callable[[str, bool], None]
) -> WebWorker | NodeWorker:
    """Starts the worker that this host has.

    Raises:
        WorkerStartError: If it has none.
    """
    if hasattr(js, "Worker"):
        return WebWorker(source, name, on_message, on_error)
    if hasattr(js, "process"):
        return NodeWorker(source, name, on_message, on_error)
    raise WorkerStartError(
        f"the worker {name!r} could not be started: this Python is where the browser has no Worker, such as"
        " in a shared worker or a service worker: call spawn() in a page, or in a worker of a page"
    )


def _data_address(source: str) -> str:
    """Makes an address that has a script in it."""
    return f"data:text/javascript;base64,{base64.b64encode(source.encode()).decode()}"


def node_module(name: str) -> Any:
    """Returns one of Node's own modules, which Pyodide does not hand to Python.

    Args:
        name: Its name, without "node:".

    Raises:
        WorkerStartError: If this Node is too old to give it.
    """
    get = getattr(js.process, "getBuiltinModule", None)
    if get is None:
        raise WorkerStartError(
            f"workers need Node 20.16 or later, or 22.3 or later, and this is Node {js.process.version}"
        )
    return get(f"node:{name}")


def is_node() -> bool:
    """Tells whether the host is Node."""
    return hasattr(js, "process") and not hasattr(js, "Worker")
