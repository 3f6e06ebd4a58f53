"""Workers and pages that start from a memory snapshot (docs/starting.md)."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engines import ENGINE, AnyBrowser
from in_page import in_page
from pyscript_page import LOAD_MILLISECONDS, PyScriptPage

# Each entry of the cache is written whole: when it is there, the snapshot is.
_KEPT = "async () => (await (await caches.open('workerlib-snapshots')).keys()).length"


@pytest.fixture(scope="module")
def spawning(browser: AnyBrowser, site: str, request: pytest.FixtureRequest) -> Iterator[PyScriptPage]:
    """A page without PyScript whose first worker has started; visits follow each other.

    In Chromium its browser context is its own. In other engines the page is that of test_spawn.py, none of whose workers starts
    before these tests.
    """
    if ENGINE != "chromium":
        page = request.getfixturevalue("spawn_mishaps")
        start_the_first_worker(spawning=page)
        yield page
        return
    with PyScriptPage(browser, site, "spawn.html?plain", keeps_storage=True) as page:
        start_the_first_worker(spawning=page)
        yield page


@in_page(page="spawning")
async def start_the_first_worker(workerlib: Any, frames: Any) -> None:
    """It starts plainly, and is called while a snapshot is made behind it."""
    import asyncio
    import sys
    import time
    import types

    from workerlib._hosts.spawned.snapshots import snapshots

    async with workerlib.spawn("./fresh_worker.py") as first:
        assert not await first.had_snapshot()
        kept = sys.modules["first_worker"] = types.SimpleNamespace(state=await first.state())
        frames.start()
        begun = time.perf_counter()
        kept.longest, kept.calls = 0.0, 0
        while not snapshots.is_ready:
            assert not snapshots.is_given_up
            start = time.perf_counter()
            assert await first.double(["x" * 100]) == ["x" * 200]
            kept.longest = max(kept.longest, time.perf_counter() - start)
            kept.calls += 1
            await asyncio.sleep(0.01)
        kept.seconds = time.perf_counter() - begun
        frames.stop()
        kept.longest_frame = frames.longest


@pytest.fixture(scope="module")
def interpreter(browser: AnyBrowser, site: str) -> Iterator[PyScriptPage]:
    """A PyScript page whose interpreter is workerlib's module."""
    with PyScriptPage(browser, site, "interpreter.html") as page:
        yield page


def _wheels() -> list[str]:
    """Lists pydantic and the packages that it needs, the most basic first: micropip installs one after the other."""
    folder = os.environ.get("WORKERLIB_WHEELS")
    names = [path.name for path in Path(folder).glob("*.whl")] if folder else []
    wanted = ("typing_extensions-", "annotated_types-", "typing_inspection-", "pydantic_core-", "pydantic-")
    return [name for start in wanted for name in names if name.startswith(start)]


def _visit_again(page: PyScriptPage) -> None:
    page.faults.clear()
    page.visit()


def _wait_for_cache(page: PyScriptPage) -> None:
    deadline = time.monotonic() + LOAD_MILLISECONDS / 1000
    while not page.page.evaluate(_KEPT):
        assert time.monotonic() < deadline, "no snapshot has been kept:\n" + "\n".join(page.console)
        time.sleep(0.2)


@pytest.mark.every_engine
@pytest.mark.repeated("webkit")
@in_page(page="spawning")
async def test_the_second_worker(workerlib: Any) -> None:
    """The first worker starts plainly; those after it from a snapshot, with other random numbers, names and ids."""
    import sys

    async with (
        workerlib.spawn("./fresh_worker.py", packages=["packaging"]) as one,
        workerlib.spawn("./fresh_worker.py") as other,
    ):
        assert await one.had_snapshot() and await other.had_snapshot()
        assert await one.state() == sys.modules["first_worker"].state
        assert await one.is_older("1.0", "2.0")
        assert await other.double(["x" * 10_000, 2.5]) == ["x" * 20_000, 5.0]
        draws = [*zip(await one.draw(), await other.draw(), strict=True)]
        assert all(mine != yours for mine, yours in draws), draws


