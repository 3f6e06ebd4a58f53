"""No wait of connect() or spawn() outlasts what is known already; each step has the time limit for itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from engines import AnyBrowser
from in_page import in_page
from pyscript_page import PyScriptPage


@pytest.fixture(scope="module")
def no_blob_workers(browser: AnyBrowser, site: str) -> Iterator[PyScriptPage]:
    """A page without PyScript whose policy keeps workers from having blob: addresses."""
    with PyScriptPage(browser, site, "no_blob_workers.html", faultless=False, has_snapshot=True) as page:
        yield page


# It has a page of its own, which costs other engines as much as thirty tests.
@pytest.mark.every_engine
@pytest.mark.repeated("firefox", "webkit")
@in_page(page="no_blob_workers")
async def test_a_policy_without_blob_workers(workerlib: Any, raises: Any, pace: Any) -> None:
    """The browser says nothing but that: the error names the policy, at once and not after a minute."""
    import time

    start = time.monotonic()
    with raises(workerlib.WorkerStartError, r"Content Security Policy.*worker-src blob:"):
        await workerlib.spawn("./needs_packaging.py")
    assert time.monotonic() - start < 20 * pace.PACE


# PyScript's Python and the page's own `terminate()` decide it.
@pytest.mark.every_engine
@pytest.mark.repeated("firefox", "webkit")
@in_page(page="mishaps")
async def test_connecting_again_to_a_worker_that_was_terminated(
    workerlib: Any, tags: Any, raises: Any, pace: Any
) -> None:
    """It is a WorkerDiedError with the remedy, at once: PyScript keeps the name bound to the dead worker."""
    import time

    tags.worker("mortal once", "import workerlib\n@workerlib.export\ndef one(): return 1\n")
    worker = await workerlib.connect("mortal once")
    assert await worker.one() == 1
    worker.terminate()
    assert worker.closed
    with raises(workerlib.WorkerDiedError, "worker.terminate"):
        await worker.one()
    start = time.monotonic()
    with raises(workerlib.WorkerDiedError, "a tag with another name"):
        await workerlib.connect("mortal once")
    assert time.monotonic() - start < 5 * pace.PACE


# PyScript's Python and the page's own `terminate()` decide it.
@pytest.mark.every_engine
@pytest.mark.repeated("firefox", "webkit")
@in_page(page="mishaps")
async def test_connecting_to_a_worker_that_was_terminated_before(
    workerlib: Any, tags: Any, raises: Any, pace: Any
) -> None:
    """Nobody watched it then: the page's own `terminate()` tells all the same, and nobody waits for a minute."""
    import asyncio
    import time

    tag = tags.worker("mortal early", "import workerlib\n@workerlib.export\ndef one(): return 1\n")
    while not getattr(tag, "xworker", None):
        await asyncio.sleep(0.02)
    await tag.xworker.ready
    tag.xworker.terminate()
    start = time.monotonic()
    with raises(workerlib.WorkerDiedError, "a tag with another name"):
        await workerlib.connect("mortal early")
    assert time.monotonic() - start < 5 * pace.PACE


@in_page(page="mishaps")
async def test_a_worker_that_is_terminated_while_it_starts(workerlib: Any, tags: Any, raises: Any) -> None:
    """A call that waits for the worker ends with an error, however the worker is ended."""
    import asyncio

    tag = tags.worker("never ready", "import asyncio, workerlib\nawait asyncio.sleep(600)")
    steps: list[Any] = []
    waiting = asyncio.ensure_future(workerlib.connect("never ready", on_progress=steps.append))
    while not any("imported workerlib" in step.what for step in steps):
        await asyncio.sleep(0.05)
    tag.xworker.terminate()
    with raises(workerlib.WorkerDiedError, "'never ready' is gone"):
        await waiting


@pytest.mark.every_pyscript
@in_page(page="mishaps")
async def test_the_hosts_own_object_ends_the_worker(
    workerlib: Any, tags: Any, raises: Any, pace: Any
) -> None:
    """`worker.worker.terminate()` does what it says, and the object calls functions as PyScript's own does."""
    import asyncio

    tags.worker("mortal twice", "import workerlib\n@workerlib.export\ndef one(): return 1\n")
    worker = await workerlib.connect("mortal twice")
    assert await worker.worker.one() == 1
    worker.worker.terminate()
    async with asyncio.timeout(5 * pace.PACE):
        with raises(workerlib.WorkerDiedError, "'mortal twice' is gone"):
            await worker.one()


@in_page(page="spawn_mishaps")
async def test_a_spawned_worker_is_terminated(workerlib: Any, raises: Any) -> None:
    """`worker.terminate()` ends a spawned worker too, though it computes."""
    import asyncio
    from pathlib import Path

    script = Path("spinning.py")
    script.write_text("import workerlib\n@workerlib.export\ndef spin():\n    while True: pass\n")
    worker = await workerlib.spawn(script)
    spinning = asyncio.ensure_future(worker.spin())
    await asyncio.sleep(0.1)
    worker.terminate()
    with raises(workerlib.WorkerDiedError, "worker.terminate"):
        await spinning


