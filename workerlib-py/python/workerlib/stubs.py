"""Writes a worker's interface: `python -m workerlib.stubs worker.py --output stats.py`.

The result is a module with a Protocol, for `connect(interface=…)`: the functions that the worker's script
exports, as async methods. `--typescript` writes an interface of TypeScript instead, for `spawn<…>()` of the
npm package. The script is read, not run, so it may import modules that only a browser has. The Protocol
imports names in annotations as the script does, and the script's own classes from the script. In TypeScript
these classes become types.
"""

from __future__ import annotations

import argparse
import ast
import builtins
import io
import keyword
import pathlib
import re
import sys
from collections.abc import Iterator

from workerlib._stubs.handles import PageView, can_be_a_method, within
from workerlib._stubs.output import problem_of, write_whole
from workerlib._stubs.script import Function, Module, is_star_known, read_script
from workerlib._stubs.typescript import Written, typescript_of

__all__ = ["Written", "interface_of", "main", "typescript_of"]


def interface_of(source: str, module: str, name: str) -> str:
    """Writes the interface of a worker's script.

    Args:
        source: The script.
        module: The name by which the page could import it: where classes of its own come from.
        name: The name of the Protocol.

    Raises:
        ValueError: If the script neither exports nor has a public function.
    """
    script = Module(module, ast.parse(source))
    view = PageView(script)
    functions, classes = script.exported(), script.exported_classes()
    others = [exported for exported in (*functions, *classes) if not can_be_a_method(exported)]
    methods = [
        method
        for exported, one in functions.items()
        if exported not in others
        for method in _methods(view, script, exported, one)
    ]
    methods += [
        view.constructor_of(exported, one) for exported, one in classes.items() if exported not in others
    ]
    return _module(script, name, methods, others, view)


def module_name(script: pathlib.Path) -> str:
    """Returns the name by which a script is imported: with its packages, folders with `__init__.py`.

    Args:
        script: The path of the script.
    """
    script = script.resolve()
    names = [script.stem]
    for folder in script.parents:
        if not (folder / "__init__.py").is_file():
            break
        names.insert(0, folder.name)
    return ".".join(names)


def _methods(view: PageView, script: Module, name: str, function: Function) -> Iterator[Function]:
    """Writes a function as a method; one with overloads as a method for each of them."""
    variants = script.overloads.get(function.name, [])
    for one in variants or [function]:
        positional = one.args.posonlyargs if one.args.posonlyargs else one.args.args
        positional.insert(0, ast.arg("self"))
        yield view.method_of(name, one, variant_of=function if variants else None)


def _module(script: Module, name: str, methods: list[Function], others: list[str], view: PageView) -> str:
    handles = [*view.handles(), *view.classes()]
    written = [one for method in methods for one in ast.walk(method)]
    written += [one for lines in handles for one in ast.walk(ast.parse("\n".join(lines)))]
    wanted = {node.id for node in written if isinstance(node, ast.Name)}
    of_workerlib = sorted({"Interface"} | (view.used & {"Stream", "Reply"}))
    of_typing = {"Protocol", "TYPE_CHECKING"} | (view.used & {"Any"} - script.imports.keys())
    # The methods of handles have it, whether the script imports it or not.
    of_typing |= view.used & {"Self"}
    # A decorator is evaluated.
    of_typing |= view.used & {"overload"}
    lines = [
        f'"""The interface of {script.name}, made by `python -m workerlib.stubs`."""',
        "",
        "from __future__ import annotations",
        "",
        f"from typing import {', '.join(sorted(of_typing, key=lambda one: (one != 'TYPE_CHECKING', one)))}",
        "",
        f"from workerlib import {', '.join(of_workerlib)}",
    ]
    wanted -= {*of_workerlib, "Self", "overload"}
    imports = list(_imports(script, wanted))
    own = sorted(one for one in wanted if one in script.definitions and not hasattr(builtins, one))
    if own:
        if not all(part.isidentifier() and not keyword.iskeyword(part) for part in script.name.split(".")):
            raise ValueError(
                f"the interface needs {', '.join(own)} of the script, and no import can name a file"
                f" {script.name}.py: rename it, or define the class in a module beside it"
            )
        imports.append(f"from {script.name} import {', '.join(own)}")
    imports += view.imports()
    if imports:
        lines += ["", "if TYPE_CHECKING:", *(f"    {line}" for line in imports)]
    for handle in handles:
        lines += ["", "", *handle]
    lines += ["", "", f"class {name}(Interface, Protocol):", '    """The exports of the worker."""']
    for method in methods:
        lines += ["", *within(method)]
    for other in others:
        lines += ["", f"    # worker[{other!r}](…): no method can have this name."]
    return "\n".join(lines) + "\n"