@pytest.mark.every_engine
@pytest.mark.repeated("webkit")
@in_page(page="spawning")
async def test_a_restart(workerlib: Any) -> None:
    """A worker that is started again starts from the snapshot, and shares nothing with the worker before it."""
    async with workerlib.spawn("./fresh_worker.py", restart=True) as worker:
        assert await worker.had_snapshot()
        before = await worker.draw()
        await worker.restart()
        assert await worker.had_snapshot()
        after = await worker.draw()
        assert all(one != other for one, other in zip(before, after, strict=True)), (before, after)


@pytest.mark.every_engine
@pytest.mark.repeated("webkit")
@pytest.mark.parametrize("wheels", [_wheels()], ids=["wheels"])
@in_page(page="spawning", limit=90)
async def test_a_package_with_an_extension_module(workerlib: Any, wheels: list[str]) -> None:
    """A snapshot has no extension modules: those of packages are loaded after the start, as in any other Python."""
    import sys

    import js

    if sys.version_info[:2] != (3, 14):
        # Another Pyodide (`--matrix`), for which no such wheel is here.
        return
    assert any(name.startswith("pydantic_core-") for name in wheels), "WORKERLIB_WHEELS is not set"
    packages = [f"{js.location.origin}/wheels/{name}" for name in wheels]
    async with workerlib.spawn("./fresh_worker.py", packages=packages) as worker:
        assert await worker.had_snapshot()
        assert await worker.validated('{"count": "3"}') == 3


@in_page(page="spawning")
async def answered_quickly() -> None:
    """The calls of the first worker while the snapshot was made were quick, and so were the page's frames."""
    import sys

    kept = sys.modules["first_worker"]
    assert kept.calls > 10, "the snapshot was there before"
    # A call that waited for a start of Pyodide would wait for most of this time.
    assert kept.longest < kept.seconds / 3, kept
    assert kept.longest_frame < 1000 * kept.seconds / 4, kept


def test_a_call_while_the_snapshot_is_made(spawning: PyScriptPage, browser: AnyBrowser, site: str) -> None:
    """Making and keeping a snapshot holds up neither the worker in use nor the page."""
    try:
        answered_quickly(spawning=spawning)
    except pytest.fail.Exception:
        # On a busy machine something else may hold them up. A first visit in another browser context begins anew.
        with PyScriptPage(browser, site, "spawn.html?plain", keeps_storage=True) as page:
            start_the_first_worker(spawning=page)
            answered_quickly(spawning=page)


# Under Node, tests/node/snapshot_tests.py has both; test_spawn.py has a worker for which the argument turns it off.
@pytest.mark.repeated
@in_page(page="spawning")
async def test_turned_off(workerlib: Any) -> None:
    """The argument, and the configuration, turn it off for a worker."""
    for options in ({"snapshot": False}, {"config": {"workerlib": {"snapshot": False}}}):
        async with workerlib.spawn("./fresh_worker.py", **options) as worker:
            assert not await worker.had_snapshot()


@in_page(page="spawning")
async def had_snapshot_at_once(workerlib: Any) -> None:
    """Starts the first worker of a visit, which finds what the visit before has kept; the second gets it."""
    for _ in range(2):
        async with workerlib.spawn("./fresh_worker.py") as worker:
            assert await worker.had_snapshot()
            assert await worker.double([1]) == [2]


@in_page(page="spawning")
async def had_no_snapshot_at_first(workerlib: Any) -> None:
    """Starts a worker that finds nothing of use, and has another snapshot made."""
    import asyncio

    from workerlib._hosts.spawned.snapshots import snapshots

    async with workerlib.spawn("./fresh_worker.py") as worker:
        assert not await worker.had_snapshot()
        assert await worker.double([1]) == [2]
    # The maker tells why it cannot keep the snapshot after it has handed it over.
    while not snapshots.is_ready or snapshots._maker is not None:
        assert not snapshots.is_given_up
        await asyncio.sleep(0.1)


@pytest.mark.every_engine
@pytest.mark.repeated("firefox", "webkit")
def test_the_next_visit(spawning: PyScriptPage) -> None:
    """On the next visit even the first worker starts from the snapshot."""
    _wait_for_cache(spawning)
    _visit_again(spawning)
    had_snapshot_at_once(spawning=spawning)


@in_page(page="spawning")
async def forget() -> None:
    """Has the page know of no snapshot, as on its next visit: its next worker looks for one that is kept."""
    from workerlib._hosts.spawned.snapshots import snapshots

    snapshots.__init__()


