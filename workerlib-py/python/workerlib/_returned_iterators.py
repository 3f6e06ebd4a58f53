"""Tells whether a return annotation names an iterator, and which functions a function returns a call of.

`_result_kinds.py` asks it about the few functions where a quick look is not enough. No function is called,
and no module is imported because an annotation names it.
"""

from __future__ import annotations

import ast
import dis
import inspect
import types
import typing
from collections.abc import Container, Iterator, Mapping
from types import CodeType, FunctionType
from typing import Any

_UNIONS = frozenset({"Optional", "Union"})
_WRAPPED_LAST = frozenset({"Awaitable", "Coroutine"})
_MOST_ALIASES = 16
"""How many aliases stand behind one: an alias may name itself."""
_YIELDS = inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR


class AnnotationReader:
    """Tells whether return annotations name an iterator: `Iterator[int]`, `Optional[Rows]`, `Rows | None`."""

    def __init__(self, names: Mapping[str, Any], iterators: Container[str]) -> None:
        """Makes one.

        Args:
            names: The meaning of names in a text.
            iterators: The names of the types that are iterators.
        """
        self._names = names
        self._iterators = iterators
        # Aliases may name each other, and each several times.
        self._seen: set[object] = set()

    def says_iterator(self, returns: Any, left: int = _MOST_ALIASES) -> bool:
        """Tells it of an annotation.

        Args:
            returns: The annotation, or its text.
            left: The number of aliases that may follow.
        """
        if not left:
            return False
        left -= 1
        if issubclass(type(returns), str):
            if not self._is_new(str(returns)):
                return False
            try:
                parsed = ast.parse(str(returns).strip(), mode="eval").body
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                return False
            return self._text_says(parsed, left)
        if (text := getattr(returns, "__forward_arg__", None)) is not None:
            return self.says_iterator(text, left)
        origin, arguments = typing.get_origin(returns), typing.get_args(returns)
        if origin is typing.Union or origin is types.UnionType:
            return any(self.says_iterator(one, left) for one in arguments)
        if origin is typing.Annotated:
            return self.says_iterator(arguments[0], left)
        alias: Any = origin or returns
        name = getattr(alias, "__name__", "")
        if name in _WRAPPED_LAST:
            return any(self.says_iterator(one, left) for one in arguments[-1:])
        if type(alias).__name__ != "TypeAliasType":
            return name in self._iterators
        if not self._is_new(id(alias)):
            return False
        try:
            return self.says_iterator(alias.__value__, left)
        except Exception:
            # It is evaluated now, and may name types that only a type checker imports.
            return False

    def _is_new(self, alias: object) -> bool:
        """Notes an alias or a text; tells whether it is met for the first time."""
        is_new = alias not in self._seen
        self._seen.add(alias)
        return is_new

    def _text_says(self, node: ast.expr, left: int) -> bool:
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
            return any(self._text_says(side, left) for side in (node.left, node.right))
        if isinstance(node, ast.Constant):
            return isinstance(node.value, str) and self.says_iterator(node.value, left)
        arguments: list[ast.expr] = []
        if isinstance(node, ast.Subscript):
            arguments = list(node.slice.elts) if isinstance(node.slice, ast.Tuple) else [node.slice]
            node = node.value
        if not isinstance(node, ast.Name | ast.Attribute):
            return False
        name = node.id if isinstance(node, ast.Name) else node.attr
        if name in self._iterators:
            return True
        if name in _UNIONS:
            return any(self._text_says(one, left) for one in arguments)
        if name == "Annotated" or name in _WRAPPED_LAST:
            meant = arguments[:1] if name == "Annotated" else arguments[-1:]
            return any(self._text_says(one, left) for one in meant)
        alias = _meant_by(node, self._names)
        return alias is not None and self.says_iterator(alias, left)


def _meant_by(node: ast.expr, names: Mapping[str, Any]) -> Any:
    """Finds what a name of a text means, or an attribute of a module."""
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if isinstance(node, ast.Attribute):
        module = _meant_by(node.value, names)
        return vars(module).get(node.attr) if type(module) is types.ModuleType else None
    return None


def returned_functions(function: FunctionType, owner: type | None) -> Iterator[object]:
    """Finds the functions whose calls a function returns, as in `return rows(path)`.

    A call begins where the name of its function begins. So `return sum(rows(path))` is a call of `sum`.
    Without the columns of instructions, as by `python -X no_debug_ranges`, nothing is found.

    Args:
        function: The function.
        owner: Its class, of a method.

    Returns:
        The functions; True for a generator expression, and for a generator function within the function.
    """
    instructions = [one for one in dis.get_instructions(function) if one.opname != "CACHE"]
    ends = {one.offset for one in instructions if one.opname == "RETURN_VALUE"}
    for index, instruction in enumerate(instructions):
        # Python 3.11 jumps to the end of `return rows(path) if path else None`.
        is_end = instruction.opname == "RETURN_VALUE" or (
            instruction.opname == "JUMP_FORWARD" and instruction.argval in ends
        )
        if index and is_end and instructions[index - 1].opname.startswith("CALL"):
            yield _called(function, owner, instructions[:index])


def _called(function: FunctionType, owner: type | None, instructions: list[dis.Instruction]) -> object:
    """Finds the function that the last instruction calls; None where only a call would tell."""
    call: Any = instructions[-1].positions
    if call is None or call.col_offset is None:
        return None
    attributes: list[Any] = []
    for one in reversed(instructions[:-1]):
        place: Any = one.positions
        if place is None or (place.lineno, place.col_offset) != (call.lineno, call.col_offset):
            continue
        if one.opname == "LOAD_CONST" and type(one.argval) is not CodeType:
            # The names of keyword arguments stand where the call stands.
            continue
        if one.opname in ("LOAD_ATTR", "LOAD_METHOD"):
            attributes.insert(0, one.argval)
        elif one.opname.startswith("LOAD_"):
            return _loaded(function, owner, one, attributes)
        elif one.opname.startswith(("CALL", "BINARY_")) and place != call:
            # The name that comes before it is that of another function.
            return None
    return None


def _loaded(
    function: FunctionType, owner: type | None, load: dis.Instruction, attributes: list[Any]
) -> object:
    """Finds what an instruction loads, and its attributes."""
    code = function.__code__
    if load.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
        found = function.__globals__.get(load.argval)
        for name in attributes:
            found = vars(found).get(name) if isinstance(found, types.ModuleType | type) else None
        return found
    if load.opname == "LOAD_CONST":
        return bool(load.argval.co_flags & _YIELDS)
    if not attributes:
        return any(
            type(one) is CodeType and one.co_name == load.argval and bool(one.co_flags & _YIELDS)
            for one in code.co_consts
        )
    is_own = owner is not None and len(attributes) == 1 and code.co_argcount
    if is_own and load.argval == code.co_varnames[0]:
        return inspect.getattr_static(owner, attributes[0], None)
    return None
