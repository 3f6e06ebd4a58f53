"""Tells how a class of a script arrives in JavaScript, and reads its fields or members.

`typescript.py` writes types from it. Nothing is run: a value that only running would tell is `None` here.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from workerlib._stubs.script import Defined, Module, arguments_of, unquoted

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
_OPERATORS: dict[type[ast.operator], Callable[[Any, Any], object]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.BitOr: operator.or_,
    ast.LShift: operator.lshift,
}
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
_FIELD_MAKERS = frozenset({"field", "Field", "ib", "attrib"})
_NOT_FIELDS = frozenset({"typing.ClassVar", "typing_extensions.ClassVar", "dataclasses.KW_ONLY"})
_IN_TYPED_DICTS = {"Required": False, "NotRequired": True}


@dataclass(frozen=True)
class Field:
    """A field of a class."""

    name: str
    annotation: ast.expr | None
    is_optional: bool = False
    """Whether a TypedDict may lack it."""
    has_default: bool = False
    """Whether it need not be given when an instance is made."""
    is_argument: bool = False
    """Whether it is an argument of the constructor alone, by `InitVar`: no instance has it."""
    is_read_only: bool = False
    """Whether a TypedDict says that nobody changes it."""
    text: str | None = None
    """What its class says about it: the text below it, or the description of `Field()`."""


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
    kinds = [_kind_of_base(base, node) for base in bases_of(defined)]
    # `class Colour(str, Enum)` is an enum, too.
    enums: list[Kind] = [kind for kind in kinds if kind in ("enum", "flag")]
    return next((kind for kind in (*enums, *kinds) if kind != "other"), "other")


def _kind_of_base(base: Defined | str | None, node: ast.ClassDef) -> Kind:
    if isinstance(base, Defined):
        return kind_of(base)
    if base in ("typing.Protocol", "typing_extensions.Protocol"):
        return "callable" if calls_of(node) else "other"
    if base == "collections.namedtuple":
        return "sequence"
    return "base" if base in _BUILTIN_BASES else _BASES.get(base or "", "other")


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
    for member, after in zip(node.body, [*node.body[1:], None], strict=True):
        if isinstance(member, ast.AnnAssign) and isinstance(member.target, ast.Name):
            name, annotation = member.target.id, unquoted(member.annotation)
            plain = annotation.value if isinstance(annotation, ast.Subscript) else annotation
            resolved = defined.module.resolve(plain)
            is_private = name.startswith("_") or name == "model_config"
            if resolved in _NOT_FIELDS or (is_private and _is_model(defined)):
                continue
            qualifiers = _qualifiers(annotation) if is_dict else set()
            is_optional = is_dict and not _is_required(qualifiers, total)
            # pydantic takes `Annotated[int, Field(default=1)]`, too.
            further = arguments_of(annotation)[1:] if str(resolved).endswith(".Annotated") else []
            makers = [one for one in further if _maker_of(defined.module, one)]
            has_default = any(_is_default(defined.module, one) for one in (member.value, *makers))
            is_argument = resolved == "dataclasses.InitVar"
            text = _text_below(after) or _description(defined.module, [member.value, *makers])
            is_read_only = "ReadOnly" in qualifiers
            found.append(Field(name, annotation, is_optional, has_default, is_argument, is_read_only, text))
        elif isinstance(member, ast.Assign):
            found.extend(_attributes(defined.module, member))
    return found


def _attributes(module: Module, node: ast.Assign) -> Iterator[Field]:
    """Reads `x = attr.ib()`, which makes a field without an annotation."""
    maker = _maker_of(module, node.value)
    if maker is None or not maker.startswith("attr") or not isinstance(node.value, ast.Call):
        return
    kind = next((one.value for one in node.value.keywords if one.arg == "type"), None)
    for target in node.targets:
        if isinstance(target, ast.Name):
            yield Field(target.id, kind, has_default=_is_default(module, node.value))


def _is_default(module: Module, value: ast.expr | None) -> bool:
    """Whether the right side of a field gives it a default: `field()` of dataclasses and its like may not."""
    if not isinstance(value, ast.Call):
        # `...` says of a pydantic field that it has to be given.
        return value is not None and not (isinstance(value, ast.Constant) and value.value is ...)
    if _maker_of(module, value) is None:
        return True
    if value.args and _constant(value.args[0]) is not ...:
        return True
    given = {one.arg: one.value for one in value.keywords}
    return (
        bool(given.keys() & {"default", "default_factory", "factory"})
        or _constant(given.get("init")) is False
    )


def _maker_of(module: Module, value: ast.expr | None) -> str | None:
    """Names the function that makes a field, such as "dataclasses.field"; None of another expression."""
    if not isinstance(value, ast.Call):
        return None
    found = module.resolve(value.func)
    name = found if isinstance(found, str) else ast.unparse(value.func)
    return name if name.rpartition(".")[2] in _FIELD_MAKERS else None


def _qualifiers(annotation: ast.expr) -> set[str]:
    """Finds the qualifiers of a TypedDict's item, which may stand around each other, and in `Annotated`."""
    found: set[str] = set()
    while isinstance(annotation, ast.Subscript):
        name = ast.unparse(annotation.value).rpartition(".")[2]
        if name not in {*_IN_TYPED_DICTS, "ReadOnly", "Annotated"}:
            break
        found.add(name)
        annotation = unquoted(arguments_of(annotation)[0])
    return found


