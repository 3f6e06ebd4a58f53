"""Instances of attrs classes and pydantic models need no adapter; with the real libraries, where there are any."""

from __future__ import annotations

import functools
import sys
from typing import Any, Generic, TypeVar

import pytest
import workerlib
from workerlib._native import decode

from trip import frame_of, frame_of_extension, round_trip

MISSING = "pydantic has no wheel for this Pyodide on PyPI" if sys.platform == "emscripten" else None
attrs = pytest.importorskip("attrs", reason=MISSING)
pydantic = pytest.importorskip("pydantic", reason=MISSING)
pydantic_dataclasses = pytest.importorskip("pydantic.dataclasses", reason=MISSING)

T = TypeVar("T")
RAN: list[str] = []


def note(*_: object) -> None:
    """Is a validator of attrs."""
    RAN.append("validator")


@attrs.define
class Defined:
    """The usual kind: with slots."""

    x: int = attrs.field(validator=note, converter=int)
    y: Any = attrs.field(factory=list, alias="other_name")
    _private: int = 3
    late: int = attrs.field(init=False, eq=False)

    def __attrs_post_init__(self) -> None:
        RAN.append("__attrs_post_init__")

    @functools.cached_property
    def twice(self) -> int:
        """Is kept in a slot, by attrs."""
        RAN.append("twice")
        return self.x * 2


@attrs.frozen(cache_hash=True)
class Key:
    """Frozen, and keeps its hash."""

    name: str
    rank: int = 0


@attrs.define(slots=False)
class Open:
    """Has a `__dict__`."""

    x: int


class Undecorated(Open):
    """Inherits from an attrs class without being made one."""


@attrs.define
class Child(Defined):
    """Inherits fields."""

    z: int = 4


@attrs.define
class AttrsError(Exception):
    """An exception that is an attrs class."""

    code: int
    where: str = "here"


class Model(pydantic.BaseModel):
    """A model with validators, private attributes, and no others."""

    x: int
    name: str | None = None
    children: list[Model] = pydantic.Field(default_factory=list)
    _secret: int = pydantic.PrivateAttr(default=7)
    _unset: int = pydantic.PrivateAttr()

    @pydantic.field_validator("x")
    @classmethod
    def check(cls, value: int) -> int:
        """Notes that it ran."""
        RAN.append("check")
        return value

    @pydantic.model_validator(mode="after")
    def check_all(self) -> Model:
        """Notes that it ran."""
        RAN.append("check_all")
        return self

    def model_post_init(self, context: object) -> None:
        """Notes that it ran."""
        RAN.append("model_post_init")

    @functools.cached_property
    def twice(self) -> int:
        """Is kept in the `__dict__`."""
        return self.x * 2


class Extra(pydantic.BaseModel, extra="allow", frozen=True):
    """A model that takes what it does not know."""

    x: int


class Many(pydantic.RootModel[list[int]]):
    """A model of a list."""


class Wrapped(pydantic.BaseModel, Generic[T]):
    """A generic model."""

    content: T


WrappedInt = Wrapped[int]


@pydantic_dataclasses.dataclass
class Checked:
    """A dataclass of pydantic's."""

    x: int

    def __post_init__(self) -> None:
        RAN.append("Checked")


def trip(value: Any) -> Any:
    """Makes a round trip during which no code of the value's class runs."""
    RAN.clear()
    back = round_trip(value)
    assert RAN == []
    assert type(back) is type(value)
    return back


@pytest.mark.parametrize(
    "value",
    [Defined(1), Defined(2, other_name=[Open(1)]), Child(1, z=5), Key("k", 2), Open(3), Undecorated(4)],
    ids=repr,
)
def test_an_attrs_object_arrives_as_itself(value: Any) -> None:
    """With slots, frozen, with a `__dict__`, inherited; no validator, converter or `__attrs_post_init__` runs."""
    back = trip(value)
    assert back == value


def test_what_attrs_did_not_check_arrives_unchecked() -> None:
    """The object arrives as it is, even where its class would not make it so."""
    value = Defined(1)
    object.__setattr__(value, "x", "no int")
    back = trip(value)
    assert back.x == "no int"
    assert back._private == 3
    assert not hasattr(back, "late")


def test_a_cached_property_of_attrs() -> None:
    """It arrives computed if it was."""
    value = Defined(4)
    assert value.twice == 8
    back = trip(value)
    assert back.twice == 8
    assert RAN == []


def test_frozen_attrs_objects_are_keys() -> None:
    """The hash that the sender kept does not travel: strs have other hashes in another Python."""
    key = Key("name", 1)
    kept = hash(key)
    object.__setattr__(key, "_attrs_cached_hash", kept + 1)
    back = trip({key: 1, (key, 2): 3})
    assert back[Key("name", 1)] == 1
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        next(iter(back)).name = "other"


def test_an_exception_of_attrs() -> None:
    """It is an exception and has its fields, in slots or not."""
    error = AttrsError(5)
    back = trip(error)
    assert (back.code, back.where, back.args) == (5, "here", error.args)


@pytest.mark.parametrize(
    "value",
    [
        Model(x=1),
        Model(x=2, name="n", children=[Model(x=3)]),
        Extra(x=1, more=[1, 2]),
        Many([1, 2]),
        WrappedInt(content=5),
        Checked(3),
    ],
    ids=repr,
)
def test_a_pydantic_model_arrives_as_itself(value: Any) -> None:
    """With extra fields, of lists, generic, and pydantic's dataclasses: no validator runs."""
    back = trip(value)
    assert back == value
    assert repr(back) == repr(value)


