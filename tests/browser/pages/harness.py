"""Runs test functions that arrive as source text, in the page's own Python; see tests/browser/in_page.py.

A test function takes what it needs by name, as a pytest test takes fixtures: `worker` (a connection to the worker
"bench", shared by the page's tests), `workerlib`, `values`, `exact` and `pace` (the modules of tests/python), `raises`
(tests/shared/expecting.py), `tags` (adds script tags, removed when the test ends), `words` (hears workers that compute), `grace` (how long a caller waits for a worker's word), `frames` (frames.js). The tests of
tests/shared are run by their names.
"""

import __future__

import asyncio
import contextlib
import importlib
import importlib.machinery
import itertools
import json
import linecache
import os
import sys
import traceback
import warnings

import js
from pyodide.ffi import create_proxy

# The workers of the tests export close(), of which each connection warns: on the console, whose errors are faults.
warnings.filterwarnings("ignore", message=".*a name that each Worker has")

connections = {}
# Workers that the page's tests share: the name and the tag by the script.
shared_workers = {}
fresh = itertools.count(1)

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
        if config is None:
            config = WORKER_CONFIG
        element.setAttribute("config", config if isinstance(config, str) else json.dumps(config))
        element.textContent = text
        js.document.body.append(element)
        self.elements.append(element)
        return element

    def adopt(self, name):
        """Takes over the tag of a worker that somebody else has added, to be removed with the others."""
        element = js.document.querySelector(f'script[worker][name="{name}"]')
        self.elements.append(element)
        return element

    async def shared(self, text):
        """Connects to a worker with this script that all tests of the page share: each must leave it idle."""
        import workerlib

        if text not in shared_workers:
            name = f"shared {next(fresh)}"
            shared_workers[text] = name, self.worker(name, text)
            self.elements.pop()
        return await workerlib.connect(shared_workers[text][0])

    def clear(self):
        while self.elements:
            end(self.elements.pop())


def end(element):
    """Ends the worker of a script tag, and removes the tag."""
    worker = getattr(element, "xworker", None)
    if worker:
        worker.terminate()
    element.remove()


def end_shared_workers():
    """Ends the workers that tests share: one that failed may have left them busy."""
    while shared_workers:
        _, (_, element) = shared_workers.popitem()
        end(element)


class Words:
    """Hears what workers say by a BroadcastChannel: a message that leaves a worker though its function computes."""

    def __init__(self):
        self.said = asyncio.Queue()
        self.channel = js.BroadcastChannel.new("words of workers")
        self.listener = create_proxy(lambda event: self.said.put_nowait(event.data))
        self.channel.onmessage = self.listener

    async def hear(self):
        """Waits for the next word."""
        return await self.said.get()

    def close(self):
        self.channel.close()
        self.listener.destroy()


def connect(**options):
    """Connects to the worker "bench"; spawn.html has another way."""
    import workerlib

    return workerlib.connect("bench", **options)


async def bench_connection():
    if "bench" not in connections:
        connections["bench"] = await connect()
    return connections["bench"]


async def provide(name, tags, words):
    """Makes what a test function asks for by a parameter's name."""
    if name == "worker":
        return await bench_connection()
    if name == "words":
        return words
    if name == "raises":
        return importlib.import_module("expecting").raises
    if name == "tags":
        return tags
    if name == "frames":
        return js.frameMeter
    if name == "grace":
        return grace
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
    tags, words = Tags(), Words()
    try:
        async with asyncio.timeout(request["limit"]):
            provided = {parameter: await provide(parameter, tags, words) for parameter in request["provided"]}
            await namespace[name](**provided, **request["arguments"])
    except BaseException:  # noqa: BLE001 - whatever ends a test is its result
        end_shared_workers()
        return traceback.format_exc()
    finally:
        tags.clear()
        words.close()
    return None


async def run_shared(name, limit):
    """Runs one test of the shared suite; returns None, or the traceback as text."""
    # By its name: the page's own code would go by the event loop for as long as it may load a module with `import`.
    suite = importlib.import_module("suite")
    try:
        async with asyncio.timeout(limit):
            await suite.run(name, await bench_connection(), connect)
    except BaseException:  # noqa: BLE001 - as above
        return traceback.format_exc()
    return None


def set_pace(pace):
    """Takes over how slow the machine is, for the tests and for how long a page waits for a worker's word."""
    from workerlib._rpc import connection

    os.environ["WORKERLIB_TEST_PACE"] = str(pace)
    connection._GRACE *= pace


@contextlib.contextmanager
def grace(seconds):
    """Has callers of this page wait for so long for the word of a worker that is to end a call, until the block ends.

    The page's own time is as long as a slow machine needs. This one is for functions that cannot answer anyway.
    """
    from workerlib._rpc import connection

    before, connection._GRACE = connection._GRACE, seconds
    try:
        yield
    finally:
        connection._GRACE = before


class Modules:
    """The finder and loader of the modules that the tests have sent; a page runs only those that its tests import."""

    def __init__(self):
        self.sources = {}

    def find_spec(self, name, path=None, target=None):
        return (
            importlib.machinery.ModuleSpec(name, self, origin=f"{name}.py") if name in self.sources else None
        )

    def create_module(self, spec):
        """Has the import make the module."""

    def exec_module(self, module):
        name = module.__name__
        exec(compile(self.sources[name], f"{name}.py", "exec"), module.__dict__)  # noqa: S102


modules = Modules()
sys.meta_path.append(modules)


def add_module(name, source):
    """Makes a module importable in the page."""
    file = f"{name}.py"
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    modules.sources[name] = source


functions = (run, run_shared, add_module, set_pace, end_shared_workers)
named = create_proxy({function.__name__: function for function in functions})
js.window.harness = named.toJs(dict_converter=js.Object.fromEntries)
