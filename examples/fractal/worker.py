"""The worker's script: paints stripes of the Mandelbrot set in this worker's own colour.

Nothing in it knows of the pool. The colour comes from the system's random numbers, because workers that start
from one memory snapshot have the same pseudorandom numbers.
"""

import asyncio
import random

import js
import workerlib

WIDTH, ROWS, STEPS = 480, 10, 60
COLOUR = [random.SystemRandom().randrange(70, 256) for _ in range(3)]
SHADES = [bytes(part * (n < STEPS) * (20 + n) // 80 for part in COLOUR) + b"\xff" for n in range(STEPS + 1)]


def steps(c: complex) -> int:
    """Counts the steps until a point has gone far away."""
    z, step = 0j, 0
    while abs(z) <= 2 and step < STEPS:
        z, step = z * z + c, step + 1
    return step


@workerlib.export(idempotent=True)
async def stripe(top: int) -> tuple[int, list[int], bytes]:
    """Returns the top of a stripe, this worker's colour, and the pixels: red, green, blue and alpha in turn.

    It is idempotent: if the worker dies, another one paints the stripe. Shared values arrive while it sleeps.
    A victim ends in the middle of a stripe and without a word, as if it had crashed.
    """
    pixels = bytearray()
    for y in range(top, top + ROWS):
        pixels += b"".join(SHADES[steps(complex(x / 150 - 2.2, y / 150 - 1))] for x in range(WIDTH))
        # Nothing is shared before the first kill.
        if COLOUR in getattr(workerlib.shared, "victims", []):
            js.self.close()
        await asyncio.sleep(0)
    return top, COLOUR, bytes(pixels)