def _imports(script: Module, wanted: set[str]) -> Iterator[str]:
    """Writes those imports of a script whose names are wanted, under `if TYPE_CHECKING` too."""
    unbound = wanted - script.imports.keys() - script.definitions.keys()
    for node in ast.walk(script.tree):
        if isinstance(node, ast.ImportFrom) and any(one.name == "*" for one in node.names):
            names_of_star = sorted(name for name in unbound if script.star_of(name) == node.module)
            if names_of_star:
                yield f"from {node.module} import {', '.join(names_of_star)}"
            elif not is_star_known(node.module) and unbound - set(dir(builtins)):
                yield ast.unparse(node)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names = [one for one in node.names if (one.asname or one.name.partition(".")[0]) in wanted]
            if names and not (isinstance(node, ast.ImportFrom) and node.module == "__future__"):
                node.names = names
                yield ast.unparse(node)


def interface_name(script: pathlib.Path) -> str:
    """Returns the interface's name where the user gives none: the script's, in CamelCase.

    Args:
        script: The path of the script, whose name may be any.
    """
    words = re.split(r"[\W_]+", script.stem)
    name = "".join(word[:1].upper() + word[1:] for word in words)
    return name if name.isidentifier() else f"Worker{name}"


def main() -> None:
    """Writes the interface of the script that the command line names, to a file or to the standard output."""
    parser = argparse.ArgumentParser(prog="python -m workerlib.stubs", description=__doc__)
    parser.add_argument("script", type=pathlib.Path, help="the worker's script")
    parser.add_argument("--name", help="the name of the interface; by default the script's, in CamelCase")
    parser.add_argument(
        "--typescript", action="store_true", help="writes an interface of TypeScript, for spawn<…>()"
    )
    parser.add_argument(
        "--output",
        type=pathlib.Path,
        metavar="FILE",
        help="the interface's file, which is written whole or not at all; by default the standard output",
    )
    arguments = parser.parse_args()
    script: pathlib.Path = arguments.script
    output: pathlib.Path | None = arguments.output
    name = arguments.name or interface_name(script)
    if not name.isidentifier() or keyword.iskeyword(name):
        parser.error(f"--name {name!r} is not a name of a class")
    if output is not None and (problem := problem_of(output, script, typescript=arguments.typescript)):
        parser.error(f"--output: {problem}")
    try:
        source = read_script(script)
        if arguments.typescript:
            # `Worker` is a name of every browser's.
            name = f"{name}Functions" if arguments.name is None and name == "Worker" else name
            written = typescript_of(source, script.stem, name, script.parent)
        else:
            written = Written(interface_of(source, module_name(script), name), [])
    except (OSError, SyntaxError, ValueError) as error:
        sys.exit(f"{script}: {error}")
    for problem in written.problems:
        print(f"{script}: {problem}", file=sys.stderr)
    if output is None:
        # Source files are UTF-8, whatever this console is.
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(encoding="utf-8")
        print(written.text, end="")
        return
    try:
        write_whole(output, written.text)
    except OSError as error:
        sys.exit(f"--output: {output} cannot be written: {error.strerror}")


if __name__ == "__main__":
    main()
