"""The worker of bench.html: functions for the tests to call."""

import asyncio
import time

import workerlib
from pyodide.ffi import run_sync

events = {}


class OddError(Exception):
    """A class that the page does not have."""


@workerlib.export
def echo(*args, **kwargs):
    return args, kwargs


@workerlib.export
def add(a, b=10, *, scale: int = 1) -> int:
    """Adds two numbers.

    The result is scaled.
    """
    return (a + b) * scale


@workerlib.export
async def add_slowly(a, b):
    await asyncio.sleep(0.01)
    return a + b


def subtract(a, b):
    return a - b


def multiply(a, b):
    return a * b


workerlib.export(subtract, multiply)


@workerlib.export(name="divide")
def _divide(a, b):
    return a / b


@workerlib.export
def close():
    return "the worker's own close"


@workerlib.export
async def hold(key):
    """Returns its key when release(key) has been called."""
    await events.setdefault(key, asyncio.Event()).wait()
    del events[key]
    return key


@workerlib.export
async def release(key):
    events.setdefault(key, asyncio.Event()).set()


@workerlib.export
def held():
    return sorted(events)


@workerlib.export
def busy(seconds):
    """Computes without a pause, as a long sync function does."""
    end = time.perf_counter() + seconds
    turns = 0
    while time.perf_counter() < end:
        turns += 1
    return turns


@workerlib.export
def describe(value):
    return type(value).__name__, repr(value)


@workerlib.export
def change(items):
    items.append("changed in the worker")
    return len(items)


@workerlib.export
def raise_named(name, *args):
    """Raises the builtin exception of that name."""
    import builtins

    raise getattr(builtins, name)(*args)


@workerlib.export
async def raise_later():
    await asyncio.sleep(0.01)
    raise LookupError("after an await")


@workerlib.export
def raise_odd():
    raise OddError("odd", 1)


@workerlib.export
def raise_from_a_cause():
    try:
        {}["missing"]
    except KeyError as error:
        raise ValueError("outer") from error


@workerlib.export
def give_a_thing():
    return {"rows": [1, (2, object())]}


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
