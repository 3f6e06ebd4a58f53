"""The document's "API Reference": each name it documents, and those of the reference library's later version."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

from in_page import in_page
from pyscript_page import PyScriptPage


@in_page(page="document")
async def test_worker(workerlib: Any) -> None:
    """`Worker`: wraps PyScript's object of a worker, and provides its functions."""
    worker = await workerlib.connectToWorker()
    assert type(worker) is workerlib.Worker
    assert await worker.func3(1, 2) == 3
    assert str(type(worker.worker)) == "<class 'pyodide.ffi.JsProxy'>"
    worker.close()


@in_page(page="document")
async def test_connect_to_worker(workerlib: Any, raises: Any) -> None:
    """`connectToWorker`: by the name, or to the only named worker of the page."""
    for arguments in ((), ("YourWorkerName",)):
        async with workerlib.connectToWorker(*arguments) as worker:
            assert worker.name == "YourWorkerName"
    with raises(workerlib.NoSuchWorkerError, "YourWorkerName"):
        await workerlib.connectToWorker("AnotherName")


@in_page(page="document")
async def test_export(workerlib: Any, tags: Any, raises: Any) -> None:
    """`export`: must be imported and called; with workerlib as the script, the configuration does it."""
    script = "from workerlib import export\ndef f(): return 'f'\ndef g(): return 'g'\nexport(f)\n"
    tags.worker("exporting", script)
    async with workerlib.connect("exporting") as worker:
        assert await worker.f() == "f"
        with raises(workerlib.NotExportedError, "'g'"):
            await worker.g()


@pytest.mark.every_engine
@pytest.mark.repeated("firefox", "webkit")
@in_page(page="document")
async def test_diagnostics(tags: Any, workerlib: Any) -> None:
    """`diagnostics`: a sequence of strings about the system, in page and worker."""
    from pyodide_js import version
    from workerlib import diagnostics

    tags.worker("told", "import workerlib\n@workerlib.export\ndef told(): return workerlib.diagnostics\n")
    async with workerlib.connect("told") as worker:
        in_worker = await worker.told()
    for lines in (diagnostics, in_worker):
        text = "\n".join(lines)
        for word in (
            "PyScript",
            f"Pyodide {version}",
            "Emscripten",
            "CPUs",
            "Python 3.",
            "Assertions are enabled",
        ):
            assert word in text, (word, text)
        assert all(isinstance(line, str) for line in lines)
    assert diagnostics[0] == "PyScript 2026.9.1"


@in_page(page="document")
async def start_another(workerlib: Any, tags: Any) -> None:
    """Starts a worker of Option #1."""
    tags.worker("another", src="./workerlib.py", config="./worker.toml")
    async with workerlib.connect("another") as worker:
        assert await worker.func3(1) == 1


def test_diagnostics_are_printed_when_workerlib_is_the_worker(document: PyScriptPage) -> None:
    """workerlib does exactly that if started as a worker: line by line, to the console."""
    start_another(document=document)
    # A worker's line and the end of the page's function come to the test on ways of their own.
    document.wait_for_console("Providing functions: func1, func2, func3, func4")
    printed = [line.partition(" (blob:")[0] for line in document.console]
    for start in ("PyScript ", "Pyodide ", "Emscripten ", "Python 3.", "Assertions are enabled"):
        assert any(line.startswith(f"log: [worker] {start}") for line in printed), (start, printed)
    assert "log: [worker] Providing functions: func1, func2, func3, func4" in printed


@in_page(page="document")
async def test_elapsed_time() -> None:
    """`elapsedTime(startTime)`: milliseconds or seconds since `time.time()`."""
    import time

    from workerlib import elapsedTime

    real, now = time.time, time.time()
    time.time = lambda: now
    try:
        assert elapsedTime(now - 72.4) == "72s"
        assert elapsedTime(now - 0.25) == "250ms"
        assert elapsedTime(int(now) - 10).endswith("s")
    finally:
        time.time = real


@in_page(page="document")
async def test_system_versions() -> None:
    """`systemVersions`: PyScript, Pyodide, Python, Emscripten."""
    import sys

    from pyodide_js import version
    from workerlib import systemVersions

    assert list(systemVersions) == ["PyScript", "Pyodide", "Python", "Emscripten"]
    assert systemVersions["PyScript"] == "2026.9.1"
    assert systemVersions["Pyodide"] == version
    assert systemVersions["Python"] == sys.version.split()[0]
    assert systemVersions["Emscripten"].count(".") == 2


@in_page(page="document")
async def test_typechecked_without_beartype() -> None:
    """`@typechecked` does nothing where beartype is not among the packages."""
    from workerlib import typechecked

    def wrong(value: int) -> int:
        return value

    assert typechecked(wrong) is wrong
    assert typechecked(wrong)("text") == "text"


