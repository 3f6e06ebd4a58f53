"""Interfaces: the functions that a page expects of a worker. `connect(interface=…)` checks them.

An interface is a Protocol with `async def` methods, as the page sees the functions: editors and type checkers
take it as the worker's type. It may also be the worker's own module, or a class of sync functions. Such an
interface is checked at run time only, since Python's types cannot say "the same functions, but async".
"""

from __future__ import annotations

import contextlib
import inspect
import typing
from collections.abc import Awaitable, Iterator
from types import FunctionType, ModuleType
from typing import Any, Generic, Protocol, get_origin, overload

from workerlib import _exports
from workerlib._errors import InterfaceError
from workerlib._exports import ExportDescription
from workerlib._result_kinds import EITHER, STREAM
from workerlib._rpc.references import Reference


class Interface(Protocol):
    """The attributes that every worker has, as a base for interfaces.

    `class Stats(workerlib.Interface, Protocol):` is followed by the worker's functions.
    """

    @property
    def name(self) -> str:
        """The worker's name."""
        ...

    @property
    def worker(self) -> Any:
        """The host's own object for the worker."""
        ...

    @property
    def closed(self) -> bool:
        """Whether the connection has ended."""
        ...

    def references(self) -> list[Reference]:
        """Lists what each side holds of the other."""
        ...

    def close(self) -> Awaitable[None]:
        """Closes the connection; `await` waits for a worker that ends with it. A tag's worker goes on."""
        ...

    def terminate(self) -> None:
        """Ends the worker at once."""
        ...

    async def restart(self) -> None:
        """Ends the worker, and starts another one in its place."""
        ...


_OWN = frozenset(name for name in vars(Interface) if not name.startswith("_"))
_STREAMS = ("Stream", "AsyncIterator", "AsyncIterable", "AsyncGenerator")
_VARIADIC = [inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD]
_NO_INTERFACES = (object, Protocol, Generic, Interface)
_OVERLOADED = overload(lambda: None)
"""A method with `@overload`, as Python keeps it: without the parameters of its variants."""

_Parameters = list[tuple[str, inspect._ParameterKind, bool]]
"""Name, kind, and whether there is a default."""


def check(interface: object, exports: list[ExportDescription], worker: str) -> None:
    """Checks that a worker has an interface.

    Args:
        interface: A Protocol or another class with functions, or a module.
        exports: The descriptions of the functions that the worker exports.
        worker: The worker's name, for messages.

    Raises:
        InterfaceError: If the worker lacks a function, or has one with other parameters, or one gives a
            stream and the other does not. The message lists all differences. Parameters must agree in name,
            in kind, and in whether they have a default.
    """
    parameters = {name: described for name, _, described, *_ in exports}
    streams = {name for name, *_, kind in exports if kind & STREAM}
    either = {name for name, *_, kind in exports if kind & EITHER}
    complaints = []
    for name, wanted, gives_stream in _functions(interface):
        described = parameters.get(name)
        there: _Parameters | None = None
        if described is not None:
            there = [
                (one, inspect._ParameterKind(kind), default is not None)
                for one, kind, default, _ in described
            ]
        if name not in parameters:
            complaints.append(f"it does not export {name}()")
        elif name in _OWN:
            complaints.append(f'{name}() is reached as worker["{name}"]: every worker has its own {name}')
        elif there is not None and wanted is not None and there != wanted:
            complaints.append(f"{_shown(name, wanted)} is {_shown(name, there)} there")
        elif gives_stream is not None and name not in either and gives_stream is not (name in streams):
            remedy = (
                "its items come one by one: write `def` and `-> workerlib.Stream[…]`"
                if name in streams
                else "it returns its result at once: write `async def`"
            )
            complaints.append(f"{name}() is {'' if name in streams else 'not '}a stream there, and {remedy}")
    if complaints:
        what = getattr(interface, "__qualname__", None) or getattr(interface, "__name__", interface)
        raise InterfaceError(f"the worker {worker!r} does not fit {what}: {'; '.join(complaints)}")


