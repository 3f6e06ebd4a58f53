"""The worker of swift.html: the functions of tests/shared/worker.py, and what the tests of the transport ask for."""

import pyodide_js
import shared_worker  # noqa: F401 - importing it exports its functions
import workerlib


@workerlib.export
def heap_size():
    return pyodide_js._module.HEAPU8.byteLength


@workerlib.export
def blocks():
    """Whether this worker is taken for one that blocks."""
    from workerlib import _turn

    return _turn._blocks
