"""The page of the picture in docs/tracing.md: two workers, and calls of several kinds."""

import contextlib

import workerlib

UNITS = {"sum": "km"}
TRACED = {"workerlib": {"trace": True}}
workers = []


@workerlib.export
def unit_of(name: str) -> str:
    """Returns the unit of a figure."""
    return UNITS[name]


async def start():
    """Starts the workers."""
    for name in ("left", "right"):
        workers.append(await workerlib.spawn("./worker.py", name=name, config=TRACED))


async def make_calls():
    """Makes a call that computes, one with a large value, one that calls back, and one that fails."""
    left, right = workers
    await left.count_primes(0, 6_000)
    await left.reverse(bytes(4_000_000))
    await right.label("sum")
    with contextlib.suppress(KeyError):
        await left.label("mean")
