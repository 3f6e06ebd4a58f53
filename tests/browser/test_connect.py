"""Connecting: what works, and every way in which a worker can fail to be there."""

from __future__ import annotations

from typing import Any

import pytest

from in_page import in_page

GOOD = """
import workerlib

@workerlib.export
def answer():
    return 42
"""

# Python scripts that fail, and the builtin class of the script's error.
BROKEN = {
    "syntax error": ("import workerlib\ndef f(:\n    pass\n", "SyntaxError"),
    "undefined name": ("import workerlib\nundefined_name\n", "NameError"),
    "raised after an export": (GOOD + "raise ValueError('too late')\n", "ValueError"),
    "raised after an await": (
        "import asyncio\nimport workerlib\nawait asyncio.sleep(0.05)\n1 / 0\n",
        "ZeroDivisionError",
    ),
}

# Scripts that run, but after which no worker answers.
SILENT = {
    "endless await": "import asyncio\nimport workerlib\nawait asyncio.Event().wait()\n",
    "endless loop": "import workerlib\nwhile True:\n    pass\n",
    "no workerlib": "x = 1\n",
}


@in_page
async def test_the_only_worker_needs_no_name(workerlib: Any) -> None:
    """`connect()` finds the page's only named worker."""
    worker = await workerlib.connect()
    assert await worker.add(1, 2) == 3
    worker.close()


@in_page
async def test_several_connections_to_one_worker(workerlib: Any, raises: Any) -> None:
    """Connections are independent: closing one leaves the other, and the worker, as they are."""
    one = await workerlib.connect("bench")
    other = await workerlib.connect("bench")
    assert await one.add(1, 2) == await other.add(1, 2) == 3
    one.close()
    with raises(workerlib.ConnectionClosedError):
        await one.add(1, 2)
    assert await other.add(1, 2) == 3
    other.close()


@in_page
async def test_connecting_again_and_again(workerlib: Any) -> None:
    """Connections that come and go leave the worker as it was."""
    for number in range(30):
        async with workerlib.connect("bench") as worker:
            assert await worker.add(number, 1) == number + 1


@pytest.mark.isolation
@in_page(page="swift")
async def test_a_running_worker_is_asked_once(workerlib: Any) -> None:
    """One message asks a running worker for a channel, and its answer opens the connection: the next message is the call."""
    import js
    from pyodide.ffi import create_proxy

    tag = js.document.querySelector("script[worker][name=bench]")
    # Of the first connection to a worker, others may not have been told that its script has ended.
    await (await workerlib.connect("bench")).close()
    answers: list[Any] = []
    listener = create_proxy(lambda event: answers.append(event.data))
    # Pyodide's event loop posts messages, too: to itself.
    posted = js.eval("""(() => {
        const posted = { asks: 0, frames: 0, end: () => { MessagePort.prototype.postMessage = real } };
        const real = MessagePort.prototype.postMessage;
        MessagePort.prototype.postMessage = function (...all) {
            if (all[0] instanceof Uint8Array) posted.frames += 1;
            else if (Array.isArray(all[0])) posted.asks += 1;
            return real.apply(this, all);
        };
        return posted;
    })()""")
    tag.xworker.addEventListener("message", listener)
    try:
        worker = await workerlib.connect("bench")
        assert (posted.asks, posted.frames, len(answers)) == (1, 0, 1)
        assert await worker.add(1, 2) == 3
        assert (posted.asks, posted.frames, len(answers)) == (1, 1, 1)
    finally:
        posted.end()
        tag.xworker.removeEventListener("message", listener)
        listener.destroy()
    await worker.close()


@pytest.mark.every_engine
@in_page
async def test_a_worker_that_answers_when_nobody_waits_any_more(
    workerlib: Any, tags: Any, words: Any, raises: Any, pace: Any
) -> None:
    """A worker that computed while connect() gave up has no connection to serve that nobody has."""
    import asyncio

    script = """
import time
import js
import workerlib
from workerlib._rpc.incoming_call import serving_connections

@workerlib.export
def compute(seconds):
    js.BroadcastChannel.new("words of workers").postMessage("computing")
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass

@workerlib.export
def connections():
    return len(serving_connections)
"""
    name = "answers late"
    tags.worker(name, script)
    async with workerlib.connect(name) as worker:
        assert await worker.connections() == 1
        computing = asyncio.ensure_future(worker.compute(1))
        await words.hear()
        with raises(workerlib.ConnectTimeoutError):
            await workerlib.connect(name, timeout=0.1)
        await computing
        async with asyncio.timeout(30 * pace.PACE):
            while await worker.connections() != 1:
                await asyncio.sleep(0.05)
        async with workerlib.connect(name) as again:
            assert await again.connections() == 2


