"""What goes wrong in a call is raised in the page, and the worker lives on."""

from __future__ import annotations

from typing import Any

from in_page import in_page


@in_page
async def test_builtin_exceptions_keep_their_class(worker: Any, raises: Any) -> None:
    """The caller catches what the function raised, with its arguments."""
    import builtins
    import errno

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


@in_page
async def test_exceptions_that_end_things_do_not_end_the_worker(worker: Any, raises: Any) -> None:
    """KeyboardInterrupt and its like reach the caller by name and leave worker and page as they are."""
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


@in_page
async def test_other_exceptions_are_remote_errors(worker: Any, workerlib: Any, raises: Any) -> None:
    """A class that is not builtin comes as RemoteError, which names it."""
    with raises(workerlib.RemoteError, "odd") as caught:
        await worker.raise_odd()
    assert "OddError" in caught.value.type_name
    assert "OddError" in str(caught.value)
    assert await worker.add(1, 2) == 3


@in_page
async def test_the_workers_traceback_is_shown(worker: Any, raises: Any) -> None:
    """The traceback below the local one leads to the worker's line, causes included."""
    import traceback

    with raises(ZeroDivisionError) as caught:
        await worker.divide(1, 0)
    text = "".join(traceback.format_exception(caught.value))
    assert "in _divide" in text
    assert "test_the_workers_traceback_is_shown" in text
    assert text.index("in _divide") < text.index("test_the_workers_traceback_is_shown")
    with raises(ValueError) as caught:
        await worker.raise_from_a_cause()
    text = "".join(traceback.format_exception(caught.value))
    assert "KeyError: 'missing'" in text
    assert "direct cause" in text


@in_page
async def test_an_argument_that_cannot_be_sent(worker: Any, workerlib: Any, raises: Any) -> None:
    """The error names the type and the path to it; nothing was sent, and the next call works."""
    thing = object()
    with raises(TypeError, r"args\[0\]\['when'\]: object") as caught:
        await worker.echo({"when": thing})
    assert isinstance(caught.value, workerlib.UnsendableError)
    assert caught.value.path == "args[0]['when']"
    assert caught.value.type_name == "object"
    with raises(workerlib.UnsendableError, r"args\[1\]\[2\]\[0\]"):
        await worker.echo(0, [1, 2, (thing,)])
    with raises(workerlib.UnsendableError, "when"):
        await worker.echo(when=thing)
    assert await worker.add(1, 2) == 3


@in_page
async def test_objects_of_javascript_cannot_be_sent(worker: Any, workerlib: Any, raises: Any) -> None:
    """A JsProxy among the arguments is named as what it is."""
    import js

    with raises(workerlib.UnsendableError, "JsProxy|pyodide"):
        await worker.echo(js.document)
    assert await worker.add(1, 2) == 3


@in_page
async def test_a_result_that_cannot_be_sent(worker: Any, workerlib: Any, raises: Any) -> None:
    """The caller gets the error with the path into the result."""
    with raises(workerlib.UnsendableError, r"\['rows'\]\[1\]\[1\]: object") as caught:
        await worker.give_a_thing()
    assert caught.value.type_name == "object"
    assert await worker.add(1, 2) == 3


@in_page
async def test_failures_in_a_crowd(worker: Any) -> None:
    """Calls that fail do not touch the calls around them."""
    import asyncio

    calls = [worker.divide(number, number % 3) for number in range(30)]
    results = await asyncio.gather(*calls, return_exceptions=True)
    for number, result in enumerate(results):
        if number % 3:
            assert result == number / (number % 3)
        else:
            assert isinstance(result, ZeroDivisionError)
