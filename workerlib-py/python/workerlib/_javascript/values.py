"""Converts values of Python to the values that a JavaScript programmer expects, and back.

`comlink.py` converts arguments and results by it; docs/javascript.md has the table. `postMessage` can clone
all results: there is no PyProxy in them. A value that JavaScript has no type for raises `UnsendableError`
with the path to it. The module does no I/O, and knows neither workers nor Comlink.
"""

from __future__ import annotations

import dataclasses
import math
import sys
from array import array
from collections import deque
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any

import js
from pyodide.ffi import JsProxy, jsnull, to_js

from workerlib._errors import UnsendableError
from workerlib._javascript.arguments import LEFT_OUT
from workerlib._javascript.text_types import TEXT_TYPES

# Numbers of JavaScript are doubles: an int above this becomes a BigInt.
_MAX_SAFE = 2**53 - 1
# Pyodide and structured cloning recurse, on a worker's small stack.
_MAX_DEPTH = 200
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_AS_THEY_ARE = frozenset({bool, float, str})
_AS_TEXT = (Decimal, *TEXT_TYPES)
# The format of a buffer's items, as `struct` writes it, and the typed array of such items.
_TYPED_ARRAYS = {
    "?": "Uint8Array",
    "B": "Uint8Array",
    "c": "Uint8Array",
    "b": "Int8Array",
    "h": "Int16Array",
    "H": "Uint16Array",
    "i": "Int32Array",
    "I": "Uint32Array",
    "l": "Int32Array",
    "L": "Uint32Array",
    "q": "BigInt64Array",
    "Q": "BigUint64Array",
    "f": "Float32Array",
    "d": "Float64Array",
}


make_function: Callable[[Any], Any] | None = None
"""Makes what stands for a function of JavaScript's: `_javascript/callbacks.py` puts its own here."""
make_iterable: Callable[[Any], Any] | None = None
"""Makes what stands for an async iterable of the page: `_javascript/page_iterables.py` puts its own here."""


def to_javascript(value: object, path: str = "result", transfer: list[Any] | None = None) -> Any:
    """Makes a JavaScript value of a Python value.

    Args:
        value: The value.
        path: The name of the value in messages.
        transfer: A list for the ArrayBuffers that are made: `postMessage` may transfer them instead of
            cloning them.

    Raises:
        UnsendableError: If the value contains a type that JavaScript has no value for.
    """
    if value is None:
        return None
    outgoing = _Outgoing([] if transfer is None else transfer)
    plain = outgoing.convert(value, path, 0)
    return to_js(plain, dict_converter=_object_or_map if outgoing.has_maps else js.Object.fromEntries)


def from_javascript(value: Any) -> Any:
    """Makes a Python value of a JavaScript value.

    A function becomes a `PageFunction`. An instance of a JavaScript class, such as an ImageBitmap, stays a
    JsProxy. A property that is `undefined` is left out, as JSON leaves it out.

    Args:
        value: The value, as Pyodide hands it to Python.
    """
    if isinstance(value, JsProxy):
        value = value.to_py(default_converter=_convert_object)
    return _Incoming().restore(value)


def arguments_from_javascript(args: Any) -> list[Any]:
    """Makes Python values of the positional arguments of a call.

    Args:
        args: The arguments, an Array of JavaScript.

    Returns:
        The arguments. `LEFT_OUT` stands for each that is `undefined`.
    """
    given = args.to_py(default_converter=_convert_object)
    # Pyodide makes None of `undefined`, and something else of `null`.
    left_out = [at for at, value in enumerate(given) if value is None]
    restored: list[Any] = _Incoming().restore(given)
    for at in left_out:
        restored[at] = LEFT_OUT
    return restored


