"""Instances of users' own classes need no adapter: they arrive as what they were, without code of theirs."""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import functools
import gc
import pickle
import re
from collections import namedtuple
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import workerlib
from workerlib import Worker
from workerlib._values import sending

import users_classes as users
from trip import frame_of, round_trip
from users_classes import Access, Bits, Colour, Frozen, Named, Pair, Place, Point, Slotted, Typed, Word

Connect = Callable[[], contextlib.AbstractAsyncContextManager[Worker]]


@pytest.fixture(autouse=True)
def nothing_ran() -> Iterator[None]:
    """Forgets what the tests before ran."""
    users.RAN.clear()
    yield
    users.RAN.clear()


def trip(value: Any) -> Any:
    """Makes a round trip during which no code of the value's class runs."""
    users.RAN.clear()
    back = round_trip(value)
    assert users.RAN == []
    assert type(back) is type(value)
    return back


# Dataclasses.


@pytest.mark.parametrize(
    "value",
    [
        Point(1),
        Point(2, -0.5),
        Place(1, 2.0, "home", ["a"], Point(3)),
        Frozen("f", (1, 2)),
        Slotted(1, Slotted(2)),
        users.FrozenSlotted(x=1, y=[Point(1)]),
        users.Box[int](5),
        users.Box(Point(1)),
    ],
    ids=repr,
)
def test_a_dataclass_arrives_as_itself(value: Any) -> None:
    """Plain, frozen, with slots, inherited, generic: of the same class, with equal fields."""
    back = trip(value)
    assert back == value
    assert repr(back) == repr(value)
    assert back is not value


def test_fields_that_are_no_arguments() -> None:
    """A field with init=False has the value that it had, and one without a value has none."""
    value = users.Derived(4, scale=2)
    value.area = 99
    back = trip(value)
    assert vars(back) == {"width": 4, "area": 99}
    assert not hasattr(back, "unset")


def test_a_cached_property_arrives_computed() -> None:
    """Values in the `__dict__` travel, whether they are fields or not."""
    value = users.Derived(5)
    assert value.half == 2.5
    back = trip(value)
    assert back.half == 2.5
    assert users.RAN == []
    assert trip(users.Derived(7)).half == 3.5


def test_attributes_that_are_no_fields_arrive() -> None:
    """An object is what it has, as pickle sees it, and not only what its class says."""
    value: Any = Place(1)
    value.extra = {"more": [Point(2)]}
    back = trip(value)
    assert back.extra == {"more": [Point(2)]}
    assert back.tags == []
    assert back.count == 7


def test_a_frozen_object_arrives_frozen() -> None:
    """It is filled past its own `__setattr__`, which stays as it is."""
    back = trip(Frozen("a"))
    with pytest.raises(dataclasses.FrozenInstanceError):
        back.name = "b"


def test_nothing_of_the_class_runs() -> None:
    """No constructor, no `__setattr__` or `__setstate__`, no descriptor, and `__del__` sees no empty object."""
    value = users.Guarded([1], level="high")
    assert "Guarded.__post_init__" in users.RAN
    back = trip(value)
    assert back.__dict__ == {"secret": [1], "level": "high"}
    assert back.level == "high"
    back.level = "low"
    assert users.RAN.count("Tracked.__set__ of level") == 1


def test_many_instances_say_once_what_they_are() -> None:
    """A thousand points are smaller than pickle's."""
    points = [Point(number, number / 3) for number in range(1_000)]
    assert trip(points) == points
    data, _ = frame_of(points)
    assert data.count(b"users_classes:Point") == 1
    assert len(data) < len(pickle.dumps(points, 5))


# Named tuples.


@pytest.mark.parametrize(
    "value", [Pair(1, [2]), Pair(left=None, right=Pair(1, 2)), Typed("a"), Typed("b", size=4)], ids=repr
)
def test_a_named_tuple_arrives_as_itself(value: Any) -> None:
    """Named tuples of collections and of typing."""
    back = trip(value)
    assert back == value
    assert back._asdict() == value._asdict()


