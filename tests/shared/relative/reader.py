"""A worker's script that reads a file beside it, in every way that takes an address: one script for all hosts."""

import js
import workerlib

_at_start = workerlib.url("./data.csv")


async def _text(address):
    from pyodide.http import pyfetch

    response = await pyfetch(address)
    return (await response.text()).strip()


@workerlib.export
async def read_by_url():
    """Reads it by its whole address: this is the same in every host."""
    return [await _text(workerlib.url("./data.csv")), await _text(_at_start)]


@workerlib.export
async def read_as_written():
    """Reads it by relative addresses, as a script does that knows nothing of workerlib."""
    found = [await _text("./data.csv"), (await (await js.fetch("data.csv")).text()).strip()]
    if hasattr(js, "XMLHttpRequest"):
        from pyodide.http import open_url

        request = js.Request.new("./data.csv")
        found += [open_url("./data.csv").getvalue().strip(), (await (await js.fetch(request)).text()).strip()]
    return found
