"""Turns annotations of Python into types of TypeScript, and declares the classes that they name.

A value of the page *is sent*, a value of the worker *arrives*: `None`, dicts and functions have other types
in the one direction than in the other. The conversion itself is `_javascript/values.py`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from workerlib._stubs.classes import Field, Kind, bases_of, calls_of, fields_of, kind_of, members_of
from workerlib._stubs.script import STREAMS, Defined, Module, arguments_of, unquoted
from workerlib._stubs.syntax import (
    array_of,
    comment,
    literal,
    members_of_union,
    parameter_name,
    property_name,
    union_of,
)

_TYPES = {
    **dict.fromkeys(("int", "float", "numbers.Number", "numbers.Real", "numbers.Integral"), "number"),
    **dict.fromkeys(("bool", "numpy.bool", "numpy.bool_"), "boolean"),
    **dict.fromkeys(("str", "typing.LiteralString", "typing.Text", "string.Template"), "string"),
    **dict.fromkeys(("bytes", "bytearray", "typing.ByteString"), "Uint8Array"),
    **dict.fromkeys(("array.array", "collections.abc.Buffer", "typing_extensions.Buffer"), "ArrayBufferView"),
    **dict.fromkeys(("datetime.datetime", "datetime.date"), "Date"),
    "datetime.timedelta": "number",
    "datetime.time": "string",
    **dict.fromkeys(("decimal.Decimal", "fractions.Fraction", "uuid.UUID"), "string"),
    **dict.fromkeys(
        ("pathlib.Path", "pathlib.PurePath", "pathlib.PosixPath", "pathlib.PurePosixPath"), "string"
    ),
    **{f"ipaddress.IPv{n}{kind}": "string" for n in (4, 6) for kind in ("Address", "Interface", "Network")},
    "range": "number[]",
    **dict.fromkeys(("object", "typing.Any", "typing_extensions.Any"), "unknown"),
    **dict.fromkeys(("typing.NoReturn", "typing.Never", "typing_extensions.Never"), "never"),
    **{
        f"{module}.{name}": "boolean"
        for module in ("typing", "typing_extensions")
        for name in ("TypeGuard", "TypeIs")
    },
    **dict.fromkeys(("pydantic.EmailStr", "pydantic.StrictStr"), "string"),
    **dict.fromkeys(("pydantic.FilePath", "pydantic.DirectoryPath", "pydantic.NewPath"), "string"),
    **dict.fromkeys([f"pydantic.UUID{version}" for version in (1, 3, 4, 5)], "string"),
    **{f"pydantic.{when}{kind}": "Date" for when in ("Past", "Future") for kind in ("Date", "Datetime")},
    **dict.fromkeys(("pydantic.AwareDatetime", "pydantic.NaiveDatetime"), "Date"),
    "pydantic.StrictBool": "boolean",
    "pydantic.StrictBytes": "Uint8Array",
    **{
        f"pydantic.{sign}Int": "number"
        for sign in ("Positive", "NonNegative", "Negative", "NonPositive", "Strict")
    },
    **{
        f"pydantic.{sign}Float": "number"
        for sign in ("Positive", "NonNegative", "Negative", "Finite", "Strict")
    },
}
_LISTS = frozenset(
    {"list", "collections.deque", "typing.List", "typing.Deque"}
    | {
        f"{module}.{name}"
        for module in ("typing", "collections.abc")
        for name in ("Sequence", "MutableSequence", "Iterable", "Collection", "Reversible", "Container")
    }
)
_SETS = frozenset(
    {"set", "frozenset", "typing.Set", "typing.FrozenSet", "typing.AbstractSet", "typing.MutableSet"}
    | {"collections.abc.Set", "collections.abc.MutableSet"}
)
_DICTS = frozenset(
    {"dict", "collections.defaultdict", "collections.OrderedDict", "collections.Counter"}
    | {"typing.Dict", "typing.DefaultDict", "typing.OrderedDict", "typing.Counter"}
    | {
        f"{module}.{name}"
        for module in ("typing", "collections.abc")
        for name in ("Mapping", "MutableMapping")
    }
)
_AWAITABLES = frozenset(
    f"{module}.{name}" for module in ("typing", "collections.abc") for name in ("Awaitable", "Coroutine")
) | {"workerlib.Reply"}
_TRANSPARENT = frozenset(
    f"{module}.{name}"
    for module in ("typing", "typing_extensions")
    for name in ("Annotated", "Final", "Required", "NotRequired", "ReadOnly", "ClassVar")
) | {"dataclasses.InitVar"}
_UNPACK = ("typing.Unpack", "typing_extensions.Unpack")
_CONSTRAINED = {
    "constr": "string",
    "condecimal": "string",
    "conint": "number",
    "confloat": "number",
    "conbytes": "Uint8Array",
    "condate": "Date",
}
_CONTAINERS = {"pydantic.conlist": "list", "pydantic.conset": "set", "pydantic.confrozenset": "frozenset"}
_CALLABLES = ("typing.Callable", "collections.abc.Callable")
_ARRAYS = ("numpy.ndarray", "numpy.typing.NDArray")
# The typed array of each dtype, as `_javascript/values.py` makes it.
_TYPED_ARRAYS = {
    "float64": "Float64Array",
    "double": "Float64Array",
    "float32": "Float32Array",
    "int8": "Int8Array",
    "int16": "Int16Array",
    "int32": "Int32Array",
    "int64": "BigInt64Array",
    "int_": "BigInt64Array",
    "uint8": "Uint8Array",
    "bool": "Uint8Array",
    "bool_": "Uint8Array",
    "uint16": "Uint16Array",
    "uint32": "Uint32Array",
    "uint64": "BigUint64Array",
    "datetime64": "BigInt64Array",
    "timedelta64": "BigInt64Array",
}
# Names that the types above use: a class of the script that has one of them gets another.
_RESERVED = (
    frozenset(_TYPES.values())
    | frozenset(_TYPED_ARRAYS.values())
    | {"AsyncIterable", "Map", "Set", "NDArray"}
)


@dataclass(frozen=True)
class Place:
    """The place of an annotation."""

    module: Module
    """The module in which it stands, which binds its names."""
    where: str
    """The place, for messages."""
    is_sent: bool = False
    """Whether the page sends the value."""
    variables: frozenset[str] = frozenset()
    """The type variables of the class around it."""
    parameters: Mapping[str, ast.expr | None] = field(default_factory=dict)
    """The type parameters of the function around it, `def f[T]()`, with their bounds."""


@dataclass
class Annotations:
    """The types of one interface."""

    taken: set[str]
    """The names that no class can have."""
    declarations: list[list[str]] = field(default_factory=list)
    """The types of classes and aliases, each as its lines, in the order of their first use."""
    imports: set[str] = field(default_factory=set)
    """The types that the npm package exports."""
    problems: list[str] = field(default_factory=list)
    """A line for each annotation that has no type in JavaScript."""
    _declared: dict[tuple[int, str, bool], str] = field(default_factory=dict)
    _texts: set[str] = field(default_factory=set)
    """The declared types whose values are all strings."""

    def type_of(self, node: ast.expr | None, place: Place) -> str:
        """Writes the type of a value.

        Args:
            node: The annotation; None where there is none.
            place: Its place.
        """
        if node is None:
            return "unknown"
        node = unquoted(node)
        if _is_none(node):
            return "null"
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
            return union_of([self.type_of(side, place) for side in (node.left, node.right)])
        if isinstance(node, ast.Subscript):
            return self._generic(node, place)
        if isinstance(node, ast.Call):
            # `conlist(int, min_length=1)` of pydantic.
            made = str(place.module.resolve(node.func))
            if made in _CONTAINERS:
                return self._named(_CONTAINERS[made], node.args[:1], place)
            node = node.func
        if isinstance(node, ast.Name) and node.id in place.variables:
            return node.id
        if isinstance(node, ast.Name) and node.id in place.parameters:
            bound = place.parameters[node.id]
            return "unknown" if bound is None else self.type_of(bound, replace(place, parameters={}))
        if isinstance(node, ast.List):
            # The parameters of a function, as an argument for a ParamSpec.
            return f"[{', '.join(self.type_of(one, place) for one in node.elts)}]"
        if isinstance(node, ast.Attribute) and node.attr in ("args", "kwargs"):
            owner = place.module.resolve(node.value)
            value = getattr(owner.node, "value", None) if isinstance(owner, Defined) else None
            if isinstance(value, ast.Call) and _is_call_of(value, "ParamSpec", place.module):
                return "any"
        found = place.module.resolve(node)
        if isinstance(found, Defined):
            return self._defined(found, place, [])
        return self._named(found or ast.unparse(node), [], place)

    def result_of(self, nodes: list[ast.expr | None], place: Place) -> str:
        """Writes the type of a whole result, whose `None` arrives as `undefined`.

        Args:
            nodes: The annotation, None where there is none; several of a function with overloads.
            place: Its place.
        """
        members = [self.type_of(one, at) for node in nodes for one, at in self._members(node, place)]
        if members == ["null"]:
            return "void"
        return union_of(["undefined" if one == "null" else one for one in members])

    def _members(self, node: ast.expr | None, place: Place) -> list[tuple[ast.expr | None, Place]]:
        """Takes a union apart, through aliases and through what an async function returns."""
        node = unquoted(node) if node is not None else None
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
            return self._members(node.left, place) + self._members(node.right, place)
        if isinstance(node, ast.Subscript):
            name, arguments = place.module.resolve(node.value), arguments_of(node)
            if name == "typing.Union":
                return [member for one in arguments for member in self._members(one, place)]
            if name == "typing.Optional":
                return [*self._members(arguments[0], place), (ast.Constant(None), place)]
            if name in _TRANSPARENT:
                return self._members(arguments[0], place)
            if name in _AWAITABLES:
                return self._members(arguments[-1], place)
        if isinstance(node, ast.Name | ast.Attribute):
            found = place.module.resolve(node)
            value = _alias(found) if isinstance(found, Defined) else None
            if isinstance(found, Defined) and value is not None:
                of_alias = self._members(value, replace(place, module=found.module))
                # Another alias keeps its name.
                return of_alias if any(_is_none(one) for one, _ in of_alias) else [(node, place)]
        return [(node, place)]

    def _generic(self, node: ast.Subscript, place: Place) -> str:
        """Writes the type of `X[…]`."""
        found = place.module.resolve(node.value)
        arguments = arguments_of(node)
        if isinstance(found, Defined):
            return self._defined(found, place, arguments)
        return self._named(found or ast.unparse(node.value), arguments, place)

    def _named(self, name: str, arguments: list[ast.expr], place: Place) -> str:
        """Writes the type of a class or a form that no module of the script's defines."""

        def argument(at: int) -> str:
            return self.type_of(arguments[at], place) if at < len(arguments) else "unknown"

        if name in _TYPES:
            return _TYPES[name]
        if name in _TRANSPARENT:
            return argument(0)
        if name in _AWAITABLES:
            return argument(len(arguments) - 1)
        if name in STREAMS:
            return f"AsyncIterable<{argument(0)}>"
        if name in _LISTS:
            return array_of(argument(0))
        if name in _SETS:
            return f"Set<{argument(0)}>"
        if name in _DICTS:
            value = "number" if name.endswith("Counter") else argument(1)
            return self._dict(argument(0) if arguments else "string", value, place)
        if name in ("tuple", "typing.Tuple"):
            return self._tuple(arguments, place)
        if name in ("typing.Union", "typing.Optional"):
            return union_of(
                [argument(at) for at in range(len(arguments))] + ["null"] * name.endswith("Optional")
            )
        if name in ("typing.Literal", "typing_extensions.Literal"):
            return union_of([self._literal(one, place) for one in arguments])
        if name in _CALLABLES:
            return self._callable(arguments, place)
        if name in _ARRAYS:
            return self._array(arguments, place)
        return self._foreign(name, place)

    def _foreign(self, name: str, place: Place) -> str:
        """Writes the type of a class of another library."""
        module, _, last = name.rpartition(".")
        if name in ("memoryview", "numpy.typing.ArrayLike"):
            self.imports.add("NDArray")
            plain = "ArrayBufferView" if name == "memoryview" else "number | number[]"
            return f"NDArray | {plain}"
        # `from js import ImageBitmap`: the browser's own class.
        if module == "js" and last[:1].isupper():
            return last
        if module == "numpy" and last in _TYPED_ARRAYS:
            return "number"
        if module == "pydantic" and last.startswith("con"):
            return _CONSTRAINED.get(last, "unknown")
        self.problems.append(f"{place.where}: JavaScript has no type for {name}; it is unknown")
        return "unknown"

    def _tuple(self, arguments: list[ast.expr], place: Place) -> str:
        if len(arguments) == 2 and isinstance(arguments[1], ast.Constant) and arguments[1].value is ...:
            return array_of(self.type_of(arguments[0], place))
        if not arguments:
            return "unknown[]"
        if len(arguments) == 1 and isinstance(arguments[0], ast.Tuple) and not arguments[0].elts:
            return "[]"
        return f"[{', '.join(self._item(one, place) for one in arguments)}]"

    def _item(self, node: ast.expr, place: Place) -> str:
        """Writes an item of a tuple, which may be a tuple itself, unpacked by `*` or `Unpack`."""
        inner = unpacked(node, place.module)
        return self.type_of(node, place) if inner is None else f"...{self.type_of(inner, place)}"

    def _dict(self, key: str, value: str, place: Place) -> str:
        """Writes the type of a dict: an Object if all keys are str, also if there is none, else a Map."""
        if key == "string":
            return f"{{ [key: string]: {value} }}"
        texts = [one for one in members_of_union(key) if self._is_text(one)]
        if texts == members_of_union(key):
            return f"{{ [key in {key}]?: {union_of([value, 'undefined'])} }}"
        if place.is_sent and not texts:
            return f"Map<{key}, {value}>"
        may_be_text = texts or key == "unknown"
        return f"Map<{key}, {value}> | {{ [key: string]: {value if may_be_text else 'undefined'} }}"

    def _is_text(self, kind: str) -> bool:
        return kind == "string" or kind.startswith('"') or kind in self._texts

    def _literal(self, node: ast.expr, place: Place) -> str:
        if isinstance(node, ast.Attribute):
            # A member of an enum.
            found = place.module.resolve(node.value)
            if isinstance(found, Defined):
                return literal(members_of(found).get(node.attr, ...)) or "unknown"
        try:
            return literal(ast.literal_eval(node)) or "unknown"
        except ValueError:
            return "unknown"

    def _callable(self, arguments: list[ast.expr], place: Place) -> str:
        """Writes the type of a function, which the page can send and the worker cannot."""
        if not place.is_sent:
            self.problems.append(f"{place.where}: a function of the worker cannot be sent to JavaScript")
            return "never"
        back = replace(place, is_sent=False)
        result = self.type_of(arguments[1], place) if len(arguments) > 1 else "unknown"
        result = "void" if result == "null" else result
        given = arguments[0] if arguments else None
        if isinstance(given, ast.Name) and given.id in place.variables:
            return f"(...args: {given.id}) => {result}"
        if not isinstance(given, ast.List):
            return f"(...args: any[]) => {result}"
        names = [f"arg{at}: {self.type_of(one, back)}" for at, one in enumerate(given.elts)]
        return f"({', '.join(names)}) => {result}"

    def _array(self, arguments: list[ast.expr], place: Place) -> str:
        """Writes the type of a numpy array: `ndarray`, `NDArray[float64]`, `ndarray[…, dtype[float64]]`."""
        self.imports.add("NDArray")
        item = arguments[-1] if arguments else None
        if isinstance(item, ast.Subscript):
            item = arguments_of(item)[0]
        name = place.module.resolve(item) if item is not None else None
        module, _, last = name.rpartition(".") if isinstance(name, str) else ("", "", "")
        data = _TYPED_ARRAYS.get(last) if module == "numpy" else None
        return f"NDArray<{data}>" if data else "NDArray"

    def _defined(self, defined: Defined, place: Place, arguments: list[ast.expr]) -> str:
        """Writes the type of a class or an alias of the script's, and declares it if it is new."""
        variable = self._variable(defined, place)
        if variable is not None:
            return variable
        kind = kind_of(defined)
        if kind == "callable":
            return self._protocol(defined, place)
        if kind == "base":
            base = next(one for one in bases_of(defined) if one is not None)
            node = defined.node.bases[0] if isinstance(defined.node, ast.ClassDef) else None
            inner = replace(place, module=defined.module)
            return self._defined(base, place, []) if isinstance(base, Defined) else self.type_of(node, inner)
        if kind == "flag":
            return "number"
        value = _alias(defined)
        if value is None and kind == "other":
            self.problems.append(
                f"{place.where}: {defined.name} has no type in JavaScript, since it is not a dataclass, "
                "TypedDict, named tuple, enum, attrs class or pydantic model; it is unknown"
            )
            return "unknown"
        name = self._declare(defined, kind, value, place)
        if not arguments:
            return name
        return f"{name}<{', '.join(self.type_of(one, place) for one in arguments)}>"

    def _variable(self, defined: Defined, place: Place) -> str | None:
        """Writes the type of a type variable outside of its class: its bound."""
        node = defined.node
        value = node.value if isinstance(node, ast.Assign) else None
        if not isinstance(value, ast.Call):
            return None
        made_by = defined.module.resolve(value.func)
        at = replace(place, module=defined.module)
        if made_by in ("typing.NewType", "typing_extensions.NewType"):
            return self.type_of(value.args[1], at)
        if made_by not in ("typing.TypeVar", "typing_extensions.TypeVar"):
            return None
        bounds = [one.value for one in value.keywords if one.arg == "bound"] or value.args[1:]
        return union_of([self.type_of(one, at) for one in bounds]) if bounds else "unknown"

    def _protocol(self, defined: Defined, place: Place) -> str:
        """Writes the type of a function that a Protocol describes by its `__call__`."""
        assert isinstance(defined.node, ast.ClassDef)
        call = calls_of(defined.node)
        assert call is not None
        at = replace(place, module=defined.module)
        if not place.is_sent:
            return self._callable([], at)
        back = replace(at, is_sent=False)
        given = [*call.args.posonlyargs, *call.args.args][1:]
        names = [f"{parameter_name(one.arg)}: {self.type_of(one.annotation, back)}" for one in given]
        result = self.type_of(call.returns, at)
        return f"({', '.join(names)}) => {'void' if result == 'null' else result}"

    def _declare(self, defined: Defined, kind: Kind, value: ast.expr | None, place: Place) -> str:
        # A page may leave out what has a default, and gives an `InitVar`; what arrives has all fields alone.
        is_input = place.is_sent and _differs_when_sent(defined, set())
        key = (id(defined.module), defined.name, is_input)
        if key in self._declared:
            return self._declared[key]
        name = f"{defined.name}Input" if is_input else defined.name
        while name in self.taken or name in _RESERVED:
            name += "_"
        self.taken.add(name)
        self._declared[key] = name
        variables = _variables(defined)
        inner = Place(defined.module, defined.name, is_input, variables=frozenset(variables))
        head = f"{name}<{', '.join(variables.values())}>" if variables else name
        # Its place among the declarations is before those that it needs.
        lines: list[str] = []
        self.declarations.append(lines)
        text = ast.get_docstring(defined.node) if isinstance(defined.node, ast.ClassDef) else None
        lines += comment(text)
        if kind in ("fields", "dict"):
            lines += self._interface(defined, head, inner)
        else:
            written = self._alias_of(defined, kind, value, inner)
            lines.append(f"export type {head} = {written};")
            if all(self._is_text(one) for one in members_of_union(written)):
                self._texts.add(name)
        return name

    def _alias_of(self, defined: Defined, kind: Kind, value: ast.expr | None, place: Place) -> str:
        if kind == "enum":
            return self._enum(defined, place)
        if kind == "sequence":
            items = []
            for one in self._all_fields(defined):
                mark = "?" * (place.is_sent and one.has_default)
                items.append(f"{one.name}{mark}: {self.type_of(one.annotation, place)}")
            return f"[{', '.join(items)}]"
        if kind == "root":
            assert isinstance(defined.node, ast.ClassDef)
            subscript = next((one for one in defined.node.bases if isinstance(one, ast.Subscript)), None)
            root = next((one.annotation for one in fields_of(defined) if one.name == "root"), None)
            return self.type_of(root or (subscript and arguments_of(subscript)[0]), place)
        return self.type_of(value, place)

    def _enum(self, defined: Defined, place: Place) -> str:
        values = [literal(one) for one in members_of(defined).values()]
        if None not in values:
            return union_of([str(one) for one in values])
        # A value that only running would tell: the class may say of which type.
        for base in bases_of(defined) if isinstance(defined.node, ast.ClassDef) else ():
            kind = {"enum.IntEnum": "int", "enum.StrEnum": "str"}.get(str(base), base)
            if kind in ("int", "float", "str"):
                return _TYPES[kind]
        self.problems.append(
            f"{place.where}: the value of a member is not written as a literal; the enum is unknown"
        )
        return "unknown"

    def _all_fields(self, defined: Defined) -> list[Field]:
        inherited: list[Field] = []
        if isinstance(defined.node, ast.ClassDef):
            for base in bases_of(defined):
                if isinstance(base, Defined):
                    inherited += self._all_fields(base)
        return inherited + fields_of(defined)

    def _interface(self, defined: Defined, head: str, place: Place) -> list[str]:
        extended = []
        for base in defined.node.bases if isinstance(defined.node, ast.ClassDef) else ():
            plain = base.value if isinstance(base, ast.Subscript) else base
            found = defined.module.resolve(plain)
            if isinstance(found, Defined) and kind_of(found) in ("fields", "dict"):
                extended.append(self.type_of(base, place))
        head += f" extends {', '.join(extended)}" if extended else ""
        lines = [f"export interface {head} {{"]
        for one in fields_of(defined):
            if one.is_argument and not place.is_sent:
                continue
            kind = self.type_of(one.annotation, replace(place, where=f"{defined.name}.{one.name}"))
            may_lack = one.is_optional or (place.is_sent and one.has_default)
            if may_lack:
                # A property that is undefined is left out.
                kind = union_of([kind, "undefined"])
            lines += [f"  {line}" for line in comment(one.text)]
            name = f"{'readonly ' * one.is_read_only}{property_name(one.name)}"
            lines.append(f"  {name}{'?' * may_lack}: {kind};")
        return [*lines, "}"]


