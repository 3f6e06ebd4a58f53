"""Snapshots that pages of one site share: several tabs and Pyodides, and pages that end at any moment (docs/starting.md)."""

from __future__ import annotations

import json
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from engines import AnyBrowser
from in_page import in_page
from pyscript_page import LOAD_MILLISECONDS, PyScriptPage

INTERPRETER = "/workerlib/workerlib-pyodide.mjs?pyodide=/pyodide"
# The key of each snapshot, and whether the digest that was written with it is that of its content.
_KEPT = """async () => {
  const cache = await caches.open("workerlib-snapshots");
  return Promise.all((await cache.keys()).map(async ({ url }) => {
    const kept = await cache.match(url);
    const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", await kept.arrayBuffer()));
    const told = [...hash].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    return [decodeURIComponent(new URL(url).pathname.slice(1)), told === kept.headers.get("x-workerlib-digest")];
  }));
}"""


def _kept(page: PyScriptPage) -> list[str]:
    """Lists the keys of the snapshots that a site has kept, and checks that each of these is whole."""
    kept = page.page.evaluate(_KEPT)
    assert all(is_whole for _, is_whole in kept), kept
    return [key for key, _ in kept]


def _wait_for_kept(page: PyScriptPage, count: int) -> list[str]:
    deadline = time.monotonic() + LOAD_MILLISECONDS / 1000
    while len(keys := _kept(page)) < count:
        assert time.monotonic() < deadline, f"{keys}\n" + "\n".join(page.console)
        time.sleep(0.2)
    return keys


def _visit(page: PyScriptPage, path: str) -> dict[str, Any]:
    """Opens a page that says at last how it started."""
    page.page.goto(f"{page.site}/tests/{path}", timeout=LOAD_MILLISECONDS)
    page.wait_for("() => window.started")
    started: dict[str, Any] = page.page.evaluate("() => ({ ...window.started })")
    return started


@contextmanager
def _pages(browser: AnyBrowser, site: str, path: str) -> Iterator[PyScriptPage]:
    with PyScriptPage(browser, site, path, has_harness=False, keeps_storage=True) as page:
        yield page


@in_page(page="tab")
async def begin_first_worker(workerlib: Any) -> None:
    """Begins to start the page's first worker, behind which a snapshot is made, and waits for nothing."""
    import asyncio
    import sys

    async def start() -> Any:
        return await workerlib.spawn("./fresh_worker.py")

    sys.modules["first_worker"] = asyncio.ensure_future(start())


@in_page(page="tab")
async def note_seed(workerlib: Any) -> None:
    """Waits for the snapshot, and notes the hash of a text in a worker that started from it."""
    import asyncio
    import sys

    import js
    from workerlib._hosts.spawned.snapshots import snapshots

    assert not await (await sys.modules["first_worker"]).had_snapshot()
    while not snapshots.is_ready or snapshots._maker is not None:
        assert not snapshots.is_given_up
        await asyncio.sleep(0.05)
    async with workerlib.spawn("./fresh_worker.py") as worker:
        assert await worker.had_snapshot()
        js.window.seed = str(await worker.hash_of("a text"))


def test_tabs_that_start_at_the_same_time_have_one_snapshot(browser: AnyBrowser, site: str) -> None:
    """Of two tabs that need the same snapshot one makes it: workers of both have the same hash seed, which each making draws anew."""
    with PyScriptPage(browser, site, "spawn.html?plain", keeps_storage=True) as page:
        other = page.tab()
        for tab in (page, other):
            begin_first_worker(tab=tab)
        for tab in (page, other):
            note_seed(tab=tab)
        seeds = [tab.page.evaluate("() => window.seed") for tab in (page, other)]
        assert seeds[0] == seeds[1]
        assert len(_kept(page)) == 1


@in_page(page="tab")
async def reach(step: str) -> None:
    """Waits until a snapshot is made, or is being written into the browser's storage."""
    import asyncio

    from workerlib._hosts.spawned.snapshots import snapshots

    reached = {
        "load": lambda: snapshots._maker is not None,
        "write": lambda: snapshots._soon is not None,
        "keep": lambda: snapshots.is_ready,
    }[step]
    while not reached():
        assert not snapshots.is_given_up
        await asyncio.sleep(0)
    assert snapshots._maker is not None, "the step has ended already"


@pytest.mark.parametrize("step", ["load", "write", "keep"])
def test_a_tab_that_closes_while_a_snapshot_is_made(browser: AnyBrowser, site: str, step: str) -> None:
    """What is kept then is whole or nothing, and holds up nobody: another tab starts its workers, and has a snapshot."""
    with PyScriptPage(browser, site, "spawn.html?plain", keeps_storage=True) as page:
        closing = page.tab()
        begin_first_worker(tab=closing)
        reach(step=step, tab=closing)
        closing.page.close()
        keys = _kept(page)
        assert len(keys) <= 1
        is_kept_later(tab=page)
        assert len(_kept(page)) == 1
        assert not [line for line in page.console if "memory snapshot" in line]
        page.visit()
        started_from_snapshot(tab=page)


@in_page(page="tab")
async def is_kept_later(workerlib: Any) -> None:
    """Starts a worker, and waits until there is a snapshot that is kept, whoever has made it."""
    import asyncio

    from workerlib._hosts.spawned.snapshots import snapshots

    async with workerlib.spawn("./fresh_worker.py") as worker:
        assert await worker.double([1]) == [2]
        while not snapshots.is_ready or snapshots._maker is not None:
            assert not snapshots.is_given_up
            await asyncio.sleep(0.05)


@in_page(page="tab")
async def started_from_snapshot(workerlib: Any) -> None:
    """The first worker of a visit has the snapshot."""
    async with workerlib.spawn("./fresh_worker.py") as worker:
        assert await worker.had_snapshot()
        assert await worker.double([1]) == [2]


def test_two_pyodides_on_one_site(browser: AnyBrowser, site: str) -> None:
    """Pages with different Pyodides have a snapshot each. Neither takes the other's away, however often they take turns."""
    folders = {"/pyodide": "314.", "/pyodide-0.29": "0.29."}
    with _pages(browser, site, "pyodides.html?pyodide=/pyodide") as page:
        for number, folder in enumerate(folders, 1):
            assert not _visit(page, f"pyodides.html?pyodide={folder}")["had_snapshot"]
            kept = _wait_for_kept(page, number)
        for folder, version in [*folders.items()] * 2:
            started = _visit(page, f"pyodides.html?pyodide={folder}")
            assert started["had_snapshot"] and started["version"].startswith(version), page.console
            assert started["computed"] == [2**70, [0, 1, 1]]
        assert _kept(page) == kept
        assert not page.faults


def _configured(**config: object) -> str:
    return "configured.html?" + urllib.parse.urlencode(
        {"config": json.dumps({"interpreter": INTERPRETER, **config})}
    )


@pytest.mark.every_pyscript
def test_a_page_of_pyscript_without_workerlib(browser: AnyBrowser, site: str) -> None:
    """A page that has the interpreter module, and no workerlib, starts from a snapshot on its next visit, and sees no module of workerlib."""
    path = _configured(packages_cache="passthrough")
    with _pages(browser, site, path) as page:
        page.wait_for("() => window.started")
        assert page.page.evaluate("() => ({ ...window.started })") == {"had_snapshot": False, "leftovers": 0}
        kept = _wait_for_kept(page, 1)
        for _ in range(2):
            assert _visit(page, path) == {"had_snapshot": True, "leftovers": 0}
        assert _kept(page) == kept
        assert not page.faults