@in_page(page="mishaps")
async def test_each_step_has_the_time_for_itself(workerlib: Any, tags: Any, raises: Any, pace: Any) -> None:
    """A start of many short steps is waited for; connect() tells of them as spawn() does."""
    import asyncio

    tags.worker("stepwise", "import asyncio, workerlib\nawait asyncio.sleep(2.5)\n")
    steps: list[Any] = []
    async with workerlib.connect("stepwise", on_progress=steps.append):
        pass
    stages = list(dict.fromkeys(step.stage for step in steps))
    assert stages[0] == "find", stages
    assert stages[-1] == "ready", stages
    assert {"download", "import", "connect"} < set(stages)

    class Trouble(Exception):
        pass

    def trouble(_step: Any) -> None:
        raise Trouble

    with raises(Trouble):
        await workerlib.connect("stepwise", on_progress=trouble)
    tags.worker("stuck", "import asyncio, workerlib\nawait asyncio.sleep(600)\n")
    with raises(workerlib.ConnectTimeoutError, "run to its end"):
        await asyncio.wait_for(workerlib.connect("stuck", timeout=4), 60 * pace.PACE)


@in_page(page="mishaps")
async def test_a_missing_script_ends_the_wait_at_once(
    workerlib: Any, tags: Any, raises: Any, pace: Any
) -> None:
    """PyScript says nothing of it, ever; nor of a configuration that is missing."""
    import time

    for name, attributes in (
        ("no script", {"src": "./nowhere.py"}),
        ("no configuration", {"config": "./nowhere.toml"}),
    ):
        start = time.monotonic()
        tags.worker(name, **attributes)
        with raises(workerlib.WorkerStartError, f"worker '{name}'.*404"):
            await workerlib.connect(name)
        assert time.monotonic() - start < 20 * pace.PACE


@in_page(page="mishaps")
async def test_a_page_in_the_place_of_the_script_ends_the_wait_at_once(
    workerlib: Any, tags: Any, raises: Any
) -> None:
    """Servers of single-page applications send one for every address: the error names the address and says so."""
    tags.worker("web page", src="./spawn.html")
    with raises(
        workerlib.WorkerStartError,
        r"script of the worker 'web page', .*spawn\.html, cannot.*a page \(HTML\).*check the",
    ):
        await workerlib.connect("web page")


@in_page(page="mishaps")
async def test_a_module_that_pyscript_does_not_place(workerlib: Any, tags: Any, raises: Any) -> None:
    """A script that imports a module of the site fails with the place where the module has to be listed."""
    tags.worker("lonely", "import workerlib\nimport no_such_module_of_the_site\n")
    hint = r"No module named 'no_such_module_of_the_site'.* a module of the site must stand under \[files\]"
    with raises(workerlib.WorkerStartError, hint) as caught:
        await workerlib.connect("lonely")
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)


@in_page(page="mishaps")
async def test_two_tags_of_one_name(workerlib: Any, tags: Any, raises: Any) -> None:
    """Nobody could tell which of them is meant."""
    for _ in range(2):
        tags.worker("twin", "import workerlib")
    with raises(workerlib.ConnectError, "several workers named 'twin'"):
        await workerlib.connect("twin")


@in_page(page="mishaps")
async def test_a_worker_of_pyworker(workerlib: Any) -> None:
    """connect() takes what `pyscript.PyWorker(…)` returns."""
    import js
    from pyodide.ffi import to_js
    from pyscript import PyWorker

    script = "import workerlib\n@workerlib.export\ndef one(): return 1\n"
    address = js.URL.createObjectURL(js.Blob.new(to_js([script])))
    interpreter = f"{js.location.origin}/pyodide/pyodide.mjs"
    config = {"interpreter": interpreter, "packages": ["workerlib"], "packages_cache": "passthrough"}
    config = to_js(config, dict_converter=js.Object.fromEntries)
    made = PyWorker(address, type="pyodide", version=interpreter, config=config)
    worker = await workerlib.connect(made)
    assert await worker.one() == 1
    worker.terminate()


@in_page(page="mishaps")
async def test_what_is_no_worker(workerlib: Any, raises: Any) -> None:
    """A tag, or anything else that is given for its name, is told at once."""
    import js

    for wrong in (5, ["bench"], js.document.querySelector("script")):
        with raises(TypeError, "takes the name of a worker's script tag"):
            await workerlib.connect(wrong)


@in_page(page="mishaps")
async def test_connect_without_await(workerlib: Any, raises: Any) -> None:
    """The error says what is missing, by the name of the function that was called."""
    for made, name in ((workerlib.connect("bench"), "connect"), (workerlib.spawn("./none.py"), "spawn")):
        with raises(AttributeError, rf"worker = await workerlib\.{name}\(…\)` first"):
            made.add(1, 2)
        made.close()


@in_page(page="mishaps")
async def test_names_that_a_worker_has_itself(workerlib: Any, tags: Any, raises: Any) -> None:
    """An export of such a name is told of at the handshake, and is called by `worker["terminate"]`."""
    import warnings

    script = "import workerlib\n@workerlib.export\ndef terminate(): return 'mine'\n"
    tags.worker("namesake", script)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        worker = await workerlib.connect("namesake")
    assert any('worker["terminate"]' in str(one.message) for one in caught)
    assert await worker["terminate"]() == "mine"
    worker.close()
