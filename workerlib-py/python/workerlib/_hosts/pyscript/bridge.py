"""PyScript's bridge between a page and its worker (`xworker.sync`): what both sides have to know of it.

The bridge carries one call, by which the page asks for a channel. From then on PyScript has no part in it.
"""

from __future__ import annotations

from typing import Any

TAGS = "script[worker][name], py-script[worker][name], mpy-script[worker][name]"
"""The tags that PyScript makes workers of."""

NAME = "workerlib_connect"
"""The name of the worker's function on the bridge; the mark of the message with the port begins with it."""

RUNNING = "workerlib_running"
"""The mark of the message by which a worker tells that its script has imported workerlib."""


DIED = "workerlib_died"
"""The mark of the message by which a worker tells why its Python has ended."""


def is_there() -> bool:
    """Returns whether PyScript has started this Python."""
    try:
        import polyscript  # noqa: F401
    except ImportError:
        return False
    return True


def bridge_of_worker() -> Any:
    """Returns PyScript's bridge from this worker to its page; None if this is not a worker of PyScript's."""
    try:
        import polyscript
    except ImportError:
        return None
    # Not `from polyscript import xworker`: Python would look for a module of that name in a page, each time.
    return getattr(polyscript, "xworker", None)
