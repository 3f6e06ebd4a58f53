"""Instances of users' own classes: what they are made of, and how they are made again.

Dataclasses, named tuples, enums, attrs classes, pydantic models, exceptions and the classes that say so by
`@portable` need no adapter. They are made again without their `__init__`, `__post_init__` or validators: what
arrives is what was sent. A class travels by the name of its module and its own. The receiver takes only
classes that it has already: registered by `@portable`, or of one of these kinds in a module that it has
imported; nothing is imported because a frame names it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import functools
import operator
import sys
import types
import typing
from collections.abc import Callable, Collection
from typing import Any, NamedTuple, TypeVar
from weakref import WeakKeyDictionary, WeakSet

from workerlib import _exports

_C = TypeVar("_C", bound=type)

_portable: dict[str, type] = {}


class _Description(NamedTuple):
    """The description of a class whose instances travel."""

    kind: str
    first: tuple[str, str, tuple[str, ...] | None]
    """Kind, key and fields: one object for all instances, so that a frame has it once."""
    slots: tuple[str, ...]
    """The names of its slots, those of its bases first."""


class Plan(NamedTuple):
    """A description by which `_native` reads the objects of a class without calling Python."""

    first: tuple[str, str, tuple[str, ...] | None]
    slots: tuple[tuple[str, Any], ...]
    """The slots that objects are read by: names and descriptors."""
    has_dict: bool
    get_state: Callable[[Any], dict[str, Any]] | None
    """Gives the attributes, where they are not the slots and `__dict__`."""


class Recipe(NamedTuple):
    """A description by which `_native` makes objects of a class and gives them their attributes."""

    cls: type
    slots: dict[str, Any]
    has_dict: bool
    fill: Callable[[Any, list[Any]], None] | None
    """Takes the attributes together, where they do not go into slots and `__dict__`."""


PLANS: dict[type, Plan] = {}
"""Of the classes whose objects are their attributes and nothing else; `_native` looks here first.

