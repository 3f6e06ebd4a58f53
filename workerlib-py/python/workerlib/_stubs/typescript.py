"""Writes the interface of a worker's script as TypeScript, for `spawn<…>()` of the npm package.

Types say how values arrive: docs/javascript.md has the tables. Classes of the script and of modules beside it
become types of their names. An annotation that has no type in JavaScript becomes `unknown`, and a line for
the user says so.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path

from workerlib._stubs.annotations import Annotations, Place, unpacked
from workerlib._stubs.classes import kind_of
from workerlib._stubs.handles import class_methods_of
from workerlib._stubs.script import Defined, Function, Module, is_stream, item_of, unquoted
from workerlib._stubs.syntax import array_of, comment, parameter_name, property_name, union_of

HIDDEN = frozenset(
    {"name", "exports", "worker", "closed", "call", "with", "runPython", "install", "terminate", "then"}
)
"""The members of every worker, as types.ts has them, and `then`, which `await` asks every object for."""


@dataclass(frozen=True)
class Written:
    """An interface, and a line for each annotation that has no type in JavaScript."""

    text: str
    problems: list[str]


def typescript_of(source: str, module: str, name: str, folder: Path | None = None) -> Written:
    """Writes the interface of a worker's script as a module of TypeScript.

    Args:
        source: The script.
        module: The script's name without its ending.
        name: The name of the interface.
        folder: The folder of the modules that lie beside the script; None for a script that has none.

    Raises:
        ValueError: If the script neither exports nor has a public function.
    """
    script = Module(module, ast.parse(source), folder)
    annotations = Annotations(taken={name})
    methods: list[str] = []
    functions = script.exported()
    for exported, function in functions.items():
        variants = script.overloads.get(function.name) or [function]
        methods += ["", *(f"  {line}" for line in _method(annotations, script, exported, function, variants))]
    for exported, node in script.exported_classes().items():
        methods += ["", *(f"  {line}" for line in _constructor(annotations, script, exported, node))]
        for method in class_methods_of(script, node):
            name_of_method = f"{exported}.{method.name}"
            # An export of the user under this name comes first.
            if name_of_method not in functions:
                written = _method(annotations, script, name_of_method, method, [method])
                methods += ["", *(f"  {line}" for line in written)]
    lines = [
        f"// The functions that {module}.py exports, for spawn<{name}>().",
        "// Written by `python -m workerlib.stubs --typescript`.",
    ]
    if annotations.imports:
        lines.append(f'import type {{ {", ".join(sorted(annotations.imports))} }} from "workerlib";')
    for declaration in annotations.declarations:
        lines += ["", *declaration]
    lines += ["", f"/** The functions that {module}.py exports. */", f"export interface {name} {{"]
    lines += [*methods[1:], "}"]
    return Written("\n".join(lines) + "\n", annotations.problems)


def _method(
    annotations: Annotations, script: Module, name: str, function: Function, variants: list[Function]
) -> list[str]:
    """Writes one method, below its docstring. A function without overloads is its only variant."""
    arguments = function.args
    # `def f[T: Base](…)`, which Python 3.11 cannot parse.
    bounds = {str(one.name): getattr(one, "bound", None) for one in getattr(function, "type_params", ())}

    def type_of(argument: ast.arg) -> str:
        place = Place(script, f"{name}(), {argument.arg}", is_sent=True, parameters=bounds)
        # `spawn<…>()` knows one variant of a method, so the variants of Python are one: of each type.
        given = [one for variant in variants if (one := _parameter(variant, argument.arg)) is not None]
        return union_of([annotations.type_of(one.annotation, place) for one in given or [argument]])

    positional = [*arguments.posonlyargs, *arguments.args]
    required = len(positional) - len(arguments.defaults)
    parameters = [
        f"{parameter_name(argument.arg)}{'?' if at >= required else ''}: {type_of(argument)}"
        for at, argument in enumerate(positional)
    ]
    if arguments.vararg is not None:
        rest = unpacked(unquoted(arguments.vararg.annotation or ast.Name("")), script)
        kind = (
            array_of(type_of(arguments.vararg))
            if rest is None
            else annotations.type_of(rest, Place(script, f"{name}(), {arguments.vararg.arg}", is_sent=True))
        )
        parameters.append(f"...{parameter_name(arguments.vararg.arg)}: {kind}")
    place = Place(script, f"{name}(), its result", parameters=bounds)
    if is_stream(function):
        items = [annotations.type_of(item_of(one.returns), place) for one in variants]
        result = f"AsyncIterable<{union_of(items)}>"
    else:
        result = annotations.result_of([one.returns for one in variants], place)
    notes = []
    if arguments.kwonlyargs or arguments.kwarg is not None:
        keywords = [
            f"{argument.arg}{'' if default is None else '?'}: {type_of(argument)}"
            for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
        ]
        if arguments.kwarg is not None:
            of_dict = unpacked(unquoted(arguments.kwarg.annotation or ast.Name("")), script)
            if of_dict is None:
                keywords.append(f"[name]: {type_of(arguments.kwarg)}")
            else:
                where = Place(script, f"{name}(), {arguments.kwarg.arg}", is_sent=True)
                keywords.append(f"those of {annotations.type_of(of_dict, where)}")
        notes.append(f'Keyword arguments, for `call("{name}", args, kwargs)`: {", ".join(keywords)}')
    if name in HIDDEN:
        notes.append(f'Every worker has a member of this name: `call("{name}", args)` calls the function.')
    head = f"{property_name(name)}({', '.join(parameters)}): {result};"
    return [*comment(ast.get_docstring(function), notes), head]


def _parameter(function: Function, name: str) -> ast.arg | None:
    """Finds a parameter; None if a variant of the function does without it."""
    arguments = function.args
    all_of_them = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    all_of_them += [one for one in (arguments.vararg, arguments.kwarg) if one is not None]
    return next((one for one in all_of_them if one.arg == name), None)


def _constructor(annotations: Annotations, script: Module, name: str, node: ast.ClassDef) -> list[str]:
    """Writes an exported class: as the method that makes a value, if its instances are sent as values."""
    if kind_of(Defined(script, node.name, node)) == "other":
        annotations.problems.append(
            f"{name}: instances of an exported class stay in the worker, and a page in JavaScript cannot"
            " hold them; export functions that use one instead"
        )
        return [*comment(ast.get_docstring(node)), f"{property_name(name)}(...args: any[]): never;"]
    result = annotations.type_of(ast.Name(node.name), Place(script, f"{name}(), its result"))
    return [f"{property_name(name)}(...args: any[]): {result};"]
