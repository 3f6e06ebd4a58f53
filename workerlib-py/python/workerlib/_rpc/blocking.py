"""Finds out which functions may block: which of them can reach `pyodide.ffi.run_sync`, or what uses it.

A function that blocks suspends its stack, and needs an entry from JavaScript that allows it. The event
loop's callbacks have one; callbacks that run in the event of a message have none
(`_channels/loop_shortcuts.py`). This module tells the two kinds of functions apart. It follows the objects
that the names in a function's code stand for, from function to function. It executes nothing, and knows no
channel and no host.

The search errs on the side of the event loop. A name that stands for nothing known, such as an attribute of
an argument, means every method of that name in the user's modules. A module that is not loaded yet, code that
is computed, and more functions than can be looked through count as blocking. Functions of the standard
library, of Pyodide and of the libraries in `_TRUSTED_LIBRARIES` block only if they are among `BLOCKERS`. The
users' functions that such a function holds, as a decorator does, are looked at all the same.
"""

from __future__ import annotations

import builtins
import dis
import gc
import importlib
import sys
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from types import CodeType, FunctionType, ModuleType
from typing import Any

BLOCKERS: dict[int, tuple[str, object]] = {}
"""The functions that block, by their `id`: the name of each, and the function."""

_BLOCKING_ATTRIBUTES = frozenset({"run_sync", "run_until_complete", "syncify", "executor", "scheduler"})
"""Names of attributes that block, of objects that the search does not know: a call finds an event loop, and
`pool.executor` and `pool.scheduler` belong to a result."""
_RUNS_UNKNOWN_CODE = {
    id(exec): "exec",
    id(eval): "eval",
    id(__import__): "__import__",
    id(importlib.import_module): "importlib.import_module",
}
_LOOKS_UP_NAMES = {id(one) for one in (getattr, globals, locals, vars)}
_TRUSTED = frozenset(
    {"workerlib", "pyodide", "_pyodide", "_pyodide_core", "pyodide_js", "js", "pyscript", "polyscript"}
)
_TRUSTED_LIBRARIES = frozenset(
    {
        *("dask", "cloudpickle", "toolz", "tlz", "fsspec", "locket", "partd", "yaml", "packaging", "click"),
        *("importlib_metadata", "zipp", "numpy", "pandas", "scipy", "dateutil", "pytz", "six"),
    }
)
"""Libraries of thousands of functions, none of which waits for the event loop. A test reads their sources."""
_SETTINGS = {"dask": ("dask.config", "config")}
"""The settings of trusted libraries that may be users' functions: a module's name, and its dict."""
_DATA: tuple[type, ...] = (str, bytes, bytearray, int, float, complex, type(None), CodeType, ModuleType)
_WITHOUT_EFFECT = frozenset({"PUSH_NULL", "CACHE", "EXTENDED_ARG", "SWAP", "COPY", "RESUME", "NOP"})
"""Instructions after which the object on top of the stack is the same."""
_KEEPING = _WITHOUT_EFFECT - {"SWAP", "COPY"} | {"POP_TOP"}
"""Instructions that put the object on top of the stack nowhere else."""
_STORES_LOCAL = ("STORE_FAST", "STORE_DEREF")
# A metaclass of the user's is not asked.
_mro_of: Callable[[Any], tuple[type, ...]] = type.__dict__["__mro__"].__get__
_members_of: Callable[[Any], Any] = type.__dict__["__dict__"].__get__
_class_name_of: Callable[[Any], str] = type.__dict__["__name__"].__get__
_UNKNOWN = object()
_MISSING = object()
_HARMLESS = object()
"""Stands for a module of the standard library that is not loaded, and for what it has."""
_MOST_FUNCTIONS = 1_000
_MOST_ITEMS = 1_000
_DEEPEST_DATA = 3


@dataclass(frozen=True)
class Reason:
    """The reason why a function may block."""

    text: str
    """The functions on the way to the blocking one, for the log."""
    is_final: bool = True
    """Whether the reason stays when further modules are loaded."""


def declare_blocker(function: Callable[..., Any], name: str) -> None:
    """Adds a function to `BLOCKERS`.

    Args:
        function: A function that waits for the event loop by `run_sync`.
        name: Its name in the log.
    """
    BLOCKERS[id(function)] = name, function


def reason_to_block(
    start: Iterable[object],
    names: dict[str, Any] | None = None,
    *,
    may_compute_code: bool = False,
    has_callback: bool = False,
) -> Reason | None:
    """Searches what functions can reach for one that blocks.

    Args:
        start: The functions; code objects of code that is running count as functions without arguments.
        names: The global names of the code objects.
        may_compute_code: Whether `exec` and its like are no reason, since somebody looks at code that is
            computed when it calls a worker.
        has_callback: Whether the functions get a callback. The `result()` of something unknown blocks then.

    Returns:
        The reason for which one may block; None if none can.
    """
    attributes = _BLOCKING_ATTRIBUTES | {"result"} if has_callback else _BLOCKING_ATTRIBUTES
    return _Search(names or {}, may_compute_code, attributes).run(start)


