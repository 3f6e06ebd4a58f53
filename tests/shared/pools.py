"""The duties of every pool, wherever its workers run: tests that know no host and no pytest.

The tests stand in `pools_*.py`. Each is an async function that takes by name what it needs:

- `pool`: a pool of two workers that run `pool_worker.py`. Tests share it, so none may close it or leave it changed.
- `start`: starts another pool of that script with the options of `workerlib.pool()`.
"""

from __future__ import annotations

import inspect
import warnings
from typing import Any

from workerlib import Pool

import pools_calls
import pools_deaths
import pools_maps
from pool_states import Start

# The suite's worker exports map().
warnings.filterwarnings("ignore", ".*a name that each Pool has", UserWarning)


async def run(name: str, pool: Pool, start: Start) -> None:
    """Runs one test, which raises if what it says is not so.

    Args:
        name: A key of `TESTS`.
        pool: A pool of two workers; it is open, and stays so.
        start: Starts another one.
    """
    test = TESTS[name]
    given: dict[str, Any] = {"pool": pool, "start": start}
    await test(**{parameter: given[parameter] for parameter in inspect.signature(test).parameters})
    assert await pool.double(1) == 2


OF_HOSTS = {
    "calls_and_names",
    "both_workers_work",
    "time_limits",
    "a_death_costs_one_item",
    "a_task_that_cannot_be_interrupted",
    "shared_values",
    "map_in_order",
    "deaths_with_the_defaults",
    "nested_calls",
}
"""The tests that a host's own workers can change. The others test a pool's own code, which is the same on every host: a plain run has
them over subprocesses only (docs/adr/0068)."""

TESTS = {
    name.removeprefix("test_"): test
    for module in (pools_calls, pools_maps, pools_deaths)
    for name, test in vars(module).items()
    if name.startswith("test_")
}
