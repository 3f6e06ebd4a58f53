"""Suspends the stack of sync code that waits, by JSPI, and tells what to change where that is impossible.

JSPI (https://github.com/WebAssembly/js-promise-integration) is in Chrome 137, Firefox 153 and Safari 27.
Python can use it where JavaScript has entered it by a promising call: the event loop does, a handler of
messages does not.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import js
from pyodide.ffi import can_run_sync

from workerlib._channels.suspended_stacks import suspend
from workerlib._hosts.browser.shared_memory_interrupts import can_share
from workerlib._location.scope import is_page
from workerlib._rpc import waiting


class BrowserWays(waiting.Ways):
    """The ways of a browser, and of Node."""

    def suspend(self) -> Callable[[Awaitable[Any]], Any] | None:
        """Gives Pyodide's `run_sync`, where it works."""
        return suspend if can_run_sync() else None

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


def install() -> None:
    """Makes these the ways of this Python."""
    waiting.ways = BrowserWays()
