"""A worker's output in the console and in an element, an upload whose progress is reported, and `input()` by the dialog."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from in_page import in_page
from pyscript_page import PyScriptPage

SPEAKER = """
import logging
import warnings
import workerlib

print("by the script")

@workerlib.export
def speak(text):
    print(text)
    logging.getLogger("speaker").warning("careful")
    warnings.warn("mind", stacklevel=1)
"""

ASKER = """
import workerlib

@workerlib.export
def greet():
    return f"Hello, {input('Name? ')}"

@workerlib.export(blocking=True)
def greet_twice():
    return [input("Name? "), input("Once more? ")]
"""


@pytest.mark.parametrize("script", [SPEAKER], ids=["speaker"])
@in_page(page="mishaps")
async def test_output_in_an_element(workerlib: Any, tags: Any, raises: Any, script: str) -> None:
    """`on_output` takes an element or its id: all that is forwarded is added to its end, in order."""
    import js

    config = {
        "packages": ["workerlib"],
        "packages_cache": "passthrough",
        "workerlib": {"forward": ["print", "log", "warnings"]},
    }
    tags.worker("speaker", script, config=config)
    log, field = js.document.createElement("pre"), js.document.createElement("textarea")
    log.id = "said"
    js.document.body.append(log, field)
    try:
        async with workerlib.connect("speaker", on_output="said") as worker:
            await worker.speak("in a call")
            said = log.textContent
        assert said.startswith("by the script\nin a call\n")
        assert said.index("in a call") < said.index("careful") < said.index("UserWarning: mind")
        async with workerlib.connect("speaker", on_output=field) as worker:
            await worker.speak("in a field")
            assert field.value.startswith("in a field\n")
        assert log.textContent == said, "each connection has an element of its own"
        with raises(workerlib.ConnectError, "on_output='nowhere': the page has no element with this id"):
            await workerlib.connect("speaker", on_output="nowhere")
    finally:
        log.remove()
        field.remove()


@pytest.mark.parametrize("script", [SPEAKER], ids=["speaker"])
@in_page(page="mishaps")
async def test_output_in_the_console(workerlib: Any, tags: Any, script: str) -> None:
    """Without `on_output` the page's console has it: what is printed as a message, errors and warnings as warnings."""
    import js
    from pyodide.ffi import create_proxy

    config = {
        "packages": ["workerlib"],
        "packages_cache": "passthrough",
        "workerlib": {"forward": ["print", "log", "warnings"]},
    }
    tags.worker("speaker to the console", script, config=config)
    said: list[tuple[str, str]] = []
    kinds = ("log", "warn")
    real = [getattr(js.console, kind) for kind in kinds]
    proxies = [create_proxy(lambda *texts, kind=kind: said.append((kind, str(texts[0])))) for kind in kinds]
    for kind, proxy in zip(kinds, proxies, strict=True):
        setattr(js.console, kind, proxy)
    try:
        async with workerlib.connect("speaker to the console") as worker:
            await worker.speak("in a call")
    finally:
        for kind, function in zip(kinds, real, strict=True):
            setattr(js.console, kind, function)
        for proxy in proxies:
            proxy.destroy()
    printed = [text for kind, text in said if kind == "log"]
    assert printed.index("by the script") < printed.index("in a call")
    assert any(kind == "warn" and "UserWarning: mind" in text for kind, text in said), said
    assert any("careful" in text for _, text in said), said


def recipe(title: str) -> str:
    """Gives the worker's part of a recipe of docs/two-way.md."""
    document = Path(__file__).parents[2] / "docs" / "two-way.md"
    return document.read_text().split(f"### {title}\n")[1].split("```python\n")[1].split("```")[0]


UPLOAD = f"""
import workerlib

taken = []
take = taken.append

{recipe("An upload with progress")}

@workerlib.export
def loaded():
    return b"".join(taken)
"""


@pytest.mark.parametrize("script", [UPLOAD], ids=["upload"])
@in_page
async def test_an_upload_with_progress(workerlib: Any, tags: Any, script: str) -> None:
    """The document's recipe: the worker reads the page's file part by part, and says how far it is."""
    import js
    from pyodide.ffi import to_js

    content = bytes(range(256)) * 4_000
    file = js.File.new(to_js([to_js(content)]), "upload.bin")
    tags.worker("upload", script)
    heard: list[tuple[int, int]] = []
    async with workerlib.connect("upload") as worker:
        await worker.load.options(on_report=lambda done, size: heard.append((done, size)))(file)
        assert await worker.loaded() == content
    assert heard == sorted(heard)
    assert heard[-1] == (len(content), len(content))


@pytest.fixture
def asked(swift: PyScriptPage) -> Iterator[list[str]]:
    """A user who answers "Ada" to each dialog, but cancels the fifth one."""
    questions: list[str] = []

    def answer(dialog: Any) -> None:
        questions.append(dialog.message)
        if len(questions) == 5:
            dialog.dismiss()
        else:
            dialog.accept("Ada")

    swift.page.on("dialog", answer)
    yield questions
    swift.page.remove_listener("dialog", answer)


@pytest.mark.usefixtures("asked")
@pytest.mark.parametrize("script", [ASKER], ids=["asker"])
@in_page(page="swift")
async def test_input_by_the_browsers_dialog(workerlib: Any, tags: Any, raises: Any, script: str) -> None:
    """`input()` shows the question to the user, in each call; without an answer it raises EOFError."""
    tags.worker("asker", script)
    async with workerlib.connect("asker") as worker:
        assert [await worker.greet() for _ in range(2)] == ["Hello, Ada"] * 2
        assert await worker.greet_twice() == ["Ada", "Ada"]
        with raises(EOFError, "the question was not answered"):
            await worker.greet()
