"""Tells what a call of a function gives: a value, a stream, or either, as only the call tells.

`_exports.py` describes functions by it, and `_rpc/described_classes.py` the methods of classes. A generator
function gives a stream. A decorator may pass the generator of its function on, or make a list of it: nothing
here calls a function to find out.
"""

from __future__ import annotations

import dis
import inspect
import re
from collections.abc import Iterator
from functools import partial, partialmethod, singledispatchmethod
from types import CodeType, FunctionType, MappingProxyType, MethodType, ModuleType
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


def kind_of(function: object, returns: object = inspect.Parameter.empty, owner: type | None = None) -> int:
    """Tells what a call gives.

    Args:
        function: The function, or another callable; of a method as it stands in its class.
        returns: The return annotation, or its text.
        owner: The class, of a method.

    Returns:
        STREAM, EITHER, or 0 for a value.
    """
    if _is_generator(function):
        return STREAM
    if says_iterator(returns, function) or _wraps_generator(function):
        return EITHER
    plain = _unbound(function)
    return EITHER if type(plain) is FunctionType and returns_call_of_generator(plain, owner) else 0


def says_iterator(returns: object, function: object = None) -> bool:
    """Tells whether a return annotation names an iterator, by itself or among others.

    Args:
        returns: The annotation, or its text.
        function: The function, in whose module names of a text mean something.
    """
    if type(returns) is not str:
        if returns is inspect.Parameter.empty or not _may_name_iterator(returns):
            return False
        # A part of it may be a text: `Optional["Rows"]`.
        names = _names_of(function)
    elif returns in _PLAIN:
        return False
    else:
        names = _names_of(function)
        if not any(_may_be_word_of_iterator(word, names) for word in _WORDS.findall(returns)):
            return False
    # Most functions say nothing of the kind, and connecting waits for the descriptions of all.
    from workerlib._returned_iterators import AnnotationReader

    return AnnotationReader(names, _ITERATORS).says_iterator(returns)


_PLAIN = frozenset({"None", "str", "int", "float", "bool", "bytes", "list", "dict", "object", "Any"})
"""The commonest texts of annotations, whose words are not looked up."""
_WORDS = re.compile(r"[^\W\d]\w*(?:\.\w+)*")


def _may_be_word_of_iterator(word: str, names: dict[str, Any]) -> bool:
    """Tells whether a word of an annotation is an iterator's name, or that of an alias."""
    first, _, last = word.rpartition(".")
    if last in _ITERATORS:
        return True
    found = names.get(first or last)
    if first and type(found) is ModuleType:
        found = vars(found).get(last)
    return found is not None and (type(found) is str or _may_name_iterator(found))


def _may_name_iterator(annotation: object) -> bool:
    """Tells whether it is worth a closer look what an annotation means."""
    kind = type(annotation)
    if issubclass(kind, type):
        return type.__dict__["__name__"].__get__(annotation) in _ITERATORS
    return kind.__name__ in _ALIASES


_ALIASES = frozenset(
    {"GenericAlias", "_GenericAlias", "_SpecialGenericAlias", "_CallableGenericAlias", "_AnnotatedAlias"}
    | {"Union", "UnionType", "_UnionGenericAlias", "TypeAliasType", "ForwardRef"}
)
"""The names of the types of annotations that consist of others."""


def _names_of(function: object) -> dict[str, Any]:
    """Returns the names that mean something in the text of an annotation: those of the module."""
    try:
        names = getattr(inspect.unwrap(_unbound(function)), "__globals__", None)  # type: ignore[arg-type]
    except Exception:
        # An object may raise anything where it is asked for an attribute.
        return {}
    return names if type(names) is dict else {}


def returns_call_of_generator(function: FunctionType, owner: type | None = None) -> bool:
    """Tells whether a function without a `yield` returns a generator function's call: `return rows(path)`.

    Args:
        function: The function.
        owner: Its class, of a method.
    """
    code = function.__code__
    # Plain loops: this is done for each export before a connection is there.
    may_be = False
    for constant in code.co_consts:
        if type(constant) is CodeType and constant.co_flags & _YIELDS:
            may_be = True
    names = function.__globals__
    for name in code.co_names:
        found = names.get(name)
        if found is None:
            if owner is not None and _is_plain_generator(_member(owner, name)):
                may_be = True
        elif type(found) is FunctionType:
            if found.__code__.co_flags & _YIELDS:
                may_be = True
        elif type(found) is ModuleType:
            members = vars(found)
            for other in code.co_names:
                if _is_plain_generator(members.get(other)):
                    may_be = True
    if not may_be or not _RETURNED_CALL.search(code.co_code[::2]):
        return False
    from workerlib._returned_iterators import returned_functions

    return any(one is True or _is_plain_generator(one) for one in returned_functions(function, owner))


def _member(owner: type, name: str) -> object:
    return next((vars(base)[name] for base in owner.__mro__ if name in vars(base)), None)


_RETURNED_CALL = re.compile(
    b"[%b]\0*[%b]"
    % (
        b"".join(re.escape(bytes([code])) for name, code in dis.opmap.items() if name.startswith("CALL")),
        b"".join(re.escape(bytes([dis.opmap[name]])) for name in ("RETURN_VALUE", "JUMP_FORWARD")),
    ),
    re.DOTALL,
)
"""Finds, among the opcodes of a function, a call whose result may be returned. Caches are zeros."""
_YIELDS = inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR


def _is_plain_generator(value: object) -> bool:
    if type(value) is staticmethod or type(value) is classmethod:
        value = value.__func__
    return type(value) is FunctionType and bool(value.__code__.co_flags & _YIELDS)


def _is_generator(function: object) -> bool:
    """Tells whether calling a function runs a `yield`, with nothing around it but bound arguments."""
    function = _unbound(function)
    if not issubclass(type(function), FunctionType | type):
        function = _unbound(inspect.getattr_static(type(function), "__call__", None))
    return inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)


def _unbound(function: Any) -> object:
    """Returns the function behind bound arguments, which change nothing of what it gives."""
    # A partial function may be its own function, by `__setstate__`.
    for _ in range(_MOST):
        if not issubclass(type(function), partial | partialmethod | MethodType | staticmethod | classmethod):
            return function
        is_partial = issubclass(type(function), partial | partialmethod)
        function = function.func if is_partial else function.__func__
    return None


def _wraps_generator(function: object) -> bool:
    """Tells whether a generator function stands behind a decorator, with or without `functools.wraps`."""
    waiting, seen = [function], 0
    while waiting and seen < _MOST:
        for inner in _behind(_unbound(waiting.pop())):
            seen += 1
            plain = _unbound(inner)
            if _is_generator(inner) or (type(plain) is FunctionType and returns_call_of_generator(plain)):
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