class _Outgoing:
    """Converts one value for JavaScript where Pyodide's own conversion would not do, or would differ."""

    def __init__(self, transfer: list[Any]) -> None:
        self.has_maps = False
        self._transfer = transfer
        # An object in several places stays one object. The original is kept so that its id is not reused.
        self._made: dict[int, tuple[object, Any]] = {}

    def convert(self, value: Any, path: str, depth: int) -> Any:
        kind = type(value)
        if kind in _AS_THEY_ARE:
            return value
        if kind is int:
            return _integer(value)
        if value is None:
            return jsnull
        if (known := self._made.get(id(value))) is not None:
            return known[1]
        if depth > _MAX_DEPTH:
            raise UnsendableError(path, "", f"it is nested deeper than {_MAX_DEPTH} levels")
        if kind is dict:
            return self._mapping(value, path, depth)
        if kind is list or kind is tuple:
            return self._sequence(value, path, depth)
        return self._convert_other(value, path, depth)

    def _convert_other(self, value: Any, path: str, depth: int) -> Any:
        for bases, convert in _CONVERSIONS:
            if isinstance(value, bases):
                return convert(self, value, path, depth)
        if hasattr(type(value), "__pydantic_root_model__") and type(value).__pydantic_root_model__:
            return self.convert(value.root, path, depth + 1)
        if (items := _fields_of(value)) is not None:
            return self._keep(value, self._mapping(items, path, depth, dotted=True))
        if (numpy := sys.modules.get("numpy")) is not None:
            if isinstance(value, numpy.generic):
                return self.convert(value.item(), path, depth)
            if isinstance(value, numpy.ndarray):
                return self._keep(value, self._ndarray(value, path))
        raise UnsendableError(
            path,
            _name(value),
            "JavaScript has no value for it; docs/javascript.md has the types that arrive as something",
        )

    def _keep(self, value: object, made: Any) -> Any:
        self._made[id(value)] = (value, made)
        return made

    def _sequence(self, value: Any, path: str, depth: int) -> list[Any]:
        made: list[Any] = []
        self._keep(value, made)
        for index, item in enumerate(value):
            made.append(self.convert(item, f"{path}[{index}]", depth + 1))
        return made

    def _mapping(self, value: dict[Any, Any], path: str, depth: int, *, dotted: bool = False) -> Any:
        made: dict[Any, Any] = {}
        self._keep(value, made)
        for key, item in value.items():
            made_key = key
            if type(key) is not str:
                self.has_maps = True
                made_key = self._key(key, f"{path} (a key)", depth)
            at = f"{path}.{key}" if dotted else f"{path}[{key!r}]"
            made[made_key] = self.convert(item, at, depth + 1)
        return made

    def _set(self, value: set[Any], path: str, depth: int) -> Any:
        return self._keep(value, {self._key(item, f"{path}{{…}}", depth) for item in value})

    def _buffer(self, value: Any, path: str, _depth: int) -> Any:
        view = memoryview(value)
        made = self._typed_array(view, path)
        if view.ndim != 1:
            made = {"data": made, "shape": list(view.shape or ())}
        return self._keep(value, made)

    def _key(self, key: Any, path: str, depth: int) -> Any:
        made = self.convert(key, path, depth + 1)
        if made is not jsnull and not isinstance(made, (bool, int, float, str)):
            raise UnsendableError(
                path,
                _name(key),
                "JavaScript's Map and Set compare such keys by identity: use a str or a number",
            )
        return None if made is jsnull else made

    def _typed_array(self, view: memoryview, path: str) -> Any:
        kind = _TYPED_ARRAYS.get(view.format.removeprefix("@").removeprefix("<"))
        if kind is None:
            raise UnsendableError(
                path, "memoryview", f"JavaScript has no typed array of items {view.format!r}"
            )
        content = view if view.c_contiguous else memoryview(view.tobytes())
        copy = js.Uint8Array.new(view.nbytes)
        if view.nbytes:
            copy.assign(content.cast("B"))
        self._transfer.append(copy.buffer)
        return copy if kind == "Uint8Array" else getattr(js, kind).new(copy.buffer)

    def _ndarray(self, array: Any, path: str) -> dict[str, Any]:
        from workerlib._javascript.arrays import parts

        content, shape, dtype = parts(array, path)
        return {"data": self._typed_array(content, path), "shape": shape, "dtype": dtype}


def _as(base: type) -> Callable[[_Outgoing, Any, str, int], Any]:
    return lambda outgoing, value, path, depth: outgoing.convert(base(value), path, depth)


