"""Snapshots that pages of one site share: several tabs, Pyodides and wheels, and pages that end at any moment (docs/starting.md)."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import time
import urllib.parse
import urllib.request
import zipfile
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


# Each case starts Pyodide four times; the last step has the most that could be left behind.
@pytest.mark.parametrize(
    "step",
    [
        pytest.param("load", marks=pytest.mark.repeated),
        pytest.param("write", marks=pytest.mark.repeated),
        "keep",
    ],
)
def test_a_tab_that_closes_while_a_snapshot_is_made(browser: AnyBrowser, site: str, step: str) -> None:
    """A snapshot is kept whole or not at all, and nobody waits: another tab starts its workers, and has a snapshot."""
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


# Which snapshots are kept for which key is tested without a browser, too (tests/javascript).
@pytest.mark.repeated
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


# A Python that forgets the modules of a snapshot is tested by two wheels below, and under Node.
@pytest.mark.every_pyscript
@pytest.mark.repeated
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


@pytest.mark.every_pyscript
@pytest.mark.repeated
def test_packages_that_are_never_cached(browser: AnyBrowser, site: str) -> None:
    """With PyScript's `packages_cache = "never"`, later visits start from one snapshot, and import workerlib from its files.

    PyScript has micropip install it when Python has started, and by then Python has forgotten the modules.
    """
    path = _configured(packages=["workerlib"], packages_cache="never")
    with _pages(browser, site, path) as page:
        page.wait_for("() => window.started")
        kept = _wait_for_kept(page, 1)
        for _ in range(2):
            started = _visit(page, path)
            assert started["had_snapshot"] and started["mark"] == "none", (started, page.console)
            assert not started["had_modules"]
        assert _kept(page) == kept
        assert not page.faults


def _marked_wheel(site: str) -> tuple[dict[str, Any], str, bytes]:
    """Gives the site's lock file with another wheel of workerlib in it, that wheel's name, and its content."""
    with urllib.request.urlopen(f"{site}/pyodide/pyodide-lock.json") as answer:
        lock: dict[str, Any] = json.load(answer)
    entry = lock["packages"]["workerlib"]
    with urllib.request.urlopen(f"{site}/pyodide/{entry['file_name']}") as answer:
        original = zipfile.ZipFile(io.BytesIO(answer.read()))
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as wheel:
        for name in original.namelist():
            content = original.read(name)
            if name == "workerlib/__init__.py":
                content += b'\nmark_of_the_test = "another wheel"\n'
                changed = content
            elif name.endswith(".dist-info/RECORD"):
                sha = base64.urlsafe_b64encode(hashlib.sha256(changed).digest()).rstrip(b"=").decode()
                lines = content.decode().splitlines(keepends=True)
                own = f"workerlib/__init__.py,sha256={sha},{len(changed)}\n"
                content = "".join(
                    own if line.startswith("workerlib/__init__.py,") else line for line in lines
                ).encode()
            wheel.writestr(name, content)
    entry["sha256"] = hashlib.sha256(made.getvalue()).hexdigest()
    return lock, entry["file_name"], made.getvalue()


def test_two_wheels_on_one_site(browser: AnyBrowser, site: str) -> None:
    """Pages with different wheels never get each other's modules. Each has a snapshot, and their number is bounded."""
    path = _configured(packages=["workerlib"], packages_cache="passthrough")
    lock, name, wheel = _marked_wheel(site)
    with _pages(browser, site, path) as page:
        page.wait_for("() => window.started")
        assert page.page.evaluate("() => window.started.mark") == "none"
        _wait_for_kept(page, 1)
        page.page.route("**/pyodide-lock.json", lambda route: route.fulfill(json=lock))
        page.page.route(f"**/{name}", lambda route: route.fulfill(body=wheel, content_type="application/zip"))
        started = _visit(page, path)
        assert (started["mark"], started["had_snapshot"], started["had_modules"]) == (
            "another wheel",
            True,
            False,
        )
        kept = _wait_for_kept(page, 2)
        started = _visit(page, path)
        assert (started["mark"], started["had_modules"]) == ("another wheel", True)
        page.page.unroute_all()
        # The site goes back to the first wheel, whose snapshot is there, and becomes the newest one again.
        assert _visit(page, path)["mark"] == "none"
        deadline = time.monotonic() + LOAD_MILLISECONDS / 1000
        while _kept(page)[-1] != kept[0]:
            assert time.monotonic() < deadline, _kept(page)
            time.sleep(0.2)
        assert sorted(_kept(page)) == sorted(kept)
        started = _visit(page, path)
        assert (started["mark"], started["had_modules"]) == ("none", True)
        assert not page.faults