def _is_required(qualifiers: set[str], total: bool) -> bool:
    return next((not lacks for name, lacks in _IN_TYPED_DICTS.items() if name in qualifiers), total)


def _text_below(after: ast.stmt | None) -> str | None:
    """Reads the text that stands below a field, as a docstring does below the head of a class."""
    value = after.value if isinstance(after, ast.Expr) else None
    return value.value if isinstance(value, ast.Constant) and isinstance(value.value, str) else None


def _description(module: Module, makers: list[ast.expr | None]) -> str | None:
    for maker in makers:
        if isinstance(maker, ast.Call) and _maker_of(module, maker):
            given = next((one.value for one in maker.keywords if one.arg == "description"), None)
            if isinstance(text := _constant(given), str):
                return text
    return None


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
        names: list[object] = list(given.value.replace(",", " ").split())
        yield from _named_fields(call, names)
    elif isinstance(given, ast.Dict):
        for key, value in zip(given.keys, given.values, strict=True):
            qualifiers = _qualifiers(unquoted(value))
            yield Field(
                str(_constant(key)),
                value,
                is_optional=not _is_required(qualifiers, total),
                is_read_only="ReadOnly" in qualifiers,
            )
    elif isinstance(given, ast.List | ast.Tuple):
        pairs = [one.elts for one in given.elts if isinstance(one, ast.Tuple) and len(one.elts) == 2]
        yield from (Field(str(_constant(name)), annotation) for name, annotation in pairs)
        plain_names = [_constant(one) for one in given.elts if not isinstance(one, ast.Tuple)]
        yield from _named_fields(call, plain_names)


def _named_fields(call: ast.Call, names: list[object]) -> Iterator[Field]:
    """The fields of a `namedtuple()`, of which `defaults` are those of the last."""
    defaults = next((one.value for one in call.keywords if one.arg == "defaults"), None)
    count = len(defaults.elts) if isinstance(defaults, ast.List | ast.Tuple) else 0
    for at, name in enumerate(names):
        yield Field(str(name), None, has_default=at >= len(names) - count)


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
    made_by = {member.name for member in node.body if isinstance(member, ast.FunctionDef)}
    for member in node.body:
        targets = member.targets if isinstance(member, ast.Assign) else [getattr(member, "target", None)]
        value = getattr(member, "value", None)
        for target in targets:
            if value is None or not isinstance(target, ast.Name) or target.id.startswith("_"):
                continue
            if isinstance(value, ast.Call) and value.args:
                made = defined.module.resolve(value.func)
                if made == "enum.nonmember":
                    continue
                value = value.args[0] if made == "enum.member" else value
            is_auto = isinstance(value, ast.Call) and defined.module.resolve(value.func) == "enum.auto"
            if "__new__" in made_by or (is_auto and "_generate_next_value_" in made_by):
                found[target.id] = ...
            elif is_auto:
                found[target.id] = target.id.lower() if is_text else _next(found)
            elif not isinstance(value, ast.Lambda):
                found[target.id] = _value_of(value, found)
    return found


def _value_of(node: ast.expr, found: dict[str, object]) -> object:
    """The value of a member: a literal, another member, or a sum and the like of both; `...` of all else."""
    if isinstance(node, ast.Name):
        return found.get(node.id, ...)
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        left, right = _value_of(node.left, found), _value_of(node.right, found)
        is_whole = type(left) is int and type(right) is int
        if is_whole and isinstance(right, int) and (not isinstance(node.op, ast.LShift) or 0 <= right < 64):
            return _OPERATORS[type(node.op)](left, right)
        return ...
    return _constant(node)


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
