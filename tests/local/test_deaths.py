"""Processes that die in every way while calls wait: each call raises WorkerDiedError, at once."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest
import workerlib
from injecting import inject

from pace import PACE

SCRIPT = Path(__file__).parents[1] / "faults" / "pages" / "worker.py"
DIES = "WorkerDiedError"
FAULTS = {
    "read_badly": DIES,
    "exit_at_once": DIES,
    "abort": DIES,
    "exit_politely": "RemoteError",
    "interrupt_itself": "RemoteError",
}


@pytest.mark.parametrize(
    ("fault", "export"),
    [
        (fault, export)
        for fault, seen in FAULTS.items()
        for export in ("harm", "harm_later", "harm_in_a_task")
        # SystemExit in a task of the user's ends the process: the test below.
        if seen == DIES or export != "harm_in_a_task"
    ],
)
async def test_a_fault(fault: str, export: str) -> None:
    """The faults of the browser's suite that a process can have."""
    worker = await workerlib.connect(SCRIPT)
    record = await inject(worker, worker[export](fault))
    assert record["unsettled"] == [], record
    assert record["seen"][0] == FAULTS[fault], record
    assert record["alive"] == (FAULTS[fault] != DIES), record
    assert record["seconds"] < 5 * PACE, record


@pytest.mark.parametrize(
    ("fault", "export"),
    [
        ("exit_in_a_callback", "harm"),
        ("exit_politely", "harm_in_a_task"),
        ("interrupt_itself", "harm_in_a_task"),
    ],
)
async def test_an_exit_outside_of_the_function(fault: str, export: str) -> None:
    """It ends the process, as it ends any Python: asyncio cancels the calls, or the process is gone before."""
    worker = await workerlib.connect(SCRIPT)
    record = await inject(worker, worker[export](fault))
    assert record["unsettled"] == [], record
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
    assert record["unsettled"] == [], record
    assert record["seen"][0] == DIES, record
    assert record["waiting"] == [DIES], record
    assert record["seconds"] < 5 * PACE, record
