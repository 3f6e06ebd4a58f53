"""Writes annotations of a worker's script as the page sees them, and the exported classes as Protocols.

A stream of the worker is a `Stream` for the page, and an async iterable of the page is enough where the
worker takes a stream. A callback may be sync or async on the side that has it. An instance of an exported
class is a handle, whose methods are async. Nothing else of an annotation changes.
"""

from __future__ import annotations

import ast
import copy
import keyword
import textwrap
from collections.abc import Iterator, Sequence

from workerlib._stubs.classes import bases_of, kind_of
from workerlib._stubs.script import (
    STREAMS,
    Defined,
    Function,
    Module,
    arguments_of,
    is_stream,
    item_of,
    unquoted,
)

_CALLABLES = ("typing.Callable", "collections.abc.Callable")
_ANSWERS = frozenset(
    {"workerlib.Reply"}
    | {f"{module}.{name}" for module in ("typing", "collections.abc") for name in ("Awaitable", "Coroutine")}
)
_FROM = {"AsyncIterable": "collections.abc", "Awaitable": "collections.abc", "Callable": "collections.abc"}
_HANDLE_METHODS = """
async def __aenter__(self) -> Self: ...
async def __aexit__(self, *error: object) -> None: ...
"""


class PageView:
    """The annotations of one script as its page sees them."""

    def __init__(self, script: Module) -> None:
        """Finds the exported classes.

        Args:
            script: The script.
        """
        self._script = script
        self.used: set[str] = set()
        """The names that the written annotations need besides the script's own: see `imports`."""
        self._taken = {*script.definitions, *script.imports, *script.functions}
        self._handles: dict[str, str] = {}
        self._classes: list[tuple[str, str, list[Function]]] = []
        for node in script.exported_classes().values():
            if kind_of(Defined(script, node.name, node)) == "other":
                self._handles[node.name] = self._free(f"{node.name}Handle")

    def _free(self, name: str) -> str:
        """Finds a name that nothing else has."""
        while name in self._taken:
            name += "_"
        self._taken.add(name)
        return name

    def method_of(self, name: str, function: Function, variant_of: Function | None = None) -> Function:
        """Writes a function as a method of a Protocol.

        Args:
            name: The name of the method.
            function: The function, whose first parameter is `self`.
            variant_of: The function of which it is an overload; None if it is not an overload.
        """
        arguments = function.args
        # The kind of a default is all that a caller's checker needs.
        arguments.defaults = [ast.Constant(...) for _ in arguments.defaults]
        arguments.kw_defaults = [default and ast.Constant(...) for default in arguments.kw_defaults]
        for one in _parameters(arguments):
            if one.annotation is not None:
                one.annotation = self.seen(one.annotation, is_sent=True)
        doc = ast.get_docstring(function)
        # After a docstring too: without it pyright takes the method for one that returns nothing.
        texts = (doc and _indented(doc), ...)
        body: list[ast.stmt] = [ast.Expr(ast.Constant(one)) for one in texts if one is not None]
        method: Function
        if is_stream(variant_of or function):
            item = item_of(function.returns)
            self.used.add("Stream")
            of_items = self.seen(item, is_sent=False) if item is not None else ast.Name("object")
            method = ast.FunctionDef(name, arguments, body, [], ast.Subscript(ast.Name("Stream"), of_items))
        else:
            returns = function.returns and self.seen(function.returns, is_sent=False)
            method = ast.AsyncFunctionDef(name, arguments, body, [], returns)
        # `def f[T]()`, which Python 3.11 does not know.
        setattr(method, "type_params", getattr(function, "type_params", []))  # noqa: B010
        if variant_of is not None:
            self.used.add("overload")
            method.decorator_list.append(ast.Name("overload"))
        return ast.fix_missing_locations(method)

    def constructor_of(self, name: str, node: ast.ClassDef) -> Function:
        """Writes an exported class as a method, which makes an instance in the worker.

        Args:
            name: The name under which the page calls it.
            node: The class.
        """
        made = next((one for one in _methods_of(self._script, node) if one.name == "__init__"), None)
        arguments = made.args if made is not None else _no_arguments()
        handle = self._handles.get(node.name)
        # An exported class whose instances are values is called with any arguments: they are its fields.
        if handle is None and made is None:
            arguments.vararg = ast.arg("args", ast.Name("Any"))
            arguments.kwarg = ast.arg("fields", ast.Name("Any"))
            self.used.add("Any")
        doc = ast.get_docstring(node)
        body: list[ast.stmt] = [ast.Expr(ast.Constant(doc if doc else ...))]
        written = self.method_of(name, ast.AsyncFunctionDef(name, arguments, body, [], None))
        written.returns = ast.Name(handle or f"{node.name}_")
        if handle is None:
            # In the Protocol the method hides the class of the same name.
            self.used.add(f"{node.name} as {node.name}_")
        of_class = [one for one in _methods_of(self._script, node) if _is_of_class(one)]
        if not of_class:
            return written
        # A method has no methods of its own: the class is an object that is called.
        cls = self._free(f"{node.name}Class")
        written.name = "__call__"
        methods = [self.method_of(one.name, _without_self_type(one, node)) for one in of_class]
        self._classes.append((cls, doc or f"The class {node.name} of the worker.", [written, *methods]))
        is_property: list[ast.expr] = [ast.Name("property")]
        return ast.FunctionDef(
            name, _no_arguments(), [ast.Expr(ast.Constant(...))], is_property, ast.Name(cls)
        )

    def handles(self) -> Iterator[list[str]]:
        """Writes a Protocol for the handles of each exported class, as its lines."""
        for node in self._script.exported_classes().values():
            if (name := self._handles.get(node.name)) is None:
                continue
            self.used |= {"Self"}
            doc = ast.get_docstring(node) or f"A handle of a {node.name}, which stays in the worker."
            methods: list[ast.stmt] = [
                self.method_of(one.name, one)
                for one in _methods_of(self._script, node)
                if not one.name.startswith("_") and not _is_attribute(one)
            ]
            methods += ast.parse(_HANDLE_METHODS).body
            yield _protocol(name, doc, methods)

    def classes(self) -> Iterator[list[str]]:
        """Writes a Protocol for each class that has class methods or static methods, as its lines."""
        for name, doc, methods in self._classes:
            yield _protocol(name, doc, methods)

    def imports(self) -> Iterator[str]:
        """Writes the imports of the names that annotations need, unless the script binds them."""
        for name in sorted(self.used & _FROM.keys()):
            if name not in self._script.imports:
                yield f"from {_FROM[name]} import {name}"
        for name in sorted(self.used):
            if " as " in name:
                yield f"from {self._script.name} import {name}"

    def seen(self, node: ast.expr, *, is_sent: bool) -> ast.expr:
        """Writes one annotation.

        Args:
            node: The annotation in the script.
            is_sent: Whether the page sends the value.
        """
        # The whole module has postponed annotations, so quotes are not needed.
        node = unquoted(node)
        if isinstance(node, ast.BinOp):
            sides = [self.seen(side, is_sent=is_sent) for side in (node.left, node.right)]
            return ast.BinOp(sides[0], node.op, sides[1])
        subscript = node if isinstance(node, ast.Subscript) else None
        found = self._script.resolve(subscript.value if subscript else node)
        arguments = arguments_of(node)
        if isinstance(found, Defined) and found.name in self._handles and found.module is self._script:
            return ast.Name(self._handles[found.name])
        if found in STREAMS:
            name = "AsyncIterable" if is_sent else "Stream"
            self.used.add(name)
            item = self.seen(arguments[0], is_sent=is_sent) if arguments else ast.Name("object")
            return ast.Subscript(ast.Name(name), item)
        if found in _CALLABLES and len(arguments) == 2:
            return self._callback(arguments[0], arguments[1], is_sent=is_sent)
        if subscript is None or found in ("typing.Literal", "typing_extensions.Literal"):
            return node
        # The further arguments of Annotated are not types.
        types = arguments[:1] if found in ("typing.Annotated", "typing_extensions.Annotated") else arguments
        inner = [self.seen(one, is_sent=is_sent) for one in types] + arguments[len(types) :]
        return ast.Subscript(subscript.value, inner[0] if len(inner) == 1 else ast.Tuple(inner))

    def _callback(self, given: ast.expr, result: ast.expr, *, is_sent: bool) -> ast.expr:
        """Writes a function that crosses: its arguments go the other way, and its result is awaited there."""
        if isinstance(given, ast.List):
            given = ast.List([self.seen(one, is_sent=not is_sent) for one in given.elts])
        answered = arguments_of(result)
        if self._script.resolve(result.value if isinstance(result, ast.Subscript) else result) in _ANSWERS:
            result = answered[-1] if answered else ast.Name("object")
        result = self.seen(result, is_sent=is_sent)
        is_none = isinstance(result, ast.Constant) and result.value is None
        if not is_sent:
            self.used |= {"Callable", "Reply"}
            answer: ast.expr = ast.Subscript(ast.Name("Reply"), result)
            return ast.Subscript(ast.Name("Callable"), ast.Tuple([given, answer]))
        self.used |= {"Callable"}
        if is_none:
            # Nobody looks at the result.
            return ast.Subscript(ast.Name("Callable"), ast.Tuple([given, ast.Name("object")]))
        self.used |= {"Awaitable"}
        awaited = ast.Subscript(ast.Name("Awaitable"), result)
        either = ast.BinOp(result, ast.BitOr(), awaited)
        return ast.Subscript(ast.Name("Callable"), ast.Tuple([given, either]))


