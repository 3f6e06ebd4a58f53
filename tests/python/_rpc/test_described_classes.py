"""Classes are described once for each connection, and a peer that describes them wrongly or without end is refused."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
import workerlib
from workerlib import Worker, export
from workerlib._rpc import described_classes
from workerlib._rpc.described_classes import DescribedClasses, described_class

from peer_by_hand import TABLE, Peer

Connect = Callable[[], AbstractAsyncContextManager[Worker]]


class Told:
    """A session that keeps what it is to announce."""

    def __init__(self) -> None:
        self.exports: list[str] = []

    def announce(self, exports: list[tuple[Any, ...]]) -> None:
        self.exports += [export[0] for export in exports]


def make() -> type:
    """Makes a class anew each time, as a function may."""

    class Local:
        def ask(self, question: str, /) -> str:
            """Answers."""
            return question

        @staticmethod
        def plain(number: int) -> int:
            return number

        @classmethod
        def of(cls) -> Any:
            return cls()

        rest = staticmethod(lambda *args: args)

        def without(*args: Any) -> Any:
            return args

    return Local


def test_a_class_is_told_once() -> None:
    """Many objects of a class, and of others that say the same, cost one message; the tuple is the same object."""
    session = Told()
    classes = DescribedClasses(session)
    cls = make()
    first = classes.tell(described_class(cls))
    assert first[0] == "make.<locals>.Local"
    assert dict(first[1]) == dict.fromkeys(("ask", "of", "plain", "rest", "without"), False)
    assert classes.tell(described_class(cls)) is first
    for _ in range(100):
        assert classes.tell(described_class(make()))[2] == first[2] == 0
    assert session.exports == [f"workerlib:0.{name}" for name in ("ask", "of", "plain", "rest", "without")]


def test_methods_are_described_without_self() -> None:
    """What is called on an object is described as it is called there."""
    described = {name: parameters for name, _, parameters, *_ in described_class(make()).exports}
    names = {name: [one[0] for one in parameters or []] for name, parameters in described.items()}
    assert names == {
        "ask": ["question"],
        "plain": ["number"],
        "of": [],
        "rest": ["args"],
        "without": ["args"],
    }


def test_a_class_that_gets_a_method_is_described_again() -> None:
    """A method that a notebook's cell adds later can be called on objects that are sent from then on."""
    cls = make()
    assert "late" not in described_class(cls).names
    cls.late = lambda self: 1  # type: ignore[attr-defined]
    assert "late" in described_class(cls).names


class Absent:
    """A proxy without an object: the question for its class raises."""

    @property
    def __class__(self) -> Any:  # type: ignore[override]
        raise RuntimeError("working outside of request context")


class Annotated:
    """A method whose annotations have a name that only a type checker imports, as Python 3.14 evaluates them."""

    @property
    def __annotations__(self) -> Any:  # type: ignore[override]
        raise NameError("name 'DataFrame' is not defined")

    def __get__(self, instance: object, owner: type) -> Any:
        return lambda: 1


def test_a_class_is_described_whatever_its_methods_hold() -> None:
    """Handles are made though code of the user's raises when a method is looked at."""
    absent = Absent()

    def behind(self: Any) -> Any:
        return absent

    cls = type("Made", (), {"annotated": Annotated(), "behind": behind})
    assert described_class(cls).pairs == (("annotated", False), ("behind", False))


def test_a_class_with_long_docstrings_is_told_by_their_beginnings() -> None:
    """The first handle of a large class, such as pandas' DataFrame, does not wait for half a megabyte of text."""

    def made(length: int) -> dict[str, str | None]:
        def long() -> None: ...
        def short() -> None: ...
        def one_line() -> None: ...
        def without() -> None: ...

        long.__doc__ = f"First line,\n    and second.\n\n    {'x' * length}"
        short.__doc__ = "Short."
        one_line.__doc__ = "y" * length
        members = {function.__name__: staticmethod(function) for function in (long, short, one_line, without)}
        return {name: doc for name, doc, *_ in described_class(type("Made", (), members)).exports}

    assert made(10_000)["long"] == f"First line,\nand second.\n\n{'x' * 10_000}"
    assert made(20_000) == {
        "long": "First line,\nand second.\n\n…",
        "one_line": f"{'y' * 400}\n\n…",
        "short": "Short.",
        "without": None,
    }


