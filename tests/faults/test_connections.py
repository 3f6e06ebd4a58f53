"""Connections that end leave nothing, also those that nobody has closed."""

from __future__ import annotations

from fault_page import FaultPage


def test_connect_and_close(scripted: FaultPage) -> None:
    """300 connections that are opened and closed leave no object and no proxy on the page."""
    objects, proxies, grown = scripted.call("connect_cycles", count=300, limit=120)
    assert proxies <= 0
    # What the interpreter itself keeps may differ by a handful.
    assert objects < 100, f"{objects} objects are left of 300 connections: {grown}"


def test_a_worker_that_is_dropped(spawning: FaultPage) -> None:
    """A Worker without an owner is closed, with a ResourceWarning; a function that was taken from it keeps it open."""
    was_open, reason, warned = spawning.call("dropped")
    assert was_open
    assert reason == "its Worker was dropped without close()"
    assert len(warned) == 1
    assert "the worker 'dropped' was dropped and is still connected" in warned[0]


def test_a_worker_that_nobody_holds(spawning: FaultPage) -> None:
    """A call of a temporary Worker is answered all the same."""
    assert spawning.call("one_liner") == 42
