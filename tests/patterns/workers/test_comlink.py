"""The document's pattern, calls to a worker by Comlink: its own code, plain Comlink pages, and Python's functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Page

# In other engines the document runs as it is written and with the worker of workerlib, and the examples have module workers.
DOCUMENT = "() => window.result !== undefined"


@pytest.mark.every_engine
@pytest.mark.isolation("chromium")
@pytest.mark.repeated("firefox", "webkit", "isolated")
def test_the_document_as_it_is_written(new_page: Page) -> None:
    """A classic worker with importScripts and Pyodide 0.29; nothing but the addresses differs."""
    new_page.open("patterns/document/as_written.html", DOCUMENT)
    assert new_page.run("return window.result") == 2
    assert new_page.run("return window.printed") == [[2]]


def test_the_document_as_a_module_worker(new_page: Page) -> None:
    """Pyodide 314 wants module workers: `import` instead of importScripts, and `type: "module"`."""
    new_page.open("patterns/document/as_module.html", DOCUMENT)
    assert new_page.run("return window.result") == 2


@pytest.mark.every_engine
@pytest.mark.isolation("chromium")
@pytest.mark.repeated("firefox", "webkit", "isolated")
def test_the_document_with_the_worker_of_workerlib(new_page: Page) -> None:
    """The document's page with another file name: workerlib's worker has the methods of the document's."""
    new_page.open("patterns/document/classic.html", DOCUMENT)
    assert new_page.run("return window.result") == 2


def test_the_example_prints_2(new_page: Page) -> None:
    """examples/workers/comlink_rpc.html, as it is served."""
    new_page.open("examples/workers/comlink_rpc.html", "() => document.querySelector('#output').textContent")
    assert new_page.run("return document.querySelector('#output').textContent") == "2"


def test_a_classic_worker_on_pyodide_314_says_what_to_do(page: Page) -> None:
    """`init()` rejects, and names the remedy, where the document's form cannot work."""
    error = page.run("""
        const pyodide = Comlink.wrap(new Worker("/workerlib/worker.js?indexURL=/pyodide/"));
        return failure(pyodide.init());
    """)
    assert error["name"] == "WorkerStartError"
    assert 'type: "module"' in error["message"]


def test_what_the_document_promises(new_page: Page) -> None:
    """init, install, runPython, call by position and keyword, and calls by name; all by plain Comlink."""
    new_page.open("patterns/blank.html")
    assert new_page.run("""
        const address = "/workerlib/worker.js?indexURL=/pyodide/";
        const pyodide = Comlink.wrap(new Worker(address, { type: "module" }));
        await pyodide.init();
        await pyodide.install(["packaging"]);
        const version = "import packaging.version; str(packaging.version.Version('1.0') < packaging.version.Version('2'))";
        const results = [await pyodide.runPython("1 + 1"), await pyodide.runPython(version)];
        await pyodide.runScript("/patterns/functions.py");
        results.push(await pyodide.call("keywords", [1], { third: 4 }), await pyodide.mean([1, 2.5]));
        await pyodide.runPython("import workerlib\\n@workerlib.export\\ndef late(): return 'late'");
        results.push(await pyodide.late());
        return results;
    """) == [2, "True", [1, 2, 4], 1.75, "late"]


def test_init_comes_first(page: Page) -> None:
    """A call before init() is an error that says so, instead of none."""
    error = page.run("""
        const pyodide = Comlink.wrap(new Worker("/workerlib/worker.js", { type: "module" }));
        return failure(pyodide.runPython("1"));
    """)
    assert "init()" in error["message"]


@pytest.mark.every_engine
def test_a_plain_comlink_page_with_a_transferred_buffer_and_a_callback(page: Page) -> None:
    """A page written against Comlink alone calls an exported function; the buffer moves, the callback is called."""
    result = page.run("""
        const options = encodeURI("indexURL=/pyodide/");
        const python = Comlink.wrap(new Worker(`/workerlib/worker.js?${options}`, { type: "module" }));
        await python.init();
        await python.runScript("/patterns/functions.py");
        const data = new Uint8Array([1, 2, 3]);
        const sum = await python.total(Comlink.transfer(data, [data.buffer]));
        const heard = [];
        const callback = Comlink.proxy((item, more) => { heard.push(more.twice); return item + 1; });
        return { sum, left: data.byteLength, returned: await python.each([1, 2], callback), heard };
    """)
    assert result == {"sum": ["bytes", 3, 6], "left": 0, "returned": [2, 3], "heard": [2, 4]}


def test_a_plain_comlink_page_sees_python_errors(page: Page) -> None:
    """Name, message and traceback arrive with nothing but Comlink on the page."""
    error = page.run("""
        const worker = await sharedWorker();
        const plain = Comlink.wrap(worker.worker);
        return failure(plain.fail("ValueError", "not this"));
    """)
    assert (error["name"], error["message"], error["isError"]) == ("ValueError", "not this", True)
    assert "functions.py" in error["traceback"]
    assert error["traceback"] in error["stack"]
