"""`workerlib.wait()` in a subprocess: sync code waits for the page at the socket, and never for what cannot come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import workerlib
from workerlib import Worker

SCRIPT = """
import asyncio
import workerlib

@workerlib.export
def ask(name, *args):
    return workerlib.wait(workerlib.page()[name](*args))

@workerlib.export
def ask_for(seconds, name, *args):
    return workerlib.wait(workerlib.page()[name].options(timeout=seconds)(*args))

@workerlib.export
def ask_twice(name, first, second):
    return [workerlib.wait(workerlib.page()[name](value)) for value in (first, second)]

@workerlib.export
async def add_later(a, b):
    await asyncio.sleep(0)
    return a + b

@workerlib.export
def send(size):
    return len(workerlib.wait(workerlib.page().wait_echo(bytes(size))))

@workerlib.export
def sleep():
    workerlib.wait(asyncio.sleep(0))

@workerlib.export
async def gather(*values):
    first = asyncio.gather(*[workerlib.page().wait_echo(value) for value in values])
    await asyncio.sleep(0)
    return workerlib.wait(workerlib.page().wait_echo("waited")), await first
"""

started: list[asyncio.Event] = []
workers: list[Worker] = []


@workerlib.export
def wait_echo(value: object) -> object:
    return value


@workerlib.export
async def wait_forever() -> None:
    started[0].set()
    await asyncio.Event().wait()


@workerlib.export
async def wait_call_back(a: int, b: int) -> int:
    result: int = await workers[0].add_later(a, b)
    return result


@workerlib.export
def wait_fail() -> None:
    raise LookupError("in the page")


@pytest.fixture
async def worker(tmp_path: Path) -> AsyncIterator[Worker]:
    """A worker whose sync functions wait."""
    script = tmp_path / "worker.py"
    script.write_text(SCRIPT)
    async with workerlib.connect(script) as worker:
        workers[:], started[:] = [worker], [asyncio.Event()]
        yield worker


async def test_sync_code_waits_for_the_page(worker: Worker) -> None:
    """Results and exceptions come as by `await`, many times, and other calls wait for their turn meanwhile."""
    assert await worker.ask("wait_echo", [1]) == [1]
    with pytest.raises(LookupError, match="in the page"):
        await worker.ask("wait_fail")
    assert await worker.ask_twice("wait_echo", 1, 2) == [1, 2]
    calls = [worker.ask("wait_echo", number) for number in range(100)]
    assert await asyncio.gather(*calls, worker.add_later(1, 2)) == [*range(100), 3]


async def test_large_values_pass_while_the_loop_stands(worker: Worker) -> None:
    """Bytes that the socket does not take at once are written while the thread sleeps."""
    assert await worker.send(20_000_000) == 20_000_000


async def test_answers_of_other_calls_are_kept(worker: Worker) -> None:
    """Messages that arrive for other calls during a wait reach them afterwards."""
    assert await worker.gather(1, 2, 3) == ("waited", [1, 2, 3])


async def test_a_cancel_interrupts_what_waits(worker: Worker) -> None:
    """A caller that cancels ends the wait, and the page's function that is waited for."""
    call = asyncio.create_task(worker.ask("wait_forever"))
    await started[0].wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert await worker.add_later(1, 2) == 3


async def test_a_timeout_ends_the_wait(worker: Worker) -> None:
    """`options(timeout=)` counts though the loop, which has the timers, stands."""
    with pytest.raises(TimeoutError, match="wait_forever"):
        await worker.ask_for(0.05, "wait_forever")
    assert await worker.add_later(1, 2) == 3


async def test_a_deadlock_is_refused(worker: Worker) -> None:
    """The page's function calls the worker, which waits for it: an error there, at once, and all goes on."""
    with pytest.raises(workerlib.DeadlockError, match=r"add_later\(\) cannot be called: the worker waits"):
        await worker.ask("wait_call_back", 1, 2)
    assert await worker.add_later(1, 2) == 3


async def test_what_needs_the_loop_cannot_be_waited_for(worker: Worker) -> None:
    """The loop stands: what is not a call of the page's would never be done."""
    with pytest.raises(workerlib.CannotBlockError, match="nothing that needs the event loop"):
        await worker.sleep()
    assert await worker.ask("wait_echo", 1) == 1


async def test_the_page_cannot_wait(worker: Worker) -> None:
    """A page never blocks: the error comes before anything is sent."""
    with pytest.raises(workerlib.CannotBlockError, match="async"):
        workerlib.wait(worker.add_later(1, 2))


async def test_the_end_of_the_page_ends_the_wait(worker: Worker) -> None:
    """A worker that waits when its page closes does not stay behind."""
    call = asyncio.create_task(worker.ask("wait_forever"))
    await started[0].wait()
    worker.close()
    with pytest.raises(workerlib.ConnectionClosedError):
        await call
    assert await worker.worker.wait() is not None


async def test_no_page() -> None:
    """Outside of a worker there is no page, and the error says for whom `page()` is."""
    with pytest.raises(
        workerlib.ConnectError, match=r"no page is connected .* workerlib.page\(\) is for a worker"
    ):
        workerlib.page()
