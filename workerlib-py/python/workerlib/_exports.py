"""Exports: the functions that this side offers to the other, and their descriptions for the handshake."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator
from functools import partial
from types import FunctionType
from typing import Any, TypeVar, cast, overload

from workerlib._result_kinds import (
    DECORATED,
    EITHER,
    STREAM,
    kind_of,
    returns_call_of_generator,
    says_iterator,
)
from workerlib._users.options import require_flag

Function = Callable[..., Any]
_F = TypeVar("_F", bound=Function)

_MOST_BEHIND = 64
"""How many functions may stand behind one: decorators and partial functions are few."""

ParameterDescription = tuple[str, int, str | None, str | None]
"""Name, `inspect.Parameter.kind`, `repr()` of the default, text of the annotation."""
ExportDescription = tuple[str, str | None, list[ParameterDescription] | None, str | None, int]
"""Name, docstring, parameters if Python can tell them, text of the return annotation, sum of its kinds."""

functions: dict[str, Function] = {}
"""The exported functions by name."""

idempotent: set[str] = set()
"""The names of the exports that may run again if their worker dies."""

INTERNAL = "workerlib:"
"""How the names of workerlib's own functions begin, which are not exports."""

_of_classes: set[str] = set()
"""The names of the exports that came with an exported class: its class methods and static methods."""

blocking: dict[str, bool] = {}
"""Whether an exported function blocks, by its name, where the user has said so."""

_is_muted = False


@contextlib.contextmanager
def without_exports() -> Iterator[None]:
    """Has `export()` export nothing meanwhile, for the import of a worker's module on the other side."""
    global _is_muted
    before, _is_muted = _is_muted, True
    try:
        yield
    finally:
        _is_muted = before


built_in: dict[str, Function] = {}
"""Functions of the page's host that its workers call by name; no handshake tells of them."""


observers: list[Callable[[str, Function], None]] = []
"""Functions that are called with the name and the function of each further export."""


@overload
def export(function: _F, /) -> _F: ...
@overload
def export(function: Function, /, *functions: Function, blocking: bool | None = None) -> None: ...
@overload
def export(
    *, name: str | None = None, idempotent: bool = False, blocking: bool | None = None
) -> Callable[[_F], _F]: ...
def export(
    *exported: Function,
    name: str | None = None,
    idempotent: bool = False,
    blocking: bool | None = None,
) -> Any:
    """Makes functions of the worker callable from the page.

    As a decorator, `@export` or `@export(name="…")`, or as a call, `export(f, g)`. The functions may be sync
    or async and stay as they are: calling them in the worker is what it was before. Of a class, its public
    class methods and static methods can be called too: `worker.Table.open(…)`.

    Args:
        exported: The functions.
        name: The name by which the page calls the function; by default the function's own.
        idempotent: Whether a second call does no harm. A pool calls such a function again if its worker
            dies (docs/pools.md).
        blocking: Whether the functions block: whether they wait, in sync code, by `workerlib.wait`,
            `pyodide.ffi.run_sync`, `asyncio.run` or `time.sleep`. By default workerlib finds it out. In a
            browser such functions can wait where their calls are started by the event loop, which takes a
            little longer (docs/two-way.md).

    Raises:
        TypeError: If something is not callable, has no name, or `name` is given for several functions; if an
            argument is of another type.
        ValueError: If another function is exported under that name, or the name begins with `workerlib:`.
    """
    if not exported:
        return lambda function: _export(function, name, idempotent, blocking)
    if name is not None and len(exported) > 1:
        raise TypeError(
            f"export() got one name, {name!r}, for {len(exported)} functions: export them one by one"
        )
    for function in exported:
        _export(function, name, idempotent, blocking)
    return exported[0] if len(exported) == 1 else None


