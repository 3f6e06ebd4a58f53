"""A page under load stays flat, and a death under load is told fast."""

from __future__ import annotations

from fault_page import FaultPage, Records

from pace import PACE


def test_ten_thousand_calls_in_flight(spawning: FaultPage, records: Records) -> None:
    """All of 10,000 calls hear of the death in no more time than as many futures take, and a second."""
    kinds, number, seconds, of_futures = spawning.call("many_in_flight", count=10_000, limit=120)
    records.note("spawn()", "terminated with 10,000 calls in flight", kinds[0], seconds)
    assert kinds == ["WorkerDiedError"]
    assert number == 10_000
    assert seconds < of_futures + PACE, f"{seconds} s; as many futures take {of_futures} s"


def test_a_flood(spawning: FaultPage) -> None:
    """20,000 small calls, 500 at once, do not let the page's heap grow."""
    _, _, before = spawning.call("flooded", count=2_000, at_once=500, limit=120)
    done, _, after = spawning.call("flooded", count=20_000, at_once=500, limit=120)
    assert done == 20_000
    assert after <= before + (16 << 20)
