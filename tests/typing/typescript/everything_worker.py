"""A worker with every kind of annotation that has a type in JavaScript."""

from __future__ import annotations

import enum
from collections import Counter, namedtuple
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, InitVar, dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    ClassVar,
    Generic,
    Literal,
    NamedTuple,
    NewType,
    NotRequired,
    Optional,
    ParamSpec,
    Protocol,
    Required,
    TypeAlias,
    TypedDict,
    TypeVar,
    Union,
    Unpack,
    overload,
)
from uuid import UUID

import attr
import attrs
import models
import numpy as np
import numpy.typing as npt
import workerlib
from models import Point, Track
from pydantic import AfterValidator, BaseModel, Field, RootModel, conlist
from pydantic import Field as Given
from typing_extensions import ReadOnly, TypeAliasType, TypeIs

if TYPE_CHECKING:
    from js import ImageBitmap

T = TypeVar("T")
P = ParamSpec("P")
Both: TypeAlias = tuple[T, T]
Names = TypeAliasType("Names", list[str])
OnNumber = Callable[[int], None]
Handler = Callable[P, T]
UserId = NewType("UserId", int)
Json = Union[None, bool, float, str, list["Json"], dict[str, "Json"]]  # noqa: UP007
Maybe = float | None
Pair = namedtuple("Pair", "left right", defaults=(1,))


class Colour(enum.Enum):
    """A colour."""

    RED = "red"
    GREEN = "green"


class Level(enum.IntEnum):
    LOW = enum.auto()
    HIGH = 10
    HIGHEST = enum.auto()


class Mode(enum.StrEnum):
    FAST = enum.auto()
    SLOW = enum.auto()


class Step(enum.IntEnum):
    FIRST = 1
    SECOND = FIRST << 1
    LAST = SECOND
    HALF: int = FIRST + SECOND


class Planet(enum.Enum):
    EARTH = ("earth", 3)
    MARS = ("mars", 4)

    def __init__(self, title: str, place: int) -> None: ...


class Suit(enum.Enum):
    HEARTS = enum.member("hearts")
    COUNT = enum.nonmember(4)


class Unit(str, enum.Enum):
    METRE = "m"
    SECOND = "s"


class Port(enum.IntEnum):
    HTTP = int("80")


class Rights(enum.IntFlag):
    READ = 1
    WRITE = 2


class Size(NamedTuple):
    width: int
    height: int = 1


class Options(TypedDict, total=False):
    digits: int
    mode: Mode


class Filter(Options):
    text: str
    limit: NotRequired[int]


class Film(TypedDict, total=False):
    title: Annotated[Required[str], "as it was shown"]
    year: ReadOnly[Required[int]]
    rating: ReadOnly[float]


class Ticket(TypedDict):
    seat: ReadOnly[NotRequired[int]]
    """The seat, if there is one."""
    price: Annotated[NotRequired[float], "in euros"]


@dataclass
class Circle(Point):
    """A circle: what `*/` says is no end of the comment."""

    registry: ClassVar[int] = 0
    radius: float = 1.0
    seed: InitVar[int] = 0
    within: "InitVar[Point | None]" = None  # noqa: UP037
    made: "ClassVar[int]" = 0  # noqa: UP037
    _: KW_ONLY
    colour: Colour | None = None


@attrs.define
class Sample:
    taken: datetime
    values: npt.NDArray[np.float64]


@attr.s
class Marked:
    text = attr.ib(type=str)
    times = attr.ib(type=int, default=1)


class Address(BaseModel):
    street: str
    tags: set[str] = set()
    _cache: int = 0


class Person(Address):
    name: str
    friends: list[Person] = []


class Search(BaseModel):
    """A page may leave out what has a default."""

    text: str
    within: Circle = Field(default_factory=lambda: Circle(0, 0))
    limit: Annotated[int, Field(gt=0)] = 10
    required: int = Given(gt=1)
    demanded: Annotated[int, AfterValidator(abs)] = ...  # type: ignore[assignment]
    annotated: Annotated[int, Field(default=1, description="How often it was annotated.")]
    size: Size = Size(1)


class Ids(RootModel[list[int]]):
    pass


@dataclass
class Page(Generic[T]):
    items: list[T]
    next: Page[T] | None


class OnStep(Protocol):
    def __call__(self, done: int, of: int) -> None: ...


class Date(TypedDict):
    """It has the name of a class of JavaScript's."""

    year: int
    day: date