def test_a_named_tuple_of_a_class_with_code() -> None:
    """Its `__new__` and its `__iter__` do not run; what else it has in its `__dict__` arrives."""
    value: Any = Named([1], 2)
    value.note = "kept"
    back = trip(value)
    assert tuple.__eq__(back, value)
    assert vars(back) == {"note": "kept"}


def test_a_named_tuple_of_the_standard_library() -> None:
    """Classes that both sides have imported need no preparation."""
    parts = urlsplit("http://user@host:80/path?query#fragment")
    assert trip(parts) == parts
    assert trip(parts).hostname == "host"


# Enums.


@pytest.mark.parametrize(
    "member",
    [*Colour, *users.Number, *Word, *Access, *Bits, *users.Planet, re.IGNORECASE],
    ids=lambda member: f"{type(member).__name__}.{member._name_}",
)
def test_a_member_arrives_as_itself(member: enum.Enum) -> None:
    """It is the very same object: `is` holds, though its value may be one that cannot be sent."""
    assert trip(member) is member
    assert trip([member, {member: member}]) == [member, {member: member}]


def test_an_alias_arrives_as_its_member() -> None:
    """Both names are one object."""
    assert Colour.CRIMSON is Colour.RED
    assert trip(Colour.CRIMSON) is Colour.RED


@pytest.mark.parametrize(
    "flags",
    [
        Access.READ | Access.RUN,
        Access.READ | Access.WRITE | Access.RUN,
        Access(0),
        ~Access.READ,
        Bits.LOW | Bits.HIGH,
        Bits(0),
        Bits.LOW | 32,
        Bits(64),
        Bits(-2),
        re.IGNORECASE | re.MULTILINE,
    ],
    ids=repr,
)
def test_flags_arrive_combined(flags: enum.Flag) -> None:
    """Several at once, none, a combination with a name, bits without one; no `_missing_` of the class runs."""
    back = trip(flags)
    assert back == flags
    same = type(flags)(flags.value)
    # Early releases of 3.11 make combinations with unknown bits anew each time.
    assert back is same or same is not type(flags)(flags.value)


# Exceptions, as values.


