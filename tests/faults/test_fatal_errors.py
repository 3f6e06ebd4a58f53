"""Faults that end a Python, or do not: each call of each connection settles, and a broken Python answers nobody."""

from __future__ import annotations

import math
from functools import partial

import pytest
from fault_page import JAVASCRIPT, PYSCRIPT, SPAWN, FaultPage, Records, settled_within
from javascript_page import AnyPage, JavaScriptPage

from pace import PACE

EXPORTS = {
    "harm": "at once",
    "harm_later": "after an await",
    "harm_in_a_task": "in a task",
    "harm_behind": "in a callback",
}
AT_ONCE = ("harm", "harm_later", "harm_in_a_task")
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
TYPES = {"exit_politely": "SystemExit", "interrupt_itself": "KeyboardInterrupt"}
"""Their types, which a page in JavaScript sees as the names of errors."""

CASES = [
    *((fault, export, DIES) for fault in FATAL for export in AT_ONCE),
    # Memory that has grown stays, so the worker that all share is filled last.
    *((fault, export, seen) for fault, seen in SURVIVED.items() for export in AT_ONCE),
    # Nobody waits for it any more.
    ("read_badly", "harm_behind", "returned"),
]
FEW = [
    ("read_badly", "harm_in_a_task", DIES),
    ("recurse", "harm", DIES),
    ("exit_at_once", "harm_later", DIES),
]
FEW_UNDER_PYSCRIPT = [
    ("read_badly", "harm_in_a_task", DIES),
    ("exit_at_once", "harm", DIES),
    ("close_itself", "harm_later", DIES),
]
ELSEWHERE = [("exhaust_memory", export) for export in AT_ONCE[1:]]
"""The cases of a spawned worker that take half a minute each and that another case covers."""


def cases(few: list[tuple[str, str, str]]) -> list[object]:
    """Makes the parameters of a test: a plain run has a few of the cases, `--full` all."""
    return [*few, *(pytest.param(*case, marks=pytest.mark.repeated) for case in CASES if case not in few)]


@pytest.mark.every_engine
@pytest.mark.parametrize(("fault", "export", "seen"), FEW)
def test_in_every_engine(spawning: FaultPage, records: Records, fault: str, export: str, seen: str) -> None:
    """A trap in a task, an overflow of the stack and an exit are told in each engine."""
    _inject(spawning, records, SPAWN, fault, export, seen)


@pytest.mark.parametrize(
    ("fault", "export", "seen"),
    [
        pytest.param(*case, marks=[pytest.mark.repeated] if case[:2] in ELSEWHERE else [])
        for case in CASES
        if case not in FEW
    ],
)
def test_over_spawn(spawning: FaultPage, records: Records, fault: str, export: str, seen: str) -> None:
    """The pending calls of a spawned worker settle within a second of its death; whatever lives, answers."""
    _inject(spawning, records, SPAWN, fault, export, seen)


def test_memory_that_ends_in_frames(spawning: FaultPage, records: Records) -> None:
    """A recursion of plain functions without a limit takes all memory, which takes its time, and then ends its worker."""
    _inject(spawning, records, SPAWN, "recurse_plainly", "harm", DIES, limit=60)


@pytest.mark.parametrize(("fault", "export", "seen"), cases(FEW_UNDER_PYSCRIPT))
def test_under_pyscript(scripted: FaultPage, records: Records, fault: str, export: str, seen: str) -> None:
    """The pending calls of a worker of PyScript's, which closes itself, settle within a second of its death."""
    _inject(scripted, records, PYSCRIPT, fault, export, seen)


@pytest.mark.parametrize(("fault", "export", "seen"), cases(FEW))
def test_under_javascript(
    javascript: JavaScriptPage, records: Records, fault: str, export: str, seen: str
) -> None:
    """The pending calls of a worker that a page in JavaScript has spawned settle within a second of its death."""
    _inject(javascript, records, JAVASCRIPT, fault, export, TYPES.get(fault, seen))


def _inject(
    page: AnyPage,
    records: Records,
    host: str,
    fault: str,
    export: str,
    seen: str,
    limit: float = 1,
) -> None:
    # A function that computes until its memory is exhausted takes as long as it takes.
    seconds = math.inf if fault == "exhaust_memory" else limit
    dies = fault not in SURVIVED
    inject = partial(page.call, "of_function", limit=max(100, limit))
    record = settled_within(seconds, partial(inject, host=host, fault=fault, export=export, dies=dies))
    records.add_of_function(host, fault, EXPORTS[export], record)
    assert record["unsettled"] == [], record
    assert record["seen"][0] == seen, record
    assert record["alive"] != dies, record
    # A page in JavaScript ends its worker, where one in Python closes its connection.
    assert record["waiting"] == [DIES if dies or host == JAVASCRIPT else "ConnectionClosedError"], record
    assert record.get("proxies", 0) <= 0, record
    assert record["seconds"] < seconds * PACE, record