_CONVERSIONS: list[tuple[type | tuple[type, ...], Callable[[_Outgoing, Any, str, int], Any]]] = [
    (Enum, lambda outgoing, value, path, depth: outgoing.convert(value.value, path, depth)),
    (int, _as(int)),
    (float, _as(float)),
    (str, _as(str)),
    (dict, _Outgoing._mapping),
    ((list, tuple, deque, range), _Outgoing._sequence),
    ((set, frozenset), _Outgoing._set),
    ((bytes, bytearray, memoryview, array), _Outgoing._buffer),
    ((date, time, timedelta), lambda outgoing, value, _path, _depth: outgoing._keep(value, _moment(value))),
    (_AS_TEXT, lambda _outgoing, value, _path, _depth: str(value)),
    (JsProxy, lambda _outgoing, value, _path, _depth: value),
]
"""The conversions of instances, by their classes, in this order. Exact builtin types come before these."""


class _Incoming:
    """Completes, in place, Pyodide's conversion of one value from JavaScript."""

    def __init__(self) -> None:
        self._seen: set[int] = set()

    def restore(self, value: Any) -> Any:
        if value is jsnull:
            return None
        if isinstance(value, memoryview):
            return bytes(value) if value.format == "B" else value
        if isinstance(value, int) and type(value) not in (int, bool):
            return int(value)
        if not isinstance(value, (list, dict, set)) or id(value) in self._seen:
            return value
        self._seen.add(id(value))
        if isinstance(value, list):
            value[:] = [self.restore(item) for item in value]
        elif isinstance(value, set):
            items = [self.restore(item) for item in value]
            value.clear()
            value.update(items)
        else:
            # None is still `undefined` here: a property that is undefined is one that is not there.
            items = [
                (self.restore(key), self.restore(item)) for key, item in value.items() if item is not None
            ]
            value.clear()
            value.update(items)
            if value.keys() == {"data", "shape", "dtype"}:
                from workerlib._javascript.arrays import from_parts

                return from_parts(**value)
        return value


def _fields_of(value: Any) -> dict[str, Any] | None:
    """Returns the fields of a dataclass, an attrs class or a pydantic model, by their names."""
    cls = type(value)
    if dataclasses.is_dataclass(cls):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(cls)}
    if (attributes := getattr(cls, "__attrs_attrs__", None)) is not None:
        return {attribute.name: getattr(value, attribute.name) for attribute in attributes}
    if (fields := getattr(cls, "__pydantic_fields__", None)) is not None:
        return {**{name: getattr(value, name) for name in fields}, **(value.__pydantic_extra__ or {})}
    return None


def _integer(value: int) -> int | float:
    # Pyodide makes a BigInt of the largest safe integer already.
    return float(value) if abs(value) == _MAX_SAFE else value


def _moment(value: date | time | timedelta) -> Any:
    """Converts a point in time to a Date, a duration to milliseconds, a time of day to text."""
    if isinstance(value, time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value / timedelta(milliseconds=1)
    if not isinstance(value, datetime):
        # JavaScript reads "2026-11-22" as midnight in UTC.
        value = datetime(value.year, value.month, value.day, tzinfo=UTC)
    return js.Date.new((value.astimezone(UTC) - _EPOCH) // timedelta(milliseconds=1))


def _convert_object(value: Any, _convert: Callable[[Any], Any], _cache: Callable[[Any, Any], None]) -> Any:
    tag = js.Object.prototype.toString.call(value)
    if tag == "[object WorkerlibPageIterable]" and make_iterable is not None:
        return make_iterable(value)
    if tag == "[object Date]":
        milliseconds = value.getTime()
        if math.isnan(milliseconds):
            raise ValueError("an invalid Date of JavaScript's has no datetime")
        return _EPOCH + timedelta(milliseconds=milliseconds)
    if value.typeof == "function":
        return value if make_function is None else make_function(value)
    return value


def _object_or_map(pairs: Any) -> Any:
    entries = js.Reflect.get(js.Array, "from")(pairs)
    return (
        js.Object.fromEntries(entries)
        if all(isinstance(entry[0], str) for entry in entries)
        else js.Map.new(entries)
    )


def _name(value: object) -> str:
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
