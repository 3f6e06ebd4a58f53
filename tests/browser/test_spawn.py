"""workerlib.spawn(): workers without script tags, from a page without PyScript, and from one with it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import shared_tests
from engines import AnyBrowser
from in_page import in_page
from pyscript_page import PyScriptPage


@pytest.fixture(scope="module")
def spawned(browser: AnyBrowser, site: str) -> Iterator[PyScriptPage]:
    """The page without PyScript, whose worker "bench" is spawned."""
    with PyScriptPage(browser, site, "spawn.html", has_snapshot=True) as page:
        yield page


# The tests in which a function is ended, by an interrupt where the page is isolated; others spawn further workers.
ENDED = ("endings: a_cancelled", "endings: a_call_cancelled", "endings: cancelling", "endings: a_timeout")


# A spawned worker runs all of them under Node (tests/node/spawn.mjs), and PyScript's worker runs them in pages. A page that
# spawns differs from both in how workers start, end and are interrupted.
OF_PAGES = (*ENDED, "calls: ", "pages: ", "objects: ")


@pytest.mark.parametrize(
    "name",
    shared_tests.with_marks(
        isolation=pytest.mark.isolation("chromium"), only=ENDED, repeated=pytest.mark.repeated, but=OF_PAGES
    ),
)
def test_shared(spawned: PyScriptPage, name: str) -> None:
    """The shared suite over a spawned worker: it is a worker as any other."""
    spawned.run_shared(name)


# The page is that of the other test that runs in every engine.
@pytest.mark.every_engine
@in_page(page="spawn_mishaps")
async def test_packages_and_progress(workerlib: Any) -> None:
    """Packages are installed before the script runs; each step is told, in order."""
    steps = []
    async with workerlib.spawn(
        "./needs_packaging.py", packages=["packaging"], on_progress=steps.append
    ) as worker:
        assert await worker.is_older("1.0", "2.0")
        assert worker.name == "needs_packaging"
    assert list(dict.fromkeys(step.stage for step in steps)) == ["download", "install", "import", "ready"]
    assert any((step.what, step.done, step.total) == ("packaging", 1, 1) for step in steps)
    assert worker.closed


@in_page(page="spawned")
async def test_a_wheel_beside_the_page(workerlib: Any) -> None:
    """Relative addresses of wheels and indexes start at the page; workerlib's own wheel is not installed twice."""
    import pyodide_js

    wheel = pyodide_js.lockfile.packages.to_py()["packaging"]["file_name"].rpartition("/")[2]
    steps = []
    config = {"packages": ["./workerlib-0-none-any.whl"], "index_urls": ["./no-such-index"]}
    async with workerlib.spawn(
        "./needs_packaging.py", packages=[f"../pyodide/{wheel}"], config=config, on_progress=steps.append
    ) as worker:
        assert await worker.is_older("1.0", "2.0")
    fetched = [step.what for step in steps if step.stage == "install"]
    assert [name.rpartition("/")[2] for name in fetched] == ["workerlib", wheel]
    assert fetched[1].startswith("http")


@in_page(page="spawned")
async def test_a_worker_spawns_a_worker(workerlib: Any) -> None:
    """spawn() works in a spawned worker, whose relative addresses start at its script."""
    async with workerlib.spawn("./needs_packaging.py", packages=["packaging"]) as worker:
        assert await worker.ask_another()


@in_page(page="spawned")
async def test_a_script_of_this_python(workerlib: Any) -> None:
    """A Path is a file of the caller's own file system."""
    from pathlib import Path

    script = Path("made_here.py")
    script.write_text("import workerlib\n@workerlib.export\ndef twice(x):\n    return 2 * x\n")
    async with workerlib.spawn(script) as worker:
        assert await worker.twice([1]) == [1, 1]


