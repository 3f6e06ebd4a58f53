"""A worker's script that tells what two Pythons must not share, and how it started."""

import asyncio
import os
import random
import sys
import tempfile
import time
import uuid

from workerlib import export


@export
def draw():
    """Draws from each source that a memory snapshot could have made the same for all."""
    return [random.random(), tempfile.mktemp(), str(uuid.uuid4()), str(uuid.uuid1()), os.urandom(8)]


@export
def had_snapshot():
    """Tells whether this Python started from a snapshot."""
    return "_workerlib_snapshot" in sys.modules


@export
def hash_of(text):
    """Tells the hash of a text, which depends on the hash seed alone."""
    return hash(text)


@export
def fetched():
    """Lists the addresses that this worker has fetched, as the browser tells them."""
    import js

    return [entry.name for entry in js.performance.getEntriesByType("resource")]


@export
def state():
    """Tells what a Python has that was started with nothing but its options."""
    return [
        sys.path,
        sys.argv,
        sys.version,
        dict(os.environ),
        os.getcwd(),
        time.tzname,
        sys.getrecursionlimit(),
    ]


@export
def is_older(left, right):
    from packaging.version import Version

    return Version(left) < Version(right)


@export
def validated(text):
    import pydantic

    class Order(pydantic.BaseModel):
        count: int

    return Order.model_validate_json(text).count


@export
def double(values):
    return [2 * value for value in values]


@export
async def wait():
    """Is under way until this worker ends."""
    await asyncio.Event().wait()


@export
def close_itself():
    """Ends this worker."""
    import js

    js.close()
