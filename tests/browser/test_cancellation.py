"""Cancelling what runs in a worker, and noticing that a worker is gone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from in_page import in_page
from pyscript_page import PyScriptPage

pytestmark = pytest.mark.isolation

SCRIPT = """
import asyncio
import time
import js
import workerlib
from pyodide.ffi import run_sync

notes = []
# A message of its own leaves a worker that computes, unlike the answer to a call.
words = js.BroadcastChannel.new("words of workers")

@workerlib.export
def spin():
    words.postMessage("begun")
    while True:
        pass

@workerlib.export
async def spin_between_awaits():
    await asyncio.sleep(0)
    while True:
        pass

@workerlib.export
def spin_and_tidy():
    try:
        while True:
            pass
    finally:
        notes.append("tidied")

@workerlib.export
async def spin_behind_a_busy_loop(seconds):
    # Code that the worker runs besides its calls is not interrupted; the next step comes before any message.
    asyncio.get_running_loop().call_soon(count, seconds)
    await asyncio.sleep(0)
    spin()

@workerlib.export
async def spin_and_save():
    try:
        spin()
    finally:
        await asyncio.sleep(0.05)
        count(0.3)
        notes.append("saved")

@workerlib.export
def sleep_and_compute(seconds):
    words.postMessage("begun")
    run_sync(asyncio.sleep(0.2))
    count(seconds)
    notes.append("computed")

@workerlib.export
async def sleep_and_await():
    try:
        words.postMessage("begun")
        run_sync(asyncio.sleep(0.3))
        await asyncio.sleep(600)
    finally:
        notes.append("ended")

@workerlib.export
def say_and_count(seconds):
    words.postMessage("begun")
    count(seconds)

@workerlib.export
def spin_until_interrupted():
    try:
        while True:
            pass
    except KeyboardInterrupt:
        return "interrupted"

@workerlib.export
async def wait_and_tidy(seconds):
    try:
        words.postMessage("begun")
        await asyncio.sleep(600)
    finally:
        await asyncio.sleep(seconds)
        notes.append("tidied")

@workerlib.export
def count(seconds):
    end = time.perf_counter() + seconds
    turns = 0
    while time.perf_counter() < end:
        turns += 1
    return "counted"

@workerlib.export
def sum_up(count):
    # One call into C, which no interrupt reaches.
    return sum(range(count))

@workerlib.export
def add(a, b):
    return a + b

@workerlib.export
def noted():
    # The next test shares this worker.
    noted = list(notes)
    notes.clear()
    return noted
"""


@pytest.fixture
def script() -> str:
    """The script of the workers of these tests, which other tests must not have to wait for."""
    return SCRIPT


@pytest.fixture(scope="module", autouse=True)
def shared_worker(bench: PyScriptPage) -> Iterator[None]:
    """Ends the worker that these tests share: other tests count the page's workers."""
    yield
    bench.page.evaluate("() => window.harness.end_shared_workers()")


@pytest.fixture
def sharing(bench: PyScriptPage) -> PyScriptPage:
    """The page where it can share memory with its workers: without that, nothing that computes is interrupted."""
    if not bench.page.evaluate("crossOriginIsolated && 'SharedArrayBuffer' in globalThis"):
        pytest.skip("this page cannot share memory")
    return bench


@pytest.mark.every_engine
@in_page(page="sharing")
async def test_what_computes_is_interrupted(tags: Any, raises: Any, pace: Any, script: str) -> None:
    """An endless loop ends, and the worker serves the next call at once."""
    import time

    import js

    worker = await tags.shared(script)
    slowest, limit = 0.0, 0.1 * pace.PACE
    for name in ("spin", "spin_between_awaits", "spin_and_tidy"):
        start = time.perf_counter()
        with raises(TimeoutError, name):
            await worker[name].options(timeout=limit)()
        slowest = max(slowest, time.perf_counter() - start - limit)
        assert await worker.add(1, 2) == 3
    assert slowest < pace.PACE, slowest
    js.console.log(f"the slowest interrupt took {slowest * 1000:.0f} ms, 20 ms of patience included")
    assert await worker.noted() == ["tidied"]
    assert await worker.spin_until_interrupted.options(timeout=limit)() == "interrupted"
    assert await worker.add(1, 2) == 3


@pytest.mark.every_engine
@in_page(page="sharing")
async def test_what_begins_to_compute_after_it_was_given_up(tags: Any, raises: Any, script: str) -> None:
    """It is interrupted then: its caller has gone on, and the worker serves the others."""
    worker = await tags.shared(script)
    with raises(TimeoutError, "spin_behind"):
        await worker.spin_behind_a_busy_loop.options(timeout=0.1)(1.5)
    assert await worker.add(1, 2) == 3
    assert worker._connection._session.in_flight == 0


