"""The worker's script: a long calculation that tells the page how far it is."""

from random import random

import workerlib


@workerlib.export
async def estimate_pi(darts: int, shares: int = 100) -> float:
    """Throws darts at a square, and counts those that hit the circle in it."""
    hits = 0
    for share in range(1, shares + 1):
        hits += sum(random() ** 2 + random() ** 2 < 1 for _ in range(darts // shares))
        await workerlib.page().show(share / shares, 4 * hits / (share * (darts // shares)))
    return 4 * hits / darts
