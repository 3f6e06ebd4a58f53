"""Connections that end leave nothing, also those that nobody has closed."""

from __future__ import annotations

from typing import Any

import pytest
from fault_page import FaultPage


@pytest.fixture(scope="module")
def cycles(scripted: FaultPage) -> Any:
    """Counts the things that 300 opened and closed connections leave on the page."""
    return scripted.call("connect_cycles", count=300, limit=120)


def test_connect_and_close(cycles: Any) -> None:
    """300 connections that are opened and closed leave no proxy, no lock and no open port on the page."""
    assert cycles["proxies"] <= 0
    assert cycles["locks"] <= 0
    assert cycles["ports"] <= 0


def test_no_object_is_left(cycles: Any) -> None:
    """They leave no object of Python's either, and so no timer, but for a handful that the interpreter keeps."""
    assert cycles["objects"] < 100, f"objects are left of 300 connections: {cycles}"


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