def _functions(interface: object) -> Iterator[tuple[str, _Parameters | None, bool | None]]:
    """Finds the functions of an interface, their parameters and whether they give a stream, or None."""
    if isinstance(interface, ModuleType):
        for name, function in _functions_of_module(interface).items():
            yield name, _parameters(function), _is_generator(function)
        return
    # `connect()` and `spawn()` take nothing else.
    assert isinstance(interface, type)
    seen = set()
    for base in interface.__mro__:
        if base in _NO_INTERFACES:
            continue
        for name, found in vars(base).items():
            if name.startswith("_") or name in seen:
                continue
            seen.add(name)
            if found is _OVERLOADED:
                yield name, None, None
            elif isinstance(found, FunctionType):
                yield name, _wanted(found, _parameters(found)[1:]), _gives_stream(found)
            elif isinstance(found, staticmethod):
                function = found.__func__
                yield name, _wanted(function, _parameters(function)), _gives_stream(function)
            elif isinstance(found, property) and base.__module__ != __name__:
                yield from _of_class(name, found)


def _of_class(name: str, found: property) -> Iterator[tuple[str, _Parameters | None, bool | None]]:
    """Finds the functions of a class that an interface has as a property: `Table` and `Table.open`."""
    cls = None
    with contextlib.suppress(Exception):
        # An annotation may name what is imported for type checkers alone.
        cls = typing.get_type_hints(found.fget).get("return")
    if not isinstance(cls, type):
        yield name, None, None
        return
    for method, one in vars(cls).items():
        if isinstance(one, FunctionType) and (method == "__call__" or not method.startswith("_")):
            full = name if method == "__call__" else f"{name}.{method}"
            yield full, _wanted(one, _parameters(one)[1:]), _gives_stream(one)


def _is_generator(function: Any) -> bool:
    return inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)


def _gives_stream(function: Any) -> bool | None:
    """Tells whether a method of a Protocol gives a stream; None if it does not say so."""
    if _is_generator(function):
        return True
    if inspect.iscoroutinefunction(function):
        return False
    returned = function.__annotations__.get("return")
    if returned is None:
        return None
    text = returned if isinstance(returned, str) else _name_of_type(returned)
    name = text.partition("[")[0].rpartition(".")[2]
    # A method of a class of sync functions may return an iterator itself, which arrives as a list.
    return True if name in _STREAMS else None


def _name_of_type(annotation: Any) -> str:
    return str(getattr(get_origin(annotation) or annotation, "__name__", ""))


def _functions_of_module(module: ModuleType) -> dict[str, Any]:
    """Returns a module's exported functions, or its public functions if a configuration exports them."""
    name = module.__name__
    exported = {
        key: one for key, one in _exports.functions.items() if getattr(one, "__module__", None) == name
    }
    if exported:
        return exported
    public = vars(module).get("__all__")
    if public is None:
        public = [one for one in vars(module) if not one.startswith("_")]
    found = {one: vars(module).get(one) for one in public}
    return {
        key: one for key, one in found.items() if isinstance(one, FunctionType) and one.__module__ == name
    }


def _parameters(function: Any) -> _Parameters:
    empty = inspect.Parameter.empty
    return [
        (one.name, one.kind, one.default is not empty)
        for one in inspect.signature(function).parameters.values()
    ]


def _wanted(function: Any, parameters: _Parameters) -> _Parameters | None:
    """Returns the parameters that a method wants; None of `(*args: Any, **fields: Any)`.

    Type checkers take that for any parameters, and `workerlib.stubs` writes it for the fields of a class.
    """
    if [kind for _, kind, _ in parameters] != _VARIADIC:
        return parameters
    annotations = [function.__annotations__.get(name) for name, _, _ in parameters]
    return None if all(one in (Any, "Any", "typing.Any") for one in annotations) else parameters


def _shown(name: str, parameters: _Parameters) -> str:
    shown = [
        inspect.Parameter(one, kind, default=_ANY if has_default else inspect.Parameter.empty)
        for one, kind, has_default in parameters
    ]
    return f"{name}{inspect.Signature(shown)}"


class _Any:
    """Stands for a default in messages."""

    def __repr__(self) -> str:
        return "…"


_ANY = _Any()