A class gets in when its first object was taken apart. None is here whose metaclass has a hash of its own: to
look for one of these runs no code.
"""

_descriptions: WeakKeyDictionary[type, _Description] = WeakKeyDictionary()
_found_again: WeakSet[type] = WeakSet()

# The attribute in which attrs keeps the hash of an instance.
_ATTRS_HASH = "_attrs_cached_hash"


def portable(cls: _C) -> _C:
    """Makes instances of a class sendable: what is in their `__dict__` and `__slots__` travels.

    It is a decorator for classes that are not of a kind that is sendable anyway. Both sides need the class,
    of the same module and name; classes of both scripts' top level (`__main__`) count as the same.

    Args:
        cls: The class.

    Raises:
        TypeError: If it is not a class, or one whose instances Python cannot make empty.
    """
    if not isinstance(cls, type):
        raise TypeError(f"portable is a decorator for classes, not for {cls!r}")
    if find_kind(cls) is None and _makes_its_own(cls):
        raise TypeError(
            f"instances of {key_of(cls)} cannot be made empty and filled: they hold more than attributes"
        )
    _portable[key_of(cls)] = cls
    # It may have been met as one of another kind.
    _descriptions.pop(cls, None)
    PLANS.pop(cls, None)
    return cls


def find_kind(cls: type) -> str | None:
    """Says by which of the kinds instances of a class travel; None if by none."""
    description = _describe(cls)
    return description.kind if description else None


def _describe(cls: type) -> _Description | None:
    description = _descriptions.get(cls)
    if description is None and (kind := _find_kind(cls)):
        slots = tuple(name for base in reversed(cls.__mro__) for name in vars(base) if _slot_of(base, name))
        description = _descriptions[cls] = _Description(kind, (kind, key_of(cls), _fields(cls, kind)), slots)
    return description


def _find_kind(cls: type) -> str | None:
    if isinstance(cls, enum.EnumMeta):
        return "enum"
    if issubclass(cls, BaseException):
        return "exception"
    if issubclass(cls, tuple) and isinstance(getattr(cls, "_fields", None), tuple):
        return "namedtuple"
    if _makes_its_own(cls):
        return None
    # A class that is also registered stays what it is: pydantic's models and attrs classes have a state of
    # their own.
    if dataclasses.is_dataclass(cls):
        return "dataclass"
    if isinstance(getattr(cls, "__attrs_attrs__", None), tuple):
        return "attrs"
    if _pydantic_base(cls) is not None:
        return "pydantic"
    if _portable.get(key_of(cls)) is cls or _is_pydantic_field(cls):
        return "portable"
    return None


def check_sendable(cls: type) -> None:
    """Checks that a class is found again under its own name, as the other side will look for its own.

    Raises:
        RefusedError: If it is not.
    """
    if cls in _found_again:
        return
    try:
        if find_class(key_of(cls), _described(cls).kind) is cls:
            _found_again.add(cls)
            return
    except ValueError:
        # The reason would tell of the other side.
        pass
    # A library makes the class of a row, such as that of pandas' itertuples(), where nobody finds it.
    row = ", or send its _asdict()" if _described(cls).kind == "namedtuple" else ""
    raise _refused(
        f"no class is found as {cls.__qualname__} in {cls.__module__}, where the other side would look for"
        " it: define it at the top level of a module, or of both scripts, or register it:"
        f" @workerlib.portable{row}"
    )


def find_class(key: object, kind: str) -> type:
    """Finds the class that a frame names, which must be one that may be made here.

    Raises:
        UnknownClassError: If this side does not have it.
        ValueError: If it is of another kind here.
    """
    if not isinstance(key, str):
        raise ValueError(f"{key!r} cannot be the name of a class")
    cls: object = _portable.get(key)
    found_here = _look_up(key)
    if found_here is not cls and isinstance(found_here, type) and find_kind(found_here) == kind:
        # A decorator above `@portable` made another class of the registered one.
        cls = found_here
    elif not isinstance(cls, type) or find_kind(cls) != kind:
        cls = found_here or _find_generic(key) or _exported(key) or cls
    module, _, name = key.partition(":")
    if not isinstance(cls, type):
        raise UnknownClassError(f"the class {name} is not known here: {_remedy(module, name)}")
    found = find_kind(cls)
    if found != kind:
        raise ValueError(f"{key} is {_article(kind)} on the other side and {_article(found)} on this one")
    return cls


def _remedy(module: str, name: str) -> str:
    """Says how a class of the other side's becomes known on this one."""
    if module == "__main__":
        return (
            "it is defined in the script of the other side. Move the class into a module that both scripts"
            " import, or define it in both"
        )
    if "[" in name and module in sys.modules:
        return "use that model with these types on this side too, in an annotation for example"
    if module not in sys.modules:
        return f"import {module} on this side too"
    return f"{module} has no such class on this side: give both sides the same module"


class UnknownClassError(ValueError):
    """Tells that a frame names a class that this side has not, and what makes it known."""


def _exported(key: str) -> type | None:
    """Finds a class that is exported, wherever it was made."""
    exported = (one for one in _exports.functions.values() if isinstance(one, type))
    return next((cls for cls in exported if key_of(cls) == key), None)


def _look_up(key: str) -> object:
    """Finds what stands under a key without that any code runs: a module's `__getattr__` might import."""
    module, _, name = key.partition(":")
    found: object = sys.modules.get(module)
    if not isinstance(found, types.ModuleType):
        return None
    content = types.ModuleType.__getattribute__(found, "__dict__")
    for part in name.split("."):
        found = content.get(part)
        content = vars(found) if isinstance(found, type) else {}
    return found


# Named tuples and enums: made from all of their content.


