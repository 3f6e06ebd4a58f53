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
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

import js
from pyodide.ffi import JsException, create_proxy, to_js

from workerlib._channels import loop_shortcuts
from workerlib._channels.message_port import PortEndpoint, own_channel
from workerlib._channels.proxies import destroy_later
from workerlib._errors import (
    ConnectError,
    NoSuchWorkerError,
    ProtocolError,
    WorkerDiedError,
    WorkerStartError,
)
from workerlib._hosts.browser.liveness import (
    is_dead,
    is_up,
    mark_dead,
    mark_up,
    told_before,
    watch,
    watch_lock,
    watch_termination,
)
from workerlib._hosts.browser.shared_memory_answers import AnswerWriter
from workerlib._hosts.browser.shared_memory_interrupts import Interrupter
from workerlib._hosts.greeting import Greeting
from workerlib._hosts.host import MODULES_OF_A_PAGE, Found, Progress, SpawnProgress, script_failed
from workerlib._hosts.pyscript import bridge
from workerlib._hosts.pyscript.config import is_path
from workerlib._native import decode
from workerlib._rpc.timers import Timer, call_later, sleep
from workerlib._values.exceptions import rebuild

# Tags can be added at run time: how many seconds a name may take to appear.
_GRACE = 1.0
# The seconds between two looks at what the page gives no event for.
_POLL = 0.02
# After how many seconds to look whether the worker's files are there, and whether a worker that was up still
# lives: a worker that is up has its files, and answers sooner unless it computes.
_DOUBT = 0.1
# After how many seconds an open connection asks for its worker's lock: the first call goes before.
_SOON = 0.05
# After how many seconds without a sign of life to look whether the worker may start at all.
_SUSPICION = 3.0

_ANEW = "start it anew, by a tag with another name: PyScript keeps this one for the dead worker"
"""The remedy for a worker that has died."""

_tokens = itertools.count(1)
_T = TypeVar("_T")


async def open_channel(progress: Progress, greet: Callable[[], Greeting], worker: Any = None) -> Found:
    """Finds the worker, waits until its script has run, and gets a channel to it.

    Args:
        progress: Names the worker, and hears of each step.
        greet: Begins the session, whose first message goes with the question for a channel.
        worker: The result of `pyscript.PyWorker(…)`, in place of a tag's name.

    Raises:
        NoSuchWorkerError: If no tag has that name.
        WorkerStartError: If the worker's script failed, or cannot be loaded.
        WorkerDiedError: If the worker has ended already, or ends meanwhile.
        ConnectError: If this is a worker, or there are several workers to choose from.
        TypeError: If `worker` is something else.
    """
    progress.enter("looking for the worker's script tag", SpawnProgress("find", progress.subject))
    if bridge.bridge_of_worker() is not None:
        raise ConnectError("connect() is for the page: this is a worker, whose functions the page calls")
    if worker is None:
        tag = await _find_tag(progress.name)
        name = progress.name = str(tag.getAttribute("name"))
        if _is_micropython(tag):
            raise ConnectError(
                f'the worker {name!r} runs MicroPython (type="mpy"), which cannot load workerlib:'
                ' use type="py"'
            )
        progress.enter("waiting for PyScript to start the worker", SpawnProgress("download", "Pyodide"))
        while (xworker := getattr(tag, "xworker", None)) is None:
            await asyncio.sleep(_POLL)
    else:
        if not hasattr(worker, "sync"):
            raise TypeError(
                f"connect() takes the name of a worker's script tag, as a str, or what pyscript.PyWorker(…)"
                f" returned, not {worker!r}"
            )
        # It has none of a tag's attributes.
        tag, xworker = js.document.createElement("script"), worker
        name = progress.name = progress.name or "PyWorker"
    if is_dead(xworker):
        raise _died(name, told_before(xworker)[1], progress.step)
    with Start(progress, name, xworker) as start:
        step = "waiting for the worker's script to run to its end"
        progress.enter(step, SpawnProgress("import", f"the script of {name!r}"))
        if not is_up(xworker):
            start.look_for_reasons_later(tag)
            await start.unless_failed(_script_end(name, xworker))
            mark_up(xworker)
        step = "waiting for the worker to hand out a channel"
        progress.enter(step, SpawnProgress("connect", progress.subject))
        greeting = greet()
        link, port, shown = await start.unless_failed(_ask_for_port(tag, name, xworker, greeting))
    return Found(
        name,
        PortEndpoint(port, f"the worker {name!r}", lambda: mark_dead(xworker)),
        shown,
        watch=lambda on_death: watch(link.lifeline, xworker, lambda: on_death(_fate(name)), _SOON),
        greeting=greeting,
        frames=_frames(link, name),
        interrupt=Interrupter(link.memory) if link.memory else None,
        terminate=xworker.terminate,
        wake=AnswerWriter(link.answers).write if link.answers else None,
        key=xworker.js_id,
    )


