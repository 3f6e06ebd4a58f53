"""The worker's script: a long calculation that tells how far it is."""

from random import random

import workerlib


@workerlib.export
def estimate_pi(darts: int, shares: int = 100) -> float:
    """Throws darts at a square, and counts those that hit the circle in it."""
    hits = 0
    for _ in workerlib.progress(range(shares)):
        hits += sum(random() ** 2 + random() ** 2 < 1 for _ in range(darts // shares))
    return 4 * hits / darts
