"""The worker's side under PyScript: puts a function on PyScript's bridge, by which the page gets a channel.

Importing workerlib in a worker of PyScript's calls `serve()`, and so makes the worker reachable: what the
rest of the script raises can be told to the page then, and what `[imports]` names is there from the next line
on.
"""

from __future__ import annotations

import base64
import sys
import textwrap
from functools import partial
from types import FrameType
from typing import Any

import js
from pyodide.ffi import to_js

import __main__
from workerlib._channels import fatal_errors
from workerlib._channels.message_port import PortEndpoint, new_port
from workerlib._config import exports_and_imports
from workerlib._config.settings import Settings, settings
from workerlib._config.settings import serve as serve_output
from workerlib._exports import Function, describe_exports, functions, observers
from workerlib._hosts.browser.liveness import hold, note_lifelines, notice_terminations
from workerlib._hosts.browser.shared_memory_answers import AnswerReader, new_answers
from workerlib._hosts.browser.shared_memory_interrupts import MemoryGuard, new_memory
from workerlib._hosts.pyscript import addresses, bridge
from workerlib._hosts.pyscript.config import hint_at_files, read_config
from workerlib._hosts.traces import traced_connection
from workerlib._location.addresses import start_from
from workerlib._native import Session, encode
from workerlib._rpc.call_log import CallLog
from workerlib._rpc.connection import Connection
from workerlib._rpc.starts import say
from workerlib._values.adapters import AdapterSet
from workerlib._values.exceptions import describe
from workerlib._values.tracebacks import know_source
from workerlib._version import __version__

_connections: set[Connection] = set()
_script: FrameType | None = None


def serve() -> None:
    """Makes this worker ready to be connected to, if this is a worker of PyScript's.

    It is called when workerlib is imported, so that an exception of the rest of the script can be told to
    pages that connect. The names of `[imports]` are put among the names of the script, which may use them
    from the next line on.

    Raises:
        ConfigError: If the section cannot be right.
    """
    xworker = bridge.bridge_of_worker()
    if xworker is None:
        _notice_deaths()
        return
    global _script
    _script = _script_frame()
    if _script is not None:
        _know_source(_script)
    start_from(addresses.find)
    xworker.postMessage(to_js({"mark": bridge.RUNNING}, dict_converter=js.Object.fromEntries))
    fatal_errors.tell_by_message(xworker, bridge.DIED)
    hold(then=partial(_tell_lock, xworker))

    def answer(mark: str, name: str, may_own: bool, script: str, greeting: str) -> str:
        addresses.tell(script)
        error = _script_error()
        try:
            config = read_config()
            chosen = settings(config)
            say(chosen.blocking)
            adapters = exports_and_imports.complete(config)
        # Modules of the user's are imported here, which may raise anything.
        except BaseException as wrong:
            error = error or wrong
        if isinstance(error, ModuleNotFoundError) and (hint := hint_at_files()):
            error.add_note(hint)
        if error is not None:
            # PyScript's bridge carries strings unharmed, and nothing else of what an error is made of.
            return base64.b64encode(encode(describe(error))[0]).decode()
        asked = partial(_connect, xworker, mark, name, may_own, base64.b64decode(greeting))
        # Not before this worker holds its lock, by which the page sees its end.
        hold(then=partial(asked, chosen, adapters))
        return ""

    setattr(xworker.sync, bridge.NAME, answer)

    def put_on_bridge(name: str, function: Function) -> None:
        # PyScript does the same with the names in a script's `__export__`: so a page that has no
        # workerlib can call them by `pyscript.workers[…]`, with PyScript's conversions.
        setattr(xworker.sync, name, function)

    observers.append(put_on_bridge)
    config = read_config()
    serve_output(config)
    exports_and_imports.import_into(__main__, config)


def _connect(  # noqa: PLR0917 - what the page has asked for, and what is known of it here
    xworker: Any,
    mark: str,
    name: str,
    may_own: bool,
    greeting: bytes,
    chosen: Settings,
    adapters: AdapterSet,
    lifeline: str,
) -> None:
    """Hands out a channel, together with this side's answer to the page's first message."""
    # Firefox copies what goes over a port, and it and WebKit take longer for each message.
    port, ports = new_port(js.globalThis, mark, may_own)
    table = chosen.table(adapters)
    session = Session.listen(
        __version__,
        describe_exports(),
        adapters=adapters.describe(),
        table=table,
        max_depth=chosen.max_depth,
    )
    session.handle(greeting, [])
    frames = []
    while (transmit := session.poll_transmit()) is not None:
        frames.append(transmit[0])
    memory, answers = new_memory(), new_answers()
    link = {"mark": mark, "frames": frames, "lifeline": lifeline, "memory": memory, "answers": answers}
    xworker.postMessage(to_js(link, dict_converter=js.Object.fromEntries), to_js(ports))
    # The rest is done while the message is on its way.
    endpoint = PortEndpoint(port)
    if answers:
        endpoint.answers = AnswerReader(answers)
    kind = traced_connection() if chosen.trace else Connection
    connection = kind(
        session,
        endpoint,
        functions,
        table=table,
        log=CallLog(name, chosen.log),
        guard=MemoryGuard(memory) if memory else None,
    )
    connection.announce_exports()
    _connections.add(connection)
    connection.closed.add_done_callback(lambda _: _connections.discard(connection))


def _notice_deaths() -> None:
    """Has this page know which of its workers have ended before anybody connects to them."""
    notice_terminations()
    if bridge.is_there():
        note_lifelines(bridge.TAGS, bridge.RUNNING, bridge.DIED)


def _tell_lock(xworker: Any, lifeline: str) -> None:
    """Tells the page which lock this worker holds, before anybody connects."""
    told = {"mark": bridge.RUNNING, "lifeline": lifeline}
    xworker.postMessage(to_js(told, dict_converter=js.Object.fromEntries))


def is_worker() -> bool:
    """Returns whether this Python is a worker of PyScript's."""
    return bridge.bridge_of_worker() is not None


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
