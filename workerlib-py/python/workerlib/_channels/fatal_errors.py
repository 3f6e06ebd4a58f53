"""Has the other side told when this Python fails fatally, by a trap, a stack overflow or an exit.

After that no code of Python's can be trusted, so JavaScript tells it: `fatal_errors.ts`, which the scripts of
spawned workers bring along, and which this module evaluates elsewhere. Where the page's policy forbids that,
functions of JavaScript's own are bound to arguments: they tell that there was an error, and not which.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import js
import pyodide_js
from pyodide.ffi import JsException, to_js

from workerlib._location.package_files import text_of

_EVENT = "workerlib_fatal"
_MESSAGE = (True, "its Python has failed fatally")
"""The message of a channel whose Python has ended: the wire format, section 2."""

_watch: Any = None
_target: Any = None
_close: Any = None


def watch() -> Any:
    """Returns the `FatalWatch` of this Python; None where the page's policy forbids it."""
    global _watch
    if _watch is None:
        _watch = _install()
    return _watch or None


def _install() -> Any:
    api = pyodide_js._api
    if (installed := getattr(api, "workerlib_fatal", None)) is not None:
        return installed
    script = text_of("javascript", "fatal_errors.js")
    try:
        return js.eval(script)(api)
    except JsException:
        return False


def tell_by_message(channel: Any, mark: str) -> None:
    """Has a message posted over another channel than those of connections.

    Args:
        channel: The object with a method `postMessage`.
        mark: The message's `mark`. Its `reason` says why this Python has ended.
    """
    if (installed := watch()) is not None:
        installed.post(channel, mark)
    else:
        message = {"mark": mark, "reason": _MESSAGE[1]}
        told = to_js(message, dict_converter=js.Object.fromEntries)
        _add_last(channel.postMessage.bind(channel, told))


def _add_last(tell: Any) -> None:
    target = _bound_target()
    target.addEventListener(_EVENT, tell)
    if hasattr(js, "WorkerGlobalScope"):
        global _close
        # The last listener: messages leave before the worker closes.
        if _close is not None:
            target.removeEventListener(_EVENT, _close)
        _close = _close or js.close.bind(js.globalThis)
        target.addEventListener(_EVENT, _close)


def tell_by_port(port: Any) -> Callable[[], None]:
    """Has the other side of a port told, where the port has no channel of JavaScript's.

    A worker whose own script has brought the watch along tells why its Python has ended, and by which error.

    Args:
        port: The MessagePort.

    Returns:
        A function that ends the watch.
    """
    if (installed := watch()) is not None:
        return cast("Callable[[], None]", installed.endChannel(port))
    tell = port.postMessage.bind(port, to_js(_MESSAGE))
    _add_last(tell)
    return lambda: _bound_target().removeEventListener(_EVENT, tell)


def _bound_target() -> Any:
    """Returns the EventTarget that Pyodide's own hook for fatal errors dispatches an event to."""
    global _target
    if _target is None:
        _target = js.EventTarget.new()
        tell = _target.dispatchEvent.bind(_target, js.Event.new(_EVENT))
        if (installed := watch()) is not None:
            installed.listen(tell)
        else:
            pyodide_js._api.on_fatal = tell
    return _target
