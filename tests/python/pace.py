"""How slow this machine is, and how much a test can do here: less inside Pyodide, and much less under valgrind.

All suites use it, and the tests in pages have it as a module. `cargo xtask test` measures the machine and sets
`WORKERLIB_TEST_PACE`; `cargo xtask sanitize` sets `WORKERLIB_UNDER_VALGRIND`.

A limit is there to end a test that hangs. No test may use a time to know that something has happened in the worker: the
worker's function says so, or waits for a word from the test.
"""

from __future__ import annotations

import os
import sys

IN_PYODIDE = sys.platform == "emscripten"
UNDER_VALGRIND = "WORKERLIB_UNDER_VALGRIND" in os.environ
PACE = max(1.0, float(os.environ.get("WORKERLIB_TEST_PACE", "1")))
"""The slowness of this machine, as a multiple of a quiet, fast one."""


def repeats(natively: int) -> int:
    """Tells how often a test with random values repeats."""
    return natively // (100 if UNDER_VALGRIND else 10 if IN_PYODIDE else 1)


def seconds(natively: float) -> float:
    """Tells how long a computation may take that takes so long, natively, on a machine of the slowest kind."""
    return natively * PACE * (100 if UNDER_VALGRIND else 5 if IN_PYODIDE else 1)
