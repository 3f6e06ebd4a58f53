"""The log of calls: what is printed, and that it changes nothing about a call."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager

import pytest
import workerlib
from workerlib import Worker
from workerlib._rpc import call_log

Connect = Callable[[], AbstractAsyncContextManager[Worker]]


@pytest.fixture(autouse=True)
def logged() -> Iterator[None]:
    """Turns the log on, and leaves it as it was."""
    workerlib.log()
    yield
    call_log.switch(None)


def without_times(text: str) -> str:
    """Replaces how long a call took, which no test can know."""
    return re.sub(r"\b\d+ms\b", "…ms", text)


def add(a: int, b: int) -> int:
    return a + b


async def wait(text: str) -> str:
    if not text:
        raise ValueError("no text")
    return text


async def test_lines_of_calls(capsys: pytest.CaptureFixture[str]) -> None:
    """A call is told of when it starts, and when it returns or raises; long values are cut."""
    log = call_log.CallLog("stats", on=True)
    assert log.logged("add", add)(1, b=2) == 3
    assert await log.logged("wait", wait)("x" * 1000) == "x" * 1000
    with pytest.raises(ValueError, match="no text"):
        await log.logged("wait", wait)("")
    with pytest.raises(TypeError):
        log.logged("add", add)()
    out, err = map(without_times, capsys.readouterr())
    assert "[stats] Calling add(): (1,) {'b': 2}\n[stats] Returned …ms from add(): 3\n" in out
    assert "x" * 300 not in out
    assert "[stats] Exception …ms from wait(): ValueError: no text" in err
    assert "[stats] Exception …ms from add(): TypeError: " in err


async def test_the_callers_line(capsys: pytest.CaptureFixture[str]) -> None:
    """The caller's side tells how long the answer took, the ways of the values included."""
    log = call_log.CallLog("stats", on=True)
    assert await log.waiting("wait", wait("a")) == "a"
    with pytest.raises(ValueError, match="no text"):
        await log.waiting("wait", wait(""))
    out, err = map(without_times, capsys.readouterr())
    assert out == "[stats] Transferred and returned …ms from wait()\n"
    assert err == "[stats] Raised …ms after calling wait(): ValueError: no text\n"


def test_the_last_word_is_the_calls() -> None:
    """`log()` counts for every connection, whatever its configuration says."""
    logs = [call_log.CallLog("stats", on) for on in (True, False)]
    assert [log.is_on for log in logs] == [True, True]
    workerlib.log(False)
    assert [log.is_on for log in logs] == [False, False]
    call_log.switch(None)
    assert [log.is_on for log in logs] == [True, False]


async def test_functions_as_values_are_themselves_while_the_log_is_on(
    connect: Connect, capsys: pytest.CaptureFixture[str]
) -> None:
    """The log wraps calls, not what is exported: a function goes out, comes back, and is the same."""

    @workerlib.export
    def double(number: int) -> int:
        return 2 * number

    @workerlib.export
    def give() -> object:
        return double

    @workerlib.export
    def is_double(function: object) -> bool:
        return function is double

    async with connect() as worker:
        function = await worker.give()
        assert function is worker.double
        assert await function(4) == 8
        assert await worker.is_double(function)
        assert await worker.is_double(worker.double)
    assert "Calling double(): (4,) {}" in capsys.readouterr().out


async def test_a_function_that_returns_a_stream_is_logged(connect: Connect) -> None:
    """Nobody awaits a stream: it goes on to whoever iterates over it."""

    @workerlib.export
    def give_back(items: object) -> object:
        return items

    async def items() -> AsyncIterator[int]:
        yield 1
        yield 2

    async with connect() as worker:
        assert [item async for item in await worker.give_back(items())] == [1, 2]
