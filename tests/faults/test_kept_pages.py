"""A page that the browser keeps in its back/forward cache while calls of each kind are under way: it comes back, and they go on."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from fault_page import FaultPage
from playwright.sync_api import Browser
from test_hidden_pages import WORK_IS_DONE, try_heartbeats

from engines import CHROMIUM, CHROMIUM_FLAGS, AnyBrowser

pytestmark = pytest.mark.timeout(300)

_EVENTS = """() => {
    window.seen = [];
    if (window.isMarked) return;
    window.isMarked = true;
    for (const event of ["pagehide", "pageshow"])
        addEventListener(event, ({ persisted }) => window.seen.push([event, persisted]));
}"""


@pytest.fixture(scope="module")
def keeping(browser: AnyBrowser, site: str) -> Iterator[FaultPage]:
    """A page in a Chromium that keeps pages: playwright turns that off."""
    assert isinstance(browser, Browser)
    own = browser.browser_type.launch(
        executable_path=CHROMIUM,
        args=CHROMIUM_FLAGS,
        ignore_default_args=["--disable-back-forward-cache"],
    )
    try:
        with FaultPage(own, site, "spawn.html") as page:
            yield page
    finally:
        own.close()


def test_a_page_out_of_the_cache(keeping: FaultPage) -> None:
    """Calls, a stream, callbacks and a heartbeat go on where they stood, though the page was away for longer than the heartbeat."""

    def work(heartbeat: float) -> None:
        keeping.page.evaluate(_EVENTS)
        keeping.call("begin_work", limit=120, heartbeat=heartbeat)
        keeping.page.goto(f"{keeping.site}/tests/frames.js")
        time.sleep(2 * heartbeat)
        # Playwright waits for an event `load`, which a kept page does not have again.
        keeping.page.go_back(wait_until="commit")
        keeping.wait_for("() => window.isMarked && window.seen.length === 2")
        assert keeping.page.evaluate("() => window.seen") == [["pagehide", True], ["pageshow", True]]
        assert keeping.call("end_work", limit=240, idle=heartbeat) == WORK_IS_DONE

    try_heartbeats(work)