@in_page(page="mishaps")
async def test_a_first_call_reads_no_archive(workerlib: Any, tags: Any) -> None:
    """All modules that a worker's first call needs come from the file of bytecode (ADR 136).

    `zipimport` reads the archive of the other modules in Python code, which takes longer than the call.
    """
    script = """
import sys
import workerlib

@workerlib.export
def modules():
    own = [module for name, module in sys.modules.items() if name.partition(".")[0] == "workerlib"]
    loaders = {module.__name__: type(module.__loader__).__name__ for module in own}
    return loaders, sys.version_info[:2]
"""
    tags.worker("modules", script)
    async with workerlib.connect("modules") as worker:
        loaders, version = await worker.modules()
    assert len(loaders) > 100
    # The two loose files, and the extension module.
    loose = {"workerlib", "workerlib._bytecode", "workerlib._native"}
    archived = [name for name, loader in loaders.items() if loader != "BytecodeFinder" and name not in loose]
    assert version != (3, 14) or archived == []


@in_page(page="mishaps")
async def test_an_unknown_name(workerlib: Any, raises: Any, pace: Any) -> None:
    """It says so after a grace of a second, and lists the names that there are."""
    import time

    start = time.monotonic()
    with raises(workerlib.NoSuchWorkerError, "bench") as caught:
        await workerlib.connect("bensch")
    assert 0.5 < time.monotonic() - start < 10 * pace.PACE
    assert "bensch" in str(caught.value)
    assert isinstance(caught.value, LookupError)
    assert isinstance(caught.value, workerlib.ConnectError)
    assert isinstance(caught.value, workerlib.WorkerlibError)


@in_page(page="mishaps")
async def test_a_page_without_workers(workerlib: Any, raises: Any) -> None:
    """Without any named worker, the error says that there is none, with a name or without."""
    import js

    tag = js.document.querySelector("script[worker][name=bench]")
    tag.removeAttribute("name")
    try:
        for names in ((), ("bench",)):
            with raises(workerlib.NoSuchWorkerError, "no named worker|no worker"):
                await workerlib.connect(*names)
    finally:
        tag.setAttribute("name", "bench")


@in_page(page="mishaps")
async def test_giving_up_while_connecting(workerlib: Any, raises: Any, pace: Any) -> None:
    """A connect() that is cancelled ends at once."""
    import asyncio

    connecting = asyncio.create_task(workerlib.connect("nobody"))
    # It has looked for the worker, and would look for another second.
    for _ in range(5):
        await asyncio.sleep(0)
    connecting.cancel()
    with raises(asyncio.CancelledError):
        async with asyncio.timeout(30 * pace.PACE):
            await connecting


@in_page(page="mishaps")
async def test_a_tag_that_comes_late(workerlib: Any, tags: Any) -> None:
    """A tag that is added within the grace is found, and its worker waited for."""
    import asyncio

    text = "import workerlib\n@workerlib.export\ndef answer(): return 42\n"
    connecting = asyncio.create_task(workerlib.connect("late"))
    # It has looked once, and cannot look again before the tag is there.
    for _ in range(5):
        await asyncio.sleep(0)
    tags.worker("late", text)
    worker = await connecting
    assert await worker.answer() == 42
    worker.close()


@in_page(page="mishaps")
async def test_several_workers(workerlib: Any, tags: Any, raises: Any) -> None:
    """Each is reached by its name; without a name, the error lists them."""
    import asyncio

    for number in (1, 2):
        tags.worker(f"extra{number}", f"import workerlib\n@workerlib.export\ndef number(): return {number}\n")
    with raises(workerlib.ConnectError, "extra1.*extra2|extra2.*extra1") as caught:
        await workerlib.connect()
    assert "bench" in str(caught.value)
    first, second = await asyncio.gather(workerlib.connect("extra1"), workerlib.connect("extra2"))
    assert [await first.number(), await second.number()] == [1, 2]
    assert await (await workerlib.connect("bench")).add(1, 2) == 3


@pytest.mark.parametrize("broken", [BROKEN])
@in_page(page="mishaps", limit=100)
async def test_scripts_that_fail(
    workerlib: Any, tags: Any, pace: Any, broken: dict[str, tuple[str, str]]
) -> None:
    """connect raises with the script's own error, while another worker is reached as ever."""
    import asyncio

    async def connect(name: str) -> Exception | None:
        try:
            await workerlib.connect(name, timeout=60 * pace.PACE)
        except workerlib.WorkerlibError as error:
            return error
        return None

    # All at a time: each loads a Pyodide of its own.
    for name, (script, _) in broken.items():
        tags.worker(name, script)
    errors = await asyncio.gather(*map(connect, broken))
    for (name, (_, expected)), error in zip(broken.items(), errors, strict=True):
        assert type(error) is workerlib.WorkerStartError, f"{name}: {error!r}"
        assert name in str(error)
        assert type(error.__cause__).__name__ == expected, f"{name}: {error} because of {error.__cause__!r}"
    async with workerlib.connect("bench") as worker:
        assert await worker.add(1, 2) == 3