def take_apart_namedtuple(value: Any) -> tuple[Any, ...]:
    """Gives the class, its fields, and the values; then its attributes if it has more than its fields."""
    cls: Any = type(value)
    known = _namedtuples.get(cls)
    if known is None:
        check_sendable(cls)
        is_bare = cls.__dictoffset__ == 0 and not _described(cls).slots
        known = _namedtuples[cls] = (key_of(cls), cls._fields, is_bare)
    key, fields, is_bare = known
    # Not by the class's own __iter__.
    values = tuple.__getitem__(value, slice(None))
    if is_bare:
        return (key, fields, *values)
    state = attributes(value)
    # The results of scipy's tests have the module of their arrays among their attributes.
    for name, attribute in state.items():
        if isinstance(attribute, types.ModuleType):
            raise _refused(f"its attribute {name} is a module: send its _asdict()")
    return (key, fields, *values, *((state,) if state else ()))


def build_namedtuple(key: object, names: object, *values: Any) -> Any:
    """Makes a named tuple."""
    cls, count = find_named_tuple(key, names)
    made = tuple.__new__(cls, values[:count] if len(values) > count else values)
    if len(values) > count and type(values[count]) is dict:
        set_attributes(made, values[count])
        count += 1
    if len(values) != count:
        raise ValueError(f"{len(values)} values for the {len(_items_of(cls))} items of {key}")
    return made


_namedtuples: WeakKeyDictionary[type, tuple[str, tuple[str, ...], bool]] = WeakKeyDictionary()
"""Of the classes that were found to be sendable: key, fields, and whether instances have no attributes."""

_last_found: tuple[object, object, Any, int] = (None, None, None, 0)
"""The key and the fields that a frame named last, the class that they mean, and how many items it has."""


def find_named_tuple(key: object, names: object) -> tuple[Any, int]:
    """Finds the class of a named tuple: in a frame the same objects name it for all its instances.

    Args:
        key: The class's name in a frame, or whatever stands in its place.
        names: Its fields, likewise.

    Returns:
        The class, and how many items its tuples have.

    Raises:
        ValueError: If this side has no such class, or one with other fields.
    """
    global _last_found
    last_key, last_names, cls, count = _last_found
    if key is last_key and names is last_names and key is not None:
        return cls, count
    found: Any = find_class(key, "namedtuple")
    _check_fields(found, names, found._fields)
    count = len(_items_of(found))
    _last_found = (key, names, found, count)
    return found, count


def _items_of(cls: type) -> tuple[str, ...]:
    """Gives the fields that stand in the tuple itself: a class may add others."""
    # As `platform.uname_result` does.
    own = (vars(base)["_fields"] for base in reversed(cls.__mro__) if "_fields" in vars(base))
    first: tuple[str, ...] = next(own)
    return first


def take_apart_enum(value: Any) -> tuple[Any, ...]:
    """Gives the class and the member's name; of several flags the value."""
    # The sunder names: a member or a property may be called `name` or `value`.
    cls, name = type(value), value._name_
    check_sendable(cls)
    if name is not None and cls.__members__.get(name) is value:
        return (key_of(cls), name)
    return (key_of(cls), None, value._value_)


_MOST_COMBINATIONS = 4096
"""The number of members and combinations that an enum of flags may have before a frame adds no more."""
_MOST_BITS = 4096
"""The number of bits that a combination may have, if the flags have no more."""


def _check_combination(cls: Any, value: int) -> None:
    """Checks a combination of flags that nobody has used here: the enum keeps it as long as the program runs.

    Raises:
        ValueError: If it is of bits that no flag could have, or the enum has very many already.
    """
    if value.bit_length() > max(_MOST_BITS, cls._flag_mask_.bit_length()):
        raise ValueError(f"{cls.__qualname__} has no flags of so many bits")
    if len(cls._value2member_map_) >= _MOST_COMBINATIONS:
        raise ValueError(
            f"{cls.__qualname__} has {_MOST_COMBINATIONS:,} combinations already: send the number"
        )


