"""PyScript as a host: how a page finds its worker, and how a worker hands out a channel.

All that is PyScript's stands here: script tags, its bridge between page and worker (`xworker.sync`), its
messages. The two sides meet so: the page calls a function that the worker has put on the bridge; that
posts one end of a MessageChannel to the page. From then on PyScript has no part in it.
"""

from __future__ import annotations

import ast
import asyncio
import base64
import functools
import itertools
import sys
import textwrap
from pathlib import Path
from types import FrameType
from typing import Any

import js
from pyodide.ffi import JsException, create_proxy, to_js
from pyodide.http import open_url

import __main__
from workerlib._channels.message_port import PortEndpoint, new_port, own_channel
from workerlib._config import exports_and_imports
from workerlib._config.settings import parse, settings
from workerlib._errors import (
    ConfigError,
    ConnectError,
    NoSuchWorkerError,
    WorkerStartError,
)
from workerlib._exports import Function, describe_exports, functions, observers
from workerlib._hosts.browser.liveness import hold, watch
from workerlib._hosts.browser.shared_memory_interrupts import Interrupter, MemoryGuard, new_memory
from workerlib._hosts.host import Found, Progress
from workerlib._native import Session, decode, encode
from workerlib._rpc import call_log
from workerlib._rpc.connection import Connection
from workerlib._values.adapters import describe_adapters
from workerlib._values.exceptions import describe, rebuild
from workerlib._values.tracebacks import know_source
from workerlib._version import __version__

# The tags that PyScript makes workers of.
_TAGS = "script[worker][name], py-script[worker][name], mpy-script[worker][name]"
# Tags can be added at run time: how many seconds a name may take to appear.
_GRACE = 1.0
# How often to look for what the page gives no event for, in seconds.
_POLL = 0.02
# After how many seconds without a sign of life to look whether the script exists at all.
_SUSPICION = 3.0
# The name on PyScript's bridge, and the mark of the message that brings the port.
_BRIDGE = "workerlib_connect"

_tokens = itertools.count(1)


@functools.cache
def read_config() -> dict[str, Any]:
    """Reads this script's configuration.

    On the page PyScript has parsed it. A worker has the text of its tag's attribute: the configuration
    itself, or a path that is relative to a page whose address the worker does not know; but the worker
    has fetched it, and the browser has noted from where.

    Raises:
        ConfigError: If it cannot be found or parsed.
        ConnectError: If there is no PyScript.
    """
    try:
        import polyscript
    except ImportError:
        raise ConnectError("connect() needs a page of PyScript's: this Pyodide runs without it") from None
    raw = getattr(polyscript, "config", None)
    if raw is None:
        return {}
    if not isinstance(raw, str):
        return parse(str(js.JSON.stringify(raw)))
    path = raw.strip()
    if not _is_path(path):
        return parse(path) if path else {}
    name = path.lstrip("./")
    for entry in js.performance.getEntriesByType("resource"):
        if str(entry.name).partition("?")[0].endswith(f"/{name}"):
            return parse(open_url(str(entry.name)).getvalue())
    raise ConfigError(
        f"the configuration {path!r} of this worker cannot be found again: the browser has not noted where it"
        " was loaded from. Write it inline, in the tag's attribute or the argument"
    )


def _is_path(config: str) -> bool:
    return config.endswith((".toml", ".json", ".txt"))


def hint_at_files() -> str | None:
    """Explains why files of an inline configuration are missing; None if none is."""
    import polyscript

    raw = getattr(polyscript, "config", None)
    if not isinstance(raw, str) or _is_path(raw.strip()):
        return None
    files = read_config().get("files", {})
    missing = [source for source, target in files.items() if not Path(target or Path(source).name).exists()]
    if not missing:
        return None
    return (
        f"{', '.join(missing)} stood under [files] and was not loaded: where the page's own configuration is"
        " a file, PyScript takes that one for workers whose own is inline; put both into files or both inline"
    )


# The page's side.