class _Search:
    def __init__(self, names: dict[str, Any], may_compute_code: bool, attributes: frozenset[str]) -> None:
        self._names = names
        self._blocking_attributes = attributes
        self._unknown = {} if may_compute_code else _RUNS_UNKNOWN_CODE
        self._seen: set[int] = set()
        self._waiting: deque[tuple[object, str, int]] = deque()
        self._functions = 0
        self._index: dict[str, list[object]] | None = None

    def run(self, start: Iterable[object]) -> Reason | None:
        tentative: Reason | None = None
        for one in start:
            self._add(one, _name_of(one), 0)
        while self._waiting:
            one, path, depth = self._waiting.popleft()
            if (blocker := BLOCKERS.get(id(one))) is not None:
                return Reason(f"{path.rpartition(' → ')[0]} → {blocker[0]}".removeprefix(" → "))
            if (name := self._unknown.get(id(one))) is not None:
                return Reason(
                    f"{path.rpartition(' → ')[0]} → {name}, which runs code that nobody knows before"
                )
            reason = self._follow(one, path, depth)
            if reason is not None and reason.is_final:
                return reason
            tentative = tentative or reason
            if self._functions > _MOST_FUNCTIONS:
                return Reason(f"{path}, beyond which there are more functions than can be looked through")
        return tentative

    def _add(self, one: object, path: str, depth: int) -> None:
        if type(one) not in _DATA and id(one) not in self._seen:
            self._seen.add(id(one))
            self._waiting.append((one, path, depth))

    def _follow(self, one: Any, path: str, depth: int) -> Reason | None:
        kind = type(one)
        if kind is CodeType:
            return self._follow_code(one, self._names, {}, path)
        if kind is FunctionType:
            return self._follow_function(one, path)
        if issubclass(kind, type):
            for base in _mro_of(one):
                members = _members_of(base)
                if is_trusted(module := members.get("__module__")):
                    self._add_settings(module, path)
                    continue
                for name, member in list(members.items()):
                    self._add(member, f"{path}.{name}", 0)
        elif depth < _DEEPEST_DATA:
            for held in islice(_held_by(one), _MOST_ITEMS):
                shown = _further(path, held) if type(held) is FunctionType else path
                self._add(held, shown, depth + 1)
        return None

    def _follow_function(self, function: FunctionType, path: str) -> Reason | None:
        cells = dict(
            zip(function.__code__.co_freevars, map(_content, function.__closure__ or ()), strict=True)
        )
        # A decorator of the standard library holds the user's function.
        for held in (*cells.values(), *(function.__defaults__ or ()), *vars(function).values()):
            self._add(held, _further(path, held), 0)
        module = function.__globals__.get("__name__")
        if is_trusted(module):
            self._add_settings(module, path)
            return None
        self._functions += 1
        return self._follow_code(function.__code__, function.__globals__, cells, path)

    def _add_settings(self, module: object, path: str) -> None:
        """Has the users' functions looked at that a trusted library calls since its settings say so."""
        root = module.partition(".")[0] if type(module) is str else ""
        if root in _SETTINGS:
            name, settings = _SETTINGS[root]
            if (loaded := sys.modules.get(name)) is not None:
                self._add(vars(loaded).get(settings), f"{path} → {name}.{settings}", 0)

    def _follow_code(
        self, code: CodeType, names: dict[str, Any], known: dict[str, Any], path: str
    ) -> Reason | None:
        reason = None
        for owner, name, found in _references(code, names, known):
            shown = f"{path} → {name if owner is None else f'{owner}.{name}'}"
            if found is _MISSING:
                text = f"{path}, which imports {name}, a module that is not loaded yet"
                reason = reason or Reason(text, is_final=False)
            elif found is not _UNKNOWN:
                if id(found) in _LOOKS_UP_NAMES:
                    for beside in list(names.values()):
                        self._add(beside, _further(path, beside), 0)
                if _is_module(found):
                    self._add_settings(vars(found).get("__name__"), shown)
                self._add(found, shown, 0)
            elif name in self._blocking_attributes:
                return Reason(f"{path} → ….{name}")
            else:
                for method in self._methods().get(name, ()):
                    self._add(method, f"{path} → {_name_of(method)}", 0)
        return reason

    def _methods(self) -> dict[str, list[object]]:
        """Lists the functions in the user's own modules by their names, the methods of classes too."""
        if self._index is None:
            self._index = {}
            for module in list(sys.modules.values()):
                if type(module) is not ModuleType or is_trusted(module.__name__):
                    continue
                if "site-packages" in (getattr(module, "__file__", None) or ""):
                    continue
                for name, one in list(vars(module).items()):
                    # `asyncio.Event.wait` is not `workerlib.wait`, though a module has that among its names.
                    is_own = type(one) is FunctionType and not is_trusted(one.__globals__.get("__name__"))
                    members = [(name, one)] if is_own else []
                    if issubclass(type(one), type) and not is_trusted(_members_of(one).get("__module__")):
                        members = list(_members_of(one).items())
                    for each, member in members:
                        if type(member) not in _DATA:
                            self._index.setdefault(each, []).append(member)
        return self._index


