"""Adapters that Python code registers, what goes wrong in adapters, and what they may do without harm."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
import workerlib
from workerlib import UnsendableError, Worker, register_adapter
from workerlib._native import encode

from pace import PACE

Connect = Callable[[], AbstractAsyncContextManager[Worker]]


class Thing:
    def __init__(self, content: Any = None) -> None:
        self.content = content


class Smaller(Thing):
    pass


def content_of(thing: Thing) -> Any:
    return thing.content


async def content_later(thing: Thing) -> Any:
    await asyncio.sleep(0)
    return thing.content


def echo(*args: Any, **kwargs: Any) -> Any:
    return args, kwargs


@pytest.fixture(autouse=True)
def exported(no_exports: None, no_adapters: None) -> None:
    """Exports the functions that the tests call."""
    workerlib.export(echo)


async def test_registered_before_or_after_connecting(connect: Connect) -> None:
    """A class that was refused is sent from the registration on, and by the new one after another."""
    async with connect() as worker:
        with pytest.raises(UnsendableError):
            await worker.echo(Thing(1))
        register_adapter(Thing, content_of, Thing)
        (arrived,), _ = await worker.echo(Thing(1))
        assert (type(arrived), arrived.content) == (Thing, 1)
        register_adapter(Thing, content_of, lambda content: ("again", content))
        assert await worker.echo(Thing(1)) == ((("again", 1),), {})


async def test_registered_for_a_class_that_needed_none(connect: Connect) -> None:
    """An object that was sent as itself passes through the adapter from its registration on."""
    import dataclasses
    import datetime

    point = dataclasses.make_dataclass("Point", ["x"])
    point.__module__ = __name__
    workerlib.portable(point)
    values = point(1), datetime.date(2026, 1, 2)
    async with connect() as worker:
        assert (await worker.echo(*values))[0] == values
        register_adapter(point, lambda value: value.x, lambda x: ("point", x))
        register_adapter(datetime.date, str, lambda text: ("date", text))
        assert (await worker.echo(*values))[0] == (("point", 1), ("date", "2026-01-02"))


async def test_a_class_that_is_its_own_adapter(connect: Connect) -> None:
    """@workerlib.adapter: __workerlib_encode__ and, if it has one, __workerlib_decode__."""

    @workerlib.adapter
    class Angle:
        def __init__(self, degrees: float) -> None:
            self.degrees = degrees

        def __workerlib_encode__(self) -> Any:
            return self.degrees

    @workerlib.adapter
    class Named:
        name = ""

        async def __workerlib_encode__(self) -> Any:
            return self.name

        @classmethod
        async def __workerlib_decode__(cls, data: str) -> Named:
            made = cls.__new__(cls)
            made.name = data
            return made

    named = Named()
    named.name = "x"
    async with connect() as worker:
        (angle, arrived), _ = await worker.echo(Angle(90), named)
    assert (type(angle), angle.degrees) == (Angle, 90)
    assert (type(arrived), arrived.name) == (Named, "x")
    with pytest.raises(TypeError, match="__workerlib_encode__"):
        workerlib.adapter(Thing)


async def test_an_adapter_class_for_another_class(connect: Connect) -> None:
    """@workerlib.adapter_for: a class with encode and decode that both sides import."""

    @workerlib.adapter_for(Thing)
    class ThingAdapter:
        @staticmethod
        def encode(thing: Thing) -> Any:
            return thing.content

        @staticmethod
        def decode(data: Any, class_name: str) -> Any:
            return class_name, data

    async with connect() as worker:
        (arrived,), _ = await worker.echo(Smaller(1))
    # The tuple that the worker's decoder made needs no adapter on its way back.
    assert arrived == (f"{__name__}.Smaller", 1)
    assert isinstance(ThingAdapter, type)
    with pytest.raises(TypeError, match="no static method `encode`"):
        workerlib.adapter_for(Thing)(Smaller)


async def test_registered_ones_are_asked_in_their_order(connect: Connect) -> None:
    """The first that is for the class wins."""
    register_adapter(Smaller, content_of, lambda content: "smaller")
    register_adapter(Thing, content_of, lambda content: "thing")
    async with connect() as worker:
        assert await worker.echo(Smaller(), Thing()) == (("smaller", "thing"), {})


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("role", ["encoding", "decoding"])
async def test_what_an_adapter_raises(connect: Connect, is_async: bool, role: str) -> None:
    """It arrives as that exception, with a note that names adapter and path; the connection goes on."""

    def fail(_: Any) -> Any:
        raise FloatingPointError("out of paint")

    async def fail_later(_: Any) -> Any:
        fail(_)

    failing = fail_later if is_async else fail
    if role == "encoding":
        register_adapter(Thing, failing, Thing)
    else:
        register_adapter(Thing, content_of, failing)
    note = f"while {role} %s by the adapter {__name__}:Thing"
    workerlib.export(lambda: {"x": [Thing()]}, name="give")
    async with connect() as worker:
        with pytest.raises(FloatingPointError, match="out of paint") as caught:
            await worker.echo({"x": [Thing()]})
        assert note % "args[0]['x'][0]" in caught.value.__notes__
        with pytest.raises(FloatingPointError, match="out of paint") as caught:
            await worker.give()
        assert note % "result['x'][0]" in caught.value.__notes__
        assert await worker.echo(1) == ((1,), {})


@pytest.mark.parametrize("encoder", [content_of, content_later])
async def test_a_cycle_through_an_adapter(connect: Connect, encoder: Any) -> None:
    """It is an error that names the adapter and the place; so is a chain without an end."""
    register_adapter(Thing, encoder, Thing)
    thing = Thing()
    thing.content = [{"again": thing}]
    async with connect() as worker:
        with pytest.raises(UnsendableError, match=f"a cycle through the adapter {__name__}:Thing") as caught:
            await worker.echo(0, [thing])
        assert caught.value.path.startswith("args[1][0]")
        register_adapter(Thing, (lambda _: Thing()) if encoder is content_of else _endless, Thing)
        with pytest.raises(UnsendableError, match="more than 200 levels"):
            await worker.echo(Thing())
        assert await worker.echo(1) == ((1,), {})


async def _endless(_: Thing) -> Thing:
    return Thing()


async def test_a_cycle_of_async_and_sync_adapters(connect: Connect) -> None:
    """Objects that refer to each other through both kinds of adapters are refused, whichever comes first."""
    register_adapter(Smaller, content_later, Smaller)
    register_adapter(Thing, content_of, Thing)
    thing, smaller = Thing(), Smaller()
    thing.content, smaller.content = [smaller], [thing]
    async with connect() as worker:
        for one in (thing, smaller):
            with pytest.raises(UnsendableError, match="a cycle through the adapter"):
                await worker.echo(one)


async def test_an_encoder_that_returns_what_cannot_be_sent(connect: Connect) -> None:
    """The error names the type, the adapter and the way."""
    import threading

    register_adapter(Smaller, content_later, Smaller)
    register_adapter(Thing, content_of, Thing)
    async with connect() as worker:
        for thing in (Thing((1, [threading.Lock()])), Smaller((1, [threading.Lock()]))):
            with pytest.raises(UnsendableError, match=r"_thread.lock cannot be sent") as caught:
                await worker.echo([thing])
            assert caught.value.path == f"args[0][0].<what {__name__}:{type(thing).__name__} made>[1][0]"


async def test_an_encoder_that_mutates_what_is_being_walked(connect: Connect) -> None:
    """The walk is over what was there, or it is an error that says so."""
    values: list[Any] = []

    def clear(_: Thing) -> Any:
        values.clear()
        return "cleared"

    register_adapter(Thing, clear, lambda data: data)
    values += [Thing(), "rest" * 1000, [1]]
    async with connect() as worker:
        with pytest.raises(UnsendableError, match="it changed while it was being sent"):
            await worker.echo(values)
        assert await worker.echo([Thing()]) == ((["cleared"],), {})


async def test_adapters_that_keep_the_buffers_they_are_given(connect: Connect) -> None:
    """The object that an encoder returned, and the one that a decoder got, stay whole."""
    kept: list[Any] = []

    def keep(data: Any) -> Any:
        kept.append(data)
        return data

    large = bytearray(b"x" * 100_000)
    register_adapter(Thing, lambda _: keep(memoryview(large)), keep)
    async with connect() as worker:
        (arrived,), _ = await worker.echo(Thing())
        large[:4] = b"more"
        assert bytes(arrived) == b"x" * 100_000
        kept[1][:5] = b"other"
        assert bytes(kept[1][:6]) == b"otherx"


async def test_adapters_that_enter_the_codec_again(connect: Connect) -> None:
    """They may encode a value, make a call, and start one before they return."""
    async with connect() as worker:
        calls: list[asyncio.Task[Any]] = []

        def call(_: Any) -> Any:
            calls.append(asyncio.ensure_future(worker.echo(7)))
            started = worker.echo(8)
            started.send(None)
            started.close()
            return encode([1])[0]

        register_adapter(Thing, call, call)
        (arrived,), _ = await worker.echo(Thing())
        assert arrived == encode([1])[0]
        assert [await one for one in calls] == [((7,), {})] * 2


async def test_an_async_encoder_that_calls_the_worker(connect: Connect) -> None:
    """An encoder may call the worker while its own call waits to be sent."""
    async with connect() as worker:

        async def ask(thing: Thing) -> Any:
            (answer,), _ = await worker.echo(thing.content)
            return answer

        register_adapter(Thing, ask, Thing)
        (arrived,), _ = await worker.echo(Thing([1]))
    assert arrived[0] == 1 if isinstance(arrived, list) else arrived.content == [1]


async def test_cancelling_a_call_cancels_its_encoders(connect: Connect) -> None:
    """A cancel reaches all encoders of a call; one encoder's error cancels the others, before it is raised."""
    begun: asyncio.Queue[str] = asyncio.Queue()
    cancelled: list[str] = []

    async def wait(thing: Thing) -> Any:
        if thing.content == "raise":
            raise ValueError("no")
        begun.put_nowait(thing.content)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(thing.content)
            raise

    register_adapter(Thing, wait, Thing)
    async with connect() as worker:
        call = asyncio.ensure_future(worker.echo(Thing("a"), Thing("b")))
        assert sorted([await begun.get(), await begun.get()]) == ["a", "b"]
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert sorted(cancelled) == ["a", "b"]
        with pytest.raises(ValueError, match="no"):
            await worker.echo(Thing("c"), Thing("raise"))
        assert cancelled[2:] == ["c"]
        assert await worker.echo(1) == ((1,), {})


