"""The script of the workers whose start is measured."""

import workerlib


@workerlib.export
def echo(value):
    return value


@workerlib.export
def memory():
    """Returns how many bytes Python's memory has in this worker."""
    import pyodide_js

    return pyodide_js._module.HEAPU8.length


@workerlib.export
def compute():
    """Computes for some tenths of a second."""
    return sum(number * number for number in range(2_000_000))