def _protocol(name: str, doc: str, methods: Sequence[ast.stmt]) -> list[str]:
    head = ast.ClassDef(name, [ast.Name("Protocol")], [], [ast.Expr(ast.Constant(_indented(doc)))], [])
    lines = ast.unparse(head).splitlines()
    for method in methods:
        lines += ["", *within(method)]
    return lines


def class_methods_of(script: Module, node: ast.ClassDef) -> Iterator[Function]:
    """Finds the public class methods and static methods of an exported class, as they are called on it.

    Args:
        script: The script.
        node: The class.
    """
    for method in _methods_of(script, node):
        if _is_of_class(method):
            positional = method.args.posonlyargs or method.args.args
            # The one that a method of a Protocol has.
            del positional[0]
            yield _without_self_type(method, node)


def _without_self_type(method: Function, node: ast.ClassDef) -> Function:
    written: Function = _WithoutSelf(node.name).visit(method)
    return written


class _WithoutSelf(ast.NodeTransformer):
    """Writes the name of a class in place of `Self`, which would mean the Protocol of the class itself."""

    def __init__(self, name: str) -> None:
        self._name = name

    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.Name(self._name) if node.id == "Self" else node


def within(node: ast.stmt) -> list[str]:
    """Writes a statement as lines in the body of a class."""
    return textwrap.indent(ast.unparse(ast.fix_missing_locations(node)), "    ").splitlines()


