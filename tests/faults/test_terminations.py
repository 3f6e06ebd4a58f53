"""`terminate()` by anybody, at any moment: pending calls end within 0.3 seconds."""

from __future__ import annotations

from typing import Any

import pytest
from fault_page import JAVASCRIPT, PYSCRIPT, SPAWN, FaultPage, Records, settled_within
from javascript_page import AnyPage

from pace import PACE

HOW = ["worker.terminate()", "worker.worker.terminate()", "Worker.prototype.terminate"]
DURING = ["nothing", "a function that computes", "64 MB to the worker", "64 MB from the worker"]
TWO_WAY = {
    "a stream from the worker": [],
    "a stream to the worker": ["generator"],
    "a callback that runs on the page": ["callback"],
    "callbacks without an answer": ["callback"],
    "an object of the worker's that the page holds": ["WorkerDiedError"],
}
"""The things of the page that end by it: a generator and a callback of the page's, and each later call of an object."""


# A page notices the ends of all workers by one hook, so a plain run has those of spawned workers.
HOSTS = [SPAWN, *(pytest.param(host, marks=pytest.mark.repeated) for host in (PYSCRIPT, JAVASCRIPT))]


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("during", DURING)
@pytest.mark.parametrize("how", HOW)
def test_a_termination(page: AnyPage, records: Records, host: str, how: str, during: str) -> None:
    """Each way of terminating, while each kind of call is under way."""
    record = settled_within(0.3, lambda: page.call("terminated", host=host, how=how, during=during))
    record["seen"] = [record["under way"], ""]
    records.add(host, f"{how}, during {during}", record)
    assert record["under way"] == "WorkerDiedError", record
    assert record["unsettled"] == [], record
    assert record["waiting"] == ["WorkerDiedError"], record
    assert not record["alive"]
    assert record.get("proxies", 0) <= 0, record
    assert record["seconds"] < 0.3 * PACE, record


def terminated(page: AnyPage, records: Records, host: str, how: str, during: str) -> dict[str, Any]:
    """Terminates a worker while something is under way: whatever waits ends with a WorkerDiedError."""
    record: dict[str, Any] = page.call("terminated", host=host, how=how, during=during)
    record["seen"] = [record["under way"], ""]
    records.add(host, f"{how}, during {during}", record)
    assert record["under way"] == "WorkerDiedError", record
    assert record["unsettled"] == [], record
    assert record["waiting"] == ["WorkerDiedError"], record
    return record


@pytest.mark.parametrize("during", ["nothing", "a function that computes"])
def test_a_termination_that_only_the_lock_tells(spawning: FaultPage, records: Records, during: str) -> None:
    """A frame's own `terminate` passes the page's hook. The Web Lock tells, of a worker that computes after seconds."""
    how = "another realm's terminate()"
    record = terminated(spawning, records, SPAWN, how, during)
    assert not record["alive"]
    assert record["proxies"] <= 0, record


@pytest.mark.parametrize("host", HOSTS[:2])
@pytest.mark.parametrize("during", TWO_WAY)
@pytest.mark.parametrize("how", ["worker.terminate()", "Worker.prototype.terminate"])
def test_a_termination_during_what_goes_both_ways(
    page: AnyPage, records: Records, host: str, how: str, during: str
) -> None:
    """Streams, callbacks and objects: the step or call that waits raises the error, and the page's own side of it ends."""
    record = terminated(page, records, host, how, during)
    assert record["ended"] == TWO_WAY[during], record
    assert record["proxies"] <= 0, record


@pytest.mark.repeated
@pytest.mark.parametrize("during", ["a stream from the worker", "a callback that runs on the page"])
def test_a_termination_under_javascript(javascript: AnyPage, records: Records, during: str) -> None:
    """A page in JavaScript hears of it in the step of a stream and in a call whose callback runs."""
    terminated(javascript, records, JAVASCRIPT, "worker.terminate()", during)
