"""pydantic beyond plain models: generic ones with their types, registered ones, and its errors."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Generic, Literal, TypeVar

import pytest
import workerlib
from workerlib import FrameError, UnsendableError, Worker
from workerlib._native import decode, encode
from workerlib._values.exceptions import describe, rebuild

pydantic: Any = pytest.importorskip(
    "pydantic", reason="pydantic is not here: it has no wheel for this Pyodide"
)
core: Any = pytest.importorskip("pydantic_core")
attrs: Any = pytest.importorskip("attrs")

from trip import round_trip

Connect = Callable[[], AbstractAsyncContextManager[Worker]]
T = TypeVar("T")
S = TypeVar("S")


class Item(pydantic.BaseModel):  # type: ignore[misc]
    number: int = 1


class Page(pydantic.BaseModel, Generic[T]):  # type: ignore[misc]
    items: list[T]


class Pair(pydantic.BaseModel, Generic[T, S]):  # type: ignore[misc]
    left: T
    right: S


class Book(pydantic.BaseModel):  # type: ignore[misc]
    """Models that were given types stand in it, which nobody finds by a name in the module."""

    pages: Page[Item]
    numbers: Page[int]
    lists: Page[list[Item]]
    either: Page[Item | None]
    kinds: Page[Literal["a", "b"]]
    pair: Pair[str, Page[Item]]


@workerlib.portable
class Registered(pydantic.BaseModel):  # type: ignore[misc]
    model_config = pydantic.ConfigDict(extra="allow")
    number: int = 1
    _private: int = pydantic.PrivateAttr(default=3)


@workerlib.portable
@attrs.frozen(cache_hash=True)
class Hashed:
    text: str


def book() -> Book:
    return Book(
        pages=Page[Item](items=[Item(number=2)]),
        numbers=Page[int](items=[1]),
        lists=Page[list[Item]](items=[[Item()]]),
        either=Page[Item | None](items=[None]),
        kinds=Page[Literal["a", "b"]](items=["a"]),
        pair=Pair[str, Page[Item]](left="x", right=Page[Item](items=[])),
    )


def test_generic_models_in_another_model() -> None:
    """Each arrives as the very class that the receiver's model has."""
    back: Any = round_trip(book())
    assert back == book()
    for name in ("pages", "numbers", "lists", "either", "kinds", "pair"):
        assert type(getattr(back, name)) is type(getattr(book(), name))
    back.pages.items.append(Item())
    assert Book.model_validate(back.model_dump()) == back


def test_a_generic_model_by_itself() -> None:
    """A generic model arrives, also as a class, and as a root model."""
    root = pydantic.RootModel[list[int]]
    for value in (Page[Item](items=[]), root([1, 2])):
        back: Any = round_trip([value])
        assert back == [value]
        assert type(back[0]) is type(value)
    assert round_trip([Page[Item]]) == [Page[Item]]


