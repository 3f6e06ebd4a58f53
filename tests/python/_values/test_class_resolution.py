"""Which classes a frame may name: those that this side has already, of the kinds that need no adapter.

The frames are what a peer could send: they are made of values that are encoded one by one.
"""

from __future__ import annotations

import dataclasses
import enum
import subprocess
import sys
import types
from collections.abc import Iterator
from typing import Any

import pytest
import workerlib
from workerlib import _exports
from workerlib._native import decode

import users_classes as users
from trip import frame_of, round_trip
from users_classes import Bits, Colour, Point

EXCEPTION, OBJECT, CLASS, ENUM, NAMED_TUPLE = 24, 25, 72, 76, 77
FIELDS = ("x", "y")


@pytest.fixture(autouse=True)
def nothing_runs() -> Iterator[None]:
    """No frame runs code of a class."""
    users.RAN.clear()
    yield
    assert users.RAN == []


def frame(kind: int, *values: object) -> bytes:
    """Makes the frame of an object of an extension type."""
    # Without its sharing table, which is empty.
    bodies = [frame_of(value)[0][1:] for value in values]
    return b"\x90\xd4" + bytes([kind, len(values)]) + b"".join(bodies)


def refused(kind: int, *values: object) -> str:
    """Checks that a frame is refused, and gives the message."""
    with pytest.raises(workerlib.FrameError) as caught:
        decode(frame(kind, *values), [])
    return str(caught.value)


def named(kind: str, key: str) -> tuple[int, tuple[object, ...]]:
    """Gives what names a class of a kind in a frame."""
    if kind == "enum":
        return ENUM, (key, "RED")
    if kind == "namedtuple":
        return NAMED_TUPLE, (key, ("x",), 1)
    if kind == "exception":
        return EXCEPTION, ((key,), None, None, False, {})
    return OBJECT, ((kind, key, FIELDS), "x", 1)


KINDS = ("dataclass", "attrs", "pydantic", "portable", "enum", "namedtuple", "exception")


def test_the_frames_of_these_tests_are_right() -> None:
    """The frames of the tests below are refused for their content, and not for a mistake in the making."""
    point = (("dataclass", "users_classes:Point", FIELDS), "x", 1, "y", 2)
    assert decode(frame(OBJECT, *point), []) == Point(1, 2)
    assert decode(frame(ENUM, "users_classes:Colour", "RED"), []) is Colour.RED
    pair = ("users_classes:Pair", ("left", "right"), 1, 2)
    assert decode(frame(NAMED_TUPLE, *pair), []) == users.Pair(1, 2)
    error: Any = decode(frame(EXCEPTION, (1, "users_classes:PlainError"), None, None, False, {"a": 1}), [])
    assert (type(error), error.args, vars(error)) == (users.PlainError, (1,), {"a": 1})
    assert decode(frame(CLASS, "users_classes:Point", "dataclass"), []) is Point


@pytest.mark.parametrize("kind", KINDS)
def test_a_module_that_is_not_imported(kind: str) -> None:
    """The error names class and module and says what to do; nothing is imported because a frame names it."""
    assert "ftplib" not in sys.modules
    extension, values = named(kind, "ftplib:Error.Inner")
    message = refused(extension, *values)
    assert "the class Error.Inner is not known here: import ftplib on this side too" in message
    assert refused(CLASS, "ftplib:Error", kind)
    assert "ftplib" not in sys.modules


def test_a_class_that_is_exported() -> None:
    """It is found wherever it was made; as soon as it is none of the exports any more, it is not."""

    @dataclasses.dataclass
    class Local:
        x: int

    class Plain:
        pass

    workerlib.export(Local, Plain)
    data, _ = frame_of([Local(1), Local])
    back: Any = decode(data, [])
    assert back == [Local(1), Local]
    with pytest.raises(workerlib.UnsendableError):
        frame_of(Plain())
    _exports.functions.clear()
    with pytest.raises(workerlib.FrameError, match="has no such class on this side"):
        decode(frame(CLASS, f"{__name__}:{Local.__qualname__}", "dataclass"), [])


@pytest.mark.parametrize("kind", KINDS)
def test_a_class_that_the_module_does_not_have(kind: str) -> None:
    """The error names the module and the class."""
    extension, values = named(kind, "users_classes:Missing")
    message = refused(extension, *values)
    assert "the class Missing is not known here: users_classes has no such class" in message


