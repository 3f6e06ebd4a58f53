"""Gives names and texts of objects whose classes may raise from `__str__`, or lie about `__class__`.

The description of exceptions, the call log and the worker for pages in JavaScript use it. Nothing here
raises, whatever the class raises, KeyboardInterrupt included. It does not check values that arrive; their
readers do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

# A metaclass may call something else so. These are Python's own.
_NAMES: dict[str, Any] = {name: vars(type)[name] for name in ("__module__", "__qualname__")}


def class_name(kind: type) -> str:
    """Gives the full name of a class, such as `decimal.DecimalException`; for a builtin one the name."""
    module, name = (_NAMES[attribute].__get__(kind) for attribute in ("__module__", "__qualname__"))
    # A class may have anything in its `__module__`.
    return name if module == "builtins" or type(module) is not str else f"{module}.{name}"


def text_of(value: object, to_text: Callable[[Any], str] = str) -> str:
    """Gives the `str()` of an object, or says whose it is and that there is none.

    Args:
        value: The object.
        to_text: `repr`, for that instead.

    Returns:
        An exact str.
    """
    try:
        text = to_text(value)
        # The text may be an instance of a subclass, whose methods are the user's too.
        return str.__str__(text)
    except BaseException:
        kind = _NAMES["__qualname__"].__get__(type(value))
        return f"<{kind} whose {'str' if to_text is str else 'repr'}() failed>"


def notes_of(error: BaseException) -> list[str]:
    """Gives the notes of an exception; none if they cannot be had."""
    try:
        return [text_of(note) for note in getattr(error, "__notes__", ())]
    except BaseException:
        return []


def add_note(error: BaseException, note: str) -> None:
    """Adds a note to an exception, unless its class does not let it."""
    try:
        BaseException.add_note(error, note)
    except BaseException:
        # The exception is more important than what is said of it.
        return