_Reference = tuple[str | None, str, object]
"""The name of the object that a name is an attribute of, if that is known; the name; its object.

The object is `_MISSING` for a module that is not loaded, `_UNKNOWN` for an attribute of something unknown.
"""


def _references(code: CodeType, names: dict[str, Any], known: dict[str, Any]) -> Iterator[_Reference]:
    """Gives the objects that the names in a function's code stand for, and those of the functions within it.

    Args:
        code: The function's code.
        names: Its global names.
        known: Its local names whose objects are known. Imports within the function add to it.
    """
    if _imports(code) or not _names_of_blockers().isdisjoint(code.co_names):
        steps = list(dis.get_instructions(code))
        reader = _Reader(names, known, _stored_again(steps))
        for step in steps:
            yield from reader.read(step.opname, step.argval)
    else:
        yield from _references_by_name(code, names, known)
    for constant in code.co_consts:
        if type(constant) is CodeType:
            yield from _references(constant, names, known)


def _references_by_name(code: CodeType, names: dict[str, Any], known: dict[str, Any]) -> Iterator[_Reference]:
    """Does so for code without imports and without the names of blocking functions, which is faster."""
    modules: list[ModuleType] = []
    for name in (*code.co_freevars, *code.co_names):
        held = known.get(name, names.get(name, vars(builtins).get(name, _UNKNOWN)))
        if held is not _UNKNOWN and held is not _HARMLESS:
            yield None, name, held
            if _is_module(held) and not is_trusted(held.__name__):
                modules.append(held)
    for name in code.co_names:
        yield None, name, _UNKNOWN
        for module in modules:
            if name in vars(module):
                yield module.__name__, name, vars(module)[name]


def _imports(code: CodeType) -> bool:
    """Tells whether there may be an import in a function's code."""
    return dis.opmap["IMPORT_NAME"] in code.co_code[::2]


def _names_of_blockers() -> set[str]:
    return {name.rpartition(".")[2] for name, _ in BLOCKERS.values()} | _BLOCKING_ATTRIBUTES


def _stored_again(steps: list[dis.Instruction]) -> frozenset[str]:
    """Lists the local names that stand for several objects: those that are stored more than once."""
    stored: Counter[str] = Counter()
    for step in steps:
        if step.opname.startswith(_STORES_LOCAL):
            names = (step.argval,) if isinstance(step.argval, str) else step.argval
            # The second of two names is loaded, or stored as well.
            stored.update(names if step.opname.count("STORE") > 1 else names[:1])
    return frozenset(name for name, times in stored.items() if times > 1)


