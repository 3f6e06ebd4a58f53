"""Reports of running functions: heard in order, while the function computes, and before it returns."""

from __future__ import annotations

import asyncio
import contextvars
import time
from typing import Any

import workerlib
from workerlib import Worker

from expecting import raises

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="")


async def test_a_report_comes_while_the_function_computes(worker: Worker) -> None:
    """A sync function's report is heard before it has computed to its end, without isolation."""
    # A busy machine may keep the report from a function that computes for a moment only.
    for seconds in (0.5, 2, 8):
        heard: list[float] = []
        await worker.report_and_compute.options(
            on_report=lambda _, heard=heard: heard.append(time.monotonic())
        )(seconds)
        assert len(heard) == 1
        if time.monotonic() - heard[0] > seconds / 2:
            return
    raise AssertionError("the report came when the function had ended")


async def test_all_of_a_few_reports_come_in_order(worker: Worker) -> None:
    """The reports that go at once are all heard, with all their values, before the call returns."""
    heard: list[Any] = []
    assert await worker.report_each.options(on_report=lambda *values: heard.append(values))(20) == 20
    assert heard == [(number, {"of": 20}) for number in range(20)]


async def test_of_many_reports_the_newest_come(worker: Worker) -> None:
    """A loop may report as often as it likes: few are sent, in order, and the last one always."""
    heard: list[int] = []
    await worker.report_each.options(on_report=lambda number, _: heard.append(number))(20_000)
    assert heard == sorted(heard)
    assert 64 <= len(heard) < 10_000
    assert heard[:64] == list(range(64))
    assert heard[-1] == 19_999


async def test_what_is_held_back_goes_when_the_function_awaits(worker: Worker) -> None:
    """The newest report is not kept until the end of an async function."""
    heard: list[int] = []
    call = asyncio.create_task(worker.report_and_hold.options(on_report=heard.append)("reports", 1_000))
    while 999 not in heard:
        await asyncio.sleep(0.001)
    await worker.release("reports")
    await call


async def test_progress_reports_a_loop(worker: Worker) -> None:
    """`progress()` tells how many items are done, and of how many, in sync and async loops."""
    heard: list[Any] = []
    await worker.loop_with_progress.options(on_report=lambda *values: heard.append(values))(3)
    assert heard == [(0, 3), (1, 3), (2, 3), (3, 3)]
    heard.clear()
    await worker.loop_with_async_progress.options(on_report=lambda *values: heard.append(values))(2)
    assert heard == [(0, None), (1, None), (2, None)]


async def test_an_exception_of_on_report_ends_the_call(worker: Worker) -> None:
    """It is raised by the call, and the function is cancelled."""

    def fail(_: int) -> None:
        raise LookupError("in on_report")

    with raises(LookupError, "in on_report"):
        await worker.report_and_hold.options(on_report=fail)("reports of a failure", 1)
    while await worker.held("reports of a failure"):
        await asyncio.sleep(0)


async def test_an_async_on_report(worker: Worker) -> None:
    """It is started for each report, and its exception ends the call too."""
    heard: list[int] = []

    async def hear(number: int) -> None:
        await asyncio.sleep(0)
        heard.append(number)
        if number == 3:
            raise LookupError("in an async on_report")

    await worker.report_and_compute.options(on_report=hear)(0.05)
    with raises(LookupError, "in an async on_report"):
        await worker.report_and_hold.options(on_report=hear)("async reports", 4)
    assert sorted(heard) == [0, 0, 1, 2, 3]


async def test_on_report_runs_in_the_context_of_the_call(worker: Worker) -> None:
    """It sees the context variables that the caller had set when it made the call."""
    heard: list[str] = []
    variable.set("of the caller")
    await worker.report_each.options(on_report=lambda *_: heard.append(variable.get()))(1)
    assert heard == ["of the caller"]


async def test_a_report_that_cannot_be_sent(worker: Worker) -> None:
    """It raises in the function, with the path of the value."""
    with raises(workerlib.UnsendableError, r"report\[0\]"):
        await worker.report_a_thing()


async def test_reports_that_nobody_wants(worker: Worker) -> None:
    """They are dropped, also those that are made outside of any call."""
    assert await worker.report_each(20) == 20
    workerlib.report("outside of a call")