async def open_channel(progress: Progress) -> Found:
    """Finds the worker, waits until its script has run, and gets a channel to it."""
    progress.step = "looking for the worker's script tag"
    if _bridge_of_worker() is not None:
        raise ConnectError("connect() is for the page: this is a worker, whose functions the page calls")
    tag = await _find_tag(progress.name)
    name = progress.name = str(tag.getAttribute("name"))
    if _is_micropython(tag):
        raise ConnectError(
            f'the worker {name!r} runs MicroPython (type="mpy"), which cannot load workerlib: use type="py"'
        )
    progress.step = "waiting for PyScript to start the worker"
    while (xworker := getattr(tag, "xworker", None)) is None:
        await asyncio.sleep(_POLL)
    progress.step = "waiting for the worker's script to run to its end"
    await _script_end(tag, name, xworker)
    progress.step = "waiting for the worker to hand out a channel"
    link, port = await _ask_for_port(tag, name, xworker)
    return Found(
        name,
        PortEndpoint(port),
        xworker.sync,
        watch=lambda on_death: watch(link.lifeline, xworker, lambda: on_death(_fate(name))),
        interrupt=Interrupter(link.memory) if link.memory else None,
    )


def _fate(name: str) -> str:
    return f"the worker {name!r} is gone: it was terminated, or it crashed"


async def _find_tag(name: str | None) -> Any:
    deadline = asyncio.get_running_loop().time() + _GRACE
    while True:
        tags = {str(tag.getAttribute("name")): tag for tag in js.document.querySelectorAll(_TAGS)}
        if name is not None and name in tags:
            return tags[name]
        if name is None and len(tags) == 1:
            return next(iter(tags.values()))
        if name is None and len(tags) > 1:
            raise ConnectError(f"the page has several workers, name one: connect({_listed(tags)})")
        if asyncio.get_running_loop().time() > deadline:
            break
        await asyncio.sleep(_POLL)
    there_are = f"there are {_listed(tags)}" if tags else "it has no named worker at all"
    wanted = "named worker" if name is None else f"worker named {name!r}"
    raise NoSuchWorkerError(
        f'the page has no {wanted}, {there_are}; a worker is a <script type="py" worker name="…"> tag'
    )


def _listed(names: Any) -> str:
    return ", ".join(map(repr, names))


def _is_micropython(tag: Any) -> bool:
    return str(tag.tagName).lower() == "mpy-script" or tag.getAttribute("type") == "mpy"


async def _script_end(tag: Any, name: str, xworker: Any) -> None:
    """Waits for PyScript's word that the worker's script has ended, whichever way."""

    async def ready() -> None:
        try:
            await xworker.ready
        except JsException as error:
            raise WorkerStartError(f"the worker {name!r} could not be started: {error}") from error

    waiting = asyncio.ensure_future(ready())
    try:
        done, _ = await asyncio.wait({waiting}, timeout=_SUSPICION)
        if not done:
            # PyScript says nothing, ever, of a script that does not exist.
            await _check_source(tag, name)
        await waiting
    finally:
        waiting.cancel()


async def _check_source(tag: Any, name: str) -> None:
    if source := tag.getAttribute("src"):
        try:
            response = await js.fetch(source)
        except JsException as error:
            raise WorkerStartError(
                f"the script of the worker {name!r}, {source}, cannot be fetched: {error}"
            ) from error
        if not response.ok:
            raise WorkerStartError(
                f"the script of the worker {name!r}, {source}, cannot be fetched: HTTP {response.status}"
            )


async def _ask_for_port(tag: Any, name: str, xworker: Any) -> tuple[Any, Any]:
    """Calls the worker over PyScript's bridge and returns its message, and the port."""
    mark = f"{_BRIDGE}:{next(_tokens)}"
    own = own_channel(xworker, mark)
    answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def receive(event: Any) -> None:
        if getattr(event.data, "mark", None) == mark and not answer.done():
            answer.set_result(event)

    proxy = create_proxy(receive)
    xworker.addEventListener("message", proxy)
    try:
        try:
            failure = base64.b64decode(str(await getattr(xworker.sync, _BRIDGE)(mark, name, own is not None)))
        except JsException:
            error = await _without_workerlib(tag, name)
            # What it came from says that a JavaScript object lacks a property: nothing to a reader of Python.
            error.__suppress_context__ = True
            raise error  # noqa: B904
        if failure:
            raise WorkerStartError(f"the script of the worker {name!r} failed") from rebuild(
                decode(failure, [])
            )
        message = await answer
        return message.data, message.ports[0] if message.ports.length else own
    finally:
        xworker.removeEventListener("message", proxy)
        proxy.destroy()


