"""Workers that stand: nobody can tell of them, so the page asks for signs of life, if it is told to."""

from __future__ import annotations

import pytest
from fault_page import FaultPage, Records

from pace import PACE

HEARTBEAT = 0.4 * PACE


@pytest.mark.every_engine
@pytest.mark.repeated("firefox", "webkit")
@pytest.mark.parametrize("export", ["stand_behind", "stop_the_loop"])
def test_a_loop_that_stands(spawning: FaultPage, records: Records, export: str) -> None:
    """A thread that computes for ever, and a loop that runs nothing though messages arrive, end their worker."""
    reason, seconds = spawning.call("standing", export=export, heartbeat=HEARTBEAT)
    records.note("spawn()", f"{export}, under a heartbeat", "WorkerDiedError", seconds)
    assert "gave no sign of life" in reason
    assert seconds < 15 * HEARTBEAT


def test_a_function_may_compute(spawning: FaultPage) -> None:
    """A call that is in flight may compute for as long as it likes: the heartbeat does not count that time."""
    result, _ = spawning.call("computing", heartbeat=HEARTBEAT, in_calls=False)
    assert result == "None"


def test_unless_that_counts(spawning: FaultPage) -> None:
    """Where the user asks for it, such a function ends its worker."""
    result, seconds = spawning.call("computing", heartbeat=HEARTBEAT, in_calls=True)
    assert "gave no sign of life" in result
    assert seconds < 15 * HEARTBEAT
