"""Arguments of pages in JavaScript are built as annotations say: what JavaScript sends of a type becomes that type."""

from __future__ import annotations

import dataclasses
import enum
import functools
import inspect
import sys
import typing
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, NewType, NotRequired, TypedDict, TypeVar, Unpack
from uuid import UUID

import pytest
from workerlib._javascript.arguments import LEFT_OUT, build_arguments, find_builder

if TYPE_CHECKING:
    from nowhere import Missing


class Colour(enum.Enum):
    RED = "red"
    GREEN = "green"


@dataclasses.dataclass
class Point:
    x: float
    y: float = 0.0


@dataclasses.dataclass
class Tree:
    at: Point
    branches: list[Tree] = dataclasses.field(default_factory=list)


class Size(NamedTuple):
    width: Decimal
    height: int = 1


class Options(TypedDict):
    colour: Colour
    limit: NotRequired[timedelta]


Number = NewType("Number", Decimal)
Bound = TypeVar("Bound", bound=Point)
Chosen = TypeVar("Chosen", Colour, int)

BUILT: list[tuple[Any, Any, Any]] = [
    (Colour, "red", Colour.RED),
    (Colour | None, None, None),
    (Point, {"x": 1, "y": 2}, Point(1, 2)),
    (Point, {"x": 1}, Point(1, 0.0)),
    (list[Point], [{"x": 1}], [Point(1)]),
    (Sequence[Colour], ["red"], [Colour.RED]),
    (dict[str, Point], {"a": {"x": 1}}, {"a": Point(1)}),
    (dict[Colour, int], {"red": 1}, {Colour.RED: 1}),
    (Tree, {"at": {"x": 1}, "branches": [{"at": {"x": 2}}]}, Tree(Point(1), [Tree(Point(2))])),
    (Size, ["1.5", 2], Size(Decimal("1.5"), 2)),
    (Size, ["1.5"], Size(Decimal("1.5"))),
    (Options, {"colour": "green", "limit": 1500}, {"colour": Colour.GREEN, "limit": timedelta(seconds=1.5)}),
    (tuple[Colour, int], ["red", 1], (Colour.RED, 1)),
    (tuple[int, ...], [1, 2], (1, 2)),
    (tuple, [1], (1,)),
    (set[Colour], {"red"}, {Colour.RED}),
    (frozenset[int], {1}, frozenset({1})),
    (deque[int], [1], deque([1])),
    (Decimal, "0.10", Decimal("0.10")),
    (Decimal, 0.1, Decimal("0.1")),
    (Number, "1", Decimal(1)),
    (Annotated[Decimal, "money"], "1", Decimal(1)),
    (UUID, str(UUID(int=1)), UUID(int=1)),
    (Path, "a/b", Path("a/b")),
    (date, datetime(2026, 11, 28, tzinfo=UTC), date(2026, 11, 28)),
    (time, "12:30:00", time(12, 30)),
    (timedelta, 1000.5, timedelta(seconds=1, microseconds=500)),
    (bytearray, b"ab", bytearray(b"ab")),
    (Point | str, "text", "text"),
    (Point | Colour, "red", Colour.RED),
    (Point | Tree, {"at": {"x": 1}}, Tree(Point(1))),
    (int | Colour, 5, 5),
    (Bound, {"x": 1}, Point(1)),
    (list[Chosen], ["red", 1], [Colour.RED, 1]),
]


@pytest.mark.parametrize(("annotation", "sent", "built"), BUILT)
def test_an_argument_becomes_what_its_annotation_names(annotation: Any, sent: Any, built: Any) -> None:
    """The function gets the instance, and not the object, the text or the number that stands for it."""

    def function(value: Any) -> None: ...

    function.__annotations__ = {"value": annotation}
    for args, kwargs in (([sent], {}), ([], {"value": sent})):
        got_args, got_kwargs = build_arguments(function, args, kwargs)
        [got] = [*got_args, *got_kwargs.values()]
        assert got == built
        assert type(got) is type(built)


@pytest.mark.parametrize(
    "annotation", [int, float, str, bytes, Any, object, list[int], dict[str, float], int | None]
)
def test_what_needs_nothing_costs_nothing(annotation: Any) -> None:
    """An annotation of a type that JavaScript sends has no builder, so that large arguments are not walked."""
    assert find_builder(annotation) is None


def test_each_kind_of_parameter() -> None:
    """Positional-only, rest, keyword-only and further keywords are built like others."""

    def function(a: Colour, /, b: Colour, *rest: Colour, c: Colour, **more: Colour) -> None: ...

    args, kwargs = build_arguments(function, ["red", "green", "red"], {"c": "red", "d": "green"})
    assert args == [Colour.RED, Colour.GREEN, Colour.RED]
    assert kwargs == {"c": Colour.RED, "d": Colour.GREEN}


