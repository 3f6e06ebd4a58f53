"""Classes as users write them, of every kind that needs no adapter; for the tests of classes.

Whatever would run code when an object is made says so in `RAN`: nothing may stand there after a trip.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
from collections import namedtuple
from typing import Any, ClassVar, Generic, NamedTuple, Self, TypeVar

T = TypeVar("T")

RAN: list[str] = []


@dataclasses.dataclass
class Point:
    """A plain dataclass."""

    x: int
    y: float = 0.5


@dataclasses.dataclass
class Place(Point):
    """Inherits fields, and adds some that are made by factories."""

    name: str = "nowhere"
    tags: list[str] = dataclasses.field(default_factory=list)
    parent: Any = None
    count: ClassVar[int] = 7


@dataclasses.dataclass
class Derived:
    """Has a field that `__init__` does not take, one for `__init__` alone, and computes."""

    width: int
    scale: dataclasses.InitVar[int] = 1
    area: int = dataclasses.field(init=False)
    unset: int = dataclasses.field(init=False)

    def __post_init__(self, scale: int) -> None:
        RAN.append("Derived.__post_init__")
        self.area = self.width * self.width * scale

    @functools.cached_property
    def half(self) -> float:
        """Is computed once, and kept in the `__dict__`."""
        RAN.append("Derived.half")
        return self.width / 2


@dataclasses.dataclass(frozen=True, order=True)
class Frozen:
    """Can be a key."""

    name: str
    rank: tuple[int, ...] = ()


@dataclasses.dataclass(slots=True)
class Slotted:
    """Has no `__dict__`."""

    x: int
    next: Slotted | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class FrozenSlotted:
    """Frozen, with slots and keywords only."""

    x: int
    y: list[Any] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Box(Generic[T]):
    """Is made as Box[int](1)."""

    content: T


class Tracked:
    """A descriptor that checks what is assigned, and keeps it under its own name."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, instance: Any, owner: type) -> Any:
        return self if instance is None else instance.__dict__[self.name]

    def __set__(self, instance: Any, value: object) -> None:
        RAN.append(f"Tracked.__set__ of {self.name}")
        instance.__dict__[self.name] = value


class Checked:
    """A mixin whose instances want to hear of everything."""

    def __setattr__(self, name: str, value: object) -> None:
        RAN.append("Checked.__setattr__")
        super().__setattr__(name, value)

    def __getattribute__(self, name: str) -> Any:
        if name == "secret":
            RAN.append("Checked.__getattribute__")
        return super().__getattribute__(name)

    def __setstate__(self, state: object) -> None:
        RAN.append("Checked.__setstate__")

    def __del__(self) -> None:
        # As it would be if an object were made only to see whether it can be made.
        if not self.__dict__:
            RAN.append("Checked.__del__ of an empty object")


@dataclasses.dataclass
class Guarded(Checked):
    """A dataclass that runs code at every opportunity."""

    secret: Any
    level: Any = Tracked()

    def __new__(cls, *args: object, **kwargs: object) -> Self:
        RAN.append("Guarded.__new__")
        return super().__new__(cls)

    def __post_init__(self) -> None:
        RAN.append("Guarded.__post_init__")


Pair = namedtuple("Pair", ["left", "right"])


class Typed(NamedTuple):
    """A named tuple as typing has it."""

    name: str
    size: int = 3


class Named(Pair):
    """A named tuple that runs code, and whose instances have a `__dict__`."""

    def __new__(cls, left: object, right: object) -> Self:
        RAN.append("Named.__new__")
        return super().__new__(cls, left, right)

    def __iter__(self) -> Any:
        RAN.append("Named.__iter__")
        return super().__iter__()


class Colour(enum.Enum):
    """Has an alias, a value that cannot be sent, and members with the names of attributes."""

    RED = 1
    CRIMSON = 1  # noqa: PIE796 - an alias
    ODD = object()
    name = "a member"
    value = "another one"


class Number(enum.IntEnum):
    """Its members are ints."""

    ONE = 1
    TWO = 2


class Word(enum.StrEnum):
    """Its members are strs."""

    YES = "yes"
    NO = "no"


class Access(enum.Flag):
    """Its members can be combined."""

    READ = 1
    WRITE = 2
    RUN = 4
    ALL = 7


class Bits(enum.IntFlag):
    """Its members can be combined, and with unknown bits too."""

    LOW = 1
    HIGH = 8

    @classmethod
    def _missing_(cls, value: object) -> Any:
        RAN.append("Bits._missing_")
        return super()._missing_(value)


class Planet(Typed, enum.Enum):
    """Members that are something else as well."""

    EARTH = ("earth", 6)


class PlainError(Exception):
    """A user's exception without anything."""


class FieldError(ValueError):
    """Its constructor takes other arguments than `args` has."""

    def __init__(self, *, field: str, rows: list[int]) -> None:
        RAN.append("FieldError.__init__")
        super().__init__(f"wrong {field}")
        self.field = field
        self.rows = rows


class NewError(Exception):
    """Its `__new__` takes other arguments than `args` has."""

    def __new__(cls, code: int) -> Self:
        RAN.append("NewError.__new__")
        return super().__new__(cls, code, "made")


class SlotError(Exception):
    """Keeps what it has in slots."""

    __slots__ = ("__private", "place")

    def __init__(self, place: object, private: object) -> None:
        super().__init__("slots")
        self.place = place
        self.__private = private

    def private(self) -> object:
        """Gives what stands in the private slot."""
        return self.__private


class NamedError(ImportError):
    """Says otherwise what a builtin class keeps in slots: by a property, and by a value of the class."""

    path = None

    @property
    def name(self) -> str:  # type: ignore[override]
        """Covers the slot."""
        return f"the name is {ImportError.name.__get__(self)}"  # type: ignore[attr-defined]


class ManyError(ExceptionGroup):
    """A group with another constructor, as Python's documentation has one."""

    def __new__(cls, errors: list[Exception], exit_code: int) -> Self:
        self = super().__new__(cls, f"exit code: {exit_code}", errors)
        self.exit_code = exit_code
        return self

    exit_code: int

    def derive(self, excs: Any) -> Any:
        """Makes a group of the same class."""
        return ManyError(excs, self.exit_code)


@dataclasses.dataclass
class DataError(Exception):
    """An exception that is a dataclass."""

    code: int
    where: Point


class Plain:
    """A class that says nothing of itself."""

    def __init__(self) -> None:
        self.x = 1
