"""numpy, Pillow, pandas, polars and scipy between a page and its worker, from Pyodide's CDN.

It is skipped where the CDN cannot be reached. WORKERLIB_SITE is the address of a site that serves `page` as /online/;
`cargo xtask test --only online` sets it. What the page checks is checked natively as well:
tests/local/test_online_checks.py.
"""

from __future__ import annotations

import os
import time
from typing import Any

import pytest

from engines import launch
from pace import PACE

SECONDS = 300 * PACE


def test_the_libraries() -> None:
    """The page's own outcome is that of the test."""
    site = os.environ.get("WORKERLIB_SITE")
    if not site:
        pytest.fail("WORKERLIB_SITE is not set: run `cargo xtask test --only online`")
    with launch("chromium") as browser:
        context = browser.new_context()
        page = context.new_page()
        unreachable: list[str] = []
        console: list[str] = []

        def note(request: Any) -> None:
            if not request.url.startswith(site):
                unreachable.append(f"{request.url}: {request.failure}")

        page.on("requestfailed", note)
        page.on("console", lambda message: console.append(message.text))
        page.goto(f"{site}/online/index.html")
        outcome = _outcome(page, unreachable)
        context.close()
    if unreachable:
        pytest.skip(f"Pyodide's CDN cannot be reached: {unreachable[0]}")
    assert outcome.endswith("arrived as themselves"), f"{outcome}\n" + "\n".join(console[-40:])


def _outcome(page: Any, unreachable: list[str]) -> str:
    """Waits for what the page says, or for the first request that fails beyond the site."""
    end = time.monotonic() + SECONDS
    text = ""
    while not unreachable and time.monotonic() < end:
        text = page.text_content("#outcome")
        if text != "…":
            break
        # Events are dispatched while playwright waits.
        page.wait_for_timeout(200)
    return text
