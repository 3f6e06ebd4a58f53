"""The worker of the benchmark: `echo`, and functions that call the page, in reach of every peer."""

from time import perf_counter

import js
import pickled
import pyodide_js
import workerlib
from polyscript import xworker
from pyodide.ffi import create_proxy, to_js
from pyscript.js_modules import comlink_python


@workerlib.export
def echo(value):
    return value


@workerlib.export
def heap():
    """The bytes of this side's memory."""
    return pyodide_js._module.HEAPU8.byteLength


@workerlib.export
def call_back(callback, count):
    """Calls a function of the page's without awaiting it; returns the milliseconds of a call."""
    start = perf_counter()
    for _ in range(count):
        callback(1)
    return (perf_counter() - start) * 1e3 / count


@workerlib.export
async def call_back_awaited(callback, count):
    """Calls it, and awaits each answer."""
    start = perf_counter()
    for _ in range(count):
        await callback(1)
    return (perf_counter() - start) * 1e3 / count


@workerlib.export
def report_often(count):
    """Reports as often as it can; returns the milliseconds of a report."""
    start = perf_counter()
    for number in range(count):
        workerlib.report(number, count)
    return (perf_counter() - start) * 1e3 / count


def call_sync(count):
    """Calls the page by PyScript's own way."""
    return call_back(xworker.sync.bench_heard, count)


async def call_sync_awaited(count):
    return await call_back_awaited(xworker.sync.bench_heard, count)


def pickled_echo(parts):
    """Reached by PyScript's own calls, with pickled bytes on the way."""
    return pickled.pack(echo(pickled.unpack(parts)))


def hand_out(name):
    channel = js.MessageChannel.new()
    xworker.postMessage(f"bench-port:{name}", to_js([channel.port2]))
    return channel.port1


@workerlib.export
def open_ports():
    """Hands out the ports of the peers that have their own."""
    pickled.Port(hand_out("pickle"), echo)
    functions = (echo, call_back, call_back_awaited)
    comlink_python.serve(hand_out("comlink"), pyodide_js, *map(create_proxy, functions))


__export__ = ["call_sync", "call_sync_awaited", "echo", "pickled_echo"]
