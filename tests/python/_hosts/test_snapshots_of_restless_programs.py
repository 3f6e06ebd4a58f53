"""When a program whose workers start again and again gets a memory snapshot: `_hosts/spawned/snapshots.py`."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import pytest

from pace import PACE

pytestmark = pytest.mark.skipif(sys.platform != "emscripten", reason="the native wheel spawns no workers")


async def test_the_fifth_plain_start_has_a_snapshot_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that dies and starts again leaves no quiet moment; a pool of four starts its workers first."""
    from workerlib._hosts.spawned.snapshots import Snapshots

    snapshots = Snapshots()
    made: list[Any] = []
    monkeypatch.setattr(snapshots, "_make", lambda *order: made.append(order))

    def start() -> Any:
        return snapshots.start(True, lambda: "script", dict)

    with start() as offer_of_another:
        offer_of_another.close()
        for _ in range(4):
            with start() as offer:
                offer.close()
        await asyncio.sleep(0.7)
        assert made == []
        with start() as offer:
            offer.close()
        assert made == [("script", {})]


async def test_a_maker_that_stands_still_delays_one_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """A start waits for a snapshot that is nearly made, and the starts after it do not wait in vain again."""
    from workerlib._hosts.spawned import snapshots

    known = snapshots.Snapshots()
    known._soon = asyncio.get_running_loop().create_future()
    monkeypatch.setattr(snapshots, "_PATIENCE", 0.01)
    with known.start(True, lambda: "script", dict) as first:
        await first
    # A start that waited for the same maker would wait for this long.
    monkeypatch.setattr(snapshots, "_PATIENCE", 3600.0)
    with known.start(True, lambda: "script", dict) as second:
        async with asyncio.timeout(10 * PACE):
            await second
