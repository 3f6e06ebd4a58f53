"""`terminate()` by anybody, at any moment: pending calls end within 0.3 seconds."""

from __future__ import annotations

import pytest
from fault_page import FaultPage, Records

from pace import PACE

HOW = ["worker.terminate()", "worker.worker.terminate()", "Worker.prototype.terminate"]
DURING = ["nothing", "a function that computes", "64 MB to the worker", "64 MB from the worker"]


@pytest.mark.parametrize("during", DURING)
@pytest.mark.parametrize("how", HOW)
def test_a_termination(spawning: FaultPage, records: Records, how: str, during: str) -> None:
    """Each way of terminating, while each kind of call is under way."""
    record = spawning.call("terminated", how=how, during=during)
    record["seen"] = ["WorkerDiedError", ""]
    records.add("spawn()", f"{how}, during {during}", record)
    assert record["unsettled"] == [], record
    assert record["waiting"] == ["WorkerDiedError"], record
    assert not record["alive"]
    assert record["proxies"] <= 0, record
    assert record["seconds"] < 0.3 * PACE, record
