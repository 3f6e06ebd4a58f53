"""Says where two values differ, in type, content or order; used natively, inside Pyodide and in the browser's pages.

`==` is not enough: it takes True for 1, 0.0 for -0.0, a dict for another one of another order, and no nan for itself.
The walk keeps its own stack, so that values may be nested as deeply as memory allows.
"""

from __future__ import annotations

import struct
from typing import Any

_SCALARS = (type(None), bool, int, str, bytes, bytearray, type(...), type(NotImplemented))


class _Trail:
    """The paths to the values that were met: each is a number, made of its container's number and a step.

    A flat list, because Pyodide dies when a long chain of objects is freed; joined only when there is a difference.
    """

    def __init__(self) -> None:
        self._steps: list[tuple[int, str]] = []

    def extend(self, path: int, step: str) -> int:
        """Returns the number of the path that leads one step further."""
        self._steps.append((path, step))
        return len(self._steps)

    def text(self, path: int) -> str:
        """Joins the steps of a path."""
        steps = []
        while path:
            path, step = self._steps[path - 1]
            steps.append(step)
        if len(steps) > 20:
            steps[10:-10] = [f" … {len(steps) - 20} more … "]
        return "value" + "".join(reversed(steps))


def assert_same(actual: object, expected: object) -> None:
    """Raises AssertionError with the path to the first difference."""
    trail = _Trail()
    pending: list[tuple[Any, Any, int]] = [(actual, expected, 0)]
    while pending:
        one, other, path = pending.pop()
        difference = _difference(one, other)
        if difference is not None:
            step, got, wanted = difference
            raise AssertionError(f"{trail.text(path)}{step}: {got} instead of {wanted}")
        if isinstance(one, (list, tuple)):
            for index, (item, other_item) in enumerate(zip(one, other, strict=True)):
                pending.append((item, other_item, trail.extend(path, f"[{index}]")))
        elif isinstance(one, dict):
            for (key, value), (other_key, other_value) in zip(one.items(), other.items(), strict=True):
                name = _short(other_key)
                pending.append((key, other_key, trail.extend(path, f" key {name}")))
                pending.append((value, other_value, trail.extend(path, f"[{name}]")))


def _difference(one: Any, other: Any) -> tuple[str, str, str] | None:
    """Compares two values without what they contain: a step to what differs, what is there, what should be."""
    if type(one) is not type(other):
        return (
            "",
            f"{_short(one)} of type {type(one).__name__}",
            f"{_short(other)} of type {type(other).__name__}",
        )
    if isinstance(one, (list, tuple, dict)):
        return ("", f"{len(one)} items", f"{len(other)} items") if len(one) != len(other) else None
    if isinstance(one, memoryview):
        for name in ("format", "itemsize", "shape", "readonly"):
            if getattr(one, name) != getattr(other, name):
                return f".{name}", repr(getattr(one, name)), repr(getattr(other, name))
        return (
            ("", _short(one.tobytes()), _short(other.tobytes())) if one.tobytes() != other.tobytes() else None
        )
    if isinstance(one, float):
        return ("", repr(one), repr(other)) if struct.pack(">d", one) != struct.pack(">d", other) else None
    if isinstance(one, complex):
        return _difference(one.real, other.real) or _difference(one.imag, other.imag)
    if isinstance(one, (set, frozenset)):
        # Elements are equal across types too: 1, 1.0 and True.
        typed = [sorted((type(item).__name__, repr(item)) for item in items) for items in (one, other)]
        return ("", _short(one), _short(other)) if one != other or typed[0] != typed[1] else None
    if isinstance(one, _SCALARS):
        return ("", _short(one), _short(other)) if one != other else None
    raise TypeError(f"assert_same knows no {type(one).__name__}")


def _short(value: object) -> str:
    if isinstance(value, int) and value.bit_length() > 200:
        return f"an int of {value.bit_length()} bits"
    if isinstance(value, (list, tuple, dict)):
        return f"{type(value).__name__} of {len(value)}"
    text = ascii(value)
    return text if len(text) <= 60 else text[:57] + "..."
