"""The duties of every connection, whatever carries it: the tests, and the way to run one of them.

The tests know no host and no pytest, so that they run in a page of PyScript's too. Each is an async function that
takes by name what it needs:

- `worker`: a connection, open, to a worker that runs `worker.py`. Tests may share it, so none may close it.
- `connect`: makes one more connection, as `workerlib.connect()` does: `async with connect(strict=True) as other`. Whether
  to the same worker or to another one that runs the same script, is the host's affair.

A host runs them all:

    for name in suite.TESTS:
        await suite.run(name, worker, connect)

The folder `tests/python` has to be importable too, for the values, the comparisons and the pace.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any

from workerlib import Worker

import shared_adapters
import shared_callbacks
import shared_calls
import shared_decorated
import shared_endings
import shared_errors
import shared_objects
import shared_pages
import shared_reports
import shared_streams
import shared_values

Connect = Callable[..., AbstractAsyncContextManager[Worker]]
Test = Callable[..., Coroutine[Any, Any, None]]

TESTS: dict[str, Test] = {
    f"{module.__name__.removeprefix('shared_')}: {name.removeprefix('test_')}": function
    for module in (
        shared_values,
        shared_adapters,
        shared_calls,
        shared_callbacks,
        shared_errors,
        shared_endings,
        shared_objects,
        shared_pages,
        shared_streams,
        shared_decorated,
        shared_reports,
    )
    for name, function in vars(module).items()
    if name.startswith("test_")
}


async def run(name: str, worker: Worker, connect: Connect) -> None:
    """Runs one test, which raises if what it says is not so.

    Args:
        name: A key of `TESTS`.
        worker: A connection to a worker that runs `worker.py`; it is open, and stays so.
        connect: Makes one more, with the options of `workerlib.connect()`.
    """
    test = TESTS[name]
    given: dict[str, Any] = {"worker": worker, "connect": connect}
    await test(**{parameter: given[parameter] for parameter in inspect.signature(test).parameters})
    assert not worker.closed
    assert await worker.add(1, 2) == 3
