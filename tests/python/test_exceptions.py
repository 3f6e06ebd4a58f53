"""What a function raises is raised in its caller; what cannot be sent is an error there too."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
import workerlib
from workerlib import Worker

Connect = Callable[[], AbstractAsyncContextManager[Worker]]


class OddError(ValueError):
    """A user's class, though of a builtin base."""


class NastyError(Exception):
    """An exception that cannot even be shown."""

    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


class Thing:
    """A user's class, which cannot be sent."""

    def __repr__(self) -> str:
        return "a thing"


THING = f"{__name__}.Thing"

BUILTIN = [
    ValueError("text", 1),
    ValueError(),
    KeyError("key"),
    IndexError("index"),
    ZeroDivisionError("division"),
    FileNotFoundError(2, "No such file", "name"),
    PermissionError(13, "no"),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid"),
    UnicodeEncodeError("ascii", "ü", 0, 1, "no"),
    TimeoutError("slow"),
    RecursionError("deep"),
    MemoryError(),
    NotImplementedError(),
    AttributeError("attribute"),
    ImportError("import"),
    Warning("warning"),
    Exception({"a": [1, (2,)]}),
]


@pytest.mark.parametrize("error", BUILTIN, ids=repr)
async def test_builtin_exceptions(connect: Connect, error: Exception) -> None:
    """The class and the arguments are those of the exception in the worker."""

    @workerlib.export
    def fail() -> None:
        raise error

    async with connect() as worker:
        with pytest.raises(type(error)) as caught:
            await worker.fail()
        assert type(caught.value) is type(error)
        assert caught.value is not error
        assert caught.value.args == error.args
        assert str(caught.value) == str(error)


async def test_other_exceptions(connect: Connect) -> None:
    """A class that is not builtin comes as RemoteError with its name and text."""

    @workerlib.export
    async def fail() -> None:
        await asyncio.sleep(0)
        raise OddError("odd", 7)

    async with connect() as worker:
        with pytest.raises(workerlib.RemoteError) as caught:
            await worker.fail()
        assert caught.value.type_name == f"{OddError.__module__}.OddError"
        assert "odd" in str(caught.value)
        assert "OddError" in str(caught.value)
        assert isinstance(caught.value, workerlib.WorkerlibError)


@pytest.mark.parametrize(
    "kind",
    [
        KeyboardInterrupt,
        SystemExit,
        GeneratorExit,
        BaseException,
        StopIteration,
        StopAsyncIteration,
        asyncio.CancelledError,
    ],
)
@pytest.mark.parametrize("asynchronous", [False, True])
async def test_exceptions_that_end_things(
    connect: Connect, kind: type[BaseException], asynchronous: bool
) -> None:
    """They reach the caller by name, as something that `except Exception` catches, and end neither side."""

    def fail() -> None:
        raise kind("reason")

    async def fail_later() -> None:
        await asyncio.sleep(0)
        raise kind("reason")

    workerlib.export(name="fail")(fail_later if asynchronous else fail)
    workerlib.export(name="good")(lambda: 3)
    async with connect() as worker:
        with pytest.raises(Exception, match=f"{kind.__name__}|reason") as caught:
            await worker.fail()
        assert kind.__name__ in f"{caught.value!r} {caught.value}"
        assert await worker.good() == 3


async def test_exceptions_that_cannot_be_described(connect: Connect) -> None:
    """The caller hears of an exception whose own methods fail."""

    @workerlib.export
    def fail() -> None:
        raise NastyError

    async with connect() as worker:
        with pytest.raises(Exception, match="NastyError"):
            await worker.fail()


async def test_exceptions_with_unsendable_arguments(connect: Connect) -> None:
    """The class is kept, the argument is replaced by its text."""

    @workerlib.export
    def fail() -> None:
        raise ValueError("when", OddError("the odd one"), Thing(), b"\xff")

    async with connect() as worker:
        with pytest.raises(ValueError, match="a thing") as caught:
            await worker.fail()
        assert caught.value.args[0] == "when"
        assert caught.value.args[2] == "a thing"
        assert caught.value.args[3] == b"\xff"


