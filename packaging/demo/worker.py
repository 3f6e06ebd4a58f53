"""The worker's script: what the page may call.

Invariant: a call that works long reports how far it is, and pauses often (see steps.py), so that newer calls are
answered meanwhile.
The work itself is in desk.py and the modules below it, which know nothing of workers.
"""

from sys import version_info
from typing import Any

import pyodide

# <show>
import workerlib

# </show>
from clock import now
from desk import Desk
from steps import Step, Steps, paced

# <show>
desk = Desk()


@workerlib.export
async def load(name, data):
    """Reads a CSV or JSON file; its rows stay in the worker."""
    return await answer("load", desk.load(name, data))


@workerlib.export
async def delays(name, **question):
    """Filters and summarises a file of flights."""
    return await answer("delays", desk.delays(name, **question))


@workerlib.export
async def groups(name, by, value, how):
    """Groups a file's rows by one column and aggregates another."""
    return await answer("groups", desk.groups(name, by, value, how))


@workerlib.export
async def bands(name):
    """Gives a row for each band, as soon as it is computed."""
    for steps in desk.bands(name):
        yield await paced(steps)


@workerlib.export
class Model:
    """Knows all flights, and stays in the worker."""

    def __init__(self, name):
        self.flights = desk.alike(name)
        models.add(self)

    def like(self, hour, miles):
        """Tells how late flights near this hour and distance were."""
        return self.flights.like(hour, miles)

    def close(self):
        """Lets the flights go: the page has no handle left."""
        models.discard(self)


# </show>

models: set[Model] = set()


@workerlib.export
def state() -> dict[str, int]:
    """Counts what the worker keeps for the page: its models, and the rows of the last table that were begun."""
    return {"models": len(models), "rows_begun": desk.rows_begun}


@workerlib.export
def versions() -> dict[str, str]:
    """Names the Python and the Pyodide that run here."""
    return {
        "python": ".".join(map(str, version_info[:3])),
        "pyodide": pyodide.__version__,
    }


newest: dict[str, Steps[Any]] = {}


class Superseded(Exception):
    """A newer call of the same kind has come: the older one's answer is of no use any more."""


async def answer(kind: str, steps: Steps[Any]) -> tuple[Any, float, float]:
    """Runs a call's steps; the answer comes with the times of the work, or is None if a newer call overtook it."""

    def report(step: Step) -> None:
        if newest[kind] is not steps:
            raise Superseded
        # <show>
        # The page hears of it while the function works.
        workerlib.report(*step)
        # </show>

    newest[kind] = steps
    began = now()
    try:
        result = await paced(steps, report)
    except Superseded:
        result = None
    return result, began, now()
