"""Tells how a class of a script arrives in JavaScript, and reads its fields or members.

`typescript.py` writes types from it. Nothing is run: a value that only running would tell is `None` here.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from workerlib._stubs.script import Defined, Module

Kind = Literal["fields", "dict", "sequence", "enum", "flag", "root", "callable", "base", "other"]
"""How instances of a class arrive.

`fields` and `dict` arrive as objects, `sequence` as an array, `enum` as the value of the member, `flag` as a
number, `root` as the one value of a pydantic.RootModel, and `base` as the builtin class that it extends.
`callable` is a Protocol of a function. Instances of an `other` class cannot be sent.
"""

_BASES: dict[str, Kind] = {
    "typing.TypedDict": "dict",
    "typing_extensions.TypedDict": "dict",
    "typing.NamedTuple": "sequence",
    "typing_extensions.NamedTuple": "sequence",
    "enum.Enum": "enum",
    "enum.IntEnum": "enum",
    "enum.StrEnum": "enum",
    "enum.ReprEnum": "enum",
    "enum.Flag": "flag",
    "enum.IntFlag": "flag",
    "pydantic.BaseModel": "fields",
    "pydantic.RootModel": "root",
    "pydantic.main.BaseModel": "fields",
    "pydantic_settings.BaseSettings": "fields",
}
_DECORATORS = frozenset(
    {"dataclasses.dataclass", "pydantic.dataclasses.dataclass"}
    | {f"attrs.{name}" for name in ("define", "frozen", "mutable")}
    | {f"attr.{name}" for name in ("define", "frozen", "mutable", "s", "attrs", "dataclass")}
)
_BUILTIN_BASES = (
    "bool",
    "int",
    "float",
    "str",
    "bytes",
    "bytearray",
    "dict",
    "list",
    "tuple",
    "set",
    "frozenset",
)
_NOT_FIELDS = frozenset({"typing.ClassVar", "dataclasses.InitVar", "dataclasses.KW_ONLY"})
_IN_TYPED_DICTS = {"Required": False, "NotRequired": True}


@dataclass(frozen=True)
class Field:
    """A field of a class."""

    name: str
    annotation: ast.expr | None
    is_optional: bool = False


def kind_of(defined: Defined) -> Kind:
    """Tells how instances of a class arrive.

    Args:
        defined: The class, or the call that makes it, such as `Enum("Colour", "RED GREEN")`.
    """
    node = defined.node
    if isinstance(node, ast.Assign):
        return _kind_of_call(defined.module, node.value)
    if not isinstance(node, ast.ClassDef):
        return "other"
    for decorator in node.decorator_list:
        call = decorator.func if isinstance(decorator, ast.Call) else decorator
        if defined.module.resolve(call) in _DECORATORS:
            return "fields"
    for base in bases_of(defined):
        if isinstance(base, Defined):
            kind = kind_of(base)
        elif base in ("typing.Protocol", "typing_extensions.Protocol"):
            kind = "callable" if calls_of(node) else "other"
        elif base == "collections.namedtuple":
            kind = "sequence"
        else:
            kind = "base" if base in _BUILTIN_BASES else _BASES.get(base or "", "other")
        if kind != "other":
            return kind
    return "other"


def _kind_of_call(module: Module, value: ast.expr) -> Kind:
    if not isinstance(value, ast.Call):
        return "other"
    made_by = module.resolve(value.func)
    if made_by == "collections.namedtuple":
        return "sequence"
    return _BASES.get(made_by, "other") if isinstance(made_by, str) else "other"


def calls_of(node: ast.ClassDef) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    """Finds the method `__call__` of a class.

    Args:
        node: The class.
    """
    for member in node.body:
        if isinstance(member, ast.FunctionDef | ast.AsyncFunctionDef) and member.name == "__call__":
            return member
    return None


def bases_of(defined: Defined) -> Iterator[Defined | str | None]:
    """Resolves the bases of a class, without their type arguments.

    Args:
        defined: The class.
    """
    assert isinstance(defined.node, ast.ClassDef)
    for base in defined.node.bases:
        plain = base.func if isinstance(base, ast.Call) else base
        plain = plain.value if isinstance(plain, ast.Subscript) else plain
        yield defined.module.resolve(plain)


def fields_of(defined: Defined) -> list[Field]:
    """Reads the fields that a class adds to those of its bases.

    Args:
        defined: A dataclass, an attrs class, a pydantic model, a TypedDict or a named tuple.
    """
    node = defined.node
    if isinstance(node, ast.Assign):
        return list(_fields_of_call(node.value))
    if not isinstance(node, ast.ClassDef):
        return []
    total = not any(one.arg == "total" and _constant(one.value) is False for one in node.keywords)
    is_dict = kind_of(defined) == "dict"
    found: list[Field] = []
    for base in node.bases:
        if isinstance(base, ast.Call):
            found.extend(_fields_of_call(base))
    for member in node.body:
        if isinstance(member, ast.AnnAssign) and isinstance(member.target, ast.Name):
            name, annotation = member.target.id, member.annotation
            plain = annotation.value if isinstance(annotation, ast.Subscript) else annotation
            resolved = defined.module.resolve(plain)
            is_private = name.startswith("_") or name == "model_config"
            if resolved in _NOT_FIELDS or (is_private and _is_model(defined)):
                continue
            found.append(Field(name, annotation, is_optional=is_dict and not _is_required(plain, total)))
        elif isinstance(member, ast.Assign) and _is_attribute(defined.module, member.value):
            found.extend(Field(one.id, None) for one in member.targets if isinstance(one, ast.Name))
    return found


def _is_attribute(module: Module, value: ast.expr) -> bool:
    """Whether a value is `attr.ib()`, which makes a field without an annotation."""
    makers = ("attr.ib", "attr.attrib", "attrs.field")
    return isinstance(value, ast.Call) and module.resolve(value.func) in makers


def _is_required(annotation: ast.expr, total: bool) -> bool:
    name = ast.unparse(annotation).rpartition(".")[2]
    return not _IN_TYPED_DICTS.get(name, not total)


def _is_model(defined: Defined) -> bool:
    if not isinstance(defined.node, ast.ClassDef):
        return False
    return any(
        _is_model(base) if isinstance(base, Defined) else (base or "").startswith("pydantic")
        for base in bases_of(defined)
    )


def _fields_of_call(call: ast.expr) -> Iterator[Field]:
    """Reads the fields of `namedtuple("P", "x y")`, `NamedTuple("P", […])` and `TypedDict("P", {…})`."""
    if not isinstance(call, ast.Call) or len(call.args) < 2:
        return
    total = not any(one.arg == "total" and _constant(one.value) is False for one in call.keywords)
    given = call.args[1]
    if isinstance(given, ast.Constant) and isinstance(given.value, str):
        yield from (Field(name, None) for name in given.value.replace(",", " ").split())
    elif isinstance(given, ast.Dict):
        for key, value in zip(given.keys, given.values, strict=True):
            plain = value.value if isinstance(value, ast.Subscript) else value
            yield Field(str(_constant(key)), value, is_optional=not _is_required(plain, total))
    elif isinstance(given, ast.List | ast.Tuple):
        for item in given.elts:
            if isinstance(item, ast.Tuple) and len(item.elts) == 2:
                yield Field(str(_constant(item.elts[0])), item.elts[1])
            else:
                yield Field(str(_constant(item)), None)


def members_of(defined: Defined) -> dict[str, object]:
    """Reads the members of an enum: a value that only running would tell is `...`.

    Args:
        defined: The enum.
    """
    node = defined.node
    if isinstance(node, ast.Assign):
        return _members_of_call(node.value)
    found: dict[str, object] = {}
    if not isinstance(node, ast.ClassDef):
        return found
    is_text = "enum.StrEnum" in bases_of(defined) or "str" in bases_of(defined)
    has_constructor = any(
        isinstance(member, ast.FunctionDef)
        and member.name in ("__new__", "__init__", "_generate_next_value_")
        for member in node.body
    )
    for member in node.body:
        if not isinstance(member, ast.Assign):
            continue
        for target in member.targets:
            if isinstance(target, ast.Name) and not target.id.startswith("_"):
                value = member.value
                if has_constructor:
                    found[target.id] = ...
                elif isinstance(value, ast.Call) and defined.module.resolve(value.func) == "enum.auto":
                    found[target.id] = target.id.lower() if is_text else _next(found)
                elif not isinstance(value, ast.Lambda):
                    found[target.id] = _constant(value)
    return found


def _members_of_call(call: ast.expr) -> dict[str, object]:
    """Reads the members of `Enum("Colour", "RED GREEN")` in its forms."""
    given = _constant(call.args[1]) if isinstance(call, ast.Call) and len(call.args) > 1 else None
    if isinstance(given, str):
        given = given.replace(",", " ").split()
    if isinstance(given, dict):
        return {str(name): value for name, value in given.items()}
    if isinstance(given, list | tuple):
        pairs = [one if isinstance(one, list | tuple) else (one, at) for at, one in enumerate(given, 1)]
        return {str(name): value for name, value in pairs}
    return {}


def _next(found: dict[str, object]) -> object:
    """The value of `auto()`: one more than the highest before it."""
    numbers = [value for value in found.values() if isinstance(value, int)]
    return max(numbers, default=0) + 1 if len(numbers) == len(found) else ...


def _constant(node: ast.expr | None) -> object:
    """The value of a literal; `...` of all else."""
    if node is None:
        return ...
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError):
        return ...
