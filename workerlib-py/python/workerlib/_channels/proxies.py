"""Destroys the proxies by which JavaScript calls Python, once JavaScript is out of them.

Channels and hosts use it. A function that ends a connection may itself be called by one of its proxies, and
JavaScript must not return into a proxy that is gone. The event loop's `call_soon` is no way to wait for
that: while a message is handled, its callbacks run before the handler returns (`loop_shortcuts.py`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import js
from pyodide.ffi import create_once_callable


def destroy_later(proxies: Iterable[Any]) -> None:
    """Destroys proxies in a later event of JavaScript's.

    Args:
        proxies: Results of `pyodide.ffi.create_proxy`.
    """
    kept = list(proxies)

    def destroy() -> None:
        for proxy in kept:
            proxy.destroy()

    js.setTimeout(create_once_callable(destroy), 0)
