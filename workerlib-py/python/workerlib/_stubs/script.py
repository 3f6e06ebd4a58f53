"""Reads Python modules without running them: their exports, their imports and the names that they define.

`stubs.py` and `typescript.py` write interfaces from it. A script may import modules that only a browser has,
so nothing here imports anything.
"""

from __future__ import annotations

import ast
import builtins
import collections
import collections.abc
import dataclasses
import datetime
import decimal
import enum
import tokenize
import typing
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

Function = ast.FunctionDef | ast.AsyncFunctionDef

_STAR_NAMES = {
    module.__name__: frozenset(getattr(module, "__all__", None) or vars(module))
    for module in (typing, collections.abc, collections, dataclasses, datetime, decimal, enum)
}
"""The names that `from typing import *` and its like bind. Nothing of a script's own is imported for it."""
_STAR_NAMES["typing_extensions"] = _STAR_NAMES["typing"]


@dataclass(frozen=True)
class Defined:
    """A class, an alias or another name that a module defines itself."""

    module: Module
    name: str
    node: ast.stmt


@dataclass(eq=False)
class Module:
    """The text of a module, taken apart."""

    name: str
    tree: ast.Module
    folder: Path | None = None
    """Where modules that it imports may lie; None for a text without a file."""
    functions: dict[str, Function] = field(init=False)
    definitions: dict[str, ast.stmt] = field(init=False)
    overloads: dict[str, list[Function]] = field(init=False)
    """The variants of each function that has some, by `@overload`."""
    imports: dict[str, str] = field(init=False)
    """The dotted name of each name that an import binds, also below `if TYPE_CHECKING`."""
    _siblings: dict[str, Module | None] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        """Finds the names."""
        self.definitions = dict(_definitions(self.tree))
        self.imports = dict(_imported(self.tree))
        self._stars = list(_stars(self.tree))
        self.functions, self.overloads = {}, {}
        for node in self.tree.body:
            if isinstance(node, Function):
                if any(self.resolve(one) in _OVERLOAD for one in node.decorator_list):
                    self.overloads.setdefault(node.name, []).append(node)
                else:
                    self.functions[node.name] = node

    def exported(self) -> dict[str, Function]:
        """Finds the functions that the page can call, by the names under which it calls them.

        These are the functions of `@export`, `@export(name=…)` and `export(f, g)`. Without any, a
        configuration names the exports, and these are all public functions.

        Raises:
            ValueError: If the script neither exports nor has a public function.
        """
        found = {name: one for name, one in self._exported() if isinstance(one, Function)}
        if not found and not self.exported_classes():
            found = {name: one for name, one in self.functions.items() if not name.startswith("_")}
            if not found:
                raise ValueError(f"{self.name} exports no function, and has no public one")
        return found

    def exported_classes(self) -> dict[str, ast.ClassDef]:
        """Finds the exported classes, by the names under which the page calls them."""
        return {name: one for name, one in self._exported() if isinstance(one, ast.ClassDef)}

    def _exported(self) -> Iterator[tuple[str, Function | ast.ClassDef]]:
        classes = {name: one for name, one in self.definitions.items() if isinstance(one, ast.ClassDef)}
        things: dict[str, Function | ast.ClassDef] = {**self.functions, **classes}
        for thing in things.values():
            for decorator in thing.decorator_list:
                call = decorator.func if isinstance(decorator, ast.Call) else decorator
                if self._is_export(call):
                    yield _name_given(decorator) or thing.name, thing
        for node in self.tree.body:
            if (
                isinstance(node, ast.Expr)
                and isinstance(node.value, ast.Call)
                and self._is_export(node.value.func)
            ):
                for argument in node.value.args:
                    if isinstance(argument, ast.Name) and argument.id in things:
                        yield _name_given(node.value) or argument.id, things[argument.id]

    def _is_export(self, node: ast.expr) -> bool:
        # Without an import, the name is a configuration's or a remote package's.
        found = self.resolve(node)
        return found == "workerlib.export" or (found is None and ast.unparse(node) in _EXPORT)

    def resolve(self, node: ast.expr) -> Defined | str | None:
        """Finds what a name, or a dotted name, stands for.

        Args:
            node: The name, as it stands in an annotation or among the bases of a class.

        Returns:
            A definition of this module or of one beside it; the full name of a thing from elsewhere, such as
            "numpy.typing.NDArray" or "list"; None if nothing binds the name, or the node is not a name.
        """
        parts = _parts(node)
        return None if parts is None else self._find(parts)

    def _find(self, parts: list[str]) -> Defined | str | None:
        first, *rest = parts
        if first in self.definitions and not rest:
            return Defined(self, first, self.definitions[first])
        if first in self.imports:
            return self._elsewhere([*self.imports[first].split("."), *rest])
        for star in reversed(self._stars):
            sibling = self._sibling(star)
            if sibling is not None and (found := sibling._find(parts)) is not None:
                return found
            if first in _STAR_NAMES.get(star, ()):
                return ".".join([star, *parts])
        if hasattr(builtins, first):
            return ".".join(parts)
        return None

    def star_of(self, name: str) -> str | None:
        """Finds the module from which `from … import *` binds a name; None if another line binds it.

        Args:
            name: The name.
        """
        if name in self.definitions or name in self.imports:
            return None
        return next((star for star in reversed(self._stars) if name in _STAR_NAMES.get(star, ())), None)

    def _elsewhere(self, parts: list[str]) -> Defined | str | None:
        if parts[0] == "workerlib":
            # A starter file, or a copy of the package, may lie beside the script.
            return ".".join(parts)
        for length in range(len(parts) - 1, 0, -1):
            module = self._sibling(".".join(parts[:length]))
            if module is not None:
                return module._find(parts[length:])
        return ".".join(parts)

    def _sibling(self, name: str) -> Module | None:
        """Reads a module whose file lies beside this one's; None if there is no such file."""
        if self.folder is None:
            return None
        if name not in self._siblings:
            # Before it is read: two modules may import each other.
            self._siblings[name] = None
            path = self.folder.joinpath(*name.split("."))
            for file in (path.with_suffix(".py"), path / "__init__.py"):
                if file.is_file():
                    module = Module(name, ast.parse(read_script(file), file.name), self.folder)
                    module._siblings = self._siblings
                    self._siblings[name] = module
                    break
        return self._siblings[name]


