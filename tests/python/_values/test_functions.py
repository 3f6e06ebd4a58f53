"""Functions as values: those that are exported or registered arrive as what they are to the receiver, others nowhere."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import json
import math
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
import workerlib
from workerlib import UnsendableError, Worker
from workerlib._native import decode, encode
from workerlib._rpc import starts
from workerlib._values import functions, user_classes

from trip import frame_of, frame_of_extension, round_trip

Connect = Callable[[], AbstractAsyncContextManager[Worker]]


def double(number: int) -> int:
    """Is exported."""
    return 2 * number


def halve(number: int) -> float:
    """Is registered in some tests."""
    return number / 2


def private() -> None:
    """Is neither."""


class Doubler:
    """Has methods, one of which is exported."""

    def __init__(self, factor: int) -> None:
        self.factor = factor

    def times(self, number: int) -> int:
        """Is exported, of one object."""
        return self.factor * number


THRICE = Doubler(3)


@pytest.fixture(autouse=True)
def nothing_registered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test starts with nothing registered, and leaves no connection behind."""
    monkeypatch.setattr(functions, "_registered", {})
    yield
    assert functions._current.get() is None


@pytest.fixture
def worker_exports() -> None:
    """The worker has a function that takes functions, and some that give some."""

    @workerlib.export
    def apply(function: Any, *args: Any) -> tuple[Any, str]:
        return function(*args), f"{function.__module__}:{function.__qualname__}"

    @workerlib.export
    def give(name: str) -> Any:
        found = {
            "double": double,
            "halve": halve,
            "times": THRICE.times,
            "private": private,
            "lambda": lambda: 0,
        }
        return {"deep": [found[name], found[name]]}

    workerlib.export(double)
    workerlib.export(name="thrice")(THRICE.times)


@pytest.mark.usefixtures("worker_exports")
async def test_an_exported_function_in_a_result_is_a_remote_function(connect: Connect) -> None:
    """It is the connection's own, callable and async; twice in one result it is one."""
    async with connect() as worker:
        one, other = (await worker.give("double"))["deep"]
        assert one is other
        assert one is worker.double
        assert await one(21) == 42
        assert (await worker.give("times"))["deep"][0] is worker.thrice
        assert await worker.thrice(5) == 15


@pytest.mark.usefixtures("worker_exports")
async def test_a_remote_function_in_an_argument_is_the_function_itself(connect: Connect) -> None:
    """In the worker nothing remote is left of it, with options or not."""
    async with connect() as worker:
        itself = f"{__name__}:double"
        assert await worker.apply(worker.double, 4) == (8, itself)
        assert await worker.apply(worker.double.options(timeout=5), 5) == (10, itself)
        assert await worker.apply(worker.thrice, 5) == (15, f"{__name__}:Doubler.times")


@pytest.mark.usefixtures("worker_exports")
async def test_a_function_that_both_sides_have(connect: Connect) -> None:
    """A function of the worker that the page has by the same module arrives as itself; so does one that both registered."""
    workerlib.register(halve)
    async with connect() as worker:
        assert await worker.apply(double, 4) == (8, f"{__name__}:double")
        assert await worker.apply(halve, 4) == (2.0, f"{__name__}:halve")
        assert (await worker.give("halve"))["deep"] == [halve, halve]


@pytest.mark.usefixtures("worker_exports")
async def test_another_function_becomes_a_callback(connect: Connect) -> None:
    """On either side: whatever is neither exported nor registered is called where it is."""

    @workerlib.export
    async def call_it(function: Any, *args: Any) -> Any:
        assert isinstance(function, workerlib.Callback)
        return await function(*args)

    async with connect() as worker:
        for function, args, result in (
            (private, (), None),
            (len, ("abc",), 3),
            (lambda: 0, (), 0),
            ("-".join, (["a", "b"],), "a-b"),
        ):
            assert await worker.call_it(function, *args) == result
        for name, result in (("private", None), ("lambda", 0)):
            one, other = (await worker.give(name))["deep"]
            assert one is other
            assert await one() == result
        assert await worker.double(1) == 2


@dataclasses.dataclass
class Order:
    """Has a function among its fields."""

    rows: int
    on_row: Any


async def test_a_callback_in_a_dataclass(connect: Connect) -> None:
    """A class that both sides have brings its callbacks."""

    @workerlib.export
    def call_rows(order: Order) -> str:
        for row in range(order.rows):
            order.on_row(row)
        return type(order.on_row).__name__

    heard: list[int] = []
    async with connect() as worker:
        assert await worker.call_rows(Order(3, heard.append)) == "Callback"
    assert heard == [0, 1, 2]


