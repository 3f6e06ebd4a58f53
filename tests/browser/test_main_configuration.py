"""The document's "Main configuration": from the page to its workers, and what happens without workerlib on one side."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Browser

from in_page import in_page
from pyscript_page import PyScriptPage

SERVING = """
from workerlib import export

@export
def func1(*args, **kwargs):
    return args, kwargs

@export
def func2(text):
    return text.upper()
"""


@pytest.mark.every_engine
@in_page
async def test_main_configuration(workerlib: Any) -> None:
    """`await yourWorker.func1(arg1, arg2, *args, kwarg1 = value, **kwargs)`: the document's lines."""
    from workerlib import Worker, connectToWorker

    arg1, arg2, args, value, kwargs = 1, 2, (3, 4), 5, {"six": 6}
    your_worker: Worker = await connectToWorker()
    ret = await your_worker.echo(arg1, arg2, *args, kwarg1=value, **kwargs)
    assert ret == ((1, 2, 3, 4), {"kwarg1": 5, "six": 6})
    your_worker.close()


@pytest.mark.parametrize("script", [SERVING], ids=[""])
@in_page
async def test_several_named_workers(workerlib: Any, tags: Any, raises: Any, script: str) -> None:
    """Each is connected to by its name; without one, the error lists the names."""
    tags.worker("second", script)
    tags.worker("third", script)
    with raises(workerlib.ConnectError, "'bench', 'second', 'third'"):
        await workerlib.connectToWorker()
    async with workerlib.connectToWorker("second") as second, workerlib.connectToWorker("third") as third:
        assert await second.func2("b") == "B"
        assert await third.func2("c") == "C"


@pytest.mark.parametrize("script", [SERVING], ids=[""])
@in_page
async def test_the_original_worker_object(workerlib: Any, tags: Any, script: str) -> None:
    """`yourWorker.worker` is PyScript's own object, a JsProxy, and works as PyScript's does."""
    from pyodide.ffi import JsProxy
    from pyscript import workers

    tags.worker("original", script)
    async with workerlib.connect("original") as worker:
        assert isinstance(worker.worker, JsProxy)
        assert await worker.worker.func2("text") == "TEXT"
        assert await (await workers["original"]).func2("text") == "TEXT"


@pytest.mark.parametrize(
    "script", [SERVING + "\nimport workerlib\nworkerlib.export(name='two')(func2)\n"], ids=[""]
)
@pytest.mark.every_pyscript
@pytest.mark.isolation("chromium")
@in_page
async def test_a_page_without_workerlib(tags: Any, script: str) -> None:
    """The functions that a worker exports can be called by `pyscript.workers`, as if its script had said `__export__`."""
    from pyscript import workers

    tags.worker("for anybody", script)
    worker = await workers["for anybody"]
    assert await worker.func2("text") == "TEXT"
    assert await worker.two("text") == "TEXT"
    args, kwargs = (await worker.func1(1, "b")).to_py()
    assert list(args) == [1, "b"]
    assert kwargs == {}


@in_page(page="mishaps")
async def test_a_worker_without_workerlib(workerlib: Any, tags: Any, raises: Any, pace: Any) -> None:
    """The error says that the worker does not import workerlib, and how to mend that."""
    tags.worker("plain", "__export__ = ['f']\ndef f(): return 1\n", config={})
    with raises(workerlib.WorkerStartError, r'packages = \["workerlib"\]'):
        await workerlib.connect("plain", timeout=30 * pace.PACE)


@pytest.mark.parametrize("page", ["micropython.html", "micropython_wheel.html"], ids=["starter", "wheel"])
def test_a_main_script_in_micropython(browser: Browser, site: str, page: str) -> None:
    """It is told what is needed, by the starter beside the page and by the wheel, which MicroPython unpacks."""
    with PyScriptPage(browser, site, f"document/{page}", faultless=False, has_harness=False) as small:
        small.wait_for_console('workerlib needs Pyodide: write type="py"')


def test_a_main_script_in_micropython_without_workerlib(browser: Browser, site: str) -> None:
    """It calls what a worker of workerlib's exports by PyScript's own object."""
    path = "document/micropython_page.html"
    with PyScriptPage(browser, site, path, faultless=False, has_harness=False, shares_context=True) as page:
        page.wait_for_console("The worker says TEXT 3")