class Account(pydantic.BaseModel):
    """A model whose fields are of pydantic's own types."""

    home: pydantic.HttpUrl
    anywhere: pydantic.AnyUrl
    database: pydantic.PostgresDsn
    password: pydantic.SecretStr
    key: pydantic.SecretBytes
    number: pydantic.Secret[int]


def test_fields_of_pydantics_own_types() -> None:
    """URLs and secrets, in models and alone; a secret is sent, and is shown no more than before."""
    urls = {
        "home": "https://münchen.example/a?b#c",
        "anywhere": "foo://bar",
        "database": "postgres://u:p@h1,h2/db",
    }
    value = Account(**urls, password="secret", key=b"secret", number=5)
    back = trip(value)
    assert back == value
    assert repr(back) == repr(value)
    assert "secret" not in repr(back.password)
    assert (back.password.get_secret_value(), back.number.get_secret_value()) == ("secret", 5)
    for name in Account.model_fields:
        assert trip(getattr(value, name)) == getattr(value, name)


@pytest.mark.parametrize("kind", [94, 95])
@pytest.mark.parametrize(
    "values", [(), (5,), ("no url",), ("http://a", 1), (b"http://a",), ("x" * 70_000,)], ids=len
)
def test_urls_that_lie(kind: int, values: tuple[object, ...]) -> None:
    """A frame with a wrong value in place of a URL is refused."""
    data, buffers = frame_of_extension(kind, values)
    with pytest.raises(workerlib.FrameError):
        decode(data, list(buffers))


def test_what_belongs_to_a_model_arrives() -> None:
    """Private attributes, which fields were set, what is cached; and what was not validated stays so."""
    value = Model.model_construct(x="no int", name=None)
    value._secret = [1]  # type: ignore[assignment]
    value.__dict__["twice"] = "cached"
    back = trip(value)
    assert back.x == "no int"
    assert back._secret == [1]
    assert not hasattr(back, "_unset")
    assert back.model_fields_set == {"x", "name"}
    assert back.twice == "cached"


def test_a_model_can_be_used_when_it_arrives() -> None:
    """It validates assignments of its own, is copied, dumped and sent on."""
    back = trip(Extra(x=1, more=2))
    assert back.model_dump() == {"x": 1, "more": 2}
    assert back.model_dump_json() == '{"x":1,"more":2}'
    assert back.model_copy(update={"x": 3}).x == 3
    assert trip(back) == back
    with pytest.raises(pydantic.ValidationError):
        back.x = 5
    assert {back: 1}[Extra(x=1, more=2)] == 1


def test_a_model_that_contains_itself() -> None:
    """A model that refers to itself arrives as one that does."""
    value = Model(x=1)
    value.children.append(value)
    back = trip(value)
    assert back.children[0] is back


FIELDS = tuple(Model.model_fields)
STATE = {
    "__dict__": {"x": 1},
    "__pydantic_extra__": None,
    "__pydantic_fields_set__": {"x"},
    "__pydantic_private__": {"_secret": 1},
}


def model_frame(state: dict[Any, Any]) -> bytes:
    """Makes the frame of a model."""
    values = [("pydantic", f"{__name__}:Model", FIELDS), *(part for pair in state.items() for part in pair)]
    bodies = [frame_of(value)[0][1:] for value in values]
    return b"\x90\xd4\x19" + bytes([len(values)]) + b"".join(bodies)


def test_a_model_of_a_peer_is_read() -> None:
    """The frame is right that the next test makes wrong."""
    back: Any = decode(model_frame(STATE), [])
    assert (back.x, back._secret, back.model_fields_set) == (1, 1, {"x"})


@pytest.mark.parametrize(
    "wrong",
    [
        {"__dict__": None},
        {"__dict__": [("x", 1)]},
        {"__dict__": {1: 2}},
        {"__pydantic_extra__": []},
        {"__pydantic_fields_set__": ["x"]},
        {"__pydantic_fields_set__": None},
        {"__pydantic_fields_set__": {1}},
        {"__pydantic_private__": 1},
        {"__pydantic_private__": {(): 1}},
        {"__class__": int},
        {"x": 1},
    ],
    ids=repr,
)
def test_models_that_lie(wrong: dict[str, object]) -> None:
    """The state that pydantic keeps of a model must be of the types that pydantic relies on."""
    with pytest.raises(workerlib.FrameError):
        decode(model_frame({**STATE, **wrong}), [])


@pytest.mark.parametrize("missing", STATE)
def test_models_that_are_not_complete(missing: str) -> None:
    """A frame that lacks one of a model's four parts is refused."""
    with pytest.raises(workerlib.FrameError):
        decode(model_frame({name: value for name, value in STATE.items() if name != missing}), [])


def test_fields_that_one_side_does_not_know(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error lists those of both sides, for models and for attrs classes."""
    frames = [frame_of(Extra(x=1)), frame_of(Open(1))]
    module = sys.modules[__name__]
    newer = pydantic.create_model("Extra", __module__=__name__, y=(int, 1))
    monkeypatch.setattr(module, "Extra", newer)
    monkeypatch.setattr(module, "Open", attrs.make_class("Open", ["z"]))
    for (data, _), fields in zip(frames, ("x there, y here", "x there, z here"), strict=True):
        with pytest.raises(workerlib.FrameError, match=f"has other fields on the two sides: {fields}"):
            decode(data, [])
