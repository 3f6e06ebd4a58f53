"""Workers that stand: nobody can tell of them, so the page asks for signs of life, if it is told to."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from fault_page import JAVASCRIPT, PYSCRIPT, SPAWN, Records
from javascript_page import AnyPage
from playwright.sync_api import Error as PlaywrightError

from pace import PACE

HEARTBEATS = (0.4, 0.4 * PACE)
"""A short one, and for a busy machine, where a worker may not answer in time, a long one."""

# The heartbeat of connect() is that of spawn(); that of a page in JavaScript is another one.
HOSTS = [SPAWN, pytest.param(PYSCRIPT, marks=pytest.mark.repeated), JAVASCRIPT]
IN_EACH_ENGINE = pytest.param(
    SPAWN, marks=[pytest.mark.every_engine, pytest.mark.repeated("firefox", "webkit")]
)


def with_heartbeat(check: Callable[[float], None]) -> None:
    """Makes a check with a short heartbeat, and with a long one if the short one fails."""
    short, long = HEARTBEATS
    try:
        check(short)
    except (AssertionError, PlaywrightError, pytest.fail.Exception):
        check(long)


@pytest.mark.parametrize("host", [IN_EACH_ENGINE, *HOSTS[1:]])
@pytest.mark.parametrize("export", ["stand_behind", "stop_the_loop"])
def test_a_loop_that_stands(page: AnyPage, records: Records, host: str, export: str) -> None:
    """A thread that computes for ever, and a loop that runs nothing though messages arrive, end their worker."""

    def check(heartbeat: float) -> None:
        reason, seconds = page.call("standing", host=host, export=export, heartbeat=heartbeat)
        assert "gave no sign of life" in reason
        assert seconds < 15 * heartbeat
        records.note(host, f"{export}, under a heartbeat", "WorkerDiedError", seconds)

    with_heartbeat(check)


@pytest.mark.parametrize("host", HOSTS)
def test_a_function_may_compute(page: AnyPage, host: str) -> None:
    """A call that is in flight may compute for as long as it likes: the heartbeat does not count that time."""

    def check(heartbeat: float) -> None:
        result, _ = page.call("computing", host=host, heartbeat=heartbeat, in_calls=False)
        assert result in ("None", "undefined")

    with_heartbeat(check)


@pytest.mark.parametrize("host", HOSTS)
def test_unless_that_counts(page: AnyPage, host: str) -> None:
    """Where the user asks for it, such a function ends its worker."""

    def check(heartbeat: float) -> None:
        result, seconds = page.call("computing", host=host, heartbeat=heartbeat, in_calls=True)
        assert "gave no sign of life" in result
        assert seconds < 15 * heartbeat

    with_heartbeat(check)