TYPECHECKED = """
from workerlib import diagnostics, export, typechecked

@export
@typechecked
def twice(value: int) -> int:
    return value * 2

@typechecked
class Account:
    def deposit(self, amount: float) -> None:
        pass

@export
def deposit(amount):
    Account().deposit(amount)

@export
def checking():
    return diagnostics[-1]
"""
BEARTYPE = [path.name for path in Path(os.environ.get("WORKERLIB_WHEELS", ".")).glob("beartype-*.whl")]


@pytest.mark.parametrize(("script", "wheels"), [(TYPECHECKED, BEARTYPE)], ids=[""])
@in_page(page="document")
async def test_typechecked_with_beartype(
    workerlib: Any, tags: Any, raises: Any, script: str, wheels: list[str]
) -> None:
    """If beartype is in [packages], its decorator is used: for functions and for whole classes."""
    import js

    assert len(wheels) == 1, "WORKERLIB_WHEELS is not set"
    packages = ["workerlib", f"{js.location.origin}/wheels/{wheels[0]}"]
    tags.worker("checked", script, config={"packages": packages, "packages_cache": "passthrough"})
    async with workerlib.connect("checked") as worker:
        assert await worker.twice(2) == 4
        await worker.deposit(1.5)
        for call in (worker.twice("2"), worker.deposit("much")):
            with raises(workerlib.RemoteError, "violates type hint") as caught:
                await call
            assert caught.value.type_name == "beartype.roar.BeartypeCallHintParamViolation"
        assert "checks types" in await worker.checking()


@in_page(page="document")
async def test_full_name() -> None:
    """`fullName`, of the later version: a class or function with its module, an object's class."""
    from pathlib import PurePosixPath

    from workerlib import Worker, fullName

    assert fullName(int) == fullName(7) == "int"
    assert fullName(len) == "len"
    assert fullName(Worker).endswith("._api.worker.Worker")
    assert fullName(PurePosixPath("x")).endswith("PurePosixPath")


@in_page(page="document")
async def test_exception_handler() -> None:
    """`exceptionHandler`, of the later version: shows problem, type, message, traceback, suffix."""
    from workerlib import exceptionHandler

    shown = []
    try:
        raise KeyError("the key")
    except KeyError as error:
        caught = error

    def display(text: str, **kwargs: object) -> str:
        shown.append((text, kwargs))
        return "displayed"

    result = exceptionHandler(
        "It went wrong", exception=caught, suffix="Call us", displayFunction=display, colour="red"
    )
    assert result == "displayed"
    text, kwargs = shown[0]
    assert text.startswith("\nERROR: It went wrong, type KeyError:\n'the key'\n")
    assert 'raise KeyError("the key")' in text
    assert text.endswith("\n\nCall us\n")
    assert kwargs == {"colour": "red"}
    text = exceptionHandler("Again", type(caught), caught, caught.__traceback__, displayFunction=shown.append)
    assert "ERROR: Again, type KeyError" in text


@in_page(page="document")
async def test_improve_exception_handling() -> None:
    """`improveExceptionHandling`, of the later version: uncaught exceptions go to the display function."""
    import asyncio
    import sys
    import threading
    import traceback

    import js
    from workerlib import improveExceptionHandling

    loop = asyncio.get_running_loop()
    before = sys.excepthook, threading.excepthook, traceback.StackSummary.format, loop.get_exception_handler()
    sheets = js.document.adoptedStyleSheets.length
    shown = []
    try:
        improveExceptionHandling("Call us", shown.append)
        error = ValueError("lost")
        sys.excepthook(ValueError, error, None)
        loop.call_exception_handler({"message": "a task", "exception": error})
        assert "Uncaught exception in the main thread, type ValueError:\nlost" in shown[0]
        assert "Uncaught exception in async loop:\na task, type ValueError:\nlost" in shown[1]
        assert all(text.endswith("Call us\n") for text in shown)
        assert js.document.adoptedStyleSheets.length == sheets + 1
        namespace = {}
        exec(compile("def f(): 1 / 0", "<exec>", "exec"), namespace)  # noqa: S102
        try:
            namespace["f"]()
        except ZeroDivisionError:
            assert '>>File "<exec>", line 1, in f' in traceback.format_exc()
    finally:
        sys.excepthook, threading.excepthook, traceback.StackSummary.format = before[:3]
        loop.set_exception_handler(before[3])
        js.document.adoptedStyleSheets.pop()


@in_page(page="document")
async def test_names_of_the_public_client() -> None:
    """The imports of the reference library's one public client work: its public names and four private ones."""
    from workerlib import (
        P,
        Worker,
        _Callable,
        _CallableOrCoroutine,
        _getArgNames,
        connectToWorker,
        diagnostics,
        elapsedTime,
        fullName,
        improveExceptionHandling,
        systemVersions,
        typechecked,
    )

    names = (connectToWorker, elapsedTime, fullName, improveExceptionHandling, typechecked)
    assert all(map(callable, names))
    assert isinstance(Worker, type)
    assert diagnostics
    assert systemVersions

    @typechecked
    async def function(a: _Callable[int], /, b: _CallableOrCoroutine[str], *rest: int, c: int = 1) -> None:
        """Has a parameter of each kind."""

    assert list(_getArgNames(function)) == ["a", "b", "rest", "c"]
    assert list(_getArgNames(function, P.KEYWORD_ONLY)) == ["c"]
    assert list(_getArgNames(function, P.POSITIONAL_ONLY, P.POSITIONAL_OR_KEYWORD)) == ["a", "b"]


