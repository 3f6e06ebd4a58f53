"""A worker's script that needs a package, and tells what it knows of itself."""

import packaging.version
from workerlib import export


@export
def is_older(left, right):
    return packaging.version.Version(left) < packaging.version.Version(right)


@export
def end():
    """Ends the worker, without a word to anybody."""
    import js

    js.close()


@export
def compute(seconds):
    import time

    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


@export
async def ask_another():
    """Spawns a worker in its turn, from an address that is relative to this script."""
    import workerlib

    async with workerlib.spawn("./needs_packaging.py", packages=["packaging"]) as other:
        return await other.is_older("1.0", "2.0")