def read_script(path: Path) -> str:
    """Reads a script in the encoding that it declares, as Python does.

    Args:
        path: Its path.

    Raises:
        OSError: If it cannot be read.
        SyntaxError: If it declares an encoding that there is not.
        UnicodeDecodeError: If its bytes are not of that encoding.
    """
    with tokenize.open(path) as file:
        return file.read()


def is_star_known(module: str | None) -> bool:
    """Tells whether `Module.star_of()` knows which names `from module import *` binds."""
    return module in _STAR_NAMES or module == "workerlib"


STREAMS = frozenset(
    {"workerlib.Stream"}
    | {
        f"{module}.{name}"
        for module in ("typing", "collections.abc")
        for name in ("AsyncIterator", "AsyncIterable", "AsyncGenerator")
    }
)
"""The types of values that travel as streams."""


def arguments_of(node: ast.expr) -> list[ast.expr]:
    """Takes the type arguments of `X[…]` apart.

    Args:
        node: The annotation; one without arguments has none.
    """
    if not isinstance(node, ast.Subscript):
        return []
    return list(node.slice.elts) if isinstance(node.slice, ast.Tuple) and node.slice.elts else [node.slice]


def unquoted(annotation: ast.expr) -> ast.expr:
    """Reads an annotation that stands as a text, which refers to what comes later.

    Args:
        annotation: The annotation.
    """
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        return ast.parse(annotation.value, mode="eval").body
    return annotation


def item_of(returns: ast.expr | None) -> ast.expr | None:
    """Finds the type of the items of a function with a `yield`; None if its annotation does not say it.

    Args:
        returns: The annotation of its result, such as `Iterator[int]`.
    """
    return next(iter(arguments_of(unquoted(returns))), None) if returns is not None else None


def is_stream(function: Function) -> bool:
    """Tells whether a call of a function is a stream: whether it has a `yield`.

    Args:
        function: The function.
    """
    nodes: list[ast.AST] = list(function.body)
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.Yield | ast.YieldFrom):
            return True
        # Nested functions have scopes of their own.
        if not isinstance(node, Function | ast.Lambda | ast.ClassDef):
            nodes.extend(ast.iter_child_nodes(node))
    return False


_EXPORT = ("export", "workerlib.export")
_OVERLOAD = ("typing.overload", "typing_extensions.overload")


def _name_given(node: ast.expr) -> str | None:
    for keyword in node.keywords if isinstance(node, ast.Call) else ():
        if keyword.arg == "name" and isinstance(keyword.value, ast.Constant):
            return str(keyword.value.value)
    return None


def _parts(node: ast.expr) -> list[str] | None:
    if isinstance(node, ast.Name):
        return [node.id]
    if isinstance(node, ast.Attribute):
        parts = _parts(node.value)
        return None if parts is None else [*parts, node.attr]
    return None


def _definitions(tree: ast.Module) -> Iterator[tuple[str, ast.stmt]]:
    """Finds the classes and the other names that a module makes itself."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            yield node.name, node
            continue
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        for target in targets:
            if isinstance(target, ast.Name):
                yield target.id, node
        # `type X = …`, which Python 3.11 cannot parse.
        alias = getattr(node, "name", None)
        if isinstance(alias, ast.Name):
            yield alias.id, node


def _imported(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for one in node.names:
                yield (one.asname, one.name) if one.asname else (one.name.partition(".")[0],) * 2
        elif isinstance(node, ast.ImportFrom):
            for one in node.names:
                if one.name != "*":
                    yield one.asname or one.name, f"{node.module}.{one.name}" if node.module else one.name


def _stars(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and any(one.name == "*" for one in node.names):
            yield node.module
