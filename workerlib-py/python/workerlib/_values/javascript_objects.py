"""Says which objects of JavaScript's can be sent as they are, and for each other kind what to send instead.

The table of a connection asks it. A `File` or a `Blob` is cloned by the browser, which shares its bytes;
JavaScript's `null` is a value as any other. It converts nothing: the user decides what an object's content
is.
"""

from __future__ import annotations

import sys
from typing import Any

from workerlib._values.row import Named, RefusedError
from workerlib._values.transfer import KINDS

_CLONED = frozenset({"Blob", "File"})
"""The kinds that the browser clones without copying their bytes: the standard's serializable objects."""

_COLLECTIONS = frozenset({"Array", "Map", "Object", "Set"})

_ADVICE = {
    "ArrayBuffer": "move it by workerlib.transfer(…), or send a copy: its to_bytes()",
    "DataView": "move it by workerlib.transfer(…), or send a copy: its to_bytes()",
    "Date": "send datetime.fromtimestamp(date.getTime() / 1000), or that number",
    "Document": "a worker has no document: send the texts or numbers that are needed of it",
    "FileList": "send list(files): a File arrives as it is",
    "FormData": "send dict(form.entries()): its texts, and Files as they are",
    "Function": "a function of the page cannot run in a worker: send the values that it needs",
    "HTMLCanvasElement": (
        "a worker has no elements; workerlib.transfer(canvas.transferControlToOffscreen()) lets it draw on"
        " this one"
    ),
    "HTMLImageElement": (
        "a worker has no elements: send workerlib.transfer(await js.createImageBitmap(image)), or its src"
    ),
    "HTMLVideoElement": (
        "a worker has no elements: send workerlib.transfer(await js.createImageBitmap(video)), which is one"
        " frame"
    ),
    "Headers": "send dict(headers.entries())",
    "ImageData": "send image.data.to_bytes(), with its width and height",
    "Promise": "it is to be awaited: send what `await` gives",
    "Request": "send what is needed of it: its url and method",
    "Response": "send what `await response.bytes()`, `.text()` or `.json()` gives",
    "Storage": "a worker has no such thing: send the texts that are in it",
    "Symbol": "a symbol is nothing but itself: send a text",
    "Window": "a worker has no window: send the values that are needed of it",
}
"""Remedies by kind: a value to send in place of the object."""


def is_proxy(cls: type) -> bool:
    """Tells whether objects of a class are JavaScript's.

    Args:
        cls: The class.
    """
    ffi = sys.modules.get("pyodide.ffi")
    return ffi is not None and issubclass(cls, ffi.JsProxy) and not issubclass(cls, BaseException)


def check_clonable(value: Any) -> None:
    """Checks that the browser clones an object.

    Args:
        value: An object of JavaScript's.

    Raises:
        RefusedError: If it does not, or would copy it; says what to send instead.
    """
    kind = kind_of(value)
    if kind not in _CLONED:
        raise RefusedError(f"it is a JavaScript {kind}; {_advice(kind, value)}")


def kind_of(value: Any) -> str:
    """Names the kind of an object of JavaScript's: its class there.

    Args:
        value: The object.
    """
    name = getattr(getattr(value, "constructor", None), "name", None)
    return name if isinstance(name, str) and name else "Object"


def _advice(kind: str, value: Any) -> str:
    if advice := _ADVICE.get(kind):
        return advice
    if kind.endswith("Array") and kind != "Array":
        return "send a copy, its to_py() or to_bytes(), or move it by workerlib.transfer(…)"
    if kind in KINDS:
        return "move it by workerlib.transfer(…)"
    if kind in _COLLECTIONS:
        return "send its to_py()"
    if getattr(value, "typeof", None) == "function":
        return _ADVICE["Function"]
    if getattr(value, "nodeType", None) is not None:
        return "a worker has no elements: send what is needed of it, such as its value or textContent"
    if hasattr(value, "isTrusted"):
        return "an event stays where it happened: send what is needed of it, such as event.target.value"
    return "send what it is made of, as values of Python's"


def _build_null() -> Any:
    ffi = sys.modules.get("pyodide.ffi")
    # Outside of Pyodide nothing is as near to it.
    return None if ffi is None else ffi.jsnull


ROWS = (Named("pyodide.ffi.JsNull", "pyodide.ffi.JsNull", lambda _value: (), _build_null),)
"""The row of JavaScript's null."""
