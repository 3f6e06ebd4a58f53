"""Checks that tests that run in a page can fail: otherwise every other result here is worthless."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import webkit
from in_page import in_page
from pyscript_page import LOAD_MILLISECONDS, PyScriptPage
from webdriver import WebDriverError


@in_page(page="mishaps")
async def wrong_after_an_await() -> None:
    """Says something false, after the page's event loop has turned."""
    import asyncio

    await asyncio.sleep(0.01)
    assert asyncio is None, "the canary's failure"


@in_page(page="mishaps", limit=0.5)
async def endless() -> None:
    """Never ends."""
    import asyncio

    await asyncio.Event().wait()


def test_a_failure_in_a_page_fails_the_test(mishaps: PyScriptPage) -> None:
    """An assertion in the page arrives here, with the line that it stands in."""
    with pytest.raises(pytest.fail.Exception, match="the canary's failure") as caught:
        wrong_after_an_await(mishaps=mishaps)
    assert 'assert asyncio is None, "the canary' in str(caught.value)


def test_an_endless_test_fails(mishaps: PyScriptPage) -> None:
    """A test in a page has a time limit."""
    with pytest.raises(pytest.fail.Exception, match="TimeoutError"):
        endless(mishaps=mishaps)


def test_console_errors_are_noted(mishaps: PyScriptPage) -> None:
    """An error that the page logs is kept as a fault."""
    before = len(mishaps.faults)
    with mishaps.page.expect_console_message():
        mishaps.page.evaluate("console.error('the canary speaks')")
    assert "the canary speaks" in "\n".join(mishaps.faults[before:])


@in_page(page="mishaps")
async def forgets_a_promise(worker: Any) -> None:
    """Leaves a rejected promise behind in the worker."""
    await worker.reject_and_forget()


def test_unhandled_rejections_are_noted(mishaps: PyScriptPage) -> None:
    """A promise that nobody waits for is a fault, on the page and in the worker."""
    before = len(mishaps.faults)
    forgets_a_promise(mishaps=mishaps)
    mishaps.page.evaluate("void Promise.reject(new Error('of the page'))")
    deadline = time.monotonic() + LOAD_MILLISECONDS / 1000
    for told in ("forgotten", "of the page"):
        while not any(told in fault for fault in mishaps.faults[before:]):
            assert time.monotonic() < deadline, mishaps.faults[before:]
            # It lets playwright deliver what has happened.
            mishaps.page.wait_for_timeout(50)


WAITS_FOR_EVER = """
import socket, subprocess, sys, time

listener = socket.create_server(("127.0.0.1", int(sys.argv[1].removeprefix("--port="))))
while True:
    connection, _ = listener.accept()
    # Whoever asks whether the driver is up sends nothing.
    if connection.recv(1):
        subprocess.run([sys.executable, "-c", "import time; time.sleep(0.3)"])
        time.sleep(600)
"""


def test_a_browser_that_crashes_at_its_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """WebKit's driver does not notice that, and waits for ever; the suite does not, and starts another."""
    driver = tmp_path / "driver"
    driver.write_text(f"#!{sys.executable}\n{WAITS_FOR_EVER}")
    driver.chmod(0o755)
    monkeypatch.setattr(webkit, "GONE_SECONDS", 1.0)
    with pytest.raises(WebDriverError, match="ended when it started"):
        webkit.HttpDriver({**os.environ, "WEBKIT_DRIVER": str(driver)}, None)


@pytest.mark.isolation
@pytest.mark.every_engine
def test_the_sites_differ_in_isolation(bench: PyScriptPage, request: pytest.FixtureRequest) -> None:
    """Only one of the two sites sends the isolation headers."""
    isolated = bench.page.evaluate("crossOriginIsolated")
    assert isolated is ("[isolated]" in request.node.name)


@pytest.mark.every_engine
@in_page
async def test_the_shared_pages_start_from_a_snapshot(worker: Any) -> None:
    """Page and worker found the snapshot that `kept_snapshots.py` has put into the context; else the run would be slow."""
    import sys

    assert "_workerlib_snapshot" in sys.modules
    assert await worker.had_snapshot()
