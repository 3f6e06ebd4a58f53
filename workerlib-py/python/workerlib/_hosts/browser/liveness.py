"""Notices on a page that a worker is gone: the worker holds a Web Lock, which the browser frees at its death.

Hosts in a browser use it. No browser tells of a death: a worker that is terminated, or whose process crashes,
is silent for ever. Web Locks exist in secure contexts only; elsewhere a death is not noticed.

A worker that the page itself ends by `terminate()` counts as dead at once. The browser may free its lock
later: Chromium frees the lock of a worker that computes after two seconds, and WebKit never does if the page
shares no memory with the worker.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import js
from pyodide.ffi import JsException, create_once_callable, create_proxy, to_js

from workerlib._channels.proxies import destroy_later
from workerlib._location.package_files import text_of
from workerlib._location.scope import is_page
from workerlib._rpc.timers import call_later

_name = ""
_is_held = False
_is_refused = False
_waiting: list[Callable[[str], None]] = []
# The proxies that JavaScript has for the life of this Python.
_proxies: list[Any] = []
# The property of a worker that has what tells of its termination, by an event. The worker's own events do not
# tell: WebKit dispatches none after it.
_TERMINATION = "workerlib_termination"
_EVENT = "terminated"
_IS_DEAD = "isDead"
_IS_UP = "isUp"
_LIFELINE, _REASON = "lifeline", "reason"
# The values of evaluated scripts of `javascript/src`, by name; False where the page's policy forbids them.
_scripts: dict[str, Any] = {}


def hold(then: Callable[[str], None] | None = None) -> None:
    """Holds a lock for as long as this worker lives.

    Args:
        then: Called with its name when it is held: only from then on may a page ask for it, which would
            get it otherwise. The name is empty where there are no locks.
    """
    global _name
    if not _name and not _is_refused and hasattr(js.navigator, "locks"):
        _name = f"workerlib:{js.crypto.randomUUID()}"
        never, granted = create_proxy(lambda *_: None), create_proxy(_note_grant)
        _proxies.extend((never, granted))

        def refuse(_reason: Any) -> None:
            # In a sandboxed frame for example. Nobody can watch this worker then.
            global _name, _is_refused
            _name, _is_refused = "", True
            _answer()

        js.navigator.locks.request(_name, granted).catch(create_once_callable(refuse))
    if then is not None and (_is_held or not _name):
        then(_name)
    elif then is not None:
        _waiting.append(then)


def _note_grant(_lock: Any) -> Any:
    global _is_held
    _is_held = True
    _answer()
    return js.Promise.new(_proxies[0])


def _answer() -> None:
    while _waiting:
        _waiting.pop()(_name)


def watch(name: str, worker: Any, on_death: Callable[[], None], lock_after: float = 0) -> Callable[[], None]:
    """Has `on_death` called when a worker is gone.

    Args:
        name: The name of the lock that it holds.
        worker: The browser's own object for it.
        on_death: May be called for both signs of a death.
        lock_after: After how many seconds to ask for the lock, which takes a while. Whoever asks after the
            worker's end gets it.

    Returns:
        A function that ends the watch.
    """

    def die() -> None:
        mark_dead(worker)
        on_death()

    def watch_its_lock() -> None:
        stops.append(watch_lock(name, die))

    stops = [watch_termination(worker, on_death)]
    if lock_after:
        stops.append(call_later(asyncio.get_running_loop(), lock_after, watch_its_lock).cancel)
    else:
        watch_its_lock()

    def stop() -> None:
        for each in stops:
            each()

    return stop


def mark_up(worker: Any) -> None:
    """Notes that the script of a worker of PyScript's has ended, for those who ask `is_up`."""
    setattr(_termination_of(worker), _IS_UP, True)


def is_up(worker: Any) -> bool:
    """Tells whether the script of a worker of PyScript's is known to have ended, so that it answers.

    Args:
        worker: The browser's own object for it.
    """
    return getattr(getattr(worker, _TERMINATION, None), _IS_UP, False) is True


def mark_dead(worker: Any) -> None:
    """Notes that a worker is gone, for those who ask `is_dead`."""
    setattr(_termination_of(worker), _IS_DEAD, True)


