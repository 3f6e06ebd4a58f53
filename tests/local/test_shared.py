"""The shared suite over a subprocess: the same tests as in a page, on this machine's Python."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import workerlib
from workerlib._api.connect import Connecting

import suite

SCRIPT = Path(suite.__file__).with_name("worker.py")


def connect(**options: Any) -> Connecting[Any]:
    """Starts a worker that runs the suite's script."""
    return workerlib.connect(SCRIPT, **options)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def worker() -> AsyncIterator[workerlib.Worker]:
    """The worker that the tests share, as those of a page do."""
    async with connect() as worker:
        yield worker


@pytest.mark.parametrize("name", suite.TESTS)
@pytest.mark.asyncio(loop_scope="module")
async def test_shared(name: str, worker: workerlib.Worker) -> None:
    """A connection over pipes does what every connection has to."""
    await suite.run(name, worker, connect)