@pytest.mark.every_engine
@in_page(page="sharing")
async def test_a_clean_up_is_neither_interrupted_nor_cancelled(
    tags: Any, raises: Any, pace: Any, script: str
) -> None:
    """A function hears of a cancel once, though it comes as an interrupt and as a message; its caller waits."""
    worker = await tags.shared(script)
    with raises(TimeoutError, "spin_and_save"):
        await worker.spin_and_save.options(timeout=0.1 * pace.PACE)()
    assert await worker.noted() == ["saved"]


@in_page
async def test_a_function_that_waits_by_run_sync(
    tags: Any, words: Any, pace: Any, grace: Any, script: str
) -> None:
    """No message reaches it: it is interrupted when it computes again, or given up."""
    import asyncio

    import js

    worker = await tags.shared(script)
    is_isolated = js.crossOriginIsolated and hasattr(js, "SharedArrayBuffer")
    # The interrupt, or on a busy machine the end of the caller's patience, has to come before the function has computed.
    for seconds in [30 * pace.PACE] if is_isolated else [1, 3 * pace.PACE]:
        call = asyncio.ensure_future(worker.sleep_and_compute(seconds))
        await words.hear()
        is_ended = False
        with grace(0.3):
            try:
                async with asyncio.timeout(0.1):
                    await call
            except TimeoutError:
                is_ended = True
        while worker._connection._session.in_flight:
            await asyncio.sleep(0.05)
        notes = await worker.noted()
        assert notes == ([] if is_isolated else ["computed"]), notes
        if is_ended:
            return
    raise AssertionError("the caller has waited")


@in_page
async def test_an_async_function_that_waits_by_run_sync(
    tags: Any, words: Any, raises: Any, script: str
) -> None:
    """It hears of its cancel where it awaits next, or is interrupted before."""
    import asyncio

    worker = await tags.shared(script)
    call = asyncio.ensure_future(worker.sleep_and_await())
    await words.hear()
    call.cancel()
    with raises(asyncio.CancelledError):
        await call
    while await worker.noted() != ["ended"]:
        await asyncio.sleep(0.05)


@pytest.mark.every_engine
@in_page(page="sharing")
async def test_a_cancel_is_an_interrupt_too(tags: Any, words: Any, raises: Any, script: str) -> None:
    """`task.cancel()` and `asyncio.timeout` end what computes, and nothing else that is under way."""
    import asyncio

    worker = await tags.shared(script)
    other = asyncio.ensure_future(worker.wait_and_tidy(0))
    spinning = asyncio.ensure_future(worker.spin())
    for _ in (other, spinning):
        await words.hear()
    with raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await spinning
    assert await worker.add(1, 2) == 3
    assert not other.done()
    other.cancel()
    with raises(asyncio.CancelledError):
        await other
    assert await worker.noted() == ["tidied"]


@in_page(page="sharing", limit=60)
async def test_no_interrupt_hits_another_call(tags: Any, script: str) -> None:
    """Calls that are cut off at about the time at which they end, each end in one of two ways."""
    import asyncio
    import collections

    worker = await tags.shared(script)
    outcomes = collections.Counter()
    # It takes 20 ms from the end of its time to the interrupt, and longer on a busy machine.
    seconds = 0.025
    while outcomes.total() < 150 or min(outcomes["counted"], outcomes["interrupted"]) < 10:
        try:
            outcome = await worker.count.options(timeout=0.005)(seconds)
        except TimeoutError:
            outcome = "interrupted"
        outcomes[outcome] += 1
        # The next one ends later if this one ended before its interrupt, and earlier if not.
        seconds = seconds + 0.002 if outcome == "counted" else max(0.006, seconds - 0.002)
        number = outcomes.total()
        sums = [worker.add(number, 1) for _ in range(3)]
        assert await asyncio.gather(*sums) == [number + 1] * 3
    assert set(outcomes) == {"counted", "interrupted"}, outcomes


@pytest.mark.every_engine
@in_page
async def test_a_function_may_clean_up(
    tags: Any, words: Any, raises: Any, pace: Any, grace: Any, script: str
) -> None:
    """An async function gets CancelledError at its await, and its caller waits for what it does then."""
    import asyncio

    worker = await tags.shared(script)
    # On a busy machine the worker's word may need longer.
    for seconds in (0.2, pace.PACE):
        # Longer than a caller waits for a worker that says nothing.
        call = asyncio.ensure_future(worker.wait_and_tidy(1.5 * seconds))
        await words.hear()
        with grace(seconds), raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await call
        was_waited_for = await worker.noted() == ["tidied"]
        if was_waited_for:
            return
        while not await worker.noted():
            await asyncio.sleep(0.05)
    raise AssertionError("the caller has not waited")