@in_page(page="document")
async def test_names_that_there_are_not(workerlib: Any, raises: Any) -> None:
    """A misspelt name is an AttributeError, at an import an ImportError; every name of __all__ is there."""
    with raises(AttributeError, "diagnostic"):
        workerlib.diagnostic  # noqa: B018
    with raises(ImportError):
        from workerlib import exporte  # noqa: F401
    for name in workerlib.__all__:
        assert getattr(workerlib, name) is not None, name


ANY_CALL = """
import workerlib
from workerlib import anyCall, export

def listed(a, b=2):
    return a, b

async def exported(text):
    return text.upper()

def neither():
    return "reached"

export(anyCall, exported)
"""
ALLOWED = '{"packages": ["workerlib"], "packages_cache": "passthrough", "anyCall": {".": ["listed"], "math": ["sqrt"]}}'


@pytest.mark.every_pyscript
@pytest.mark.parametrize(("script", "config"), [(ANY_CALL, ALLOWED)], ids=[""])
@in_page(page="document")
async def test_any_call(workerlib: Any, tags: Any, raises: Any, script: str, config: str) -> None:
    """`anyCall` reaches what is exported and what `[anyCall]` names; never `eval`, which it reached once."""
    tags.worker("any", script, config=config)
    async with workerlib.connect("any") as worker:
        assert await worker.anyCall.listed(1) == (1, 2)
        assert await worker.anyCall.listed(1, b=3) == (1, 3)
        assert await worker.anyCall("exported", "text") == "TEXT"
        assert await worker.anyCall.sqrt(16) == 4
        for name in ("neither", "eval", "anyCall", "workerlib"):
            with raises(workerlib.NotExportedError, f"anyCall does not reach '{name}'"):
                await worker.anyCall(name)
        with raises(workerlib.NotExportedError, "sqrt"):
            await worker.sqrt(16)
        with raises(workerlib.NotExportedError, "listed"):
            await worker.anyCall.missing()


@in_page(page="document_mishaps")
async def call_with_log(workerlib: Any, tags: Any) -> None:
    """Calls workers whose calls are logged: by `log()`, and by the configuration."""
    script = """
import asyncio
import workerlib

@workerlib.export
async def add(a, b):
    await asyncio.sleep(0)
    return a + b

@workerlib.export
def fail():
    raise ValueError("no")
"""
    tags.worker("logged", script + "workerlib.log(True)")
    configured = {"packages": ["workerlib"], "packages_cache": "passthrough", "workerlib": {"log": True}}
    tags.worker("configured", script, config=configured)
    async with workerlib.connect("logged") as worker, workerlib.connect("configured") as by_configuration:
        workerlib.log()
        try:
            assert await worker.add("b" * 1000, "") == "b" * 1000
            try:
                await worker.fail()
            except ValueError:
                pass
        finally:
            workerlib.log(False)
        assert await worker.add(700, 7) == 707
        assert await by_configuration.add(800, 8) == 808


@in_page(page="document_mishaps")
async def call_without_log(workerlib: Any) -> None:
    """Calls a worker that nobody asked to log."""
    async with workerlib.connect("YourWorkerName") as worker:
        assert await worker.func3(900, 9) == 909


def test_log_of_calls(document_mishaps: PyScriptPage) -> None:
    """Each call with the worker's name as prefix, and its timings, where the log is on."""
    call_with_log(document_mishaps=document_mishaps)
    said = "\n".join(document_mishaps.console)
    assert "[logged] Calling add(): ('bbbb" in said
    assert "b" * 1000 not in said, "long values are shortened"
    for pattern in (
        r"\[logged\] Returned \d+m?s from add\(\): 'bb",
        r"\[logged\] Exception \d+m?s from fail\(\): ValueError: no",
        r"\[logged\] Transferred and returned \d+m?s from add\(\)",
        r"\[logged\] Raised \d+m?s after calling fail\(\): ValueError: no",
        r"\[configured\] Calling add\(\): \(800, 8\) {}",
    ):
        assert re.search(pattern, said), (pattern, said)
    assert said.count("Transferred and returned") == 1, "the page's log was turned off"
    assert "[logged] Calling add(): (700, 7) {}" in said, "the worker's was not"


def test_calls_are_not_logged_by_default(document_mishaps: PyScriptPage) -> None:
    """Unlike in the reference library, nobody's console is filled unasked."""
    call_without_log(document_mishaps=document_mishaps)
    assert not any("Calling" in line or "Transferred" in line for line in document_mishaps.console)