async def test_groups_and_notes(connect: Connect) -> None:
    """Exception groups keep their members, and exceptions their notes."""

    @workerlib.export
    async def fail() -> None:
        error = ValueError("inner")
        error.add_note("a note")
        raise ExceptionGroup("outer", [error, OddError("odd")])

    async with connect() as worker:
        with pytest.raises(ExceptionGroup) as caught:
            await worker.fail()
        inner, odd = caught.value.exceptions
        assert type(inner) is ValueError
        assert inner.__notes__ == ["a note"]
        assert isinstance(odd, workerlib.RemoteError)


def inner_function() -> None:
    raise ZeroDivisionError("in the inner function")


async def test_the_workers_traceback(connect: Connect) -> None:
    """It is shown above the local one, without the library's own frames, causes included."""

    @workerlib.export
    def fail() -> None:
        try:
            inner_function()
        except ZeroDivisionError as error:
            raise ValueError("outer") from error

    async with connect() as worker:
        with pytest.raises(ValueError, match="outer") as caught:
            await worker.fail()
        assert isinstance(caught.value.__cause__, workerlib.RemoteTraceback)
        remote = str(caught.value.__cause__)
        assert "in inner_function" in remote
        assert "in fail" in remote
        assert "direct cause" in remote
        assert "_connection.py" not in remote
        whole = "".join(traceback.format_exception(caught.value))
        assert whole.index("in inner_function") < whole.index("test_the_workers_traceback")


async def test_errors_do_not_share_tracebacks(connect: Connect) -> None:
    """Each call gets an exception of its own, though the worker raises the same one."""
    error = ValueError("shared")

    @workerlib.export
    def fail() -> None:
        raise error

    async with connect() as worker:
        results = await asyncio.gather(worker.fail(), worker.fail(), return_exceptions=True)
        assert [type(result) for result in results] == [ValueError, ValueError]
        assert results[0] is not results[1]


async def test_unsendable_arguments(connect: Connect) -> None:
    """The caller is told type and path, nothing is sent, and the next call works."""
    calls: list[Any] = []

    @workerlib.export
    def note(*args: Any, **kwargs: Any) -> int:
        calls.append((args, kwargs))
        return len(calls)

    thing = Thing()
    cases: list[tuple[tuple[Any, ...], dict[str, Any], str]] = [
        (({"when": thing},), {}, "args[0]['when']"),
        ((0, [1, (2, thing)]), {}, "args[1][1][1]"),
        ((), {"when": thing}, "kwargs['when']"),
        ((b"x" * 50_000, thing), {}, "args[1]"),
    ]
    async with connect() as worker:
        for args, kwargs, path in cases:
            with pytest.raises(workerlib.UnsendableError) as caught:
                await worker.note(*args, **kwargs)
            assert caught.value.path == path
            assert caught.value.type_name == THING
            assert f"{path}: {THING}" in str(caught.value)
        assert await worker.note(1) == 1
    assert calls == [((1,), {})]


async def test_unsendable_results(connect: Connect) -> None:
    """The caller gets the error with the path into the result, and the next call works."""

    @workerlib.export
    def give(sendable: bool) -> Any:
        return [1, {"rows": (b"x" * 50_000, 3 if sendable else Thing())}]

    async with connect() as worker:
        with pytest.raises(workerlib.UnsendableError) as caught:
            await worker.give(False)
        assert caught.value.path == "result[1]['rows'][1]"
        assert caught.value.type_name == THING
        assert (await worker.give(True))[1]["rows"][1] == 3


def test_the_tree_of_errors() -> None:
    """Each class is what issue 2 and the documents say."""
    bases: dict[str, tuple[type[BaseException], ...]] = {
        "ConnectError": (),
        "NoSuchWorkerError": (workerlib.ConnectError, LookupError),
        "WorkerStartError": (workerlib.ConnectError,),
        "ConnectTimeoutError": (workerlib.ConnectError, TimeoutError),
        "ProtocolError": (workerlib.ConnectError,),
        "NotExportedError": (AttributeError,),
        "UnsendableError": (TypeError,),
        "FrameError": (ValueError,),
        "ConnectionClosedError": (ConnectionError,),
        "RemoteError": (),
    }
    for name, expected in bases.items():
        kind = getattr(workerlib, name)
        assert issubclass(kind, (workerlib.WorkerlibError,))
        assert all(issubclass(kind, base) for base in expected), name
        assert kind.__module__ == "workerlib"