def is_dead(worker: Any) -> bool:
    """Tells whether a worker is known to be gone: terminated by this page, or watched when it ended.

    Args:
        worker: The browser's own object for it.
    """
    termination = getattr(worker, _TERMINATION, None)
    return termination is not None and getattr(termination, _IS_DEAD, False) is True


def told_before(worker: Any) -> tuple[str, str]:
    """Returns what a worker of PyScript's has told of itself before anybody was connected to it.

    Args:
        worker: The browser's own object for it.

    Returns:
        The name of the lock that it holds while it lives, and why its Python has ended; empty if unknown.
    """
    termination = getattr(worker, _TERMINATION, None)
    lifeline, reason = getattr(termination, _LIFELINE, ""), getattr(termination, _REASON, "")
    return str(lifeline), str(reason)


def note_lifelines(tags: str, running: str, died: str) -> None:
    """From now on notes what workers of PyScript's tell of themselves before anybody is connected to them.

    Args:
        tags: The selector of the tags that PyScript makes workers of.
        running: The mark of the message by which a worker tells its lock.
        died: The mark of the message by which it tells why its Python has ended.
    """
    if is_page() and (script := _evaluated("lifelines")):
        script(tags, to_js({"running": running, "died": died}, dict_converter=js.Object.fromEntries))


def notice_terminations() -> None:
    """Notes from now on which workers the page terminates, also workers that it does not watch.

    A terminated worker is silent for ever, so a later `connect()` would wait in vain. If the page's policy
    forbids the script, only the terminations of watched workers are noted.
    """
    if is_page() and (script := _terminations()):
        # It is not a worker: the function that all workers have is replaced, and nothing else.
        script(js.Object.new())


def _terminations() -> Any:
    """Evaluates `termination.ts`; returns what it offers, or False where the page's policy forbids it."""
    return _evaluated("termination")


def _evaluated(name: str) -> Any:
    """Evaluates a script, once; returns its value, or False where the page's policy forbids it."""
    if name not in _scripts:
        source = text_of("javascript", f"{name}.js")
        try:
            _scripts[name] = js.eval(source)
        except JsException:
            _scripts[name] = False
    return _scripts[name]


def _termination_of(worker: Any) -> Any:
    """Gives what tells of a worker's termination, by whichever way the page's JavaScript terminates it."""
    if script := _terminations():
        return script(worker)
    termination = getattr(worker, _TERMINATION, None)
    if termination is None:
        termination = js.EventTarget.new()
        setattr(worker, _TERMINATION, termination)
        terminate = worker.terminate

        def tell() -> None:
            terminate()
            if getattr(termination, _IS_DEAD, False) is not True:
                mark_dead(worker)
                termination.dispatchEvent(js.Event.new(_EVENT))

        # Not the prototype's method, as in `termination.ts`: a proxy does not hear whose method it is.
        worker.terminate = create_proxy(tell)
        _proxies.append(worker.terminate)
    return termination


def watch_termination(worker: Any, on_death: Callable[[], None]) -> Callable[[], None]:
    """Has `on_death` called when a worker's `terminate` is called on this side.

    Args:
        worker: The browser's own object for it.
        on_death: May end the watch itself.

    Returns:
        A function that ends the watch.
    """
    termination = _termination_of(worker)
    listener = create_proxy(lambda _event: on_death())
    termination.addEventListener(_EVENT, listener)

    def stop() -> None:
        termination.removeEventListener(_EVENT, listener)
        # It may be what is calling this.
        destroy_later([listener])

    return stop


def watch_lock(name: str, on_death: Callable[[], None]) -> Callable[[], None]:
    """Has `on_death` called when the lock of a worker is free, or at once if nobody holds it.

    Args:
        name: The name of the lock; empty if the worker has none.
        on_death: May end the watch itself.

    Returns:
        A function that ends the watch.
    """
    if not name or not hasattr(js.navigator, "locks"):
        return lambda: None
    controller = js.AbortController.new()
    options = to_js({"signal": controller.signal}, dict_converter=js.Object.fromEntries)
    granted = create_proxy(lambda _lock: None)

    def die(_: Any) -> None:
        granted.destroy()
        on_death()

    # Not a task that awaits it: the error of a watch that was ended would keep the task, and all that it
    # refers to, until the garbage collector runs.
    js.navigator.locks.request(name, options, granted).then(die, lambda _ended: granted.destroy())

    def stop() -> None:
        controller.abort()

    return stop