async def test_a_connection_that_ends_while_an_encoder_waits(connect: Connect) -> None:
    """The call does not wait for the encoder."""

    begun = asyncio.Event()

    async def wait(_: Thing) -> Any:
        begun.set()
        await asyncio.Event().wait()

    register_adapter(Thing, wait, Thing)
    async with connect() as worker:
        call = asyncio.ensure_future(worker.echo(Thing()))
        await begun.wait()
        worker.close()
        with pytest.raises(workerlib.ConnectionClosedError):
            await asyncio.wait_for(call, 5 * PACE)


async def test_an_adapter_that_the_receiver_lacks(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an error of the call that names the adapter; nothing hangs."""
    from workerlib._values import adapters

    register_adapter(Thing, content_of, Thing)
    monkeypatch.setattr(adapters, "_registered", _Forgetful(adapters._registered))
    async with connect() as worker:
        with pytest.raises(LookupError, match=f"this side has no adapter '{__name__}:Thing'"):
            await worker.echo(Thing())
        assert await worker.echo(1) == ((1,), {})


class _Forgetful(dict[str, Any]):
    """Knows its adapters by class, and none by key."""

    def get(self, key: str, default: Any = None) -> Any:
        return default


async def test_an_async_adapter_in_an_exception(connect: Connect) -> None:
    """Nothing can be awaited there: the argument is replaced as one that cannot be sent."""

    def fail() -> None:
        raise ValueError(Thing(1))

    register_adapter(Thing, content_later, Thing)
    workerlib.export(fail)
    async with connect() as worker:
        with pytest.raises(ValueError, match="Thing object") as caught:
            await worker.fail()
    assert isinstance(caught.value.args[0], str)


async def test_adapters_for_builtin_types(connect: Connect) -> None:
    """They are asked for wherever such a value is the user's: not for names, nor for what they made themselves."""
    import collections
    import dataclasses
    import datetime

    point = dataclasses.make_dataclass("Point", ["x", "y"])
    point.__module__ = __name__
    workerlib.portable(point)

    def wrapped(kind: str) -> Callable[[Any], Any]:
        return lambda data: (kind, data)

    register_adapter(bool, str, wrapped("bool"))
    register_adapter(int, lambda number: number, wrapped("int"))
    register_adapter(str, str.encode, lambda data: data.decode().upper())
    register_adapter(dict, lambda pairs: list(pairs.items()), wrapped("dict"))
    workerlib.export(fail)
    workerlib.export(lambda *args, **kwargs: Thing((args, kwargs)), name="give")
    register_adapter(Thing, lambda thing: repr(thing.content), lambda text: text)
    values = [
        1,
        True,
        1.5,
        "a",
        {"b": 2},
        (3,),
        datetime.date(2026, 1, 2),
        collections.deque([4]),
        point(5, "c"),
    ]
    expected: list[Any] = [("int", 1), ("bool", "True"), 1.5, "A", ("dict", [("B", ("int", 2))])]
    expected += [(("int", 3),), datetime.date(2026, 1, 2), collections.deque([("int", 4)])]
    expected += [point(("int", 5), "C")]
    async with connect() as worker:
        assert await worker.give(values, name="d") == repr(((expected,), {"name": "D"}))
        with pytest.raises(LookupError, match="text of ours"):
            await worker.fail()


def fail() -> None:
    raise LookupError("text of ours")


async def test_an_adapter_for_an_abstract_class_covers_builtin_types(connect: Connect) -> None:
    """isinstance() decides, so numbers.Real is for ints and floats."""
    import numbers

    register_adapter(numbers.Real, str, float)  # type: ignore[type-abstract]
    async with connect() as worker:
        assert await worker.echo(1, [2.5], "x") == ((1.0, [2.5], "x"), {})
        (arrived, _, _), _ = await worker.echo(1, [2.5], "x")
    assert type(arrived) is float
