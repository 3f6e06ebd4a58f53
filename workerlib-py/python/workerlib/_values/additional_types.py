"""Takes apart and builds further types of the standard library, which a frame names.

The types are the buffers of `io`, `struct_time` and its kind, and `functools.partial`. `named_types`
collects the rows.
"""

from __future__ import annotations

import functools
import importlib
import types
from typing import Any

from workerlib._values.row import Named, RefusedError

# Buffers in memory: their content and where they stand.


def _take_apart_bytes(buffer: Any) -> tuple[Any, ...]:
    _check_open(buffer)
    return _with_attributes(buffer, buffer.getvalue(), buffer.tell())


def _build_bytes(content: object, position: object, *state: Any) -> Any:
    from io import BytesIO

    if not isinstance(content, bytes):
        raise ValueError("the content of a BytesIO has to be bytes")
    return _positioned(BytesIO(content), position, state)


def _take_apart_text(buffer: Any) -> tuple[Any, ...]:
    _check_open(buffer)
    # How it translates ends of lines is told by its state only.
    content, newline, position, _ = buffer.__getstate__()
    return _with_attributes(buffer, content, position, newline)


def _build_text(content: object, position: object, newline: object, *state: Any) -> Any:
    from io import StringIO

    if not isinstance(content, str) or newline not in (None, "", "\n", "\r", "\r\n"):
        raise ValueError("a StringIO has to be made from a str and a newline of its own")
    made: Any = StringIO(newline=newline)
    # Not by the constructor, which would translate the ends of lines once more.
    made.__setstate__((content, newline, 0, None))
    return _positioned(made, position, state)


def _check_open(buffer: Any) -> None:
    if buffer.closed:
        raise RefusedError("it is closed, and its content is gone: send it before it is closed")


def _with_attributes(buffer: Any, *parts: Any) -> tuple[Any, ...]:
    state = vars(buffer)
    return (*parts, dict(state)) if state else parts


def _positioned(made: Any, position: object, state: tuple[Any, ...]) -> Any:
    if type(position) is not int or not 0 <= position < 2**63:
        raise ValueError("the position in a buffer has to be an int of 63 bits")
    if state:
        if len(state) != 1 or type(state[0]) is not dict or not all(type(name) is str for name in state[0]):
            raise ValueError("the attributes of a buffer have to be a dict with strs as keys")
        vars(made).update(state[0])
    made.seek(position)
    return made


# C structures as Python has them: tuples whose items have names, some of which are beyond the tuple.

_STRUCTURES = {
    "time": ("struct_time",),
    "os": ("stat_result", "statvfs_result", "terminal_size"),
    "posix": ("times_result", "uname_result"),
    "pwd": ("struct_passwd",),
    "grp": ("struct_group",),
    "resource": ("struct_rusage",),
}
"""By the module that their classes name."""


def _take_apart_structure(value: Any) -> tuple[Any, ...]:
    _, (items, further) = value.__reduce__()
    return (items, further)


def _structure_row(module: str, attribute: str) -> Named:
    name = f"{module}.{attribute}"

    def build(items: object, further: object) -> Any:
        cls: Any = getattr(importlib.import_module(module), attribute)
        if type(items) is not tuple or len(items) != cls.n_sequence_fields or type(further) is not dict:
            raise ValueError(f"a {name} has to be made from a tuple of its items and a dict")
        return cls(items, further)

    return Named(name, name, _take_apart_structure, build)


# Functions with some of their arguments.


def _take_apart_partial(value: Any) -> tuple[Any, ...]:
    state = vars(value)
    return (value.func, value.args, value.keywords, *((dict(state),) if state else ()))


def _build_partial(function: object, args: object, keywords: object, *state: Any) -> Any:
    if not isinstance(function, (*_CALLED, type)) or type(args) is not tuple or type(keywords) is not dict:
        raise ValueError("a partial has to have a function, a tuple and a dict")
    if not all(type(name) is str for name in keywords):
        raise ValueError("the names of a partial's keyword arguments have to be strs")
    made = functools.partial(function, *args, **keywords)
    if state:
        if len(state) != 1 or type(state[0]) is not dict or not all(type(name) is str for name in state[0]):
            raise ValueError("the attributes of a partial have to be a dict with strs as keys")
        vars(made).update(state[0])
    return made


_CALLED = (types.FunctionType, types.BuiltinFunctionType, types.MethodType)


ROWS = (
    Named("io.BytesIO", "_io.BytesIO", _take_apart_bytes, _build_bytes),
    Named("io.StringIO", "_io.StringIO", _take_apart_text, _build_text),
    *(_structure_row(module, name) for module, names in _STRUCTURES.items() for name in names),
    Named("functools.partial", "functools.partial", _take_apart_partial, _build_partial),
)
