"""Tells what a call of a function gives: a value, a stream, or either, as only the call tells.

`_exports.py` describes functions by it, and `_rpc/described_classes.py` the methods of classes. A generator
function gives a stream. A decorator may pass the generator of its function on, or make a list of it: nothing
here calls a function to find out.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from functools import partial, partialmethod, singledispatchmethod
from types import FunctionType, MappingProxyType, MethodType
from typing import Any

STREAM = 1
"""The kind of a generator function, whose items are streamed."""
DECORATED = 2
"""The kind of a decorated function, whose parameters are those of the function inside."""
EITHER = 4
"""The kind of a function that may return an iterator: a call of it is awaited, or iterated over."""

_ITERATORS = frozenset(
    {"Iterator", "Generator", "AsyncIterator", "AsyncIterable", "AsyncGenerator", "Stream", "Streamed"}
)
"""The names of types that a function which has no `yield` says of a result to iterate over."""
_MOST = 64
"""How many functions are looked at behind one: decorators are few."""


def kind_of(function: object, returns: object = inspect.Parameter.empty) -> int:
    """Tells what a call gives.

    Args:
        function: The function, or another callable; of a method as it stands in its class.
        returns: The return annotation, or its text.

    Returns:
        STREAM, EITHER, or 0 for a value.
    """
    if _is_generator(function):
        return STREAM
    return EITHER if _wraps_generator(function) or says_iterator(returns) else 0


def says_iterator(returns: object) -> bool:
    """Tells whether a return annotation names an iterator.

    Args:
        returns: The annotation, or its text.
    """
    text = returns if type(returns) is str else getattr(returns, "__name__", "")
    return str(text).strip("'\"").partition("[")[0].rpartition(".")[2] in _ITERATORS


def _is_generator(function: object) -> bool:
    """Tells whether calling a function runs a `yield`, with nothing around it but bound arguments."""
    function = _unbound(function)
    if not issubclass(type(function), FunctionType | type):
        function = _unbound(inspect.getattr_static(type(function), "__call__", None))
    return inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)


def _unbound(function: Any) -> object:
    """Returns the function behind bound arguments, which change nothing of what it gives."""
    while issubclass(type(function), partial | partialmethod | MethodType | staticmethod | classmethod):
        is_partial = issubclass(type(function), partial | partialmethod)
        function = function.func if is_partial else function.__func__
    return function


def _wraps_generator(function: object) -> bool:
    """Tells whether a generator function stands behind a decorator, with or without `functools.wraps`."""
    waiting, seen = [function], 0
    while waiting and seen < _MOST:
        for inner in _behind(_unbound(waiting.pop())):
            seen += 1
            if _is_generator(inner):
                return True
            waiting.append(inner)
    return False


def _behind(function: Any) -> Iterator[object]:
    """Finds the functions that a function may call: what it says that it wraps, and what its closure has."""
    if issubclass(type(function), singledispatchmethod):
        function = function.dispatcher
    is_plain = type(function) is FunctionType
    if not is_plain or function.__dict__:
        wrapped = inspect.getattr_static(function, "__wrapped__", None)
        if wrapped is not None:
            yield wrapped
        registry = inspect.getattr_static(function, "registry", None)
        if type(registry) is MappingProxyType:
            yield from registry.values()
    for cell in function.__closure__ or () if is_plain else ():
        try:
            content = cell.cell_contents
        except ValueError:
            # Nothing is in it yet.
            continue
        # `isinstance` would ask a proxy for the class of what it stands for, which need not be there yet.
        if issubclass(type(content), FunctionType | partial | MethodType):
            yield content
    if not issubclass(type(function), FunctionType | type):
        call = inspect.getattr_static(type(function), "__call__", None)
        if type(_unbound(call)) is FunctionType:
            yield call
