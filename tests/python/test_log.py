"""The log of calls: what is printed, and that it changes nothing about a call."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import workerlib
from workerlib import _log


@pytest.fixture(autouse=True)
def logged() -> Iterator[None]:
    """Turns the log on, and off again."""
    workerlib.log()
    yield
    workerlib.log(False)


def add(a: int, b: int) -> int:
    return a + b


async def wait(text: str) -> str:
    if not text:
        raise ValueError("no text")
    return text


async def test_lines_of_calls(capsys: pytest.CaptureFixture[str]) -> None:
    functions = _log.LoggedFunctions("stats", {"add": add, "wait": wait})
    assert functions["add"](1, b=2) == 3
    assert await functions["wait"]("x" * 1000) == "x" * 1000
    with pytest.raises(ValueError, match="no text"):
        await functions["wait"]("")
    with pytest.raises(TypeError):
        functions["add"]()
    told = capsys.readouterr()
    assert "[stats] Calling add(): (1,) {'b': 2}\n[stats] Returned 0ms from add(): 3\n" in told.out
    assert "x" * 300 not in told.out
    assert "[stats] Exception 0ms from wait(): ValueError: no text" in told.err
    assert "[stats] Exception 0ms from add(): TypeError: " in told.err


async def test_the_callers_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert await _log.waiting("stats", "wait", wait("a")) == "a"
    with pytest.raises(ValueError, match="no text"):
        await _log.waiting("stats", "wait", wait(""))
    told = capsys.readouterr()
    assert told.out == "[stats] Transferred and returned 0ms from wait()\n"
    assert told.err == "[stats] Raised 0ms after calling wait(): ValueError: no text\n"


def test_the_last_word_is_the_calls(capsys: pytest.CaptureFixture[str]) -> None:
    functions = _log.LoggedFunctions("stats", {"add": add})
    workerlib.log(False)
    _log.configure(True)
    try:
        assert not _log.is_on()
        assert functions["add"] is add
        assert list(functions) == ["add"]
        assert len(functions) == 1
    finally:
        _log.configure(False)
    assert capsys.readouterr().out == ""
