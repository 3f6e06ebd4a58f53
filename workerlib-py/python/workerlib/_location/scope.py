"""Tells in which of a browser's scopes this Python runs: HTML Standard, section 10.2, "The global scope"."""

from __future__ import annotations

import js


def is_page() -> bool:
    """Returns whether this Python runs in a page: not in a worker, and not in Node.

    PyScript gives its workers a `document` too, the page's, where memory can be shared.
    """
    return hasattr(js, "document") and not hasattr(js, "WorkerGlobalScope")
