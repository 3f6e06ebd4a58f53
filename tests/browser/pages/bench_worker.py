"""The worker of bench.html: the functions of tests/shared/worker.py, and those that only a page can use."""

import asyncio

import shared_worker  # noqa: F401 - importing it exports its functions
import workerlib
from pyodide.ffi import run_sync


@workerlib.export
def wait_in_sync_function(seconds):
    run_sync(asyncio.sleep(seconds))
    return "waited"


@workerlib.export
async def wait_in_async_function(seconds):
    await asyncio.sleep(seconds)
    run_sync(asyncio.sleep(seconds))
    return "waited"


__export__ = ["plain"]


def plain(number):
    """Exported the way PyScript itself does it."""
    return number + 1