@pytest.mark.isolation("chromium")
@in_page(page="spawned")
async def test_what_computes_is_interrupted(workerlib: Any, raises: Any) -> None:
    """Where the page is isolated, an endless loop in a spawned worker ends, and the next call is served."""
    from pathlib import Path

    import js

    if not js.crossOriginIsolated:
        return
    script = Path("endless.py")
    script.write_text(
        "import workerlib\n@workerlib.export\ndef spin():\n    while True: pass\n"
        "@workerlib.export\ndef twice(x):\n    return 2 * x\n"
    )
    async with workerlib.spawn(script) as worker:
        with raises(TimeoutError):
            await worker.spin.options(timeout=0.1)()
        assert await worker.twice(21) == 42


# These tests need an address of HTTP; all of them run in Node (tests/node/spawn.mjs).
@pytest.mark.parametrize(
    "name",
    [
        "test_a_configuration_is_the_worker",
        "test_adapters",
        "test_addresses_are_relative_to_the_script",
        "test_a_configuration_that_is_a_file",
        "test_a_module_that_is_missing",
    ],
)
@in_page(page="spawn_mishaps", limit=120)
async def test_configuration(name: str) -> None:
    """A spawned worker follows its configuration (tests/shared/configured.py)."""
    import importlib

    await getattr(importlib.import_module("configured"), name)("/shared/")


@in_page
async def test_under_pyscript(workerlib: Any) -> None:
    """A page of PyScript's makes workers at run time, with its own Pyodide."""
    steps = []
    async with workerlib.spawn(
        "./needs_packaging.py", packages=["packaging"], on_progress=steps.append
    ) as worker:
        assert await worker.is_older("1.0", "2.0")
    assert any("/pyodide/" in step.what for step in steps)


@in_page(page="spawn_mishaps")
async def test_what_cannot_be_started(workerlib: Any, raises: Any, pace: Any) -> None:
    """A missing script, a page in its place, an unknown package, a dead index: each is named, at once."""
    for options, message in (
        ({"script": "./nowhere.py"}, r"script, http.*/nowhere\.py, cannot be fetched: HTTP 404"),
        (
            {"script": "./spawn.html"},
            r"script, http.*/spawn\.html, cannot.*the server sent a page \(HTML\).*check the",
        ),
        ({"packages": ["no-such-package-at-all"]}, "package no-such-package-at-all cannot be installed"),
        ({"packages": ["a-package"], "index_urls": ["http://localhost:9/simple"]}, "a-package.*localhost:9"),
    ):
        with raises(workerlib.WorkerStartError, message):
            await workerlib.spawn(**{"script": "./needs_packaging.py", "timeout": 30 * pace.PACE, **options})


@in_page(page="spawn_mishaps")
async def test_a_start_that_does_not_begin(workerlib: Any, raises: Any) -> None:
    """A bad configuration, and a task that is cancelled at once, leave no coroutine that was never awaited."""
    import asyncio
    import gc
    import warnings

    adapters = {"adapters": {"no_such_module": ["Money", "encode", "decode"]}}
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        with raises(workerlib.ConfigError, "no module 'no_such_module'"):
            await workerlib.spawn("./needs_packaging.py", config=adapters)
        task = asyncio.create_task(workerlib.spawn("./needs_packaging.py"))
        task.cancel()
        with raises(asyncio.CancelledError, ""):
            await task
        del task
        gc.collect()
    assert not warned, [str(warning.message) for warning in warned]


@in_page(page="spawn_mishaps")
async def test_a_pyodide_that_cannot_be_fetched(workerlib: Any, raises: Any) -> None:
    """The caller's Pyodide may be gone from where it was."""
    import pyodide_js

    config = pyodide_js._api.config
    before = config.indexURL
    config.indexURL = "/nowhere/"
    try:
        with raises(workerlib.WorkerStartError, r"Pyodide cannot be fetched from http.*/nowhere/"):
            await workerlib.spawn("./needs_packaging.py")
    finally:
        config.indexURL = before


@in_page(page="spawn_mishaps")
async def test_a_script_that_fails(workerlib: Any, raises: Any) -> None:
    """The script's own exception is the cause."""
    with raises(workerlib.WorkerStartError, r"failing\.py, failed: KeyError: .*line \d") as caught:
        await workerlib.spawn("./failing.py")
    assert type(caught.value.__cause__) is KeyError