def _export(function: _F, name: str | None, is_idempotent: bool, is_blocking: bool | None) -> _F:
    if not callable(function):
        raise TypeError(
            f"export() takes functions, classes and other callables, not {type(function).__qualname__}:"
            ' write export(f), or @export(name="…") above the function'
        )
    if name is not None and (not isinstance(name, str) or not name):
        raise TypeError(f"name={name!r}: write a str, the name by which the page calls the function")
    require_flag("idempotent", is_idempotent)
    require_flag("blocking", is_blocking)
    if name is None:
        name = getattr(function, "__name__", None)
    if not isinstance(name, str) or not name or name == "<lambda>":
        raise TypeError(f"{function!r} has no name to be called by: use export(name='…')")
    if name.startswith(INTERNAL):
        raise ValueError(f"{name!r}: names that begin with {INTERNAL!r} are reserved for workerlib")
    if _is_muted:
        return function
    known = functions.get(name)
    # A cell that is run again replaces its function; anything else would lose one without a word.
    is_other = known is not None and known is not function and _origin(known) != _origin(function)
    if is_other and name not in _of_classes:
        raise ValueError(
            f"{name!r} is exported already, as {known!r}: give one of them another name by export(name='…')"
        )
    _of_classes.discard(name)
    _enter(name, function, is_idempotent, is_blocking)
    if isinstance(function, type):
        for member, method in _methods_of_class(function):
            full = f"{name}.{member}"
            # An export of the user under this name comes first.
            if full not in functions or full in _of_classes:
                _of_classes.add(full)
                _enter(full, method, is_idempotent, is_blocking)
    return function


def _enter(name: str, function: Function, is_idempotent: bool, is_blocking: bool | None) -> None:
    functions[name] = function
    (idempotent.add if is_idempotent else idempotent.discard)(name)
    blocking.pop(name, None)
    if is_blocking is not None:
        blocking[name] = is_blocking
    for observer in observers:
        observer(name, function)


def _methods_of_class(cls: type) -> Iterator[tuple[str, Function]]:
    """Finds the public class methods and static methods of a class, as they are called on it.

    Those of builtins and of bases in another package are left out. Whoever exports a class may not know them,
    and such a method may read a file or a pickle: pydantic's models have had some that do.
    """
    package = cls.__module__.partition(".")[0]
    for base in cls.__mro__:
        if base.__module__ == "builtins" or base.__module__.partition(".")[0] != package:
            continue
        for name, member in vars(base).items():
            if name.startswith("_") or not isinstance(member, classmethod | staticmethod):
                continue
            # A subclass may have another one of that name.
            if inspect.getattr_static(cls, name, None) is member:
                method = attempt(partial(getattr, cls, name))
                if callable(method):
                    yield name, method


def describe_exports() -> list[ExportDescription]:
    """Describes every exported function, in the order of their export."""
    return [describe_export(name, function) for name, function in functions.items()]


def _origin(function: Function) -> tuple[object, object]:
    return getattr(function, "__module__", None), getattr(function, "__qualname__", None)


def describe_export(name: str, function: Function) -> ExportDescription:
    """Describes one exported function: what its class or a default raises meanwhile is left out."""
    if type(function) is FunctionType and not function.__dict__ and function.__closure__ is None:
        # Most exports are such functions, and `inspect` takes three to five times as long to tell the same.
        described = attempt(lambda: _describe_plain(name, function))
        if described is not None:
            return cast("ExportDescription", described)
    doc = attempt(lambda: inspect.getdoc(function))
    signature = attempt(lambda: _signature_of(function))
    is_signed, is_class = type(signature) is inspect.Signature, issubclass(type(function), type)
    returns = signature.return_annotation if is_signed and not is_class else inspect.Parameter.empty
    kind: int = attempt(lambda: kind_of(function, returns)) or 0
    if attempt(lambda: is_decorated(function)) is True:
        kind |= DECORATED
    if is_class and is_signed:
        # That of `__init__` is None.
        signature = signature.replace(return_annotation=function.__name__)
    if type(signature) is not inspect.Signature:
        return name, _exact(doc), None, None, kind
    parameters = [
        (
            str(parameter.name),
            int(parameter.kind),
            _default(parameter.default),
            _annotation(parameter.annotation),
        )
        for parameter in signature.parameters.values()
    ]
    return name, _exact(doc), parameters, _annotation(signature.return_annotation), kind


