"""A worker of the host's, made from the text of its script: a Web Worker, or in Node a worker thread.

It knows nothing of Python or of what is sent.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import js
from pyodide.ffi import create_once_callable, create_proxy


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
        self._proxies = [
            create_proxy(lambda event: on_message(event.data)),
            create_proxy(
                lambda event: on_error(str(event.message or "its script could not be loaded"), False)
            ),
        ]
        # No file of the user's is needed, and none has to be where the library expects it.
        blob = js.Blob.new([source], type="text/javascript")
        address = js.URL.createObjectURL(blob)
        self.worker = js.Worker.new(address, type="module", name=name)
        self.worker.onmessage, self.worker.onerror = self._proxies

    def post(self, message: Any, transfer: Any) -> None:
        """Posts a JavaScript value, and transfers what an Array of JavaScript's names."""
        self.worker.postMessage(message, transfer)

    def terminate(self) -> None:
        """Ends the worker at once."""
        self.worker.onmessage = self.worker.onerror = None
        self.worker.terminate()
        for proxy in self._proxies:
            # One of them may be what is calling this.
            js.setTimeout(create_once_callable(proxy.destroy), 0)
        self._proxies.clear()


class NodeWorker:
    """A worker thread of Node's."""

    def __init__(
        self, source: str, name: str, on_message: Callable[[Any], None], on_error: Callable[[str, bool], None]
    ) -> None:
        """Starts the thread: see `WebWorker`; that it has ended is an error, too."""
        self._listeners = {
            "message": create_proxy(on_message),
            "error": create_proxy(lambda error: on_error(str(error.message), True)),
            "exit": create_proxy(lambda code: on_error(f"it ended with code {code}", True)),
        }
        threads = js.process.getBuiltinModule("node:worker_threads")
        text = base64.b64encode(source.encode()).decode()
        self.worker = threads.Worker.new(js.URL.new(f"data:text/javascript;base64,{text}"), name=name)
        for event, listener in self._listeners.items():
            self.worker.on(event, listener)

    def post(self, message: Any, transfer: Any) -> None:
        """Posts a JavaScript value, and transfers what an Array of JavaScript's names."""
        self.worker.postMessage(message, transfer)

    def terminate(self) -> None:
        """Ends the thread at once."""
        for event, listener in self._listeners.items():
            self.worker.off(event, listener)
            js.setTimeout(create_once_callable(listener.destroy), 0)
        self._listeners.clear()
        self.worker.terminate()


def new_worker(
    source: str, name: str, on_message: Callable[[Any], None], on_error: Callable[[str, bool], None]
) -> WebWorker | NodeWorker:
    """Starts the worker that this host has."""
    kind = WebWorker if hasattr(js, "Worker") else NodeWorker
    return kind(source, name, on_message, on_error)


def is_node() -> bool:
    """Tells whether the host is Node."""
    return hasattr(js, "process") and not hasattr(js, "Worker")
