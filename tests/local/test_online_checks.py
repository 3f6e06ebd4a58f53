"""The checks of tests/online, with a subprocess as the worker: so they are right where there is no network."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
import workerlib

PAGE = Path(__file__).parents[1] / "online" / "page"


async def test_the_checks_of_the_online_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of their values arrive as themselves, on both sides."""
    monkeypatch.syspath_prepend(str(PAGE))
    checks = importlib.import_module("checks")
    async with workerlib.connect(PAGE / "worker.py") as worker:
        assert await checks.check(worker) == 19


async def test_the_checks_of_the_online_page_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker notices a value that is not the one that was sent."""
    monkeypatch.syspath_prepend(str(PAGE))
    checks = importlib.import_module("checks")
    async with workerlib.connect(PAGE / "worker.py") as worker:
        for name, make in checks.MAKERS.items():
            values = list(make())
            with pytest.raises(AssertionError):
                await worker.compare(name, [values[1], *values[1:]])