@in_page(page="mishaps")
async def test_a_script_that_fails_before_it_imports_workerlib(
    workerlib: Any, tags: Any, raises: Any, pace: Any
) -> None:
    """Nobody could tell its error but the console, and the message says so."""
    tags.worker("too early", "raise RuntimeError('too early')\nimport workerlib\n")
    with raises(workerlib.WorkerStartError, "too early") as caught:
        await workerlib.connect("too early", timeout=30 * pace.PACE)
    assert "console" in str(caught.value) or "RuntimeError" in repr(caught.value.__cause__)


@pytest.mark.parametrize("silent", [SILENT])
@in_page(page="mishaps")
async def test_workers_that_never_answer(
    workerlib: Any, tags: Any, pace: Any, silent: dict[str, str]
) -> None:
    """connect gives up when its time is over and says what it waited for, while another worker is reached as ever."""
    import asyncio
    import time

    # Each worker that computes keeps a core busy for as long.
    limit = round(pace.PACE)

    async def connect(name: str) -> tuple[Exception | None, float]:
        start = time.monotonic()
        try:
            await workerlib.connect(name, timeout=limit)
        except workerlib.ConnectError as error:
            return error, time.monotonic() - start
        return None, 0

    for name, script in silent.items():
        tags.worker(name, script)
    tags.worker("no src", src="./no_such_script.py")
    names = [*silent, "no src"]
    outcomes = dict(zip(names, await asyncio.gather(*map(connect, names)), strict=True))
    for name, (error, seconds) in outcomes.items():
        assert error is not None, name
        assert name in str(error)
        # A start has several steps, and each has the time for itself.
        assert seconds < 10 * limit, name
        if isinstance(error, workerlib.ConnectTimeoutError):
            assert isinstance(error, TimeoutError)
            assert f"within {limit} seconds" in str(error)
    for name in ("endless await", "endless loop"):
        assert type(outcomes[name][0]) is workerlib.ConnectTimeoutError, outcomes[name]
    assert type(outcomes["no src"][0]) is workerlib.WorkerStartError, outcomes["no src"]
    assert "404" in str(outcomes["no src"][0])
    async with workerlib.connect("bench") as worker:
        assert await worker.add(1, 2) == 3


@in_page(page="mishaps")
async def test_a_micropython_worker(workerlib: Any, tags: Any, raises: Any, pace: Any) -> None:
    """workerlib needs Pyodide on both sides and says so instead of waiting."""
    tags.worker("small", "x = 1\n", kind="mpy", config={})
    with raises(workerlib.ConnectError, "(?i)micropython|mpy|pyodide"):
        await workerlib.connect("small", timeout=6 * pace.PACE)


@in_page(page="mishaps")
async def test_a_worker_that_exports_nothing(workerlib: Any, tags: Any, raises: Any) -> None:
    """It connects, and a call says that there is nothing to call."""
    tags.worker("empty", "import workerlib\nx = 1\n")
    worker = await workerlib.connect("empty")
    with raises(workerlib.NotExportedError, "x"):
        await worker.x()
    worker.close()


@in_page(page="mishaps")
async def test_exports_made_after_an_await(workerlib: Any, tags: Any) -> None:
    """connect waits for the whole script, so that late exports are there."""
    tags.worker(
        "slow",
        "import asyncio\nimport workerlib\nawait asyncio.sleep(0.3)\n@workerlib.export\ndef answer(): return 42\n",
    )
    worker = await workerlib.connect("slow")
    assert await worker.answer() == 42
    worker.close()


@in_page(page="mishaps")
async def test_connecting_from_a_worker(workerlib: Any, tags: Any, raises: Any) -> None:
    """Calls go from the page to its workers; the other way round there is an error that says so."""
    script = (
        "import workerlib\n@workerlib.export\nasync def wrong_way():\n    await workerlib.connect('bench')\n"
    )
    tags.worker("wrong way", script)
    async with workerlib.connect("wrong way") as worker:
        with raises(workerlib.ConnectError, "page"):
            await worker.wrong_way()


@in_page(page="mishaps")
async def test_wrong_timeouts(workerlib: Any, raises: Any) -> None:
    """A timeout of no time ends at once, even for a worker that is there."""
    with raises(workerlib.ConnectTimeoutError):
        await workerlib.connect("bench", timeout=0)