@pytest.mark.parametrize(
    "error",
    [
        users.PlainError(),
        users.PlainError("text", [1], None),
        users.FieldError(field="age", rows=[1, 2]),
        users.NewError(404),
        users.DataError(3, Point(1)),
        workerlib.NoSuchWorkerError("no such worker"),
        workerlib.ConnectTimeoutError("too late"),
        workerlib.UnsendableError("args[0]", "builtins.object"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_exception_arrives_as_itself(error: Any) -> None:
    """Exceptions with constructors of any kind arrive with their `args`, attributes and text."""
    back = trip(error)
    assert back.args == error.args
    assert vars(back) == vars(error)
    assert str(back) == str(error)


def test_an_exception_with_slots() -> None:
    """Private ones too, whose names are mangled."""
    back = trip(users.SlotError([1], "private"))
    assert back.place == [1]
    assert back.private() == "private"


def test_attributes_that_cover_slots_of_builtin_classes() -> None:
    """A property hides no slot from the trip; what a class's own value hides stands in the `__dict__`."""
    error: Any = users.NamedError("text", name="module")
    error.path = "own"
    back = trip(error)
    assert back.name == "the name is module"
    assert vars(back) == {"path": "own"}
    assert back.path == "own"


def test_a_group_with_another_constructor() -> None:
    """Its members arrive as themselves, too."""
    group = users.ManyError([users.PlainError(1), ValueError(2)], 5)
    group.add_note("noted")
    back = trip(group)
    assert (back.message, back.exit_code, back.__notes__) == ("exit code: 5", 5, ["noted"])
    one, other = back.exceptions
    assert (type(one), one.args, type(other), other.args) == (users.PlainError, (1,), ValueError, (2,))
    matching, rest = back.split(users.PlainError)
    assert (type(matching), type(rest)) == (users.ManyError, users.ManyError)


def test_links_between_exceptions() -> None:
    """Cause and context are exceptions as any other."""
    try:
        try:
            raise users.PlainError("inner")
        except users.PlainError as inner:
            raise users.FieldError(field="x", rows=[]) from inner
    except users.FieldError as caught:
        error = caught
    back = trip(error)
    assert back.__cause__ is back.__context__
    assert type(back.__cause__) is users.PlainError
    assert back.__suppress_context__


# Classes that say that they are portable.


@workerlib.portable
class Dict:
    """Has a `__dict__`, private names in it, and a constructor that nobody calls."""

    def __init__(self, value: object, *more: object) -> None:
        users.RAN.append("Dict.__init__")
        self.value = value
        self.__private = more

    def private(self) -> object:
        """Gives the private attribute."""
        return self.__private


class Unfinished:
    """A base with a slot of its own, and none for its `__dict__`."""

    __slots__ = ("__hidden", "base", "covered")

    def hide(self, value: object) -> None:
        """Fills the private slot."""
        self.__hidden = value

    def hidden(self) -> object:
        """Gives the content of the private slot."""
        return self.__hidden


@workerlib.portable
class Slots(Unfinished):
    """Has slots only, one of them empty."""

    __slots__ = ("filled", "unfilled")


@workerlib.portable
class Both(Slots):
    """Has slots and a `__dict__`; what covers a slot of its base is a property."""

    @property
    def covered(self) -> str:  # type: ignore[override]
        users.RAN.append("Both.covered")
        return "the property"


@workerlib.portable
class Delegating:
    """Passes on what it does not have."""

    def __init__(self, target: object) -> None:
        self.target = target

    def __getattr__(self, name: str) -> Any:
        users.RAN.append(f"Delegating.__getattr__ {name}")
        return getattr(self.target, name)


def test_a_portable_class_with_a_dict() -> None:
    """Attributes arrive, private ones by their mangled names."""
    back = trip(Dict([1], 2, 3))
    assert back.value == [1]
    assert back.private() == (2, 3)


def test_a_portable_class_with_slots() -> None:
    """The slots of its bases travel too; an empty slot stays empty."""
    value = Slots()
    value.filled, value.base = "f", "b"
    value.hide("h")
    back = trip(value)
    assert (back.filled, back.base, back.hidden()) == ("f", "b", "h")
    assert not hasattr(back, "unfilled")
    assert not hasattr(back, "__dict__")


def test_a_portable_class_with_both() -> None:
    """Slots and `__dict__` travel, and no property runs."""
    value: Any = Both()
    value.filled, value.free = 1, 2
    Unfinished.covered.__set__(value, "the slot")  # type: ignore[attr-defined]
    back = trip(value)
    assert (back.filled, vars(back)) == (1, {"free": 2})
    assert Unfinished.covered.__get__(back) == "the slot"  # type: ignore[attr-defined]


def test_a_portable_class_with_a_getattr() -> None:
    """It is not asked for what it does not have."""
    assert trip(Delegating("text")).target == "text"


def test_a_class_that_does_not_say_so_is_refused() -> None:
    """An instance of a class that is not portable is refused; the error names class and path."""
    with pytest.raises(workerlib.UnsendableError, match=r"value\['a'\]: users_classes.Plain cannot be sent"):
        round_trip({"a": users.Plain()})


def test_a_subclass_of_a_portable_class_does_not_say_so() -> None:
    """Each class answers for its own attributes."""

    class Sub(Dict):
        pass

    with pytest.raises(workerlib.UnsendableError, match="Sub"):
        round_trip(Sub(1))


@pytest.mark.parametrize("base", [list, dict, int, bytearray, functools.partial])
def test_portable_refuses_what_holds_more_than_attributes(base: type) -> None:
    """A subclass of list would arrive without its elements."""
    with pytest.raises(TypeError, match="test_classes:.*Odd cannot be made empty and filled"):
        workerlib.portable(type("Odd", (base,), {"__module__": "test_classes"}))


def test_portable_is_for_classes() -> None:
    """The decorator refuses a function."""
    with pytest.raises(TypeError, match="decorator for classes"):
        workerlib.portable(test_portable_is_for_classes)  # type: ignore[type-var]


def test_portable_registers_classes_that_stand_nowhere() -> None:
    """A class that was made in a function, of any kind, is found by its registration."""

    @workerlib.portable
    class Local:
        pass

    @workerlib.portable
    @dataclasses.dataclass
    class LocalPoint:
        x: int

    @workerlib.portable
    class LocalColour(enum.Enum):
        RED = 1

    @workerlib.portable
    class LocalError(Exception):
        pass

    local = Local()
    local.x = 1  # type: ignore[attr-defined]
    assert vars(trip(local)) == {"x": 1}
    assert trip(LocalPoint(3)) == LocalPoint(3)
    assert trip(LocalColour.RED) is LocalColour.RED
    assert trip(LocalError(4)).args == (4,)


@dataclasses.dataclass(slots=True)
@workerlib.portable
class Remade:
    """The outer decorator makes another class than the one that was registered."""

    x: int


def test_portable_below_a_decorator_that_makes_another_class() -> None:
    """The class that stands in the module counts."""
    assert trip(Remade(1)) == Remade(1)


# Objects among each other.


def test_an_object_that_contains_itself() -> None:
    """Directly, through others, and through containers."""
    place = Place(1)
    place.parent = place
    place.tags = [place]  # type: ignore[list-item]
    back = trip(place)
    assert back.parent is back
    assert back.tags[0] is back

    first, second = Dict(1), Slotted(2)
    first.value, second.next = second, first  # type: ignore[assignment]
    back = trip(first)
    assert back.value.next is back

    error: Any = users.PlainError("loop")
    error.args, error.origin = ([error],), {"error": Pair(error, 1)}
    back = trip(error)
    assert back.args[0][0] is back.origin["error"].left is back


def test_sharing_is_kept() -> None:
    """One object stays one, and two stay two."""
    point, tags = Point(1), ["shared"]
    one, other = Place(1, tags=tags, parent=point), Place(2, tags=tags, parent=point)
    back = trip([one, other, Pair(point, Point(1))])
    assert back[0].tags is back[1].tags
    assert back[0].parent is back[1].parent is back[2].left
    assert back[2].right is not back[2].left


def test_objects_are_keys() -> None:
    """They are filled before they are hashed, and found again."""
    keys: list[Any] = [Frozen("a", (1,)), Frozen("b"), Pair(1, "x"), Typed("c"), Colour.RED]
    keys.append(Access.READ | Access.RUN)
    back = trip([dict.fromkeys(keys, 1), set(keys), frozenset(keys), {(keys[0], 2): 3}])
    for key in keys:
        assert back[0][key] == 1
        assert key in back[1]
        assert key in back[2]
    assert back[3][(Frozen("a", (1,)), 2)] == 3


def test_an_object_that_is_a_key_of_its_own_dict() -> None:
    """With the hash that every object has, that works."""
    value = Dict(None)
    value.value = {value: 1}
    back = trip(value)
    assert back.value[back] == 1


def test_chains_have_a_bound() -> None:
    """A hundred objects arrive; a thousand are refused where they are sent, for Python frees by recursion."""
    chain = None
    for number in range(100):
        chain = Slotted(number, chain)
    assert trip(chain) == chain
    for number in range(1_000):
        chain = Slotted(number, chain)
    with pytest.raises(workerlib.UnsendableError, match="200 levels"):
        round_trip(chain)


# Classes as values.


@pytest.mark.parametrize(
    "cls",
    [Point, Slotted, Pair, Typed, Colour, Access, users.ManyError, Dict, workerlib.FrameError],
    ids=lambda cls: cls.__name__,
)
def test_a_class_arrives_as_itself(cls: type) -> None:
    """Classes of these kinds are found by their names, as their instances' are."""
    assert trip(cls) is cls
    assert trip({cls: [cls]}) == {cls: [cls]}


def test_a_class_of_no_kind_is_refused() -> None:
    """A frame with an unknown kind of class is refused, and the error names the kind."""
    with pytest.raises(workerlib.UnsendableError, match="users_classes.Plain"):
        round_trip([users.Plain])


# Values that cannot be sent.


def test_the_path_leads_through_attributes() -> None:
    """The error says which attribute holds what cannot be sent."""
    value = Place(1, parent=Dict([Pair(0, object())]))
    with pytest.raises(workerlib.UnsendableError) as caught:
        round_trip({"place": value})
    assert caught.value.path == "value['place'].parent.value[0][1]"


def test_a_class_that_is_not_found_again_is_refused() -> None:
    """One that stands in no module, or under another name, is an error where it is sent, with the remedy."""

    @dataclasses.dataclass
    class Local:
        x: int

    class LocalError(Exception):
        pass

    local = namedtuple("local", "x")
    shadow = dataclasses.make_dataclass("Point", ["x"])
    shadow.__module__ = users.__name__
    for value in (Local(1), LocalError(), local(1), enum.Enum("Colours", "RED").RED, shadow(1), Local):
        with pytest.raises(workerlib.UnsendableError, match="top level of a module.*@workerlib.portable"):
            round_trip([value])


def test_attributes_with_pythons_own_names_are_refused() -> None:
    """They would not be set on the other side, so they are not left out in silence either."""
    value: Any = Point(1)
    value.__odd__ = 1
    with pytest.raises(workerlib.UnsendableError, match="__odd__"):
        round_trip(value)


def test_objects_that_arrive_are_collected() -> None:
    """Cycles of them are not kept alive by anything of the library's."""
    import weakref

    back = trip(Dict(None))
    back.value = back
    gone = weakref.ref(back)
    del back
    gc.collect()
    assert gone() is None


# Over a connection.


async def test_they_pass_over_a_connection(connect: Connect) -> None:
    """Instances pass as arguments, as keyword arguments and as results, and the function sees the class."""

    @workerlib.export
    def examine(*args: Any, **kwargs: Any) -> Any:
        return [type(one).__name__ for one in args], args, kwargs

    values = (Place(1, parent=Frozen("p")), Pair(1, 2), Colour.RED, users.PlainError("value"), Dict(3))
    async with connect() as worker:
        names, args, kwargs = await worker.examine(*values, point=Point(1), access=Access.ALL)
    assert names == ["Place", "Pair", "Colour", "PlainError", "Dict"]
    assert args[:3] == values[:3]
    assert args[3].args == ("value",)
    assert args[4].value == 3
    assert kwargs == {"point": Point(1), "access": Access.ALL}


async def test_a_class_that_one_side_does_not_have(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """The call raises and names class and module, whichever way the object goes; the worker lives on."""

    class Stranger:
        """Is sent as a dataclass that nobody has."""

    parts = (("dataclass", "nowhere:Thing", ("x",)), "x", 1)
    monkeypatch.setitem(sending.DEFAULT.ways, Stranger, (25, lambda _: parts))

    @workerlib.export
    def give() -> Stranger:
        return Stranger()

    @workerlib.export
    def take(value: object) -> str:
        return repr(value)

    message = "the class Thing is not known here: import nowhere"
    async with connect() as worker:
        with pytest.raises(workerlib.FrameError, match=message):
            await worker.give()
        with pytest.raises(workerlib.FrameError, match=message):
            await worker.take([Stranger()])
        assert await worker.take(Point(1)) == "Point(x=1, y=0.5)"