def build_enum(key: object, name: object, *value: Any) -> Any:
    """Finds the member."""
    cls: Any = find_class(key, "enum")
    if name is None and len(value) == 1 and issubclass(cls, enum.Flag) and type(value[0]) is int:
        known = cls._value2member_map_.get(value[0])
        if known is None:
            _check_combination(cls, value[0])
        # As cls(value) does it, but never by a `_missing_` of the class's own.
        made = vars(enum.Flag)["_missing_"].__func__(cls, value[0]) if known is None else known
        # Early releases of 3.11 drop the bits that a Flag does not know.
        if not isinstance(made, cls) or made._value_ != value[0]:
            raise ValueError(f"{value[0]} is no combination of the members of {key} on this side")
        return made
    if not isinstance(name, str) or name not in cls.__members__:
        raise ValueError(f"{key} has no member {name!r} on this side; it has {', '.join(cls.__members__)}")
    return cls.__members__[name]


# Objects with attributes: made empty, then filled.


def take_apart_object(value: Any) -> tuple[Any, ...]:
    """Gives kind, class and fields, then the attributes, each with its value."""
    description = _described(type(value))
    check_sendable(type(value))
    _plan(type(value), description)
    if description.kind == "pydantic":
        state = _pydantic_base(type(value)).__getstate__(value)
    else:
        state = attributes(value)
        if description.kind == "attrs" and _ATTRS_HASH in state:
            # Hashes of strs are others in another Python.
            state[_ATTRS_HASH] = None
    return (description.first, *(part for pair in state.items() for part in pair))


def _plan(cls: type, description: _Description) -> None:
    meta: Any = type(cls)
    if (
        meta.__hash__ is object.__hash__
        and meta.__eq__ is object.__eq__
        and _ATTRS_HASH not in description.slots
    ):
        slots = tuple(_slots(cls, description).items())
        get_state = _pydantic_base(cls).__getstate__ if description.kind == "pydantic" else None
        PLANS[cls] = Plan(description.first, slots, cls.__dictoffset__ != 0, get_state)


def _slots(cls: type, description: _Description) -> dict[str, Any]:
    """Gives the slots in which a class keeps attributes, by their names."""
    slots = {name: _find_slot(cls, name) for name in description.slots}
    return {name: slot for name, slot in slots.items() if slot is not None}


def make_object(first: object) -> Any:
    """Makes an object without attributes."""
    return object.__new__(_class_of(first))


def recipe(first: object) -> Recipe:
    """Says how `_native` makes the objects that have this as their first value, and fills them."""
    cls = _class_of(first)
    description = _described(cls)
    fill = None
    if description.kind == "pydantic":
        fill = functools.partial(_fill_pydantic, _pydantic_base(cls).__setstate__)
    return Recipe(cls, _slots(cls, description), cls.__dictoffset__ != 0, fill)


def _class_of(first: object) -> type:
    kind, key, names = first if isinstance(first, tuple) and len(first) == 3 else (None, None, None)
    if kind not in ("dataclass", "attrs", "pydantic", "portable"):
        raise ValueError(f"{kind!r} is an unknown kind of object")
    cls = find_class(key, kind)
    _check_fields(cls, names, _described(cls).first[2])
    return cls


def fill_object(made: Any, values: list[Any]) -> None:
    """Gives the object its attributes."""
    if find_kind(type(made)) == "pydantic":
        _fill_pydantic(_pydantic_base(type(made)).__setstate__, made, values)
    else:
        set_attributes(made, _state_of(values))


def _fill_pydantic(set_state: Callable[[Any, dict[Any, Any]], None], made: Any, values: list[Any]) -> None:
    state = _state_of(values)
    _check_pydantic(state)
    set_state(made, state)


def _state_of(values: list[Any]) -> dict[Any, Any]:
    if len(values) % 2:
        raise ValueError("the last attribute has no value")
    each = iter(values)
    return dict(zip(each, each, strict=True))