@pytest.mark.every_engine
@pytest.mark.isolation("chromium")
@in_page
async def test_what_cannot_be_interrupted_is_given_up(
    tags: Any, raises: Any, grace: Any, script: str
) -> None:
    """The caller goes on after its patience; the worker is busy until the function ends, and lives on."""
    import asyncio
    import time

    worker = await tags.shared(script)
    count, seconds, patience = 500_000, 0.0, 0.3
    while seconds < 0.2:
        count *= 2
        start = time.perf_counter()
        await worker.sum_up(count)
        seconds = time.perf_counter() - start
    start = time.perf_counter()
    with grace(patience), raises(TimeoutError, "sum_up"):
        await worker.sum_up.options(timeout=0.1)(round(count / seconds * 5 * patience))
    given_up = time.perf_counter() - start
    behind = asyncio.ensure_future(worker.add(1, 2))
    assert await behind == 3
    assert patience < given_up < time.perf_counter() - start


@in_page
async def test_without_isolation_a_loop_goes_on(
    workerlib: Any, tags: Any, raises: Any, grace: Any, script: str
) -> None:
    """The call is given up; only the end of the worker ends the loop, of which every call is told."""
    import asyncio

    import js

    if js.crossOriginIsolated:
        return
    tag = tags.worker("endless", script)
    worker = await workerlib.connect("endless")
    with grace(0.3), raises(TimeoutError):
        await worker.spin.options(timeout=0.1)()
    behind = asyncio.gather(worker.add(1, 2), return_exceptions=True)
    with raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await worker.add(1, 2)
    tag.xworker.terminate()
    [error] = await behind
    assert isinstance(error, workerlib.WorkerDiedError), error


@pytest.mark.every_engine
@pytest.mark.isolation("chromium")
@pytest.mark.repeated("isolated")
@in_page
async def test_a_worker_that_is_terminated(
    workerlib: Any, tags: Any, raises: Any, pace: Any, script: str
) -> None:
    """Calls in flight, and all later ones, raise WorkerDiedError, which names the worker."""
    import asyncio
    import time

    tag = tags.worker("terminated", script)
    worker = await workerlib.connect("terminated")
    calls = asyncio.gather(*(worker.wait_and_tidy(0) for _ in range(20)), return_exceptions=True)
    assert await worker.add(1, 2) == 3
    start = time.perf_counter()
    tag.xworker.terminate()
    errors = await calls
    assert time.perf_counter() - start < 5 * pace.PACE
    assert {type(error) for error in errors} == {workerlib.WorkerDiedError}
    assert len({id(error) for error in errors}) == 20
    with raises(workerlib.WorkerDiedError, "'terminated' is gone"):
        await worker.add(1, 2)
    assert worker.closed


@pytest.mark.every_engine
@pytest.mark.isolation("chromium")
@in_page
async def test_a_worker_that_is_terminated_while_it_computes(
    workerlib: Any, tags: Any, words: Any, raises: Any, pace: Any, script: str
) -> None:
    """It is noticed at once, by each connection, whenever the browser ends it: in WebKit it goes on to compute."""
    import asyncio

    # No longer than a page needs to hear of it: the worker may slow down the next tests. A busy page may need longer.
    for seconds in (0.5, 2 * pace.PACE):
        name = f"terminated after {seconds} s"
        tag = tags.worker(name, script)
        worker = await workerlib.connect(name)
        other = await workerlib.connect(name)
        third = await workerlib.connect(name)
        third.close()
        spinning = asyncio.ensure_future(worker.say_and_count(seconds))
        await words.hear()
        # Of two connections, the one that called first need not be served first.
        waiting = asyncio.ensure_future(other.add(1, 2))
        await asyncio.sleep(0)
        tag.xworker.terminate()
        assert worker.closed
        assert other.closed
        outcomes = await asyncio.gather(spinning, waiting, return_exceptions=True)
        tag.xworker.terminate()
        if isinstance(outcomes[0], workerlib.WorkerDiedError):
            break
    for error in outcomes:
        assert isinstance(error, workerlib.WorkerDiedError), error


@in_page
async def test_a_connection_that_is_closed_is_no_death(workerlib: Any, worker: Any) -> None:
    """Nobody is told of anything when a connection ends in order."""
    for _ in range(5):
        async with workerlib.connect("bench") as other:
            assert await other.add(1, 2) == 3
        assert "open" not in repr(other)
    assert await worker.add(1, 2) == 3
