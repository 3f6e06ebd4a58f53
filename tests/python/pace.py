"""How much this Python can do in a test: less inside Pyodide, and much less under valgrind.

`cargo xtask sanitize` sets `WORKERLIB_UNDER_VALGRIND`.
"""

from __future__ import annotations

import os
import sys

IN_PYODIDE = sys.platform == "emscripten"
UNDER_VALGRIND = "WORKERLIB_UNDER_VALGRIND" in os.environ


def repeats(natively: int) -> int:
    """Tells how often a test with random values repeats."""
    return natively // (100 if UNDER_VALGRIND else 10 if IN_PYODIDE else 1)


def seconds(natively: float) -> float:
    """Tells how long something may take."""
    return natively * (100 if UNDER_VALGRIND else 5 if IN_PYODIDE else 1)
