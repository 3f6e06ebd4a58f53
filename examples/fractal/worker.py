"""The worker's script: paints stripes of the Mandelbrot set."""

import workerlib

WIDTH, HEIGHT, ROWS, STEPS = 480, 300, 10, 60


def steps(c: complex) -> int:
    """Counts the steps until a point has gone far away."""
    z = 0j
    for step in range(STEPS):
        if abs(z) > 2:
            return step
        z = z * z + c
    return STEPS


@workerlib.export
def stripe(top: int) -> tuple[int, bytes]:
    """Returns the top of a stripe and its pixels: red, green, blue and alpha in turn."""
    pixels = bytearray()
    for y in range(top, top + ROWS):
        for x in range(WIDTH):
            share = steps(complex(3.2 * x / WIDTH - 2.2, 2 * y / HEIGHT - 1)) / STEPS
            red, green, blue = 255 * share, 255 * share**3, 96 + 120 * share
            pixels += bytes((int(red), int(green), int(blue), 255)) if share < 1 else b"\0\0\0\xff"
    return top, bytes(pixels)
