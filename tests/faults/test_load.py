"""A page under load stays flat, and a death under load is told fast."""

from __future__ import annotations

import pytest
from fault_page import FaultPage, Records
from javascript_page import JavaScriptPage

from pace import PACE


def test_ten_thousand_calls_in_flight(spawning: FaultPage, records: Records) -> None:
    """All of 10,000 calls hear of the death in no more time than as many futures take, and a second."""
    # On a busy machine the two times may be times of different loads.
    for _ in range(3):
        kinds, number, seconds, of_futures = spawning.call("many_in_flight", count=10_000, limit=120)
        if seconds < of_futures + PACE:
            break
    records.note("spawn()", "terminated with 10,000 calls in flight", kinds[0], seconds)
    assert kinds == ["WorkerDiedError"]
    assert number == 10_000
    assert seconds < of_futures + PACE, f"{seconds} s; as many futures take {of_futures} s"


def test_an_echo_of_64_megabytes(spawning: FaultPage) -> None:
    """A large value comes back as it was."""
    assert spawning.call("echoed", limit=120, size=64 << 20)


@pytest.mark.parametrize("megabytes", [256, 1024])
def test_a_message_that_is_large(spawning: FaultPage, records: Records, megabytes: int) -> None:
    """A message of 256 MB arrives; beyond what an engine can hold, the call raises an error that says so."""
    kind, text, seconds = spawning.call("large", limit=120, size=megabytes << 20)
    records.note("spawn()", f"{megabytes} MB of bytes as an argument", kind, seconds)
    if kind == "returned":
        assert text == str(megabytes << 20)
    else:
        assert megabytes > 256
        assert "memory" in text.lower() or "Array buffer allocation failed" in text, text


@pytest.mark.parametrize(
    "count", [20_000, pytest.param(1_000_000, marks=[pytest.mark.repeated, pytest.mark.timeout(600)])]
)
def test_a_flood(spawning: FaultPage, count: int) -> None:
    """Small calls, 500 at once, do not let the page's heap grow."""
    _, _, before = spawning.call("flooded", count=2_000, at_once=500, limit=120)
    done, _, after = spawning.call("flooded", count=count, at_once=500, limit=500)
    assert done == count
    assert after <= before + (16 << 20)


@pytest.mark.parametrize(
    ("kind", "count"),
    [
        ("items from the worker", 20_000),
        ("items to the worker", 20_000),
        ("items of a slow producer", 500),
        ("items to a slow consumer", 500),
        ("callbacks one by one", 1_000),
        ("callbacks at once", 4_000),
        ("calls of a slow worker", 1_000),
    ],
)
def test_a_flood_of_another_kind(spawning: FaultPage, kind: str, count: int) -> None:
    """Streams, callbacks and calls, also where one side is slower than the other: all arrive, and the heap stays flat."""
    _, before = spawning.call("flooded_by", kind=kind, count=count // 10, limit=120)
    result, after = spawning.call("flooded_by", kind=kind, count=count, limit=120)
    assert result == sum(range(count))
    assert after <= before + (16 << 20)


@pytest.mark.parametrize(
    ("kind", "count"),
    [("calls", 20_000), ("callbacks", 4_000)],
)
def test_a_flood_under_javascript(javascript: JavaScriptPage, kind: str, count: int) -> None:
    """Calls that a page in JavaScript makes all at once have few places in the worker's Python; all have their results."""
    result, grown = javascript.call("flooded", kind=kind, count=count, limit=240)
    assert result == sum(range(count))
    assert grown <= 8 << 20


def test_calls_behind_a_flood_under_javascript(javascript: JavaScriptPage) -> None:
    """Functions that wait take no place of others, and a call that was cancelled while it waited does not run."""
    count = 500
    # A busy page may not have sent all calls while the worker computes.
    for seconds in (0.2, 2):
        told = javascript.call("behind_a_flood", count=count, seconds=seconds)
        if told["ran"] == ["later"]:
            break
    assert told == {"released": count, "cancelled": "AbortError", "ran": ["later"]}