def _signature_of(function: Function) -> inspect.Signature:
    """Returns the signature of a function.

    Raises:
        ValueError: If there is none, or if the function is behind itself: `inspect` follows partial functions
            by recursion, by which the stack of Pyodide would overflow.
    """
    inner: Any = function
    for _ in range(_MOST_BEHIND):
        if issubclass(type(inner), partial):
            inner = inner.func
        elif (behind := getattr(inner, "__wrapped__", None)) is not None:
            inner = behind
        else:
            return inspect.signature(function)
    raise ValueError(f"more than {_MOST_BEHIND} functions are behind one")


def is_decorated(function: Function) -> bool:
    """Tells whether a function has the signature of another one, which `functools.wraps` gave it.

    It may pass on other arguments than it gets, as a decorator does that opens a database for each call.
    """
    signature = _signature_of(function)
    return "__wrapped__" in vars(function) and signature != inspect.signature(function, follow_wrapped=False)


def _describe_plain(name: str, function: FunctionType) -> ExportDescription | None:
    """Describes a function of Python's whose attributes are those that `def` gave it.

    Returns:
        The description; None if `inspect` has to look for the docstring.
    """
    doc = function.__doc__
    if doc is None:
        # A method may have inherited one.
        if "." in function.__qualname__:
            return None
    elif type(doc) is not str:
        return None
    else:
        doc = inspect.cleandoc(doc)
    code, annotations = function.__code__, function.__annotations__
    names, flags = code.co_varnames, code.co_flags
    count, only_by_name = code.co_argcount, code.co_kwonlyargcount
    defaults, defaults_by_name = function.__defaults__ or (), function.__kwdefaults__ or {}
    empty = inspect.Parameter.empty
    parameters: list[ParameterDescription] = []

    def add(parameter: str, kind: int, default: object) -> None:
        described = _annotation(annotations.get(parameter, empty))
        parameters.append((parameter, kind, _default(default), described))

    first = count - len(defaults)
    for index, parameter in enumerate(names[:count]):
        kind = 0 if index < code.co_posonlyargcount else 1
        add(parameter, kind, defaults[index - first] if index >= first else empty)
    end = count + only_by_name
    if flags & inspect.CO_VARARGS:
        add(names[end], 2, empty)
    for parameter in names[count:end]:
        add(parameter, 3, defaults_by_name.get(parameter, empty))
    if flags & inspect.CO_VARKEYWORDS:
        add(names[end + bool(flags & inspect.CO_VARARGS)], 4, empty)
    returns = annotations.get("return", empty)
    if flags & (inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR):
        kind = STREAM
    else:
        kind = EITHER if says_iterator(returns, function) or returns_call_of_generator(function) else 0
    return name, doc, parameters, _annotation(returns), kind


def attempt(find: Callable[[], Any]) -> Any:
    """Finds out something about a user's object.

    Args:
        find: Finds it.

    Returns:
        The result of `find`; None if code of the user's raises any exception meanwhile.
    """
    try:
        return find()
    except BaseException:
        return None


def _exact(text: object) -> str | None:
    """Returns a text as an exact str; None for anything else."""
    return str.__str__(text) if issubclass(type(text), str) else None


def _default(value: object) -> str | None:
    if value is inspect.Parameter.empty:
        return None
    return _exact(attempt(lambda: repr(value))) or "..."


def _annotation(annotation: object) -> str | None:
    if annotation is inspect.Parameter.empty:
        return None
    if issubclass(type(annotation), str):
        return _exact(annotation)
    return _exact(attempt(lambda: inspect.formatannotation(annotation))) or "..."
