"""The errors of calls are raised in the caller, whatever carries them, and the worker lives on."""

from __future__ import annotations

import asyncio
import builtins
import errno
import traceback

from workerlib import RemoteError, Worker

from expecting import raises


async def test_builtin_exceptions_keep_their_class(worker: Worker) -> None:
    """The caller catches what the function raised, with its arguments."""
    for name, args in (
        ("ValueError", ("text", 1)),
        ("KeyError", ("key",)),
        ("OSError", (errno.ENOENT, "No such file")),
        ("ZeroDivisionError", ()),
        ("UnicodeDecodeError", ("utf-8", b"\xff", 0, 1, "invalid")),
        ("TimeoutError", ("slow",)),
        ("ConnectionError", ("lost",)),
        ("RecursionError", ()),
        ("MemoryError", ()),
    ):
        with raises(Exception) as caught:
            await worker.raise_named(name, *args)
        # OSError itself chooses the subclass.
        assert type(caught.value) is type(getattr(builtins, name)(*args)), repr(caught.value)
        assert caught.value.args == args
    with raises(FileNotFoundError):
        await worker.raise_named("OSError", errno.ENOENT, "No such file")
    with raises(LookupError, "after an await"):
        await worker.raise_later()
    with raises(ZeroDivisionError, "division by zero"):
        await worker.divide(1, 0)


async def test_exceptions_that_end_things_do_not_end_the_worker(worker: Worker) -> None:
    """KeyboardInterrupt and its like reach the caller by name and leave both sides as they are."""
    for name in (
        "KeyboardInterrupt",
        "SystemExit",
        "GeneratorExit",
        "StopIteration",
        "StopAsyncIteration",
        "BaseException",
    ):
        with raises(BaseException) as caught:
            await worker.raise_named(name, "reason")
        assert name in repr(caught.value) + str(caught.value), repr(caught.value)
        assert await worker.add(1, 2) == 3


async def test_other_exceptions_are_remote_errors(worker: Worker) -> None:
    """A class that this side does not have comes as RemoteError, which names it."""
    with raises(RemoteError, "odd") as caught:
        await worker.raise_odd()
    assert isinstance(caught.value, RemoteError)
    assert "OddError" in caught.value.type_name
    assert "OddError" in str(caught.value)
    assert await worker.add(1, 2) == 3


async def test_the_workers_traceback_is_shown(worker: Worker) -> None:
    """The worker's frames stand below the local ones and lead to its line, causes included."""
    with raises(ZeroDivisionError) as caught:
        await worker.divide(1, 0)
    text = "".join(traceback.format_exception(caught.value))
    assert "in _divide" in text
    assert "test_the_workers_traceback_is_shown" in text
    assert text.index("test_the_workers_traceback_is_shown") < text.index("in _divide")
    with raises(ValueError) as caught:
        await worker.raise_from_a_cause()
    text = "".join(traceback.format_exception(caught.value))
    assert "KeyError: 'missing'" in text
    assert "direct cause" in text


async def test_notes_and_groups_arrive(worker: Worker) -> None:
    """A group arrives as a group, with what it is made of; notes arrive as notes."""
    with raises(ValueError, "with notes") as caught:
        await worker.raise_with_notes()
    assert caught.value.__notes__[:2] == ["the first note", "the second note"]
    with raises(ExceptionGroup, "several") as grouped:
        await worker.raise_group()
    assert isinstance(grouped.value, ExceptionGroup)
    one, inner = grouped.value.exceptions
    assert repr(one) == "ValueError('one')"
    assert isinstance(inner, ExceptionGroup)
    assert repr(inner.exceptions) == "(KeyError('two'),)"


async def test_failures_in_a_crowd(worker: Worker) -> None:
    """Calls that fail do not touch the calls around them, and no two of them share an exception."""
    calls = [worker.divide(number, number % 3) for number in range(30)]
    results = await asyncio.gather(*calls, return_exceptions=True)
    for number, result in enumerate(results):
        if number % 3:
            assert result == number / (number % 3)
        else:
            assert isinstance(result, ZeroDivisionError)
    assert len({id(result) for result in results[::3]}) == 10
