"""Runs test functions that arrive as source text, in the page's own Python; see tests/browser/in_page.py.

A test function takes what it needs by name, as a pytest test takes fixtures: `worker` (a connection to the worker
"bench", shared by the page's tests), `workerlib`, `values` and `exact` (the modules of tests/python), `raises`,
`tags` (adds script tags, removed when the test ends), `frames` (frames.js).
"""

import __future__

import asyncio
import importlib
import json
import linecache
import re
import sys
import traceback
import types

import js
from pyodide.ffi import create_proxy

connections = {}


class Raises:
    """Expects an exception in its `with` block and keeps it as `value`, as pytest.raises does."""

    def __init__(self, expected, match=None):
        self.expected = expected
        self.match = match
        self.value = None

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if error is None:
            raise AssertionError(f"{self.expected.__name__} was not raised")
        if not isinstance(error, self.expected):
            return False
        if self.match is not None and not re.search(self.match, str(error)):
            raise AssertionError(f"{str(error)!r} does not match {self.match!r}") from error
        self.value = error
        return True


WORKER_CONFIG = {"packages": ["workerlib"], "packages_cache": "passthrough"}


class Tags:
    """Adds script tags to the page and takes them away again, their workers with them.

    Names must be fresh: PyScript keeps a terminated worker's name bound to it.
    """

    def __init__(self):
        self.elements = []

    def worker(self, name, text="", *, config=None, kind="py", **attributes):
        """Appends a worker's script tag with `text` as its script, if no attribute says more."""
        element = js.document.createElement("script")
        element.setAttribute("type", kind)
        for attribute, value in {"worker": "", **attributes}.items():
            element.setAttribute(attribute, value)
        element.setAttribute("name", name)
        element.setAttribute("config", json.dumps(WORKER_CONFIG if config is None else config))
        element.textContent = text
        js.document.body.append(element)
        self.elements.append(element)
        return element

    def clear(self):
        for element in self.elements:
            worker = getattr(element, "xworker", None)
            if worker:
                worker.terminate()
            element.remove()
        self.elements.clear()


async def bench_connection():
    if "bench" not in connections:
        import workerlib

        connections["bench"] = await workerlib.connect("bench")
    return connections["bench"]


async def provide(name, tags):
    """Makes what a test function asks for by a parameter's name."""
    if name == "worker":
        return await bench_connection()
    if name == "raises":
        return Raises
    if name == "tags":
        return tags
    if name == "frames":
        return js.frameMeter
    return importlib.import_module(name)


async def run(request):
    """Runs one test function; returns None, or the traceback as text."""
    request = json.loads(request)
    file, name = request["file"], request["name"]
    whole = request["source"]
    linecache.cache[file] = (len(whole), None, whole.splitlines(keepends=True), file)
    # Blank lines before it give the function the line numbers that it has in its file.
    padded = "\n" * (request["line"] - 1) + request["function"]
    code = compile(padded, file, "exec", flags=__future__.annotations.compiler_flag)
    namespace = {"__name__": "page_test"}
    exec(code, namespace)  # noqa: S102 - to run what the tests send is what this module is for
    tags = Tags()
    try:
        async with asyncio.timeout(request["limit"]):
            provided = {parameter: await provide(parameter, tags) for parameter in request["provided"]}
            await namespace[name](**provided, **request["arguments"])
    except BaseException:  # noqa: BLE001 - whatever ends a test is its result
        return traceback.format_exc()
    finally:
        tags.clear()
    return None


def add_module(name, source):
    """Makes a module importable in the page."""
    module = types.ModuleType(name)
    sys.modules[name] = module
    try:
        exec(compile(source, f"{name}.py", "exec"), module.__dict__)  # noqa: S102
    except BaseException:
        del sys.modules[name]
        raise


js.window.harness = create_proxy({"run": run, "add_module": add_module}).toJs(
    dict_converter=js.Object.fromEntries
)