def _is_none(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _alias(defined: Defined) -> ast.expr | None:
    """The right side of `X = list[int]`, `X: TypeAlias = …` and `type X = …`; None of a class or a call."""
    value = getattr(defined.node, "value", None)
    if (
        isinstance(value, ast.Call)
        and len(value.args) > 1
        and _is_call_of(value, "TypeAliasType", defined.module)
    ):
        return value.args[1]
    is_type = isinstance(value, ast.Name | ast.Attribute | ast.Subscript | ast.BinOp)
    # The text of an alias that refers to what comes later.
    is_type = is_type or (isinstance(defined.node, ast.AnnAssign) and isinstance(value, ast.Constant))
    return value if is_type else None


def _differs_when_sent(defined: Defined, seen: set[tuple[int, str]]) -> bool:
    """Whether a page sends a class with other fields than arrive: of dataclasses and their like.

    A field may have a default, or be an argument of the constructor alone, or its type may be such a class.
    """
    key = (id(defined.module), defined.name)
    if key in seen:
        return False
    seen.add(key)
    value = _alias(defined)
    annotations = [value]
    if value is not None and any(_is_function(one, defined.module) for one in ast.walk(value)):
        return True
    if value is None and kind_of(defined) in ("fields", "dict", "sequence", "root"):
        fields = fields_of(defined)
        if kind_of(defined) in ("fields", "sequence") and any(
            one.has_default or one.is_argument for one in fields
        ):
            return True
        annotations = [one.annotation for one in fields]
        if isinstance(defined.node, ast.ClassDef):
            annotations += defined.node.bases
    named = (one for node in annotations for one in _named_in(node, defined.module))
    return any(_differs_when_sent(one, seen) for one in named)


def _named_in(node: ast.expr | None, module: Module) -> Iterator[Defined]:
    """Finds the classes and aliases that an annotation names."""
    for one in ast.walk(node) if node is not None else ():
        if isinstance(one, ast.Constant) and isinstance(one.value, str):
            try:
                text = ast.parse(one.value, mode="eval").body
            except SyntaxError:
                # A text of `Literal` or `Annotated`.
                continue
            if not isinstance(text, ast.Constant):
                yield from _named_in(text, module)
        elif isinstance(one, ast.Name | ast.Attribute):
            found = module.resolve(one)
            if isinstance(found, Defined):
                yield found


def _variables(defined: Defined) -> dict[str, str]:
    """The type variables of a class or an alias, by their names, each as the head of the type has it.

    They are those of `Generic[T]`, of `Model[T]`, of `class X[T]`, and of an alias such as `tuple[T, T]`.
    """
    own = {}
    for one in getattr(defined.node, "type_params", ()):
        own[str(one.name)] = (
            f"{one.name} extends any[]" if type(one).__name__ == "ParamSpec" else str(one.name)
        )
    value = unquoted(alias) if (alias := _alias(defined)) is not None else None
    places = defined.node.bases if isinstance(defined.node, ast.ClassDef) else [value]
    for place in places:
        for name in ast.walk(place.slice) if isinstance(place, ast.Subscript) else ():
            if isinstance(name, ast.Name) and name.id not in own:
                found = defined.module.resolve(name)
                made = getattr(found.node, "value", None) if isinstance(found, Defined) else None
                if isinstance(made, ast.Call) and isinstance(found, Defined):
                    if _is_call_of(made, "TypeVar", found.module):
                        own[name.id] = name.id
                    elif _is_call_of(made, "ParamSpec", found.module):
                        own[name.id] = f"{name.id} extends any[]"
    return own


def _is_call_of(node: ast.Call, name: str, module: Module) -> bool:
    return module.resolve(node.func) in (f"typing.{name}", f"typing_extensions.{name}")


def _is_function(node: ast.AST, module: Module) -> bool:
    """Whether a part of an annotation is a function, which the page can send and the worker cannot."""
    return isinstance(node, ast.Name | ast.Attribute) and module.resolve(node) in _CALLABLES


def unpacked(node: ast.expr, module: Module) -> ast.expr | None:
    """Finds what `*X` or `Unpack[X]` unpacks; None if a type is neither.

    Args:
        node: The type.
        module: The module that it stands in.
    """
    if isinstance(node, ast.Starred):
        return node.value
    if isinstance(node, ast.Subscript) and module.resolve(node.value) in _UNPACK:
        return arguments_of(node)[0]
    return None
