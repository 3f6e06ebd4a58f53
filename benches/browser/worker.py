"""The worker of the benchmark: `echo`, and functions that call the page, in reach of every peer."""

from functools import cache
from time import perf_counter

import js
import pickled
import pyodide_js
import shapes
import workerlib
from polyscript import xworker
from pyodide.ffi import create_proxy, to_js
from pyscript.js_modules import comlink_python

_produced = 0


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


@workerlib.export
def stream_ints(count):
    yield from range(count)


@workerlib.export
def stream_records(count):
    yield from records(count)


@workerlib.export
def list_records(count):
    return records(count)


@workerlib.export
def stream_blocks(count, size):
    yield from blocks(count, size)


@workerlib.export
def list_blocks(count, size):
    return blocks(count, size)


@workerlib.export
def stream_noting(count):
    """Notes how many items it has produced."""
    global _produced
    for number in range(count):
        _produced = number + 1
        yield number


@workerlib.export
def produced():
    return _produced


@cache
def records(count):
    return shapes.records(count)


@cache
def blocks(count, size):
    return [bytes(size) for _ in range(count)]


def items(kind, count):
    """The items that a callback gets one by one."""
    return {"ints": range, "records": records, "blocks": lambda count: blocks(count, 1 << 20)}[kind](count)


def push(kind, count):
    """Sends items by PyScript's own way."""
    for item in items(kind, count):
        xworker.sync.bench_item(item)


def push_to_comlink(callback, kind, count):
    """Sends items to a callback of Comlink's."""
    for item in items(kind, count):
        callback(item if kind == "ints" else to_js(item, dict_converter=js.Object.fromEntries))


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
    functions = (echo, call_back, call_back_awaited, push_to_comlink)
    comlink_python.serve(hand_out("comlink"), pyodide_js, *map(create_proxy, functions))


__export__ = ["call_sync", "call_sync_awaited", "echo", "pickled_echo", "push"]
