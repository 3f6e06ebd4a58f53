"""The worker of bench.html: the functions of tests/shared/worker.py, and those that only a page can use."""

import asyncio
import sys

import js
import shared_worker  # noqa: F401 - importing it exports its functions
import workerlib
from pyodide.ffi import create_proxy, run_sync, to_js


def complain(event):
    """Tells the console, which the tests listen to, of what a browser tells nobody else of in a worker."""
    js.console.error(f"in the worker: {event.type}: {getattr(event, 'reason', None) or event.message}")


for kind in ("error", "unhandledrejection"):
    js.addEventListener(kind, create_proxy(complain))


@workerlib.export
def raise_in_javascript():
    js.JSON.parse("{")


@workerlib.export
async def await_a_rejected_promise():
    await js.Promise.reject(js.TypeError.new("rejected"))


@workerlib.export
def raise_through_javascript():
    def fail(*_):
        raise KeyError("through JavaScript")

    to_js([1]).forEach(fail)


@workerlib.export
async def reject_and_forget():
    js.Promise.reject(js.TypeError.new("forgotten"))
    await asyncio.sleep(0.1)


@workerlib.export
def wait_in_sync_function(seconds):
    run_sync(asyncio.sleep(seconds))
    return "waited"


@workerlib.export
async def wait_in_async_function(seconds):
    await asyncio.sleep(seconds)
    run_sync(asyncio.sleep(seconds))
    return "waited"


@workerlib.export
def had_snapshot():
    """Tells whether this Python started from a memory snapshot."""
    return "_workerlib_snapshot" in sys.modules


@workerlib.export
def fetched():
    """Lists the addresses that this worker has fetched, as the browser tells them."""
    return [entry.name for entry in js.performance.getEntriesByType("resource")]


__export__ = ["plain"]


def plain(number):
    """Exported the way PyScript itself does it."""
    return number + 1