@workerlib.export
def plain(a: int, b: float = 0, /, c: str = "", *rest: bool, digits: int = 2, name: str) -> None:
    """Has every kind of parameter."""


@workerlib.export
def mean(values: Sequence[float]) -> float: ...


@workerlib.export
async def find(user: UserId, default: str | None = None) -> Optional[str]: ...  # noqa: UP045


@workerlib.export
def maybe(value: Maybe) -> Maybe: ...


@workerlib.export
def moments(day: date, at: datetime) -> tuple[datetime, timedelta, time]: ...


@workerlib.export
def texts(amount: Decimal, path: Path, id: UUID) -> Decimal: ...


@workerlib.export
def containers(a: dict[str, int], b: dict[int, str], c: set[str], d: Mapping[str, Any]) -> dict[int, str]: ...


@workerlib.export
def count(text: str) -> Counter[str]: ...


@workerlib.export
def nested(rows: list[int | None]) -> list[tuple[int, ...]]: ...


@workerlib.export
def json(value: Json) -> Json: ...


@workerlib.export
def geometry(points: list[Point], track: Track, other: models.Point) -> Circle: ...


@workerlib.export
def choose(
    colour: Colour, level: Level, mode: Mode, rights: Rights, only: Literal["a", 1, Colour.RED]
) -> Colour: ...


@workerlib.export
def sizes(size: Size, pair: Pair) -> list[Size]: ...


@workerlib.export
def options(given: Options, filter: Filter) -> Filter: ...


@workerlib.export
def sample() -> Sample: ...


@workerlib.export
def mark(one: Marked) -> Marked: ...


@workerlib.export
def person(name: str) -> Person | None: ...


@workerlib.export
def search(first: Search, *more: Search) -> list[Search]: ...


@overload
def pick(key: int, default: None = None) -> float | None: ...


@overload
def pick(key: str, default: bool) -> str: ...


@workerlib.export
def pick(key, default=None): ...


@workerlib.export
def step_to(step: Step, planet: Planet, port: Port, unit: Unit, **others: float) -> Step: ...


@workerlib.export
def ids() -> Ids: ...


@workerlib.export
def page() -> Page[Point]: ...


@workerlib.export
def arrays(a: np.ndarray, b: npt.NDArray[np.float32]) -> np.ndarray[tuple[int], np.dtype[np.int16]]: ...


@workerlib.export
def data(raw: bytes, picture: ImageBitmap) -> bytes: ...


@workerlib.export
async def steps(
    report: Callable[[int, Colour], Awaitable[bool]], done: OnStep, late: Callable[..., Any]
) -> None: ...


@workerlib.export
def dated(day: Date) -> Annotated[int, "a number"]: ...


@workerlib.export
def untyped(anything): ...


@workerlib.export(name="call")
def hidden(value: int) -> int:
    """Has the name of a worker's own member."""


@workerlib.export(name="with-dashes")
def dashed() -> None: ...


@workerlib.export
def delete(new: int, default: int = 0) -> None: ...


@workerlib.export
def streamed(limit: int = 3) -> Iterator[Point]:
    """Gives its items one by one."""
    yield from ()


@workerlib.export
async def ticks():
    yield 1


@workerlib.export
async def total(numbers: AsyncIterator[float], others: AsyncIterable[Point] | None = None) -> float: ...


@workerlib.export
def given() -> AsyncIterator[int]: ...


@workerlib.export
async def asked(question: Callable[[str], workerlib.Reply[bool]]) -> None: ...


@workerlib.export
def film(one: Film, ticket: Ticket, suit: Suit) -> Film: ...


@workerlib.export
def aliases(both: Both[int], names: Names, marks: conlist(int, max_length=3)) -> Both[str]: ...  # type: ignore[valid-type]


@workerlib.export
async def heard(
    on_number: OnNumber, handler: Handler[[int, str], bool], maybe: OnNumber | None = None
) -> None: ...


@workerlib.export
def unpacked(
    *parts: Unpack[tuple[int, str]],  # noqa: UP044
    **film: Unpack[Film],
) -> tuple[int, *tuple[str, ...]]: ...


@workerlib.export
def passed(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> None: ...


@workerlib.export
def by_name(
    colours: dict[Colour, int], modes: dict[Literal["a", "b"], int], either: dict[int | str, bool]
) -> dict[Mode, float]: ...


@workerlib.export
def is_text(value: object) -> TypeIs[str]: ...


@workerlib.export
def once(value: Union[None, int, str]) -> None: ...  # noqa: UP007