class _Reader:
    """Knows which object is on top of the stack, for a few instructions.

    A module whose attribute is not read at once may be anywhere afterwards, such as in a container or under a
    name that stands for several objects. An attribute of something unknown may then be that module's.
    """

    def __init__(self, names: dict[str, Any], known: dict[str, Any], ambiguous: frozenset[str]) -> None:
        self._names = names
        self._known = known
        self._ambiguous = ambiguous
        self._held: Any = _UNKNOWN
        self._shown: str | None = None
        self._imported: Any = _UNKNOWN
        self._constants: deque[Any] = deque([0, None], maxlen=2)
        self._modules: list[ModuleType] = []

    def read(self, operation: str, name: Any) -> Iterable[_Reference]:
        """Follows an instruction.

        Args:
            operation: Its name in `dis`.
            name: Its argument: a name, or two names for two instructions in one.
        """
        if _is_module(self._held) and not self._uses_up(operation, name):
            self._modules.append(self._held)
        if operation in _WITHOUT_EFFECT:
            return ()
        # Python 3.15 loads None by the last of them.
        if operation in ("LOAD_CONST", "LOAD_SMALL_INT", "LOAD_COMMON_CONSTANT"):
            self._constants.append(name)
        for beginning, read in _READERS.items():
            if operation.startswith(beginning):
                found = list(read(self, name))
                break
        else:
            found = []
            self._held = _UNKNOWN
        return found

    def _uses_up(self, operation: str, name: Any) -> bool:
        """Tells whether it is known where the object on top of the stack is after an instruction."""
        if operation.startswith(_STORES_LOCAL):
            return (name if isinstance(name, str) else name[0]) not in self._ambiguous
        return operation.startswith(("LOAD_ATTR", "LOAD_METHOD", "IMPORT_FROM")) or operation in _KEEPING

    def _global(self, name: str) -> Iterator[_Reference]:
        self._held, self._shown = self._names.get(name, vars(builtins).get(name, _UNKNOWN)), name
        if self._held is not _UNKNOWN:
            yield None, name, self._held

    def _local(self, name: str | tuple[str, str]) -> Iterator[_Reference]:
        *below, shown = (name,) if isinstance(name, str) else name
        self._shown = shown
        # Two names in one instruction: what the first stands for is not on top of the stack.
        self._modules += [self._known[each] for each in below if _is_module(self._known.get(each))]
        self._held = self._known.get(shown, _UNKNOWN)
        if self._held is not _UNKNOWN and self._held is not _HARMLESS:
            yield None, shown, self._held

    def _store(self, name: str | tuple[str, str]) -> Iterable[_Reference]:
        stored, *loaded = (name,) if isinstance(name, str) else name
        self._known[stored] = self._held
        self._held = self._known.get(loaded[0], _UNKNOWN) if loaded else _UNKNOWN
        return ()

    def _import(self, name: str) -> Iterator[_Reference]:
        level, names = self._constants
        self._held, self._shown = _module(name, level, names, self._names), name
        if self._held is _MISSING:
            yield None, name, _MISSING
            self._held = _UNKNOWN
        self._imported = self._held

    def _import_from(self, name: str) -> Iterator[_Reference]:
        self._held = self._imported
        shown = self._shown
        yield from self._attribute(name)
        self._shown = shown

    def _attribute(self, name: str) -> Iterator[_Reference]:
        found = vars(self._held).get(name, _UNKNOWN) if _is_module(self._held) else _UNKNOWN
        if self._held is _HARMLESS:
            found = _HARMLESS
        elif found is _UNKNOWN:
            yield None, name, found
            # It may be one of these.
            for module in self._modules:
                if name in vars(module):
                    yield module.__name__, name, vars(module)[name]
        else:
            yield self._shown, name, found
        self._held, self._shown = found, name


_READERS: dict[str, Callable[[_Reader, Any], Iterable[_Reference]]] = {
    "LOAD_GLOBAL": _Reader._global,
    "LOAD_NAME": _Reader._global,
    "LOAD_FAST": _Reader._local,
    "LOAD_DEREF": _Reader._local,
    "LOAD_CLASSDEREF": _Reader._local,
    "LOAD_ATTR": _Reader._attribute,
    "LOAD_METHOD": _Reader._attribute,
    "LOAD_SUPER_ATTR": _Reader._attribute,
    "STORE_FAST": _Reader._store,
    "STORE_DEREF": _Reader._store,
    "IMPORT_NAME": _Reader._import,
    "IMPORT_FROM": _Reader._import_from,
}
"""Follow the instructions whose names begin so; any other leaves something unknown on top of the stack."""


def _module(name: str, level: Any, names_from: Any, names: dict[str, Any]) -> Any:
    """Returns the object that an import puts on the stack; `_MISSING` for a module that is not loaded."""
    if level:
        package = str(names.get("__package__") or "").rsplit(".", level - 1)[0]
        name = f"{package}.{name}" if name else package
    wanted = sys.modules.get(name)
    if wanted is None:
        return _HARMLESS if is_trusted(name) else _MISSING
    return wanted if names_from else sys.modules.get(name.partition(".")[0], _UNKNOWN)


def _is_module(one: object) -> bool:
    return issubclass(type(one), ModuleType)


def is_trusted(module: object) -> bool:
    """Tells whether a module is the standard library's, the host's, workerlib's or a trusted library's."""
    root = module.partition(".")[0] if type(module) is str else ""
    if root in _TRUSTED_LIBRARIES:
        # A user's own file may have that name.
        loaded = sys.modules.get(root)
        return "-packages" in str(vars(loaded).get("__file__") if _is_module(loaded) else None)
    return root in sys.stdlib_module_names or root in _TRUSTED


def _content(cell: Any) -> object:
    try:
        return cell.cell_contents
    except ValueError:
        return _UNKNOWN


def _held_by(one: object) -> Iterator[object]:
    """Lists the objects that a container, an instance or a decorator holds; executes no code."""
    return iter(gc.get_referents(one))


def _name_of(one: Any) -> str:
    if type(one) is FunctionType:
        return one.__name__
    if type(one) is CodeType:
        return one.co_name
    return _class_name_of(one if issubclass(type(one), type) else type(one))


def _further(path: str, one: object) -> str:
    return f"{path} → {_name_of(one)}"
