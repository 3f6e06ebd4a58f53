"""A page that the visitor does not look at: its timers are slow, or it stands altogether, and no call is lost for it.

The browser hides and freezes the page. A further page has the timers of a hidden one, and a thread that stands.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from fault_page import FaultPage
from hideable import HideableBrowser, HideableTab

from engines import CHROMIUM, CHROMIUM_FLAGS, AnyBrowser
from pace import PACE

pytestmark = pytest.mark.timeout(300)

HEARTBEATS = (1, 2 * PACE)
"""The limits, in seconds, within which a busy worker gives a sign of life: the first on a quiet machine, the last on each."""

WORK_IS_DONE = [True, True, sum(range(200)), 3, "TimeoutError", 42]
"""The result of `end_work`."""

NOTE_FREEZING = """() => {
    window.seen = [];
    for (const event of ["freeze", "resume"]) document.addEventListener(event, () => window.seen.push(event));
}"""


@pytest.fixture(scope="module")
def hideable(browser: AnyBrowser, site: str) -> Iterator[FaultPage]:
    """A page in a browser that can hide it."""
    own = HideableBrowser(browser, CHROMIUM, CHROMIUM_FLAGS)
    try:
        with FaultPage(own, site, "spawn.html") as page:
            yield page
    finally:
        own.close()


def hide(page: FaultPage) -> HideableTab:
    """Has another tab in front of the page; returns that tab."""
    front = page._context.new_page()
    page.wait_for("() => document.hidden")
    return front


def try_heartbeats(work: Callable[[float], object]) -> None:
    """Does some work under a heartbeat, and once more under a longer one if a call has failed."""
    try:
        work(HEARTBEATS[0])
    except pytest.fail.Exception:
        work(HEARTBEATS[-1])


def test_a_hidden_page(hideable: FaultPage) -> None:
    """Calls, streams, callbacks, timeouts and a heartbeat go on in a page that gets behind another tab."""

    def work(heartbeat: float) -> None:
        hideable.call("begin_work", limit=120, heartbeat=heartbeat)
        hide(hideable)
        try:
            assert hideable.call("end_work", limit=240, idle=3 * heartbeat) == WORK_IS_DONE
            assert hideable.page.evaluate("() => document.visibilityState") == "hidden"
        finally:
            hideable.page.show()
            hideable.wait_for("() => !document.hidden")

    try_heartbeats(work)


def test_a_frozen_page(hideable: FaultPage) -> None:
    """A page that the browser freezes in the midst of calls, for longer than its heartbeat, goes on afterwards."""
    hideable.page.evaluate(NOTE_FREEZING)

    def work(heartbeat: float) -> None:
        hideable.page.evaluate("() => { window.seen.length = 0; }")
        hideable.call("begin_work", limit=120, heartbeat=heartbeat)
        hide(hideable)
        hideable.page.freeze(True)
        time.sleep(2 * heartbeat)
        hideable.page.freeze(False)
        hideable.page.show()
        assert hideable.call("end_work", limit=240, idle=heartbeat) == WORK_IS_DONE
        assert hideable.page.evaluate("() => window.seen") == ["freeze", "resume"]

    try_heartbeats(work)


@pytest.fixture
def own(browser: AnyBrowser, site: str) -> Iterator[FaultPage]:
    """A page of the test's own."""
    with FaultPage(browser, site, "spawn.html") as page:
        yield page


@pytest.mark.repeated
def test_slow_timers_and_a_thread_that_stands(own: FaultPage) -> None:
    """A thread that stands for longer than the heartbeat, then slow timers: the work is done all the same."""

    def stand(heartbeat: float) -> None:
        own.call("begin_work", limit=120, heartbeat=heartbeat)
        own.call("stand", seconds=2 * heartbeat)
        assert own.call("end_work", limit=240, idle=heartbeat) == WORK_IS_DONE

    def go_on_slowly(heartbeat: float) -> None:
        own.call("begin_work", limit=120, heartbeat=heartbeat)
        assert own.call("end_work", limit=240, idle=3 * heartbeat) == WORK_IS_DONE

    try_heartbeats(stand)
    own.call("throttle_timers")
    try_heartbeats(go_on_slowly)