def test_what_a_side_describes_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond that, objects are sent without descriptions of their methods, which a call does not need."""
    session = Told()
    classes = DescribedClasses(session)
    monkeypatch.setattr(described_classes, "MOST_METHODS", 7)
    assert len(classes.tell(described_class(make()))) == 3
    other = type("Other", (), {name: lambda self: None for name in "abc"})
    assert classes.tell(described_class(other)) == ("Other", (("a", False), ("b", False), ("c", False)))
    assert len(session.exports) == 5


async def test_a_method_that_has_not_been_described(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A method that a class got after its description can be called."""
    monkeypatch.setattr(described_classes, "MOST_METHODS", 0)

    @export
    class Quiet:
        def ask(self, question: str) -> str:
            """Says nothing of this."""
            return question

    async with connect() as worker:
        quiet = await worker.Quiet()
        assert quiet.ask.__doc__ is None
        assert str(inspect.signature(quiet.ask)).startswith("(*args")
        assert await quiet.ask("x") == "x"


def exports(*described: bytes) -> bytes:
    """Makes a message of exports; 3.2 of the wire format."""
    return b"\x92\x0f" + bytes([0x90 + len(described)]) + b"".join(described)


WRONG = {
    "a keyword for a name": b"\x94\xadworkerlib:0.f\xc0\x91\x94\xa5class\x01\xc0\xc0\xc0",
    "a name twice": b"\x94\xadworkerlib:0.f\xc0\x92\x94\xa1a\x01\xc0\xc0\x94\xa1a\x01\xc0\xc0\xc0",
}


@pytest.mark.parametrize("described", WRONG.values(), ids=WRONG)
async def test_a_method_that_is_described_wrongly(described: bytes) -> None:
    """The connection ends, with the name of the method."""
    peer = Peer()
    await peer.open()
    call, _ = await peer.called()
    peer.say(exports(described))
    with pytest.raises(workerlib.ConnectionClosedError, match="export 'f' as no function can be"):
        await call


async def test_more_methods_than_a_side_may_describe(monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer that describes methods without end is refused, also if it uses the same name."""
    monkeypatch.setattr(described_classes, "MOST_METHODS", 20)
    peer = Peer()
    await peer.open()
    call, _ = await peer.called()
    one = b"\x94\xadworkerlib:0.f\xc0\xc0\xc0"
    peer.say(exports(*[one] * 10), exports(*[one] * 10))
    # A message has a name once, as `Exports` of the core has it.
    for _ in range(20):
        peer.say(exports(one))
    with pytest.raises(workerlib.ConnectionClosedError, match="more than 20 methods"):
        await call


@pytest.mark.parametrize("number", [b"\xff", b"\xc0", b"\xa10", b"\xce\xff\xff\xff\xff"], ids=repr)
async def test_a_number_of_no_class(number: bytes) -> None:
    """An object with a number that is none is refused; one of a class that was not described has its methods."""
    peer = Peer()
    await peer.open()
    call, call_id = await peer.called()
    pair = b"\xd4\x10\x02\xa1m\xc2"
    described = b"\xd4\x10\x03\xa1x\xd4\x10\x01" + pair + number
    frame = b"\x92\x04" + bytes([call_id]) + TABLE + b"\xd4\x61\x04\xa6sender\x01\xa6object" + described
    peer.say(frame)
    if number == b"\xce\xff\xff\xff\xff":
        thing: Any = await call
        assert thing.m.__doc__ is None
    else:
        with pytest.raises(workerlib.FrameError):
            await call
    peer.connection.close()
    await asyncio.sleep(0)