def attributes(value: Any) -> dict[str, Any]:
    """Gives what stands in the slots and the `__dict__` of an object, by its name there.

    Raises:
        RefusedError: If a name is one of those that belong to Python.
    """
    cls = type(value)
    state: dict[str, Any] = {}
    for name in _described(cls).slots:
        # By the slot itself: a subclass may call something else so. And a slot may be empty.
        with contextlib.suppress(AttributeError):
            state[name] = _find_slot(cls, name).__get__(value)
    for name, content in _dict_of(value).items():
        if not _is_pythons(name):
            state[name] = content
        # typing's note of Box[int](1) says nothing about the object.
        elif name != "__orig_class__":
            raise _refused(f"the name of its attribute {name} is one of those that belong to Python")
    return state


def set_attributes(made: Any, state: dict[Any, Any], also_slots: Collection[str] = ()) -> None:
    """Gives an object its attributes, without that a method, a property or a descriptor of its class runs.

    Args:
        made: The object.
        state: The result of `attributes`.
        also_slots: Names of what stands in slots of builtin classes.

    Raises:
        ValueError: If a name cannot be one of an attribute.
    """
    cls = type(made)
    slots = _described(cls).slots
    content = _dict_of(made)
    for name, value in state.items():
        if not isinstance(name, str) or _is_pythons(name):
            raise ValueError(f"{name!r} cannot be the name of an attribute")
        slot = _find_slot(cls, name, also_slots) if name in slots or name in also_slots else None
        if slot is not None:
            slot.__set__(made, value)
        elif content is _NO_DICT:
            raise ValueError(f"{key_of(cls)} has no place for the attribute {name!r} on this side")
        else:
            content[name] = value


def _is_pythons(name: object) -> bool:
    # A mangled private name ends otherwise. Notes are exceptions' attributes as any other.
    return isinstance(name, str) and name[:2] == name[-2:] == "__" and name != "__notes__"


def _slot_of(cls: type, name: str) -> bool:
    """Returns whether a class itself has a slot of that name."""
    own = vars(cls)
    return "__slots__" in own and isinstance(own.get(name), types.MemberDescriptorType)


def _find_slot(cls: type, name: str, also: Collection[str] = ()) -> Any:
    """Finds the slot in which a class keeps an attribute; None if that stands in the `__dict__`."""
    for base in cls.__mro__:
        if name not in vars(base):
            continue
        found = vars(base)[name]
        if _slot_of(base, name) or (base.__module__ == "builtins" and name in also):
            return found
        # A property may stand before a slot of its name; what is only a value hides the slot.
        if not hasattr(type(found), "__set__"):
            return None
    return None


_NO_DICT: dict[str, Any] = {}


def _dict_of(value: object) -> dict[str, Any]:
    try:
        # Not getattr(): the class may have a __getattr__ that answers for another object.
        content: dict[str, Any] = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return _NO_DICT
    return content


_PYDANTIC_STATE = ("__dict__", "__pydantic_fields_set__", "__pydantic_extra__", "__pydantic_private__")
_get_pydantic_state = operator.itemgetter(*_PYDANTIC_STATE)
_PYDANTIC_NAMES = frozenset(_PYDANTIC_STATE)
_STR = frozenset({str})


def _check_pydantic(state: dict[Any, Any]) -> None:
    if state.keys() != _PYDANTIC_NAMES:
        raise ValueError("a pydantic model has to have its content, fields, extra and private attributes")
    content, fields, extra, private = parts = _get_pydantic_state(state)
    if (
        type(content) is not dict
        or type(fields) is not set
        or not (extra is None or type(extra) is dict)
        or not (private is None or type(private) is dict)
    ):
        raise ValueError("the parts of a pydantic model have to be dicts, and a set of its fields")
    for names in parts:
        if names and not _STR.issuperset(map(type, names)):
            raise ValueError("the names in a pydantic model have to be strs")


def _refused(reason: str) -> ValueError:
    # Imported late: that module imports this one.
    from workerlib._values.row import RefusedError

    return RefusedError(reason)


def _described(cls: type) -> _Description:
    description = _describe(cls)
    if description is None:
        raise ValueError(f"instances of {key_of(cls)} may not be made any more")
    return description