def assert_a_visit_without_storage(page: PyScriptPage) -> list[str]:
    """The workers of the visit share a snapshot, and none is kept. Returns what the log says of snapshots."""
    had_no_snapshot_at_first(spawning=page)
    # Each test in the page clears the log.
    told = [line for line in page.console if "memory snapshot" in line]
    had_snapshot_at_once(spawning=page)
    assert page.page.evaluate(_KEPT) == 0
    return told


def damage(page: PyScriptPage) -> None:
    """Changes one byte of each snapshot that is kept."""
    page.page.evaluate(
        """async () => {
             const cache = await caches.open("workerlib-snapshots");
             for (const request of await cache.keys()) {
               const kept = await cache.match(request);
               const image = new Uint8Array(await kept.arrayBuffer());
               image[image.length >> 1] ^= 1;
               await cache.put(request, new Response(image, { headers: kept.headers }));
             }
           }"""
    )


def test_a_damaged_snapshot_and_no_room_for_another(spawning: PyScriptPage, site: str) -> None:
    """A snapshot of which one byte has changed is not used: the worker starts plainly, the log says why, another is made.

    Where the browser has no room for that one, the workers of the visit share it, and it is not kept.
    """
    _wait_for_cache(spawning)
    damage(spawning)
    forget(spawning=spawning)
    session = spawning.page.context.new_cdp_session(spawning.page)
    session.send("Storage.overrideQuotaForOrigin", {"origin": site, "quotaSize": 100_000})
    try:
        told = assert_a_visit_without_storage(spawning)
    finally:
        session.send("Storage.overrideQuotaForOrigin", {"origin": site})
    assert ["damaged" in line for line in told].count(True) == 1 and len(told) <= 2, told


@in_page(page="spawning")
async def begin_anew(script: str) -> None:
    """Forgets every snapshot. Each worker runs JavaScript first from now on, which makes its browser one of another kind."""
    import js
    from workerlib._hosts.spawned import parent
    from workerlib._hosts.spawned.snapshots import snapshots

    await js.caches.delete("workerlib-snapshots")
    snapshots.__init__()
    original = parent.__dict__.setdefault("_own_script", parent._script)
    parent._script = lambda: f"{script}\n{original()}"


# tests/javascript/snapshot_store.test.mjs has what is a store in these browsers; above there is one that has no room.
@pytest.mark.repeated
@pytest.mark.parametrize(
    "storage",
    [
        "delete globalThis.caches; Object.defineProperty(globalThis, 'caches', { value: undefined });",
        "CacheStorage.prototype.open = () => Promise.reject(new DOMException('denied', 'SecurityError'));",
        "Cache.prototype.put = () => Promise.reject(new DOMException('full', 'QuotaExceededError'));",
        (
            "{ const real = crypto; Object.defineProperty(globalThis, 'crypto', { value: {"
            " getRandomValues: (array) => real.getRandomValues(array), randomUUID: () => real.randomUUID() } }); }"
            "delete globalThis.caches; Object.defineProperty(globalThis, 'caches', { value: undefined });"
        ),
        "CacheStorage.prototype.open = () => new Promise(() => {});",
    ],
    ids=["no storage", "a private window", "no room", "an insecure page", "a storage that does not answer"],
)
def test_where_nothing_can_be_kept(spawning: PyScriptPage, storage: str) -> None:
    """The workers of the visit share the snapshot all the same, and one line says why none is kept; the next visit starts as the first did."""
    begin_anew(script=storage, spawning=spawning)
    [told] = assert_a_visit_without_storage(spawning)
    assert "the memory snapshot is not kept for the next visit: " in told


@in_page(page="interpreter")
async def starts(workerlib: Any, had_snapshot: bool) -> None:
    """Asks page and worker how they started, and whether they work."""
    import sys

    worker = await workerlib.connect("bench")
    assert await worker.double(["a"]) == ["aa"]
    assert [("_workerlib_snapshot" in sys.modules), await worker.had_snapshot()] == [had_snapshot] * 2
    if had_snapshot:
        # The modules are older than the package, which the script has imported.
        order = list(sys.modules)
        assert order.index("workerlib._rpc.connection") < order.index("pyscript") < order.index("workerlib")
        import os
        import random
        import tempfile
        import uuid

        mine = [random.random(), tempfile.mktemp(), str(uuid.uuid4()), str(uuid.uuid1()), os.urandom(8)]
        assert all(one != other for one, other in zip(mine, await worker.draw(), strict=True))


