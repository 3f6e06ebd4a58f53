"""The page's end of what its workers forward and ask: the console, an element, and the browser's dialog."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import js
from pyodide.ffi import JsProxy

from workerlib._errors import ConnectError
from workerlib._location.scope import is_page

_ERRORS = frozenset({"stderr", "warnings"})


def writer(target: object) -> Callable[[str, str], object]:
    """Makes the function that takes the text that a worker forwards.

    Args:
        target: None for the console; the id of an element, or the element, for its end; or a callable.

    Raises:
        ConnectError: If there is no such element.
    """
    if target is None:
        return _write_to_console
    if isinstance(target, str):
        element = js.document.getElementById(target) if is_page() else None
        # JavaScript's null is an object of its own in newer Pyodides.
        if not hasattr(element, "append"):
            raise ConnectError(f"on_output={target!r}: the page has no element with this id")
        return _writer_of(element)
    if isinstance(target, JsProxy) and hasattr(target, "append"):
        return _writer_of(target)
    if callable(target):
        return target
    raise TypeError(f"on_output={target!r}: write a function, an element or its id")


def _write_to_console(stream: str, text: str) -> None:
    write = js.console.warn if stream in _ERRORS else js.console.log
    # The console ends each entry by itself.
    write(text.removesuffix("\n"))


def _writer_of(element: Any) -> Callable[[str, str], object]:
    is_field = str(element.tagName).lower() in ("textarea", "input")

    def write(_stream: str, text: str) -> None:
        if is_field:
            element.value += text
        else:
            element.append(text)
        # The newest text is to be seen.
        element.scrollTop = element.scrollHeight

    return write


def ask(question: str) -> str | None:
    """Asks the user by the browser's dialog; None if the user cancels it.

    Raises:
        RuntimeError: If this Python has no dialog, because it is a worker itself.
    """
    if not is_page() or not hasattr(js, "prompt"):
        raise RuntimeError("input() has no dialog here: export a function `input` from the page")
    answer = js.prompt(question)
    return answer if isinstance(answer, str) else None