def test_looking_for_a_class_runs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The search calls no `__getattr__` of a module, which might import, none of a metaclass, and no descriptor."""
    asked: list[str] = []

    class Curious(type):
        def __getattr__(cls, name: str) -> Any:
            asked.append(name)
            raise AttributeError(name)

    class Asked:
        def __get__(self, instance: object, owner: type) -> Any:
            asked.append("descriptor")

        def __getattr__(self, name: str) -> Any:
            asked.append(name)

    class Lazy(types.ModuleType):
        def __getattr__(self, name: str) -> Any:
            asked.append(name)

    module: Any = Lazy("lazy")
    module.Outer = Curious("Outer", (), {"descriptor": Asked()})
    module.instance = Asked()
    monkeypatch.setitem(sys.modules, "lazy", module)
    monkeypatch.setitem(sys.modules, "no_module", Asked())  # type: ignore[arg-type]
    keys = ["lazy:Missing", "lazy:Outer.Missing", "lazy:Outer.descriptor", "lazy:instance.Missing"]
    for key in (*keys, "no_module:X"):
        for kind in KINDS:
            extension, values = named(kind, key)
            refused(extension, *values)
    assert asked == []


@pytest.mark.parametrize(
    "key",
    [
        *("subprocess:Popen", "builtins:dict", "builtins:object", "builtins:type", "builtins:Exception.args"),
        *("users_classes:Plain", "users_classes:RAN", "users_classes:functools.partial"),
        *("", ":", "users_classes", "users_classes:", ":Point", "users_classes:Point."),
        *("users_classes:Tracked", "users_classes:Point.x"),
        *("users_classes:Point.__class__", "users_classes:Derived.half", "workerlib._native:Session"),
        *("collections:OrderedDict", "types:ModuleType", "sys:modules", "os:environ", "functools:partial"),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_classes_of_no_kind_are_refused(kind: str, key: str) -> None:
    """Classes of no kind are refused, whatever a frame says that they are."""
    assert subprocess.Popen
    extension, values = named(kind, key)
    refused(extension, *values)
    refused(CLASS, key, kind)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("key", "actual"),
    [
        ("users_classes:Point", "a dataclass"),
        ("users_classes:Colour", "an enum"),
        ("users_classes:Pair", "a namedtuple"),
        ("users_classes:PlainError", "an exception"),
    ],
)
def test_a_class_of_another_kind(kind: str, key: str, actual: str) -> None:
    """The error says what the class is on either side."""
    if actual.endswith(kind):
        return
    extension, values = named(kind, key)
    article = "an" if kind[0] in "ae" else "a"
    message = refused(extension, *values)
    assert f"{key} is {article} {kind} on the other side and {actual} on this one" in message


def test_other_fields_on_the_two_sides(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error lists the fields of both."""
    data, _ = frame_of([Point(1)])
    newer = dataclasses.make_dataclass("Point", ["x", "z"])
    newer.__module__ = users.__name__
    monkeypatch.setattr(users, "Point", newer)
    with pytest.raises(workerlib.FrameError, match="Point has other fields .*: x, y there, x, z here"):
        decode(data, [])
    message = refused(NAMED_TUPLE, "users_classes:Typed", ("name",), 1)
    assert "users_classes:Typed has other fields on the two sides: name there, name, size here" in message


def test_a_member_that_one_side_does_not_have() -> None:
    """The error lists the members that there are."""
    message = refused(ENUM, "users_classes:Word", "MAYBE")
    assert "users_classes:Word has no member 'MAYBE' on this side; it has YES, NO" in message


@pytest.mark.parametrize(
    "values",
    [
        ("users_classes:Colour",),
        ("users_classes:Colour", "__class__"),
        ("users_classes:Colour", "_missing_"),
        ("users_classes:Colour", ["RED"]),
        ("users_classes:Colour", None),
        ("users_classes:Colour", None, 1),
        ("users_classes:Number", None, 1),
        ("users_classes:Access", None),
        ("users_classes:Access", None, 8),
        ("users_classes:Access", None, 2**70),
        ("users_classes:Access", None, "READ"),
        ("users_classes:Access", None, 1.0),
        ("users_classes:Access", None, True),
        ("users_classes:Access", None, 1, 2),
        ("enum:Flag", None, 3),
        ("enum:Enum", "RED"),
        (None, "RED"),
        (Colour, "RED"),
        (),
    ],
    ids=repr,
)
def test_members_that_lie(values: tuple[object, ...]) -> None:
    """Only members by their names, and flags by an int of known bits where their class wants that."""
    refused(ENUM, *values)


def test_unknown_bits_of_a_flag_are_read_without_its_own_code() -> None:
    """A class that keeps unknown bits gets them, up to 4,096: it keeps what it was asked for."""
    back: Any = decode(frame(ENUM, "users_classes:Bits", None, 2**1_000 + 1), [])
    assert type(back) is Bits
    assert int(back) == 2**1_000 + 1
    assert "so many bits" in refused(ENUM, "users_classes:Bits", None, 2**100_000 + 1)


@pytest.mark.parametrize(
    "first",
    [
        None,
        "dataclass",
        (),
        ("dataclass",),
        ("dataclass", "users_classes:Point"),
        ("dataclass", "users_classes:Point", list(FIELDS)),
        ("dataclass", "users_classes:Point", None),
        ("dataclass", "users_classes:Point", ()),
        ("dataclass", "users_classes:Point", ("y", "x")),
        ("dataclass", "users_classes:Point", ("x", object)),
        ("dataclass", b"users_classes:Point", FIELDS),
        ("dataclass", Point, FIELDS),
        ("enum", "users_classes:Colour", None),
        ("exception", "users_classes:PlainError", None),
        ("namedtuple", "users_classes:Pair", None),
        (None, "users_classes:Plain", None),
        (["dataclass"], "users_classes:Point", FIELDS),
    ],
    ids=repr,
)
def test_descriptions_that_lie(first: object) -> None:
    """Kind, class and fields, each of its type, and fitting the class."""
    refused(OBJECT, first, "x", 1)
    refused(OBJECT, first)


