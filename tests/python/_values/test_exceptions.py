"""The exception of a function is raised in its caller; one that cannot be sent is an error there too."""

from __future__ import annotations

import asyncio
import pathlib
import re
import sys
import traceback
import types
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
import workerlib
from workerlib import Worker, _errors
from workerlib._values import user_classes

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


class PickyError(Exception):
    """A user's class whose constructor wants more than `args` keeps."""

    def __init__(self, code: int, *, where: str) -> None:
        super().__init__(f"code {code}")
        self.code = code
        self.where = where


async def test_users_exceptions(connect: Connect) -> None:
    """They arrive as themselves, with their attributes and without their constructor, if the class is here."""

    @workerlib.export
    async def fail() -> None:
        await asyncio.sleep(0)
        raise PickyError(7, where="there")

    async with connect() as worker:
        with pytest.raises(PickyError, match="code 7") as caught:
            await worker.fail()
        assert (caught.value.code, caught.value.where) == (7, "there")


async def test_classes_that_are_not_here(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """They come as RemoteError with name, text, notes and frames, and what they came from as itself."""
    module = types.ModuleType("elsewhere")
    exec("class OddError(ValueError): pass", module.__dict__)  # noqa: S102
    monkeypatch.setitem(sys.modules, "elsewhere", module)
    find = user_classes.find_class

    def not_here(key: object, kind: str) -> type:
        # Both sides are in this one Python: the sender has to find the class, and the receiver not.
        if key == "elsewhere:OddError" and sys._getframe(1).f_code.co_name == "make_exception":
            raise ValueError("the class OddError is not known here")
        return find(key, kind)

    monkeypatch.setattr(user_classes, "find_class", not_here)

    @workerlib.export
    def fail() -> None:
        error = module.OddError("odd", 7)
        error.add_note("a note")
        raise error from KeyError("why")

    async with connect() as worker:
        with pytest.raises(workerlib.RemoteError, match="odd") as caught:
            await worker.fail()
    error = caught.value
    assert error.type_name == "elsewhere.OddError"
    assert str(error).startswith("elsewhere.OddError: ")
    assert error.__notes__ == ["a note"]
    assert type(error.__cause__) is KeyError
    assert isinstance(error, workerlib.WorkerlibError)
    assert "in fail" in "".join(traceback.format_exception(error))


async def test_classes_without_a_place(connect: Connect) -> None:
    """A class that is defined in a function is not found by its name, so it comes as RemoteError."""

    class LocalError(Exception):
        pass

    @workerlib.export
    def fail() -> None:
        raise LocalError("local")

    async with connect() as worker:
        with pytest.raises(workerlib.RemoteError, match="LocalError: local"):
            await worker.fail()


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
        # A coroutine that raises StopIteration itself raises a RuntimeError instead.
        is_pythons = asynchronous and kind is StopIteration
        with pytest.raises(RuntimeError if is_pythons else workerlib.RemoteError) as caught:
            await worker.fail()
        original = caught.value.__cause__
        assert type(original) is kind
        assert original.args == ("reason",)
        if not is_pythons:
            assert str(caught.value) == f"{caught.value.type_name}: reason"
            assert caught.value.type_name.endswith(kind.__name__)
        assert await worker.good() == 3


async def test_exceptions_that_cannot_be_described(connect: Connect) -> None:
    """The caller hears of an exception whose own methods fail."""

    class Unspeakable(NastyError):
        @property
        def __notes__(self) -> list[str]:  # type: ignore[override]
            raise RuntimeError("no notes")

    @workerlib.export
    def fail(kind: str) -> None:
        raise NastyError if kind == "nasty" else Unspeakable

    async with connect() as worker:
        with pytest.raises(NastyError):
            await worker.fail("nasty")
        with pytest.raises(Exception, match="Unspeakable"):
            await worker.fail("unspeakable")


async def test_exceptions_with_unsendable_arguments(connect: Connect) -> None:
    """The class is kept, the argument is replaced by its text."""

    @workerlib.export
    def fail() -> None:
        error = ValueError("when", OddError("the odd one"), Thing(), b"\xff")
        error.thing, error.number = Thing(), 5  # type: ignore[attr-defined]
        raise error

    async with connect() as worker:
        with pytest.raises(ValueError, match="a thing") as caught:
            await worker.fail()
        when, odd, thing, data = caught.value.args
        assert (when, type(odd), odd.args, thing, data) == (
            "when",
            OddError,
            ("the odd one",),
            "a thing",
            b"\xff",
        )
        assert vars(caught.value) == {"thing": "a thing", "number": 5}


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
        assert type(odd) is OddError
        assert caught.value.message == "outer"


def inner_function() -> None:
    raise ZeroDivisionError("in the inner function")


async def test_the_workers_traceback(connect: Connect) -> None:
    """Its frames stand below the local ones, source lines and columns included, and no locals travel."""

    @workerlib.export
    def fail() -> None:
        secret = "of the worker"  # noqa: F841
        inner_function()

    async with connect() as worker:
        with pytest.raises(ZeroDivisionError, match="inner") as caught:
            await worker.fail()
    shown = "".join(traceback.format_exception(caught.value))
    places = [shown.index(text) for text in ("in test_the_workers_traceback", "in fail", "in inner_function")]
    assert places == sorted(places)
    assert shown.count("Traceback (most recent call last)") == 1
    assert f'File "worker:{__file__}"' in shown
    assert 'raise ZeroDivisionError("in the inner function")' in shown
    remote = [frame for frame, _ in traceback.walk_tb(caught.value.__traceback__)][-2:]
    assert [frame.f_code.co_name for frame in remote] == ["fail", "inner_function"]
    assert [frame.f_locals for frame in remote] == [{}, {}]
    summary = traceback.extract_tb(caught.value.__traceback__)[-2]
    assert summary.line == "inner_function()"
    assert (summary.colno, summary.end_colno) == (8, 24)


async def test_frames_of_workerlib_stay_in_the_worker(connect: Connect) -> None:
    """The worker's part of a traceback begins with the user's function, wherever workerlib's modules stand."""

    @workerlib.export
    def fail() -> None:
        raise ValueError("a")

    async with connect() as worker:
        with pytest.raises(ValueError, match="a") as caught:
            await worker.fail()
    frames = traceback.extract_tb(caught.value.__traceback__)
    of_the_worker = [frame.name for frame in frames if frame.filename.startswith("worker:")]
    assert of_the_worker == ["fail"]


async def test_what_an_exception_came_from(connect: Connect) -> None:
    """`__cause__` and `__context__` arrive as exceptions with frames of their own."""

    @workerlib.export
    def fail(explicitly: bool) -> None:
        try:
            inner_function()
        except ZeroDivisionError as error:
            if explicitly:
                raise ValueError("outer") from error
            raise ValueError("outer")

    async with connect() as worker:
        with pytest.raises(ValueError, match="outer") as caused:
            await worker.fail(True)
        with pytest.raises(ValueError, match="outer") as in_context:
            await worker.fail(False)
    inner = caused.value.__cause__
    assert type(inner) is ZeroDivisionError
    assert inner is caused.value.__context__
    assert traceback.extract_tb(inner.__traceback__)[-1].name == "inner_function"
    assert in_context.value.__cause__ is None
    assert type(in_context.value.__context__) is ZeroDivisionError
    assert not in_context.value.__suppress_context__
    shown = "".join(traceback.format_exception(caused.value))
    assert shown.index("in inner_function") < shown.index("direct cause") < shown.rindex("in fail")


async def test_an_exception_in_the_handling_of_another(connect: Connect) -> None:
    """The exception that the caller was handling comes behind those of the worker, as if the function were a local one."""

    @workerlib.export
    def fail() -> None:
        try:
            raise KeyError("remote")
        except KeyError:
            raise ValueError("outer")

    async with connect() as worker:
        with pytest.raises(ValueError, match="outer") as caught:
            try:
                raise IndexError("local")
            except IndexError:
                await worker.fail()
    chain = [caught.value, caught.value.__context__, caught.value.__context__.__context__]  # type: ignore[union-attr]
    assert [type(error) for error in chain] == [ValueError, KeyError, IndexError]


async def test_endless_recursion(connect: Connect) -> None:
    """A traceback of a thousand frames arrives, and is shown as Python shows it."""

    @workerlib.export
    def deeper() -> None:
        deeper()

    async with connect() as worker:
        with pytest.raises(RecursionError) as caught:
            await worker.deeper()
        assert "Previous line repeated" in "".join(traceback.format_exception(caught.value))


async def test_exceptions_in_circles(connect: Connect) -> None:
    """An exception that is its own context's cause arrives so."""

    @workerlib.export
    def fail() -> None:
        first, second = ValueError("first"), KeyError("second")
        first.__cause__, second.__cause__ = second, first
        raise first

    async with connect() as worker:
        with pytest.raises(ValueError, match="first") as caught:
            await worker.fail()
        assert caught.value.__cause__.__cause__ is caught.value  # type: ignore[union-attr]


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


def test_the_tree_is_documented() -> None:
    """docs/errors.md has the tree that stands in the source, and it is the tree that the classes make."""
    source = _errors.__doc__ or ""
    tree = [
        line.strip() for line in source.partition("::")[2].splitlines() if "Error " in line or "─" in line
    ]
    document = (pathlib.Path(__file__).parents[3] / "docs" / "errors.md").read_text(encoding="utf-8")
    assert "\n".join(tree) in document
    parents: list[type] = [workerlib.WorkerlibError]
    for line in tree:
        found = re.search(r"(\w+Error)", line)
        assert found is not None
        kind = getattr(workerlib, found[1])
        level = line.index("─") // 4 + 1
        assert parents[level - 1] in kind.__bases__, line
        parents[level:] = [kind]
    documented = {name for name in re.findall(r"(\w+Error) ", "\n".join(tree))} | {"WorkerlibError"}
    assert documented == {name for name in workerlib.__all__ if name.endswith("Error")}


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
        "WorkerDiedError": (workerlib.ConnectionClosedError,),
        "RemoteError": (),
    }
    for name, expected in bases.items():
        kind = getattr(workerlib, name)
        assert issubclass(kind, (workerlib.WorkerlibError,))
        assert all(issubclass(kind, base) for base in expected), name
        assert kind.__module__ == "workerlib"
