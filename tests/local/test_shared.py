"""The shared suite over a subprocess: the same tests as in a page, on this machine's Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import workerlib
from workerlib._api.connect import Connecting

import suite

SCRIPT = Path(suite.__file__).with_name("worker.py")


def connect(**options: Any) -> Connecting[Any]:
    """Starts a worker that runs the suite's script."""
    return workerlib.connect(SCRIPT, **options)


@pytest.mark.parametrize("name", suite.TESTS)
async def test_shared(name: str) -> None:
    """Each test has a worker of its own."""
    async with connect() as worker:
        await suite.run(name, worker, connect)
