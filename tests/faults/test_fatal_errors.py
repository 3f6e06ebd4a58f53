"""Faults that end a Python, or do not: each call of each connection settles, and a broken Python answers nobody."""

from __future__ import annotations

import math

import pytest
from fault_page import FaultPage, Records, settled_within

from pace import PACE

EXPORTS = {
    "harm": "at once",
    "harm_later": "after an await",
    "harm_in_a_task": "in a task",
    "harm_behind": "in a callback",
}
DIES = "WorkerDiedError"
FATAL = [
    "read_badly",
    "repr_deep",
    "free_deep",
    "recurse",
    "compile_sum",
    "exit_at_once",
    "abort",
    "close_itself",
]
SURVIVED = {
    "exit_politely": "RemoteError",
    "interrupt_itself": "RemoteError",
    "exit_in_a_callback": "returned",
    "exhaust_memory": "MemoryError",
}
"""The errors that a caller sees of faults that a Python survives."""

CASES = [
    *((fault, export, DIES) for fault in FATAL for export in ("harm", "harm_later", "harm_in_a_task")),
    *((fault, "harm", seen) for fault, seen in SURVIVED.items()),
    *((fault, "harm_later", seen) for fault, seen in SURVIVED.items() if fault != "exhaust_memory"),
    # Nobody waits for it any more.
    ("read_badly", "harm_behind", "returned"),
]
FEW = [
    ("read_badly", "harm_in_a_task", DIES),
    ("recurse", "harm", DIES),
    ("exit_at_once", "harm_later", DIES),
]


@pytest.mark.every_engine
@pytest.mark.parametrize(("fault", "export", "seen"), FEW)
def test_in_every_engine(spawning: FaultPage, records: Records, fault: str, export: str, seen: str) -> None:
    """A trap in a task, an overflow of the stack and an exit are told in each engine."""
    _inject(spawning, records, "spawned", fault, export, seen)


@pytest.mark.parametrize(("fault", "export", "seen"), [case for case in CASES if case not in FEW])
def test_over_spawn(spawning: FaultPage, records: Records, fault: str, export: str, seen: str) -> None:
    """The pending calls of a spawned worker settle within a second of its death; whatever lives, answers."""
    _inject(spawning, records, "spawned", fault, export, seen)


def test_memory_that_ends_in_frames(spawning: FaultPage, records: Records) -> None:
    """A recursion of plain functions without a limit takes all memory, which takes its time, and then ends its worker."""
    _inject(spawning, records, "spawned", "recurse_plainly", "harm", DIES, limit=60)


@pytest.mark.parametrize(
    ("fault", "export"),
    [("read_badly", "harm_in_a_task"), ("exit_at_once", "harm"), ("close_itself", "harm_later")],
)
def test_under_pyscript(scripted: FaultPage, records: Records, fault: str, export: str) -> None:
    """So do those of a worker of PyScript's, which closes itself."""
    _inject(scripted, records, "under_pyscript", fault, export, DIES)


HOSTS = {"spawned": "spawn()", "under_pyscript": "PyScript"}


def _inject(
    page: FaultPage, records: Records, host: str, fault: str, export: str, seen: str, limit: float = 1
) -> None:
    # A function that computes until its memory is exhausted takes as long as it takes.
    seconds = math.inf if fault == "exhaust_memory" else limit
    record = settled_within(
        seconds, lambda: page.call(host, fault=fault, export=export, limit=max(100, limit))
    )
    records.add(HOSTS[host], f"{fault} {EXPORTS[export]}", record)
    assert record["unsettled"] == [], record
    assert record["seen"][0] == seen, record
    dies = fault in (*FATAL, "recurse_plainly")
    assert record["alive"] != dies, record
    assert record["waiting"] == [DIES if dies else "ConnectionClosedError"], record
    assert record["proxies"] <= 0, record
    assert record["seconds"] < seconds * PACE, record