async def _without_workerlib(tag: Any, name: str) -> WorkerStartError:
    """Explains why a worker whose script has ended does not answer on the bridge.

    The error's `__cause__` is the script's own error, where it can be told.
    """
    where = tag.getAttribute("src") or f"<worker {name}>"
    source = tag.textContent
    if tag.getAttribute("src"):
        source = await (await js.fetch(where)).text()
    try:
        compile(textwrap.dedent(str(source)), where, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    except SyntaxError as error:
        failure = WorkerStartError(f"the script of the worker {name!r} failed: {error}")
        failure.__cause__ = error
        return failure
    return WorkerStartError(
        f"the script of the worker {name!r} ended without workerlib: either it does not import workerlib (its"
        ' config needs packages = ["workerlib"], its script `import workerlib`), or it failed before that;'
        " its own error is in the browser's console then, and here if `import workerlib` comes first"
    )


# The worker's side.

_connections: set[Connection] = set()
_script: FrameType | None = None


def serve() -> None:
    """Makes this worker ready to be connected to, if this is a worker of PyScript's.

    It is called when workerlib is imported, so that what the rest of the script raises can be told to
    those who connect. What `[imports]` names is put among the names of the script, which may use them from
    the next line on.

    Raises:
        ConfigError: If the section cannot be right.
    """
    xworker = _bridge_of_worker()
    if xworker is None:
        return
    global _script
    _script = _script_frame()
    if _script is not None:
        _know_source(_script)
    hold()

    def answer(mark: str, name: str, may_own: bool) -> str:
        error = _script_error()
        try:
            config = read_config()
            chosen = settings(config)
            exports_and_imports.complete(config)
        except ConfigError as wrong:
            error = error or wrong
        if error is not None:
            # PyScript's bridge carries strings unharmed, and nothing else of what an error is made of.
            return base64.b64encode(encode(describe(error))[0]).decode()
        # Firefox copies what goes over a port, and it and WebKit take longer for each message.
        port, ports = new_port(js.globalThis, mark, may_own)
        session = Session.listen(
            __version__,
            describe_exports(),
            adapters=describe_adapters(),
            strict=chosen.strict,
            max_depth=chosen.max_depth,
        )
        memory = new_memory()
        guard = MemoryGuard(memory) if memory else None
        call_log.configure(chosen.log)
        served = call_log.LoggedFunctions(name, functions)
        connection = Connection(session, PortEndpoint(port), served, guard=guard)
        connection.announce_exports()
        _connections.add(connection)
        connection.closed.add_done_callback(lambda _: _connections.discard(connection))

        def hand_out(lifeline: str) -> None:
            link = {"mark": mark, "lifeline": lifeline, "memory": memory}
            xworker.postMessage(to_js(link, dict_converter=js.Object.fromEntries), to_js(ports))

        hold(then=hand_out)
        return ""

    setattr(xworker.sync, _BRIDGE, answer)

    def put_on_bridge(name: str, function: Function) -> None:
        # What PyScript does itself with the names in a script's `__export__`: so a page that has no
        # workerlib can call them by `pyscript.workers[…]`, with PyScript's conversions.
        setattr(xworker.sync, name, function)

    observers.append(put_on_bridge)
    exports_and_imports.import_into(__main__, read_config())


def is_worker() -> bool:
    """Returns whether this Python is a worker of PyScript's."""
    return _bridge_of_worker() is not None


def _bridge_of_worker() -> Any:
    """Returns PyScript's bridge from this worker to its page; None if this is no worker of PyScript's."""
    try:
        from polyscript import xworker
    except ImportError:
        return None
    return xworker


def _script_frame() -> FrameType | None:
    """Finds the frame of the worker's script, which is importing this module."""
    frame: FrameType | None = sys._getframe()
    while frame is not None and not (
        frame.f_globals is __main__.__dict__ and frame.f_code.co_name == "<module>"
    ):
        frame = frame.f_back
    return frame


def _know_source(script: FrameType) -> None:
    """Keeps the source of the script for tracebacks: Pyodide runs it as `<exec>`, and keeps it to itself."""
    frame = script.f_back
    while frame is not None:
        # Pyodide's CodeRunner, which has compiled it.
        runner = frame.f_locals.get("self")
        source = getattr(runner, "_source", None)
        if isinstance(source, str) and getattr(runner, "code", None) is script.f_code:
            know_source(script.f_code, textwrap.dedent(source))
            return
        frame = frame.f_back


def _script_error() -> BaseException | None:
    """Returns what the worker's script raised at its top level, if it did.

    PyScript catches and prints it; Pyodide leaves it where Python's own prompt does (`sys.last_exc`).
    """
    error: BaseException | None = getattr(sys, "last_exc", None) or getattr(sys, "last_value", None)
    frames = None if error is None else error.__traceback__
    while frames is not None:
        if frames.tb_frame is _script:
            return error
        frames = frames.tb_next
    return None