def _fields(cls: Any, kind: str | None) -> tuple[str, ...] | None:
    if kind == "dataclass":
        return tuple(field.name for field in dataclasses.fields(cls))
    if kind == "attrs":
        return tuple(attribute.name for attribute in cls.__attrs_attrs__)
    if kind == "pydantic":
        return tuple(cls.model_fields)
    return None


def _check_fields(cls: type, theirs: object, ours: tuple[str, ...] | None) -> None:
    if theirs != ours:
        raise ValueError(
            f"{key_of(cls)} has other fields on the two sides: {_listed(theirs)} there, {_listed(ours)} here;"
            " both need the same version of its module"
        )


def _listed(names: object) -> str:
    return ", ".join(map(str, names)) or "none" if isinstance(names, tuple) else repr(names)


def key_of(cls: type) -> str:
    """Names a class as a frame does.

    A generic model of pydantic's that was given its types is named by the model and these types.

    Args:
        cls: The class.
    """
    if generic := _generic_of(cls):
        origin, types_given = generic
        return f"{key_of(origin)}[{', '.join(map(_key_of_type, types_given))}]"
    return f"{cls.__module__}:{cls.__qualname__}"


def _generic_of(cls: type) -> tuple[type, tuple[Any, ...]] | None:
    """Gives the generic model that a model of pydantic's was made of, and the types that it was given."""
    metadata = vars(cls).get("__pydantic_generic_metadata__")
    if type(metadata) is not dict or not metadata.get("args"):
        return None
    return metadata["origin"], metadata["args"]


def _key_of_type(form: Any) -> str:
    origin, parts = typing.get_origin(form), typing.get_args(form)
    if form is None or form is types.NoneType:
        return "None"
    if origin in (typing.Union, types.UnionType):
        return " | ".join(map(_key_of_type, parts))
    if isinstance(origin, type):
        return f"{key_of(origin)}[{', '.join(map(_key_of_type, parts))}]"
    return key_of(form) if isinstance(form, type) else repr(form)


def _find_generic(key: str) -> type | None:
    """Finds a generic model of pydantic's with its types: one that this side has made of it before."""
    origin_key, bracket, _ = key.partition("[")
    origin = _portable.get(origin_key) or _look_up(origin_key) if bracket else None
    if not isinstance(origin, type) or _pydantic_base(origin) is None:
        return None
    made: list[type] = type.__subclasses__(origin)
    return next((cls for cls in made if _generic_of(cls) and key_of(cls) == key), None)


def _article(kind: str | None) -> str:
    if kind is None:
        return "nothing that may be made"
    return f"an {kind}" if kind[0] in "ae" else f"a {kind}"


_HEAP_TYPE = 1 << 9
"""The flag of classes that were made while Python ran."""


def _makes_its_own(cls: type) -> bool:
    """Returns whether instances hold what only the class's own base can put there, as those of `dict` do."""
    # As copyreg sees it: it is the nearest base written in C that makes an instance.
    for base in cls.__mro__:
        made_in_c = isinstance(vars(base).get("__new__"), types.BuiltinFunctionType)
        if made_in_c or not base.__flags__ & _HEAP_TYPE:
            return base is not object
    return True


def _is_pydantic_field(cls: type) -> bool:
    """Returns whether it is one of the types of fields that pydantic has: its URLs and its secrets."""
    bases = {(base.__module__, base.__name__) for base in cls.__mro__}
    return not bases.isdisjoint(_PYDANTIC_FIELDS)


_PYDANTIC_FIELDS = (
    ("pydantic.types", "_SecretBase"),
    ("pydantic.networks", "_BaseUrl"),
    ("pydantic.networks", "_BaseMultiHostUrl"),
)


def _pydantic_base(cls: type) -> Any:
    for base in cls.__mro__:
        # Version 1 of pydantic has other models of that name.
        if base.__name__ == "BaseModel" and base.__module__ == "pydantic.main":
            return base if hasattr(base, "__pydantic_fields_set__") else None
    return None