def can_be_a_method(name: str) -> bool:
    """Tells whether a method can have an export's name; others are called by `worker["the name"](…)`."""
    return name.isidentifier() and not keyword.iskeyword(name)


def _indented(doc: str) -> str:
    """Indents the lines of a docstring but the first: `ast.unparse` writes them as they are."""
    return doc if "\n" not in doc else textwrap.indent(doc, "    ").lstrip() + "\n    "


def _parameters(arguments: ast.arguments) -> Iterator[ast.arg]:
    yield from (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
    yield from (one for one in (arguments.vararg, arguments.kwarg) if one is not None)


def _no_arguments() -> ast.arguments:
    return ast.arguments([], [ast.arg("self")], None, [], [], None, [])


def _methods_of(script: Module, node: ast.ClassDef) -> Iterator[Function]:
    """Finds the methods of a class, also those of its bases in the script: copies, which can be rewritten."""
    seen = set()
    classes = [node]
    while classes:
        cls = classes.pop(0)
        for member in cls.body:
            if isinstance(member, Function) and member.name not in seen:
                seen.add(member.name)
                # Another class may have the same base, and a class is gone through more than once.
                yield _bound(copy.deepcopy(member))
        bases = bases_of(Defined(script, cls.name, cls))
        classes += [
            base.node for base in bases if isinstance(base, Defined) and isinstance(base.node, ast.ClassDef)
        ]


def _bound(method: Function) -> Function:
    """Gives a static method the `self` that a method of a Protocol has."""
    decorators = {ast.unparse(one) for one in method.decorator_list}
    positional = method.args.posonlyargs if method.args.posonlyargs else method.args.args
    if "staticmethod" in decorators:
        positional.insert(0, ast.arg("self"))
    elif "classmethod" in decorators and positional:
        positional[0] = ast.arg("self")
    return method


def _is_of_class(method: Function) -> bool:
    """Whether a method is a public one that is called on its class."""
    decorators = {ast.unparse(one) for one in method.decorator_list}
    return not method.name.startswith("_") and not decorators.isdisjoint({"classmethod", "staticmethod"})


def _is_attribute(method: Function) -> bool:
    """Whether a method is a property: handles have no attributes."""
    names = {ast.unparse(one) for one in method.decorator_list}
    return any(name.endswith(("property", ".setter", ".deleter", ".getter")) for name in names)
