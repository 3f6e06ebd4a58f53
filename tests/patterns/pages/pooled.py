"""The script of the workers in the tests of spawnPool()."""

import asyncio
import random
import time

from workerlib import export

# Workers that start from one snapshot would have the same pseudorandom numbers.
IDENTITY = random.SystemRandom().random()
set_up_with = []


@export
def identity():
    return IDENTITY


@export
def double(number, *, plus=0):
    return 2 * number + plus


@export
def check(number):
    """Refuses every number that ends with 3."""
    if number % 10 == 3:
        raise ValueError(f"{number} is odd enough")
    return number


@export
async def hold(number):
    """Waits for ever, unless it is cancelled."""
    await asyncio.sleep(3600)
    return number


@export
async def wait(seconds):
    await asyncio.sleep(seconds)
    return seconds


@export
def spin(seconds):
    """Computes, and can be ended only by shared memory or with its worker."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass
    return seconds


@export
async def die(number, of):
    """Returns the number, or ends this worker without a word, as a crash does."""
    if number == of:
        import js

        js.self.close()
        await asyncio.sleep(3600)
    return number


@export
async def die_of_five(number):
    return await die(number, 5)


@export
def rows(count):
    """Yields numbers, which no pool takes."""
    yield from range(count)


@export
def set_up(value):
    set_up_with.append(value)
    return len(set_up_with)


@export
def how_set_up():
    return set_up_with


@export
def map(number):
    """Has the name of a member of each pool."""
    return -number
