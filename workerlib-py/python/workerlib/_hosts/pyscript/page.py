"""The page's side under PyScript: finds the worker's script tag, and asks the worker for a channel.

The page calls a function that the worker has put on PyScript's bridge, and the worker posts one end of a
MessageChannel to the page.
"""

from __future__ import annotations

import ast
import asyncio
import base64
import itertools
import textwrap
from typing import Any

import js
from pyodide.ffi import JsException, create_proxy

from workerlib._channels.message_port import PortEndpoint, own_channel
from workerlib._errors import ConnectError, NoSuchWorkerError, WorkerStartError
from workerlib._hosts.browser.liveness import watch
from workerlib._hosts.browser.shared_memory_interrupts import Interrupter
from workerlib._hosts.host import Found, Progress
from workerlib._hosts.pyscript import bridge
from workerlib._native import decode
from workerlib._values.exceptions import rebuild

# The tags that PyScript makes workers of.
_TAGS = "script[worker][name], py-script[worker][name], mpy-script[worker][name]"
# Tags can be added at run time: how many seconds a name may take to appear.
_GRACE = 1.0
# How often to look for what the page gives no event for, in seconds.
_POLL = 0.02
# After how many seconds without a sign of life to look whether the script exists at all.
_SUSPICION = 3.0

_tokens = itertools.count(1)


async def open_channel(progress: Progress) -> Found:
    """Finds the worker, waits until its script has run, and gets a channel to it."""
    progress.step = "looking for the worker's script tag"
    if bridge.bridge_of_worker() is not None:
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
    mark = f"{bridge.NAME}:{next(_tokens)}"
    own = own_channel(xworker, mark)
    answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def receive(event: Any) -> None:
        if getattr(event.data, "mark", None) == mark and not answer.done():
            answer.set_result(event)

    proxy = create_proxy(receive)
    xworker.addEventListener("message", proxy)
    try:
        try:
            failure = base64.b64decode(
                str(await getattr(xworker.sync, bridge.NAME)(mark, name, own is not None))
            )
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