# Other engines start their shared pages so (test_harness.py), from a snapshot that is made in the same way.
@pytest.mark.every_pyscript
def test_pages_of_pyscript(interpreter: PyScriptPage) -> None:
    """A page whose interpreter is workerlib's module starts plainly, on its next visit from a snapshot, as its workers do."""
    starts(interpreter=interpreter, had_snapshot=False)
    _wait_for_cache(interpreter)
    _visit_again(interpreter)
    starts(interpreter=interpreter, had_snapshot=True)
    # Browsers have errands of their own.
    assert not any("jsdelivr" in request for request in interpreter.off_site.requests)


# A spawned worker with a damaged snapshot is above, and reads it by the same code.
@pytest.mark.every_pyscript
@pytest.mark.repeated
def test_a_page_of_pyscript_with_a_damaged_snapshot(browser: AnyBrowser, site: str) -> None:
    """Page and worker start plainly, and each of the two says why at most once: the first that finds the damage takes the snapshot away."""
    with PyScriptPage(browser, site, "interpreter.html", has_snapshot=True, shares_context=False) as page:
        starts(interpreter=page, had_snapshot=True)
        damage(page)
        _visit_again(page)
        # A test in the page clears the log.
        told = list(page.console)
        starts(interpreter=page, had_snapshot=False)
    told = [line for line in (*told, *page.console) if "memory snapshot" in line]
    causes = ["the kept snapshot is damaged", "there is no kept snapshot any more"]
    assert 1 <= len(told) <= 2 and all(any(cause in line for cause in causes) for line in told), told
    assert any(causes[0] in line for line in told), told


@in_page(page="interpreter")
async def was_handed_over(workerlib: Any) -> None:
    """The worker has started from the snapshot, and has not fetched Pyodide's WebAssembly file."""
    import sys

    async with workerlib.connect("bench") as worker:
        assert await worker.had_snapshot()
        fetched = [address for address in await worker.fetched() if "pyodide.asm.wasm" in address]
    # Older Pyodides show their module to nobody.
    assert sys.version_info < (3, 14) or not fetched


@pytest.mark.every_engine
def test_a_page_hands_its_snapshot_over(bench: PyScriptPage, browser: AnyBrowser, site: str) -> None:
    """On a later visit the worker gets the compiled module and the image from its page."""
    with contextlib.suppress(pytest.fail.Exception):
        was_handed_over(interpreter=bench)
        return
    # On a busy machine the page may be too late, and the worker goes its own way.
    with PyScriptPage(browser, site, "interpreter.html", has_snapshot=True) as page:
        for _ in range(9):
            with contextlib.suppress(pytest.fail.Exception):
                was_handed_over(interpreter=page)
                return
            _visit_again(page)
        was_handed_over(interpreter=page)


# test_pages_of_pyscript has the module with the Pyodide that the project is built for.
@pytest.mark.repeated
@pytest.mark.parametrize(
    ("folder", "version"), [("/pyodide-0.29", "0.29."), ("/pyodide-315", "315.")], ids=["0.29", "315"]
)
def test_the_interpreter_module_with_other_pyodides(
    browser: AnyBrowser, site: str, folder: str, version: str
) -> None:
    """The module starts the Pyodide that its address names, also older and newer ones, from a snapshot on later visits."""
    with PyScriptPage(browser, site, f"pyodides.html?pyodide={folder}", has_harness=False) as page:
        visits = []
        for number in range(3):
            if number:
                page.page.goto(page.page.url, timeout=LOAD_MILLISECONDS)
            page.wait_for("() => window.started")
            visits.append(page.page.evaluate("() => window.started"))
            _wait_for_cache(page)
        assert [visit["had_snapshot"] for visit in visits] == [False, True, True], page.console
        for visit in visits:
            assert visit["version"].startswith(version)
            assert visit["computed"] == [2**70, [0, 1, 1]]
        assert all(len(set(draws)) == 3 for draws in zip(*(visit["draws"] for visit in visits), strict=True))
        assert not page.faults