def test_an_argument_that_is_left_out_takes_its_default() -> None:
    """At the end of the call it is not passed, before others the default is; without a default it is None."""

    def function(a: Colour | None, b: Colour = Colour.RED, c: Any = 3, *rest: Any) -> None: ...

    def plain(a: int, b: int = 2, c: int = 3) -> None: ...

    def given(called: Callable[..., Any], *args: Any) -> list[Any]:
        return build_arguments(called, list(args), {})[0]

    assert given(function, "red", LEFT_OUT, LEFT_OUT) == [Colour.RED]
    assert given(function, "red", LEFT_OUT, 5) == [Colour.RED, Colour.RED, 5]
    assert given(function, LEFT_OUT, "green") == [None, Colour.GREEN]
    assert given(function, LEFT_OUT, "green", LEFT_OUT, LEFT_OUT) == [None, Colour.GREEN, 3, None]
    assert given(plain, 1, LEFT_OUT, LEFT_OUT) == [1]
    assert given(plain, LEFT_OUT, LEFT_OUT, 4) == [None, 2, 4]
    # Python cannot tell the signature of some of its own functions.
    assert given(max, 1, LEFT_OUT) == [1, None]


def supply(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorates a function that gets its first argument of the decorator."""

    @functools.wraps(function)
    def supplied(*args: Any, **kwargs: Any) -> Any:
        return function("database", *args, **kwargs)

    return supplied


def test_a_decorator_that_supplies_an_argument() -> None:
    """Arguments that are left out at the end take the defaults of their parameters, whose places are shifted."""

    @supply
    def query(database: str, text: str, limit: int = 10, day: Colour = Colour.RED) -> Any:
        return database, text, limit, day

    @supply
    def find(database: str, text: str | None) -> Any:
        return database, text

    def called(function: Callable[..., Any], *args: Any) -> Any:
        args, kwargs = build_arguments(function, list(args), {})
        return function(*args, **kwargs)

    assert called(query, "x", LEFT_OUT) == ("database", "x", 10, Colour.RED)
    assert called(query, "x", LEFT_OUT, LEFT_OUT) == ("database", "x", 10, Colour.RED)
    assert called(find, LEFT_OUT) == ("database", None)


def test_a_decorator_that_says_what_remains() -> None:
    """By `__signature__` each argument has its place: its default if it is left out, and its annotation."""

    def query(database: Colour, text: str = "all", colour: Colour = Colour.RED) -> Any:
        return database, text, colour

    decorated = supply(query)
    with pytest.raises(
        TypeError, match="argument database does not fit .*; a decorator that supplies .*__signature__"
    ):
        build_arguments(decorated, ["x", "green"], {})
    signature = inspect.signature(query)
    decorated = supply(query)
    decorated.__signature__ = signature.replace(parameters=[*signature.parameters.values()][1:])  # type: ignore[attr-defined]
    args, _ = build_arguments(decorated, [LEFT_OUT, "green"], {})
    assert decorated(*args) == ("database", "all", Colour.GREEN)


def test_an_array_beside_an_argument_that_is_left_out() -> None:
    """An argument is not compared: an array would compare its items."""

    class Array:
        def __eq__(self, other: object) -> Any:
            raise ValueError("the truth of an array is ambiguous")

        __hash__ = None  # type: ignore[assignment]

    def function(a: Any, b: int = 2) -> None: ...

    array = Array()
    [only] = build_arguments(function, [array, LEFT_OUT], {})[0]
    assert only is array


def test_keywords_of_a_typed_dict() -> None:
    """`**options: Unpack[Options]` has the items of the TypedDict, each of its own type."""

    def function(a: int, **options: Unpack[Options]) -> None: ...

    _, kwargs = build_arguments(function, [1], {"colour": "red", "limit": 1500})
    assert kwargs == {"colour": Colour.RED, "limit": timedelta(seconds=1.5)}


@pytest.mark.skipif(sys.version_info < (3, 13), reason="typing has ReadOnly since Python 3.13")
def test_a_read_only_item_of_a_typed_dict() -> None:
    """A qualifier says nothing about the value: it is built as without."""
    options = TypedDict("options", {"colour": typing.ReadOnly[Colour]})  # type: ignore[attr-defined]
    build = find_builder(options)
    assert build is not None
    assert build({"colour": "red"}) == {"colour": Colour.RED}


async def test_a_callback_whose_result_is_annotated() -> None:
    """The result of a function of the page is built, too."""

    async def callback(name: str) -> str:
        return name

    async def function(choose: Callable[[str], Awaitable[Colour]]) -> None: ...

    function.__annotations__ = {"choose": Callable[[str], Awaitable[Colour]]}
    [choose], _ = build_arguments(function, [callback], {})
    assert await choose("green") is Colour.GREEN


def test_annotations_that_cannot_be_resolved() -> None:
    """A name that only a type checker imports is no reason to refuse the call."""

    def function(value: Missing, colour: Colour) -> None: ...

    assert build_arguments(function, [1, "red"], {}) == ([1, "red"], {})


def test_a_callable_without_weak_references() -> None:
    """Every callable that can be exported can be called, also one that has no weak references."""

    class Slotted:
        __slots__ = ()

        def __call__(self, value: int) -> None: ...

    assert build_arguments(Slotted(), [1], {}) == ([1], {})


@pytest.mark.parametrize(
    ("annotation", "sent", "message"),
    [
        (Colour, "blue", "the argument value does not fit its annotation: 'blue' is not a valid Colour"),
        (Point, {"z": 1}, "unexpected keyword argument 'z'"),
        (Point, {}, "missing 1 required positional argument: 'x'"),
        (Size, ["1", 2, 3], "it has 3 items, and Size has 2"),
        (tuple[int, Colour], [1], "it has 1 items, and the tuple has 2"),
    ],
)
def test_an_argument_that_does_not_fit(annotation: Any, sent: Any, message: str) -> None:
    """The error names the argument and keeps the cause; the function does not run."""

    def function(value: Any) -> None: ...

    function.__annotations__ = {"value": annotation}
    with pytest.raises(TypeError, match=message) as caught:
        build_arguments(function, [sent], {})
    assert caught.value.__cause__ is not None


@dataclasses.dataclass
class Square:
    side: float
    area: float = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        self.area = self.side**2


def test_a_field_that_is_computed_is_not_given_to_the_constructor() -> None:
    """The page got it, so it sends it with the others; the constructor computes it again."""

    def function(square: Any) -> None: ...

    function.__annotations__ = {"square": Square}
    assert build_arguments(function, [{"side": 2, "area": 4}], {})[0] == [Square(2)]


@dataclasses.dataclass
class Scaled:
    width: float
    by: dataclasses.InitVar[Decimal]
    at: dataclasses.InitVar[Point | None] = None

    def __post_init__(self, by: Decimal, at: Point | None) -> None:
        self.width = float(self.width * float(by.quantize(Decimal("0.1")))) + (at.x if at else 0)


def test_an_argument_of_the_constructor_alone_is_built_too() -> None:
    """The page gives a dataclass its `InitVar`s, which become what their types say, as fields do."""

    def width(one: Scaled) -> float:
        return one.width

    [built], _ = build_arguments(width, [{"width": 2, "by": "1.5", "at": {"x": 1}}], {})
    assert built.width == 4.0


def test_attrs_fields_with_another_name_in_the_constructor() -> None:
    """attrs leaves out the underscore there, and a class may name a field's argument."""
    attrs: Any = pytest.importorskip("attrs", reason="attrs is not installed in this Python")

    @attrs.define
    class Account:
        _owner: str
        count: int = attrs.field(alias="number")
        total: int = attrs.field(init=False, default=0)

    def function(account: Any) -> None: ...

    function.__annotations__ = {"account": Account}
    [account], _ = build_arguments(function, [{"_owner": "Ada", "count": 3, "total": 0}], {})
    assert account == Account("Ada", 3)


def test_pydantic_fields_with_an_alias() -> None:
    """The page gets a model's fields under their names, and sends them back so, in models within models too."""
    pydantic: Any = pytest.importorskip("pydantic", reason="pydantic is not installed in this Python")

    class Name(pydantic.BaseModel):
        first: str = pydantic.Field(alias="firstName")

    class Person(pydantic.BaseModel):
        name: Name = pydantic.Field(alias="fullName")

    if "by_name" not in inspect.signature(Person.model_validate).parameters:
        pytest.skip("this pydantic is older than 2.11")

    def function(person: Any) -> None: ...

    function.__annotations__ = {"person": Person}
    expected = Person(fullName=Name(firstName="Ada"))
    for sent in ({"name": {"first": "Ada"}}, {"fullName": {"firstName": "Ada"}}):
        assert build_arguments(function, [sent], {})[0] == [expected]


def test_pydantic_models() -> None:
    """A model validates what the page sends, and its own error is the cause."""
    pydantic: Any = pytest.importorskip("pydantic", reason="pydantic is not installed in this Python")

    class Person(pydantic.BaseModel):
        name: str
        born: date

    def function(person: Any) -> None: ...

    function.__annotations__ = {"person": Person}
    [person], _ = build_arguments(function, [{"name": "Ada", "born": "1815-12-10"}], {})
    assert person == Person(name="Ada", born=date(1815, 12, 10))
    with pytest.raises(TypeError, match="born") as caught:
        build_arguments(function, [{"name": "Ada"}], {})
    assert isinstance(caught.value.__cause__, pydantic.ValidationError)
