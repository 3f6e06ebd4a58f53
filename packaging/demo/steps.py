"""Long work cut into steps, so that one function serves a worker that keeps answering and a page that does not.

Invariant: a generator of steps yields what it is doing and how far it is (0 to 1), and returns its result.
The two ways of running it do the same work; only `paced` lets go of the thread in between.
It does not know what the work is.
"""

import asyncio
from collections.abc import Callable, Generator
from time import perf_counter
from typing import TypeVar

Result = TypeVar("Result")
Step = tuple[str, float]
Steps = Generator[Step, None, Result]

# Long enough to cost nothing, short enough that a question about the progress is answered at once.
SECONDS_BETWEEN_PAUSES = 0.02


async def paced(steps: Steps[Result], report: Callable[[Step], None] | None = None) -> Result:
    """Runs the steps and pauses often, so that other calls are answered meanwhile."""
    pause_at = perf_counter() + SECONDS_BETWEEN_PAUSES
    while True:
        try:
            step = next(steps)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        if report is not None:
            report(step)
        if perf_counter() >= pause_at:
            await asyncio.sleep(0)
            pause_at = perf_counter() + SECONDS_BETWEEN_PAUSES


def straight(steps: Steps[Result]) -> Result:
    """Runs the steps to their end without a pause."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
