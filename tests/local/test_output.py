"""Output and questions of a subprocess: what `forward` names reaches the page, and `input()` asks it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import workerlib
from workerlib import Worker, _exports
from workerlib._exports import built_in
from workerlib._rpc.questions import NAME

SCRIPT = """
import logging
import warnings
import workerlib

print("written by the script")

@workerlib.export
def speak(text):
    print(text)
    logging.getLogger("speaker").warning("careful")
    warnings.warn("mind", stacklevel=1)

@workerlib.export
def greet():
    return f"Hello, {input('Name? ')}"

@workerlib.export
async def greet_from_async_code():
    return f"Hello, {input('Name? ')}"
"""


@pytest.fixture
def connect(tmp_path: Path) -> Any:
    """Connects to a worker that speaks."""
    script = tmp_path / "worker.py"
    script.write_text(SCRIPT)

    @contextlib.asynccontextmanager
    async def connect(forward: list[str], **options: Any) -> AsyncIterator[Worker]:
        async with workerlib.connect(script, config={"workerlib": {"forward": forward}}, **options) as worker:
            yield worker

    return connect


async def test_output_reaches_the_page(connect: Any, capfd: pytest.CaptureFixture[str]) -> None:
    """All that is named arrives, the script's own output too, and is written by the worker as ever."""
    heard: list[tuple[str, str]] = []
    async with connect(["print", "log", "warnings"], on_output=lambda *said: heard.append(said)) as worker:
        await worker.speak("in a call")
    said = {stream: "".join(text for name, text in heard if name == stream) for stream, _ in heard}
    assert said["stdout"] == "written by the script\nin a call\n"
    assert said["log"] == "careful\n"
    assert "UserWarning: mind" in said["warnings"]
    written = capfd.readouterr()
    assert "in a call\n" in written.out
    assert "careful" in written.err
    assert "UserWarning: mind" in written.err


async def test_nothing_is_forwarded_without_the_setting(connect: Any) -> None:
    """Output is a matter of the worker's configuration."""
    heard: list[Any] = []
    async with connect([], on_output=lambda *said: heard.append(said)) as worker:
        await worker.speak("in a call")
    assert heard == []


async def test_on_output_must_be_callable(connect: Any) -> None:
    """Outside of a page there are no elements, so an element's id is refused."""
    with pytest.raises(TypeError, match="on_output=.log.: outside of a browser, write a function"):
        async with connect([], on_output="log"):
            pass


async def test_input_asks_the_terminal_of_the_page(connect: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a function of the page's own, the page's own `input()` answers; no answer is an EOFError."""
    asked: list[str] = []

    async def answer(question: str) -> str | None:
        await asyncio.sleep(0)
        asked.append(question)
        return "Ada" if len(asked) < 3 else None

    async with connect([]) as worker:
        assert NAME in built_in
        monkeypatch.setitem(built_in, NAME, answer)
        assert await worker.greet() == "Hello, Ada"
        assert await worker.greet_from_async_code() == "Hello, Ada"
        with pytest.raises(EOFError):
            await worker.greet()
    assert asked == ["Name? "] * 3


async def test_input_asks_a_function_of_the_page(connect: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that exports `input` is asked by it."""
    monkeypatch.setattr(_exports, "functions", {})

    @workerlib.export(name="input")
    async def ask(question: str) -> str:
        await asyncio.sleep(0)
        return f"who asks {question!r}"

    async with connect([]) as worker:
        assert await worker.greet() == "Hello, who asks 'Name? '"