def test_a_generic_model_that_the_receiver_never_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is made because a frame names it; the error says how to have it."""
    frame, buffers = encode(Page[int](items=[1]))
    changed = frame.replace(b"Page[builtins:int]", b"Page[builtins:str]")
    assert changed != frame
    known = [cls for cls in Page.__subclasses__() if cls.__name__ == "Page[str]"]
    assert not known
    with pytest.raises(
        FrameError, match=r"Page\[builtins:str\] is not known here: use that model with these types"
    ):
        decode(changed, buffers)
    assert not [cls for cls in Page.__subclasses__() if cls.__name__ == "Page[str]"]


def test_a_generic_model_of_a_class_that_is_not_found() -> None:
    """The remedy is that of any class: it works for the model itself."""

    class Local(pydantic.BaseModel, Generic[T]):  # type: ignore[misc]
        item: T

    with pytest.raises(UnsendableError, match="register it: @workerlib.portable"):
        encode(Local[int](item=1))
    workerlib.portable(Local)
    assert round_trip(Local[int](item=1)) == Local[int](item=1)


def test_a_registered_model() -> None:
    """`@portable` finds the class, and leaves what it is made of to pydantic."""
    value = Registered(number=2, more=[1])
    value._private = 5
    back: Any = round_trip(value)
    assert back == value
    assert (back._private, back.model_extra, back.model_fields_set) == (5, {"more": [1]}, {"number", "more"})


def test_a_registered_class_of_attrs_that_keeps_its_hash() -> None:
    """The hash of a str is another one in another Python."""
    value = Hashed("x")
    hash(value)
    back: Any = round_trip(value)
    assert back == value
    assert back._attrs_cached_hash is None
    assert hash(back) == hash(value)


class Strict(pydantic.BaseModel):  # type: ignore[misc]
    number: int
    names: list[str] = pydantic.Field(default_factory=list)
    text: str = ""

    @pydantic.field_validator("text")
    @classmethod
    def check(cls, text: str) -> str:
        if text == "value":
            raise ValueError("no {text}")
        if text == "assert":
            raise AssertionError("not so")
        if text == "own":
            raise core.PydanticCustomError("my_kind", "hello {who}", {"who": "you"})
        return text


class Hidden(pydantic.BaseModel):  # type: ignore[misc]
    model_config = pydantic.ConfigDict(hide_input_in_errors=True)
    secret: int


ERRORS: dict[str, Callable[[], object]] = {
    "several": lambda: Strict(number="x", names=3),
    "a ValueError": lambda: Strict(number=1, text="value"),
    "an AssertionError": lambda: Strict(number=1, text="assert"),
    "one of its own": lambda: Strict(number=1, text="own"),
    "missing": lambda: Strict(),
    "of JSON": lambda: Strict.model_validate_json('{"number": "x", "names": {}}'),
    "hidden": lambda: Hidden(secret="x"),
    "of an adapter": lambda: pydantic.TypeAdapter(list[int]).validate_python(["z"]),
    "large": lambda: Strict(number=b"x" * 50_000),
}


def error_of(name: str) -> Any:
    with pytest.raises(pydantic.ValidationError) as caught:
        ERRORS[name]()
    return caught.value


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_as_a_value(name: str) -> None:
    """It is one of pydantic's, and tells the same."""
    error = error_of(name)
    error.add_note("a note")
    back: Any = round_trip([error])[0]  # type: ignore[index]
    assert type(back) is pydantic.ValidationError
    assert str(back) == str(error)
    assert back.__notes__ == ["a note"]
    assert [one["loc"] for one in back.errors()] == [one["loc"] for one in error.errors()]
    assert [one["type"] for one in back.errors()] == [one["type"] for one in error.errors()]


@pytest.mark.parametrize("name", ERRORS)
async def test_an_error_that_is_raised(name: str, connect: Connect) -> None:
    """The page that has pydantic can catch it as what it is."""

    @workerlib.export
    def fail() -> None:
        ERRORS[name]()

    async with connect() as worker:
        with pytest.raises(pydantic.ValidationError) as caught:
            await worker.fail()
    assert str(caught.value) == str(error_of(name))
    assert any(frame.name == "fail" for frame in _frames(caught.value))


def _frames(error: BaseException) -> Any:
    import traceback

    return traceback.extract_tb(error.__traceback__)


def test_an_error_whose_input_cannot_be_sent() -> None:
    """Its `repr()` stands for it, and a note has the worker's own text."""
    with pytest.raises(pydantic.ValidationError) as caught:
        Strict(number=sys)
    back = rebuild(describe(caught.value))
    assert isinstance(back, pydantic.ValidationError)
    assert str(caught.value) in back.__notes__[0]


@pytest.mark.parametrize(
    "values",
    [
        (None, None, False, {}, "Strict", "python", False, [{}]),
        (
            None,
            None,
            False,
            {},
            "Strict",
            "python",
            False,
            [{"type": "x", "loc": [], "input": 1, "msg": "m"}],
        ),
        (None, None, False, {}, "Strict", "python", False, [{"type": 7, "loc": (), "input": 1, "msg": "m"}]),
        (None, None, False, {}, "Strict", "python", False, [7]),
        (None, None, False, {}, "Strict", "yaml", False, []),
        (None, None, False, {}, 7, "python", False, []),
        (None, None, False, 7, "Strict", "python", False, []),
        (1, None, False, {}, "Strict", "python", False, []),
        (),
    ],
    ids=repr,
)
def test_errors_that_lie(values: tuple[object, ...]) -> None:
    """A frame that describes no error is refused."""
    from trip import frame_of_extension

    frame, buffers = frame_of_extension(78, ("pydantic_core.ValidationError", *values))
    with pytest.raises(FrameError):
        decode(frame, list(buffers))