def _with_terminate(xworker: Any) -> Any:
    """Gives PyScript's own object for a worker, with a `terminate` that ends it.

    The object itself takes any name for a function of the worker's, and says nothing where there is none.
    """
    shown = js.Object.create(xworker.sync)
    own = {"value": xworker.terminate.bind(xworker)}
    js.Object.defineProperty(shown, "terminate", to_js(own, dict_converter=js.Object.fromEntries))
    return shown


def _fate(name: str, reason: str = "") -> str:
    return f"the worker {name!r} is gone: {reason or 'it was terminated, or it crashed'}"


def _died(name: str, reason: str, step: str) -> WorkerDiedError:
    return WorkerDiedError(f"{_fate(name, reason)}; connect() was {step}; {_ANEW}")


async def _find_tag(name: str | None) -> Any:
    deadline = asyncio.get_running_loop().time() + _GRACE
    while True:
        tags: dict[str, Any] = {}
        for tag in js.document.querySelectorAll(bridge.TAGS):
            own = str(tag.getAttribute("name"))
            if own in tags and name in (None, own):
                raise ConnectError(f"the page has several workers named {own!r}: give each a name of its own")
            tags[own] = tag
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


def tag_named(name: str) -> Any:
    """Returns the script tag of the worker of that name; None if there is none."""
    for tag in js.document.querySelectorAll(bridge.TAGS):
        if str(tag.getAttribute("name")) == name:
            return tag
    return None


def _listed(names: Any) -> str:
    return ", ".join(map(repr, names))


def _is_micropython(tag: Any) -> bool:
    return str(tag.tagName).lower() == "mpy-script" or tag.getAttribute("type") == "mpy"


async def _script_end(name: str, xworker: Any) -> None:
    """Waits for PyScript's word that the worker's script has ended, whichever way."""
    try:
        await xworker.ready
    except JsException as error:
        raise WorkerStartError(f"the worker {name!r} could not be started: {error}") from error


async def _check_sources(tag: Any, name: str) -> None:
    """Looks whether the files that the tag names are there: PyScript has fetched them, so they are at hand.

    Raises:
        WorkerStartError: If one is not.
    """
    config = (tag.getAttribute("config") or "").strip()
    for what, address in (
        ("script", tag.getAttribute("src")),
        ("configuration", config if is_path(config) else None),
    ):
        if not address:
            continue
        told = f"the {what} of the worker {name!r}, {address}, cannot be fetched"
        try:
            response = await js.fetch(address, cache="force-cache")
        except JsException as error:
            raise WorkerStartError(f"{told}: {error}") from error
        if not response.ok:
            raise WorkerStartError(f"{told}: HTTP {response.status}")
        if what == "script" and "text/html" in (response.headers.get("content-type") or ""):
            raise WorkerStartError(
                f"{told}: the server sent a page (HTML) in its place, as servers of single-page"
                " applications do for files that do not exist; check the address"
            )


async def _check_policy(name: str) -> None:
    """Looks, if the worker is slow, whether the page's policy allows its script, which has a blob: address.

    Raises:
        WorkerStartError: If it does not.
    """
    await sleep(_SUSPICION)
    outcome: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def settle(is_allowed: bool) -> None:
        if not outcome.done():
            outcome.set_result(is_allowed)

    address = js.URL.createObjectURL(js.Blob.new(["postMessage(0)"], type="text/javascript"))
    proxies = [create_proxy(lambda _event: settle(True)), create_proxy(lambda _event: settle(False))]
    probe = None
    try:
        probe = js.Worker.new(address)
        probe.onmessage, probe.onerror = proxies
        is_allowed = await outcome
    except JsException:
        # Some browsers refuse it at once.
        is_allowed = False
    finally:
        if probe is not None:
            # The worker's answer cuts the check short. The probe may start later, when the proxies are gone.
            probe.onmessage = probe.onerror = None
            probe.terminate()
        js.URL.revokeObjectURL(address)
        destroy_later(proxies)
    if not is_allowed:
        raise WorkerStartError(_forbidden(name))