@pytest.mark.parametrize(
    "state",
    [
        ("x",),
        ("x", 1, "y"),
        (1, 2),
        (None, 2),
        (b"x", 2),
        ([], 2),
        ("__class__", object),
        ("__dict__", {"x": 1}),
        ("__init__", None),
        ("__deepcopy__", dict),
        ("__reduce_ex__", 1),
        ("__weakref__", None),
        ("__orig_class__", int),
    ],
    ids=repr,
)
@pytest.mark.parametrize("name", ["Point", "Slotted"])
def test_attributes_that_lie(name: str, state: tuple[object, ...]) -> None:
    """Names are strs, and none that Python itself would act on."""
    fields = tuple(field.name for field in dataclasses.fields(getattr(users, name)))
    refused(OBJECT, ("dataclass", f"users_classes:{name}", fields), *state)


def test_attributes_that_have_no_place() -> None:
    """A class with slots only refuses others, and a property or descriptor is never called."""
    message = refused(OBJECT, ("dataclass", "users_classes:Slotted", ("x", "next")), "x", 1, "other", 2)
    assert "users_classes:Slotted has no place for the attribute 'other'" in message
    fields = ("width", "area", "unset")
    back: Any = decode(frame(OBJECT, ("dataclass", "users_classes:Derived", fields), "half", 5), [])
    assert vars(back) == {"half": 5}


@pytest.mark.parametrize(
    "values",
    [
        ("users_classes:Pair", ("left", "right"), 1),
        ("users_classes:Pair", ("left", "right"), 1, 2, 3),
        ("users_classes:Pair", ("left", "right"), 1, 2, {"extra": 1}),
        ("users_classes:Named", ("left", "right"), 1, 2, {"__class__": 1}),
        ("users_classes:Named", ("left", "right"), 1, 2, {1: 1}),
        ("users_classes:Named", ("left", "right"), 1, 2, {"a": 1}, {"b": 1}),
        ("users_classes:Pair", ("right", "left"), 1, 2),
        ("users_classes:Pair", ["left", "right"], 1, 2),
        ("users_classes:Pair",),
        ("builtins:tuple", (), 1),
        (),
    ],
    ids=repr,
)
def test_named_tuples_that_lie(values: tuple[object, ...]) -> None:
    """A named tuple needs as many values as the class has fields, and attributes only where there is a place for them."""
    refused(NAMED_TUPLE, *values)


@pytest.mark.parametrize(
    "values",
    [
        ((1, "users_classes:PlainError"), None, None, False, {"__class__": ValueError}),
        ((1, "users_classes:PlainError"), None, None, False, {"__dict__": {}}),
        ((1, "users_classes:PlainError"), None, None, False, {"__traceback__": None}),
        ((1, "users_classes:PlainError"), None, None, False, {1: 2}),
        ((1, "users_classes:PlainError"), None, None, False, [("a", 1)]),
        ((1, "users_classes:PlainError"), 1, None, False, {}),
        (("message", "users_classes:ManyError"), None, None, False, {}),
        (("message", 1, "users_classes:ManyError"), None, None, False, {}),
        (("message", [1], "users_classes:ManyError"), None, None, False, {}),
        ((1, "users_classes:Point"), None, None, False, {}),
        (("users_classes:PlainError", 1), None, None, False, {}),
    ],
    ids=repr,
)
def test_exceptions_that_lie(values: tuple[object, ...]) -> None:
    """Attributes and members are what an exception can have."""
    refused(EXCEPTION, *values)


def test_args_of_a_frame_are_no_arguments() -> None:
    """The `__new__` and `__init__` of a user's exception never see them."""
    back: Any = decode(frame(EXCEPTION, (1, 2, 3, "users_classes:NewError"), None, None, False, {}), [])
    assert (type(back), back.args) == (users.NewError, (1, 2, 3))


@pytest.mark.parametrize(
    "values",
    [
        ("users_classes:Point",),
        ("users_classes:Point", "enum"),
        ("users_classes:Point", None),
        ("users_classes:Plain", "portable"),
        ("users_classes.Point",),
        ("subprocess:Popen", "portable"),
        ("subprocess.Popen",),
        ("builtins:int", "portable"),
        ("users_classes:Point", "dataclass", "dataclass"),
    ],
    ids=repr,
)
def test_classes_as_values_that_lie(values: tuple[object, ...]) -> None:
    """A class is given only for its name and its right kind."""
    refused(CLASS, *values)


def test_a_class_of_the_same_name_that_was_registered_later() -> None:
    """A registered class comes before the module's own, if it is of the kind."""
    other = workerlib.portable(enum.Enum("Late", "RED", module=__name__, qualname="Nested.Late"))
    back = round_trip(other.RED)  # type: ignore[attr-defined]
    assert back is other.RED  # type: ignore[attr-defined]