@pytest.mark.usefixtures("worker_exports")
@pytest.mark.parametrize("callers_are_looked_at", [False, True])
async def test_a_function_of_another_connection_is_called_by_way_of_this_side(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, callers_are_looked_at: bool
) -> None:
    """A worker gets another worker's function as a callback of the page's, which the page hands on.

    Rust calls it, so it has no caller in Python that could be looked at, as is done where sync code can wait.
    """
    if callers_are_looked_at:
        monkeypatch.setattr(starts, "on_new_caller", lambda caller: None)

    @workerlib.export
    async def call_it(function: Any, *args: Any) -> Any:
        return await function(*args), type(function).__name__

    async with connect() as worker, connect() as other:
        assert await worker.call_it(other.double, 1) == (2, "Callback")
        assert await asyncio.gather(worker.apply(worker.double, 1), other.apply(other.double, 2)) == [
            (2, f"{__name__}:double"),
            (4, f"{__name__}:double"),
        ]
    with pytest.raises(UnsendableError, match="there is no connection here"):
        encode(worker.double)


async def test_functions_in_what_async_adapters_make(connect: Connect) -> None:
    """Encoder and decoder wait, while other connections are used: each function is of its own connection all the same."""

    async def encode_later(holder: Doubler) -> Any:
        await asyncio.sleep(0)
        return [holder.factor]

    async def decode_later(content: Any) -> Doubler:
        await asyncio.sleep(0)
        return Doubler(content[0])

    workerlib.register_adapter(Doubler, encode_later, decode_later)

    @workerlib.export
    async def hold(holder: Doubler) -> Doubler:
        function: Any = holder.factor
        return Doubler(function if function(2) == 4 else None)

    workerlib.export(double)
    async with connect() as worker, connect() as other:
        calls = [one.hold(Doubler(one.double)) for one in (worker, other) * 5]
        for holder, one in zip(await asyncio.gather(*calls), (worker, other) * 5, strict=True):
            assert holder.factor is one.double


async def test_functions_in_exceptions(connect: Connect) -> None:
    """An exception's arguments are values as others."""

    @workerlib.export
    def fail() -> None:
        raise ValueError(double, "text")

    workerlib.export(double)
    async with connect() as worker:
        with pytest.raises(ValueError, match="text") as caught:
            await worker.fail()
        assert caught.value.args == (worker.double, "text")


@pytest.mark.parametrize("function", [halve, math.sqrt, json.dumps], ids=repr)
def test_what_can_be_registered(function: Any) -> None:
    """Functions of modules, written in Python or in C; without a connection, too."""
    assert workerlib.register(function) is function
    assert round_trip({function: [function]}) == {function: [function]}


def test_registering_a_class_makes_it_portable(monkeypatch: pytest.MonkeyPatch) -> None:
    """One decorator for what both sides have."""
    monkeypatch.setattr(user_classes, "_portable", {})
    assert workerlib.register(Doubler) is Doubler
    back: Any = round_trip(Doubler(4))
    assert (type(back), back.times(2)) == (Doubler, 8)


@pytest.mark.parametrize(
    "thing", [lambda: 0, THRICE.times, "".join, functools.partial(halve, 1), 5, None], ids=repr
)
def test_what_has_no_name_cannot_be_registered(thing: Any) -> None:
    """Another Python could not find it."""
    with pytest.raises(TypeError, match="not a function that the other side could find"):
        workerlib.register(thing)


def test_a_function_that_is_defined_again_replaces_the_first() -> None:
    """A cell of a notebook that runs again replaces its function; the first is none of those any more."""

    def make() -> Any:
        def again() -> None: ...

        return workerlib.register(again)

    first, second = make(), make()
    assert round_trip(second) is second
    with pytest.raises(UnsendableError):
        encode(first)


def test_a_receiver_without_the_function() -> None:
    """The error names it, and nothing is imported."""
    data, buffers = frame_of(workerlib.register(halve))
    functions._registered.clear()
    with pytest.raises(
        workerlib.FrameError, match=rf"the function '{__name__}:halve' \('both'\) is not known here"
    ):
        decode(data, list(buffers))


@pytest.mark.parametrize(
    "values",
    [
        (),
        ("both",),
        ("both", "os:system"),
        ("both", "test_functions:private"),
        ("both", 5),
        ("both", ["x"]),
        ("sender", "double"),
        ("receiver", "double"),
        ("somebody", "double"),
        (None, None),
        ("both", "test_functions:halve", 1),
    ],
    ids=repr,
)
def test_references_that_lie(values: tuple[object, ...]) -> None:
    """Only exported and registered functions are ever found, and none without a connection that is a connection's."""
    workerlib.export(double)
    workerlib.register(halve)
    data, buffers = frame_of_extension(86, values)
    with pytest.raises(workerlib.FrameError):
        decode(data, list(buffers))


async def test_a_peer_that_names_what_is_not_there(connect: Connect) -> None:
    """A function that the page calls its own is none of the worker's, and the export that it names may not exist."""

    class Lie:
        pass

    workerlib.export(double)
    workerlib.export(name="echo")(lambda value: value)
    from workerlib._values import sending

    async with connect() as worker:
        for values in (("sender", "double"), ("receiver", "missing"), ("receiver", "__init__")):
            sending.DEFAULT.ways[Lie] = (86, lambda _, values=values: values)
            try:
                with pytest.raises(workerlib.FrameError, match="is not known here"):
                    await worker.echo(Lie())
            finally:
                del sending.DEFAULT.ways[Lie]