def _forbidden(name: str) -> str:
    return (
        f"the browser did not load the worker {name!r}, whose script has a blob: address: the page's Content"
        " Security Policy has to allow them, by `worker-src blob:`"
    )


class Start:
    """Watches a worker while it starts: tells its steps, and ends the wait if the worker is gone."""

    def __init__(self, progress: Progress, name: str, xworker: Any) -> None:
        """Names the worker."""
        self._progress = progress
        self._name = name
        self._xworker = xworker
        self._error: Exception | None = None
        # The task that awaits a step.
        self._waiting: asyncio.Task[Any] | None = None
        self._timer: Timer | None = None
        self._checks: list[asyncio.Task[None]] = []
        self._stops: list[Callable[[], None]] = []
        self._proxies: dict[str, Any] = {}
        self._listening: Timer | None = None

    def __enter__(self) -> Start:
        if is_up(self._xworker):
            self._listening = call_later(asyncio.get_running_loop(), _DOUBT, self._listen)
        else:
            self._listen()
        return self

    def _listen(self) -> None:
        lifeline, reason = told_before(self._xworker)
        if is_dead(self._xworker):
            self._die(reason or "it was terminated")
            return
        self._stops = [watch_termination(self._xworker, lambda: self._die("it was terminated"))]
        self._proxies = {
            "error": create_proxy(self._on_error),
            "message": create_proxy(self._on_message),
        }
        for event, proxy in self._proxies.items():
            self._xworker.addEventListener(event, proxy)
        # PyScript has the page told what its workers load, where it can.
        self._on_load = create_proxy(self._on_progress)
        # It may have told which lock it holds before this listened.
        self._watch_lock(lifeline)
        js.addEventListener("py:progress", self._on_load)

    def __exit__(self, *_: object) -> None:
        self._stop_looking()
        if self._listening is not None:
            self._listening.cancel()
        if not self._proxies:
            return
        for stop in self._stops:
            stop()
        for event, proxy in self._proxies.items():
            self._xworker.removeEventListener(event, proxy)
        js.removeEventListener("py:progress", self._on_load)
        destroy_later([*self._proxies.values(), self._on_load])

    async def unless_failed(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        """Awaits a step of the start, in the task that runs.

        A task of its own would take several turns of the event loop.

        Raises:
            WorkerDiedError: If the worker is terminated meanwhile.
            WorkerStartError: If it turns out that the worker cannot start.
        """
        if self._error is not None:
            coroutine.close()
            raise self._error
        task = self._waiting = asyncio.current_task()
        assert task is not None
        cancels = task.cancelling()
        try:
            return await coroutine
        except asyncio.CancelledError:
            # As `asyncio.timeout()` does: the user may have cancelled the task, too.
            if self._error is not None and task.uncancel() <= cancels:
                raise self._error from None
            raise
        finally:
            self._waiting = None
            self._stop_looking()

    def look_for_reasons_later(self, tag: Any) -> None:
        """Looks during the next step why it may never end, unless it ends soon.

        PyScript says nothing, ever, of a script or a configuration that does not exist, or if the page's
        policy keeps the worker from being loaded.

        Args:
            tag: The worker's tag.
        """
        self._timer = call_later(asyncio.get_running_loop(), _DOUBT, self._look_for_reasons, tag)

    def _look_for_reasons(self, tag: Any) -> None:
        # The checks make their coroutines themselves: a check that is cancelled before it begins leaves none.
        checks = partial(_check_sources, tag, self._name), partial(_check_policy, self._name)
        self._checks = [asyncio.ensure_future(self._fail_by(check)) for check in checks]

    def _stop_looking(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        for check in self._checks:
            check.cancel()

    async def _fail_by(self, check: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            await check()
        except Exception as error:
            self._fail(error)

    def _die(self, reason: str) -> None:
        mark_dead(self._xworker)
        self._fail(_died(self._name, reason, self._progress.step))

    def _fail(self, error: Exception) -> None:
        if self._error is None:
            self._error = error
            if self._waiting is not None:
                self._waiting.cancel()

    def _on_error(self, event: Any) -> None:
        # An error in the worker's JavaScript has a message; a script that was not loaded has none.
        if getattr(event, "message", None) is None:
            self._fail(WorkerStartError(_forbidden(self._name)))

    def _on_message(self, event: Any) -> None:
        mark = getattr(event.data, "mark", None)
        if mark == bridge.RUNNING:
            lifeline = getattr(event.data, "lifeline", None)
            if lifeline is None:
                self._enter("import", "the script, which has imported workerlib")
            elif isinstance(lifeline, str):
                self._watch_lock(lifeline)
        elif mark == bridge.DIED:
            self._die(str(event.data.reason))

    def _watch_lock(self, lifeline: str) -> None:
        self._stops.append(watch_lock(lifeline, lambda: self._die("it closed itself, or it crashed")))

    def _on_progress(self, event: Any) -> None:
        self._enter("download", str(event.detail))

    def _enter(self, stage: str, what: str) -> None:
        try:
            self._progress.enter(self._progress.step, SpawnProgress(stage, what))
        except Exception as error:
            self._fail(error)


async def _ask_for_port(tag: Any, name: str, xworker: Any, greeting: Greeting) -> tuple[Any, Any, Any]:
    """Calls the worker over PyScript's bridge and returns its message, the port, and the worker to show."""
    loop = asyncio.get_running_loop()
    # The task that waits for the worker's message goes on in its event, as with a channel's messages.
    loop_shortcuts.watch()
    turn, let_turn_go = loop_shortcuts.turn_of(loop)
    mark = f"{bridge.NAME}:{next(_tokens)}"
    own = own_channel(xworker, mark)
    answer: asyncio.Future[Any] = loop.create_future()

    def stop() -> None:
        xworker.removeEventListener("message", proxy)
        destroy_later([proxy])
        let_turn_go()

    def receive(event: Any) -> None:
        if getattr(event.data, "mark", None) != mark:
            return
        if answer.cancelled():
            stop()
            _decline(event, own, greeting)
        elif not answer.done():
            turn.begin()
            try:
                answer.set_result(event)
            finally:
                turn.end()

    def hear(failure: Any) -> None:
        # The worker's message with the port overtakes these words where there is no failure.
        if failure:
            settle(str(failure))

    def settle(outcome: str | None) -> None:
        if answer.cancelled():
            stop()
        elif not answer.done():
            answer.set_result(outcome)

    asked = _ask(xworker, greeting, mark, name, own is not None, _script_of(tag))
    # The answer comes in a later event, so all else is made while the question is on its way.
    proxy = create_proxy(receive)
    xworker.addEventListener("message", proxy)
    try:
        if asked is None:
            settle(None)
        else:
            asked.then(hear, lambda _error: settle(None))
        shown = _with_terminate(xworker)
        message = await answer
        if message is None:
            raise await _without_workerlib(tag, name)
        if isinstance(message, str):
            cause = rebuild(decode(base64.b64decode(message), []))
            raise script_failed(f"the script of the worker {name!r}", cause, MODULES_OF_A_PAGE)
        return message.data, _port_of(message, own), shown
    finally:
        # A worker that computes answers later, and has a connection open then.
        if not answer.cancelled():
            stop()


def _ask(xworker: Any, greeting: Greeting, *arguments: str | bool) -> Any:
    """Asks the worker for a channel; returns the promise of its words, or None if it cannot be asked."""
    first = base64.b64encode(greeting.take_out()).decode()
    try:
        return getattr(xworker.sync, bridge.NAME)(*arguments, first)
    except JsException:
        return None


def _port_of(message: Any, own: Any) -> Any:
    return message.ports[0] if message.ports.length else own


def _decline(message: Any, own: Any, greeting: Greeting) -> None:
    """Closes the channel that a worker has handed out when nobody waited for it any more."""
    session = greeting.session
    for frame in _frames(message.data, "of no name"):
        session.handle(frame, [])
    session.close("the page has given up to connect")
    port = _port_of(message, own)
    while (transmit := session.poll_transmit()) is not None:
        port.postMessage(to_js(transmit[0]))
    if hasattr(port, "close"):
        port.close()


def _frames(link: Any, name: str) -> tuple[bytes, ...]:
    """Takes the worker's part of the handshake out of its message.

    Raises:
        ProtocolError: If the message has none.
    """
    try:
        return tuple(frame.to_bytes() for frame in link.frames)
    except (AttributeError, TypeError):
        raise ProtocolError(f"the worker {name!r} did not answer the handshake") from None


def _script_of(tag: Any) -> str:
    """Returns the address of the worker script, or of the page that has it inline; empty if unknown."""
    if not tag.isConnected:
        return ""
    return str(js.URL.new(tag.getAttribute("src") or "", js.document.baseURI).href)


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
