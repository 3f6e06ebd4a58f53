"""Python's garbage collector: it sees what the extension's objects hold, and stays as the program sets it."""

from __future__ import annotations

import dataclasses
import gc
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import workerlib
from workerlib._native import Session, decode, encode

from sessions import connected

LONG = 20_000
"""The size of content that travels beside the frame, in bytes."""


class Exporter(bytearray):
    """An object with a buffer, which can refer to others."""

    __slots__ = ("__weakref__", "other")


def opened() -> tuple[Session, Session]:
    """Makes two sessions that are connected to each other."""
    return connected(Session.connect("1"), Session.listen("1", []))


def in_what_is_sent(exporter: Exporter) -> object:
    """A call waits to be taken out of the session."""
    page, _ = opened()
    identifier, _ = page.begin(False)
    # A message that is alone is handed out by `send` itself.
    page.output("stdout", "first")
    assert page.send(identifier, "f", (memoryview(exporter),), {}, False) is None
    return page


def in_what_has_arrived(exporter: Exporter) -> object:
    """A call waits to be started."""
    _, worker = opened()
    frame, buffers = encode((bytearray(LONG),))
    worker.handle(b"\x93\x03\x01\xa1f" + frame + b"\x80", [exporter] * len(buffers))
    return worker


def in_an_owner(exporter: Exporter) -> object:
    """A session knows the connection that it is of, weakly, and what that calls when it ends."""
    page, _ = opened()

    class Owner:
        pass

    owner = Owner()
    page.belong_to(weakref.ref(owner, lambda _, exporter=exporter: None))  # type: ignore[misc]
    exporter.extra = owner  # type: ignore[attr-defined]
    return page


@pytest.mark.parametrize("hold", [in_what_is_sent, in_what_has_arrived, in_an_owner])
def test_a_circle_through_a_session_is_freed(hold: Callable[[Exporter], object]) -> None:
    """A connection that nobody closed takes its memory with it when nobody has it any more."""

    class Loose(Exporter):
        """May have any attribute."""

    exporter = Loose(LONG)
    exporter.other = hold(exporter)
    alive = weakref.ref(exporter)
    del exporter
    gc.collect()
    assert alive() is None


@dataclasses.dataclass
class Box:
    """Passes through an adapter."""

    content: Any


@pytest.fixture
def collector() -> Iterator[None]:
    """Leaves the collector on, as tests find it."""
    yield
    gc.enable()


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("wanted", [True, False])
@pytest.mark.usefixtures("collector")
def test_what_an_adapter_does_to_the_collector_stays(before: bool, wanted: bool) -> None:
    """gc.disable() and gc.enable() in users' code mean what they say, in an encoder and in a decoder."""
    seen: list[bool] = []

    def set_collector() -> None:
        seen.append(gc.isenabled())
        (gc.enable if wanted else gc.disable)()

    def to(box: Box) -> Any:
        set_collector()
        # A frame within a frame: its pause is one of its own.
        assert decode(*encode([1, {"a": 2}])) == [1, {"a": 2}]
        return box.content

    def back(content: Any) -> Box:
        set_collector()
        return Box(content)

    workerlib.register_adapter(Box, to, back)
    (gc.enable if before else gc.disable)()
    encoded = encode([Box(1), Box(2)])
    assert gc.isenabled() is wanted
    (gc.enable if before else gc.disable)()
    assert decode(*encoded) == [Box(1), Box(2)]
    assert gc.isenabled() is wanted
    assert seen == [before, wanted, before, wanted]


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.usefixtures("collector")
def test_an_iterable_of_a_user_finds_the_collector_as_it_is(before: bool) -> None:
    """The user's own iteration, which converts an object, may set the collector too."""

    class Numbers:
        def __iter__(self) -> Iterator[int]:
            seen.append(gc.isenabled())
            gc.disable()
            return iter((1, 2))

    seen: list[bool] = []
    (gc.enable if before else gc.disable)()
    with pytest.warns(workerlib.ConversionWarning):
        encoded = encode(Numbers())
    assert (seen, gc.isenabled()) == ([before], False)
    assert decode(*encoded) == [1, 2]


def test_a_frame_that_fails_leaves_the_collector_on() -> None:
    """The pause ends with the frame, also with one that cannot be written or read."""
    with pytest.raises(workerlib.UnsendableError):
        encode([1, object()])
    with pytest.raises(workerlib.FrameError):
        decode(b"\x90\x92\x01", [])
    assert gc.isenabled()
