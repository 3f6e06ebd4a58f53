"""The tests' own means: what pages of these tests share."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Error

from conftest import SharedContexts


def test_a_process_that_crashes_costs_the_pages_that_it_has(browser: Browser, site: str) -> None:
    """Later pages get another context: a crash of the browser's made every later test fail, with the keeper of snapshots."""
    contexts = SharedContexts()
    context, keeper = contexts.of(browser, site)
    page = context.new_page()
    page.goto(f"{site}/tests/keeper.html")
    with pytest.raises(Error, match="crash"):
        page.goto("chrome://crash")
    # The keeper's own event may come later.
    if contexts.of(browser, site)[0] is context:
        keeper.wait_for_event("crash")
    other, its_keeper = contexts.of(browser, site)
    assert other is not context
    assert its_keeper.evaluate("() => location.pathname") == "/tests/keeper.html"
    for one in (context, other):
        one.close()
