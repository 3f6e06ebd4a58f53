"""Suspends the stack of sync code that waits, by JSPI, and tells what to change where that is impossible.

JSPI (https://github.com/WebAssembly/js-promise-integration) is in Chrome 137, Firefox 153 and Safari 27.
Python can use it where JavaScript has entered it by a promising call: the event loop does, a handler of
messages does not.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import js
from pyodide.ffi import can_run_sync

from workerlib._channels.loop_shortcuts import run_sync_unnoticed
from workerlib._hosts.browser.shared_memory_interrupts import can_share
from workerlib._rpc import waiting
from workerlib._scope import is_page


class BrowserWays(waiting.Ways):
    """The ways of a browser, and of Node."""

    def suspend(self) -> Callable[[Awaitable[Any]], Any] | None:
        """Gives Pyodide's `run_sync`, where it works."""
        if not can_run_sync():
            return None
        return _without_collector if sys.version_info >= (3, 14) else run_sync_unnoticed()

    def remedy(self) -> str:
        """Tells what to change where sync code cannot wait."""
        if is_page():
            return "a page never waits; make the function that calls it async, and await there"
        ways = ["make the function that calls it async, and await there"]
        if hasattr(js.WebAssembly, "Suspending"):
            ways.append("or mark the exported function by @workerlib.export(blocking=True)")
        if not can_share():
            ways.append(
                "or have the server isolate the page, by the headers Cross-Origin-Opener-Policy: same-origin"
                " and Cross-Origin-Embedder-Policy: require-corp"
            )
        return ", ".join(ways)


_suspended = 0
"""The number of stacks that wait."""
_resumes = False
"""Whether the collector ran before the first of them waited."""


def _without_collector(awaitable: Awaitable[Any]) -> Any:
    """Waits by `run_sync`, while no collection starts by itself.

    A collection of Python 3.14 walks the frames of all stacks, those that are suspended too, whose memory
    other code uses meanwhile: Pyodide then fails fatally (https://github.com/pyodide/pyodide/issues/6464).
    The collector goes on when no stack waits any more; a full `gc.collect()` does not walk them.
    """
    global _suspended, _resumes
    if not _suspended:
        _resumes = gc.isenabled()
        gc.disable()
    _suspended += 1
    try:
        return run_sync_unnoticed()(awaitable)
    finally:
        _suspended -= 1
        if not _suspended and _resumes:
            gc.enable()


def install() -> None:
    """Makes these the ways of this Python."""
    waiting.ways = BrowserWays()
