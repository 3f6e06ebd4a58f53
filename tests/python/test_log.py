"""The log of calls: what is printed, and that it changes nothing about a call."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import workerlib
from workerlib._rpc import call_log


@pytest.fixture(autouse=True)
def logged() -> Iterator[None]:
    """Turns the log on, and off again."""
    workerlib.log()
    yield
    workerlib.log(False)


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
    functions = call_log.LoggedFunctions("stats", {"add": add, "wait": wait})
    assert functions["add"](1, b=2) == 3
    assert await functions["wait"]("x" * 1000) == "x" * 1000
    with pytest.raises(ValueError, match="no text"):
        await functions["wait"]("")
    with pytest.raises(TypeError):
        functions["add"]()
    out, err = map(without_times, capsys.readouterr())
    assert "[stats] Calling add(): (1,) {'b': 2}\n[stats] Returned …ms from add(): 3\n" in out
    assert "x" * 300 not in out
    assert "[stats] Exception …ms from wait(): ValueError: no text" in err
    assert "[stats] Exception …ms from add(): TypeError: " in err


async def test_the_callers_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert await call_log.waiting("stats", "wait", wait("a")) == "a"
    with pytest.raises(ValueError, match="no text"):
        await call_log.waiting("stats", "wait", wait(""))
    out, err = map(without_times, capsys.readouterr())
    assert out == "[stats] Transferred and returned …ms from wait()\n"
    assert err == "[stats] Raised …ms after calling wait(): ValueError: no text\n"


def test_the_last_word_is_the_calls(capsys: pytest.CaptureFixture[str]) -> None:
    functions = call_log.LoggedFunctions("stats", {"add": add})
    workerlib.log(False)
    call_log.configure(True)
    try:
        assert not call_log.is_on()
        assert functions["add"] is add
        assert list(functions) == ["add"]
        assert len(functions) == 1
    finally:
        call_log.configure(False)
    assert capsys.readouterr().out == ""
