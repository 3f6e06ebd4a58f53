"""Processes that die in every way while calls wait: each call raises WorkerDiedError, at once."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
import workerlib
from fault_table import FaultTable
from injecting import inject

from pace import PACE

SCRIPT = Path(__file__).parents[1] / "faults" / "pages" / "worker.py"
DIES = "WorkerDiedError"
EXPORTS = {"harm": "at once", "harm_later": "after an await", "harm_in_a_task": "in a task"}
HAS_C_STACK_LIMIT = sys.version_info >= (3, 12)
FAULTS = {
    "read_badly": DIES,
    "repr_deep": "RecursionError",
    "free_deep": "returned",
    "recurse": "RecursionError" if HAS_C_STACK_LIMIT else DIES,
    "compile_sum": "RecursionError",
    "exit_at_once": DIES,
    "abort": DIES,
    "exit_politely": "RemoteError",
    "interrupt_itself": "RemoteError",
    "exhaust_memory": "MemoryError",
}
TABLE = FaultTable("faults in a subprocess", ("fault", "when"), ("the caller sees", "after"))


def note(record: dict[str, Any], fault: str, when: str, seen: str) -> None:
    """Adds an injected fault to the table of docs/reliability.md; each of its calls has settled."""
    assert record["unsettled"] == [], record
    cells = {"the caller sees": seen, "after": f"{record['seconds']:.2f} s"}
    TABLE.add((fault.replace("_", " "), when), cells)


@pytest.mark.parametrize(
    ("fault", "export"),
    [
        (fault, export)
        for fault, seen in FAULTS.items()
        for export in EXPORTS
        # SystemExit in a task of the user's ends the process: the test below.
        if seen != "RemoteError" or export != "harm_in_a_task"
    ],
)
@pytest.mark.skipif(sys.platform == "win32", reason="nothing bounds the memory of a process")
async def test_a_fault(fault: str, export: str) -> None:
    """The faults of the browser's suite that a process can have."""
    worker = await workerlib.connect(SCRIPT)
    record = await inject(worker, worker[export](fault))
    note(record, fault, EXPORTS[export], FAULTS[fault])
    assert record["seen"][0] == FAULTS[fault], record
    assert record["alive"] == (FAULTS[fault] != DIES), record
    # A function that computes until its memory is exhausted takes as long as it takes.
    assert fault == "exhaust_memory" or record["seconds"] < 5 * PACE, record


@pytest.mark.parametrize(
    ("fault", "export"),
    [
        *(("exit_in_a_callback", export) for export in EXPORTS),
        ("exit_politely", "harm_in_a_task"),
        ("interrupt_itself", "harm_in_a_task"),
    ],
)
async def test_an_exit_outside_of_the_function(fault: str, export: str) -> None:
    """It ends the process, as it ends any Python: asyncio cancels the calls, or the process is gone before."""
    worker = await workerlib.connect(SCRIPT)
    record = await inject(worker, worker[export](fault), late=True)
    note(record, fault, EXPORTS[export], f"{DIES} or RemoteError")
    assert not record["alive"]
    assert set(record["waiting"]) <= {DIES, "RemoteError"}


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")
@pytest.mark.parametrize(
    "number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS]
)
@pytest.mark.parametrize("during", ["nothing", "a function that computes", "64 MB to the worker"])
async def test_a_signal(number: signal.Signals, during: str) -> None:
    """The process is ended from outside, while each kind of call is under way."""
    worker = await workerlib.connect(SCRIPT)
    calls = {
        "nothing": worker.wait,
        "a function that computes": lambda: worker.compute(60),
        "64 MB to the worker": lambda: worker.echo(bytes(64 << 20)),
    }
    pid = worker.worker.pid
    record = await inject(
        worker,
        calls[during](),
        meanwhile=lambda: os.kill(pid, number),
        ready=True,
    )
    note(record, number.name, f"during {during}", DIES)
    assert record["seen"][0] == DIES, record
    assert record["waiting"] == [DIES], record
    assert record["seconds"] < 5 * PACE, record


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="the table is that of Python 3.11")
def test_the_table(request: pytest.FixtureRequest) -> None:
    """Each of these faults stands in docs/reliability.md, with the error that the caller sees."""
    items = [item for item in request.session.items if isinstance(item, pytest.Function)]
    are_here = {item.originalname for item in items if item.path == request.path} >= {
        name for name in globals() if name.startswith("test_")
    }
    TABLE.check(
        is_whole=are_here and not request.config.option.keyword and "[" not in "".join(request.config.args)
    )