@in_page(page="spawn_mishaps")
async def test_a_start_that_takes_too_long(workerlib: Any, raises: Any) -> None:
    """The error tells what the worker was doing."""
    with raises(
        workerlib.ConnectTimeoutError,
        r"the worker 'slow' did not get any further within 0\.01 seconds; spawn\(\) was",
    ):
        await workerlib.spawn("./needs_packaging.py", name="slow", timeout=0.01)


@in_page(page="spawned")
async def test_the_address_of_a_workers_script_is_revoked(workerlib: Any) -> None:
    """A blob: address keeps its script in memory for the page's life."""
    import asyncio

    import js

    made, revoked = [], []
    create, revoke = js.URL.createObjectURL, js.URL.revokeObjectURL

    def note(blob: Any) -> str:
        made.append(create(blob))
        return made[-1]

    js.URL.createObjectURL = note
    js.URL.revokeObjectURL = lambda address: (revoked.append(address), revoke(address))[0]
    try:
        async with workerlib.spawn("./fresh_worker.py", snapshot=False) as worker:
            assert made
            # Neither has it a snapshot, though this page starts from one.
            assert not await worker.had_snapshot()
            # A worker that makes a snapshot for others may be among them, and load a moment later.
            while not set(made) <= set(revoked):
                await asyncio.sleep(0.05)
    finally:
        js.URL.createObjectURL, js.URL.revokeObjectURL = create, revoke


@pytest.mark.every_engine
@in_page(page="spawn_mishaps")
async def test_a_worker_that_dies(workerlib: Any, raises: Any) -> None:
    """Its calls raise WorkerDiedError instead of waiting for ever."""
    worker = await workerlib.spawn("./needs_packaging.py", packages=["packaging"], name="mortal")
    with raises(workerlib.WorkerDiedError, "'mortal' is gone: it closed itself"):
        await worker.end()
        await worker.is_older("1", "2")
    assert worker.closed


@in_page(page="spawn_mishaps")
async def test_heartbeat(workerlib: Any, raises: Any, pace: Any) -> None:
    """A worker that computes for longer than it may go without a sign of life is ended."""
    # Where nobody has time to answer sooner, the worker ends sooner, and with the same words.
    seconds = 0.5
    worker = await workerlib.spawn(
        "./needs_packaging.py", packages=["packaging"], heartbeat=seconds, heartbeat_in_calls=True
    )
    with raises(workerlib.WorkerDiedError, f"no sign of life for {seconds} seconds"):
        await worker.compute(60 * pace.PACE)


@in_page(page="spawn_mishaps")
async def test_close_ends_the_worker(workerlib: Any, raises: Any) -> None:
    """Nobody else can reach it; what waits for it ends at once."""
    import asyncio

    worker = await workerlib.spawn("./needs_packaging.py", packages=["packaging"])
    call = asyncio.ensure_future(worker.compute(60))
    await asyncio.sleep(0.1)
    worker.close()
    with raises(workerlib.ConnectionClosedError):
        await call


@in_page(page="spawn_mishaps")
async def test_an_error_in_the_progress_callback(workerlib: Any, raises: Any) -> None:
    """It is the caller's own mistake, and is raised where the caller waits."""

    def report(_step: object) -> None:
        raise ZeroDivisionError("in the callback")

    with raises(ZeroDivisionError, "in the callback"):
        await workerlib.spawn("./needs_packaging.py", on_progress=report)


@pytest.mark.isolation("chromium")
@in_page(page="spawn_mishaps")
async def test_isolation_that_is_wanted(workerlib: Any, raises: Any) -> None:
    """A script that needs shared memory gets it, or an error that names the headers."""
    import js

    if js.crossOriginIsolated:
        worker = await workerlib.spawn("./needs_packaging.py", packages=["packaging"], isolated=True)
        worker.close()
    else:
        with raises(workerlib.WorkerStartError, "Cross-Origin-Embedder-Policy: require-corp"):
            await workerlib.spawn("./needs_packaging.py", isolated=True)
