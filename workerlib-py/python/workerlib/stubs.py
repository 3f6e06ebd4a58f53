"""Writes a worker's interface as Python: `python -m workerlib.stubs worker.py > stats.py`.

The result is a module with a Protocol, for `connect(interface=…)`: the functions that the worker's script
exports, as async methods. The script is read, not run, so it may import modules that only a browser has.
Names in annotations are imported as the script imports them; the script's own classes are imported from the
script.
"""

from __future__ import annotations

import argparse
import ast
import builtins
import pathlib
import sys
from collections.abc import Iterator

_Function = ast.FunctionDef | ast.AsyncFunctionDef


def interface_of(source: str, module: str, name: str) -> str:
    """Writes the interface of a worker's script.

    Args:
        source: The script.
        module: The name by which the page could import it: where classes of its own come from.
        name: The name of the Protocol.

    Raises:
        ValueError: If the script neither exports nor has a public function.
    """
    tree = ast.parse(source)
    functions = dict(_exported(tree))
    if not functions:
        # Its exports stand in a configuration then.
        functions = {one.name: one for one in _functions(tree) if not one.name.startswith("_")}
    if not functions:
        raise ValueError(f"{module} exports no function, and has no public one")
    methods = [_method(exported, function) for exported, function in functions.items()]
    return _module(tree, module, name, methods)


def _functions(tree: ast.Module) -> Iterator[_Function]:
    for node in tree.body:
        if isinstance(node, _Function):
            yield node


def _exported(tree: ast.Module) -> Iterator[tuple[str, _Function]]:
    """Finds the functions that `@export`, `@export(name=…)` and `export(f, g)` export."""
    functions = {function.name: function for function in _functions(tree)}
    for function in functions.values():
        for decorator in function.decorator_list:
            call = decorator.func if isinstance(decorator, ast.Call) else decorator
            if _is_export(call):
                yield _name_given(decorator) or function.name, function
    for node in tree.body:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and _is_export(node.value.func):
            for argument in node.value.args:
                if isinstance(argument, ast.Name) and argument.id in functions:
                    yield _name_given(node.value) or argument.id, functions[argument.id]


def _is_export(node: ast.expr) -> bool:
    return ast.unparse(node) in ("export", "workerlib.export")


def _name_given(node: ast.expr) -> str | None:
    for keyword in node.keywords if isinstance(node, ast.Call) else ():
        if keyword.arg == "name" and isinstance(keyword.value, ast.Constant):
            return str(keyword.value.value)
    return None


def _method(name: str, function: _Function) -> ast.AsyncFunctionDef:
    arguments = function.args
    positional = arguments.posonlyargs if arguments.posonlyargs else arguments.args
    positional.insert(0, ast.arg("self"))
    # Whatever a default is: its kind is all that a caller's checker needs.
    arguments.defaults = [ast.Constant(...) for _ in arguments.defaults]
    arguments.kw_defaults = [default and ast.Constant(...) for default in arguments.kw_defaults]
    doc = ast.get_docstring(function)
    # After a docstring too: without it pyright takes the method for one that returns nothing.
    body: list[ast.stmt] = [ast.Expr(ast.Constant(one)) for one in (doc, ...) if one is not None]
    method = ast.AsyncFunctionDef(name, arguments, body, [], function.returns)
    return ast.fix_missing_locations(method)


def _module(tree: ast.Module, module: str, name: str, methods: list[ast.AsyncFunctionDef]) -> str:
    wanted = {node.id for method in methods for node in ast.walk(method) if isinstance(node, ast.Name)}
    wanted |= {part for method in methods for part in _names_in_texts(method)}
    lines = [
        f'"""The interface of {module}, made by `python -m workerlib.stubs`."""',
        "",
        "from __future__ import annotations",
        "",
        "from typing import TYPE_CHECKING, Protocol",
        "",
        "from workerlib import Interface",
    ]
    imports = list(_imports(tree, wanted))
    own = sorted(one for one in wanted if one in _assigned(tree) and not hasattr(builtins, one))
    if own:
        imports.append(f"from {module} import {', '.join(own)}")
    if imports:
        lines += ["", "if TYPE_CHECKING:", *(f"    {line}" for line in imports)]
    lines += ["", "", f"class {name}(Interface, Protocol):", '    """What the worker exports."""']
    for method in methods:
        lines += ["", *(f"    {line}" for line in ast.unparse(method).splitlines())]
    return "\n".join(lines) + "\n"


def _names_in_texts(method: ast.AsyncFunctionDef) -> Iterator[str]:
    """Finds the names in annotations that are written as texts."""
    for node in ast.walk(method.args):
        if isinstance(node, ast.arg) and isinstance(node.annotation, ast.Constant):
            yield from _names_in(str(node.annotation.value))
    if isinstance(method.returns, ast.Constant):
        yield from _names_in(str(method.returns.value))


def _names_in(annotation: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(annotation)):
        if isinstance(node, ast.Name):
            yield node.id


def _imports(tree: ast.Module, wanted: set[str]) -> Iterator[str]:
    """Writes those imports of a script whose names are wanted, under `if TYPE_CHECKING` too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [one for one in node.names if (one.asname or one.name.partition(".")[0]) in wanted]
            if names and not (isinstance(node, ast.ImportFrom) and node.module == "__future__"):
                node.names = names
                yield ast.unparse(node)


def _assigned(tree: ast.Module) -> set[str]:
    """Finds the classes and the other names that a script makes itself."""
    found = {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        found |= {target.id for target in targets if isinstance(target, ast.Name)}
        alias = getattr(node, "name", None)
        if isinstance(alias, ast.Name):
            found.add(alias.id)
    return found


def main() -> None:
    """Writes the interface of the script that the command line names to the standard output."""
    parser = argparse.ArgumentParser(prog="python -m workerlib.stubs", description=__doc__)
    parser.add_argument("script", type=pathlib.Path, help="the worker's script")
    parser.add_argument("--name", help="the name of the Protocol; by default the script's, in CamelCase")
    arguments = parser.parse_args()
    module = arguments.script.stem
    name = arguments.name or "".join(part.capitalize() for part in module.split("_"))
    try:
        print(interface_of(arguments.script.read_text(encoding="utf-8"), module, name), end="")
    except (OSError, SyntaxError, ValueError) as error:
        sys.exit(f"{arguments.script}: {error}")


if __name__ == "__main__":
    main()
