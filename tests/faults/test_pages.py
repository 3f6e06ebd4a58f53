"""Pages that are left, come back, or stand beside each other while calls are under way."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fault_page import FaultPage

from engines import AnyBrowser
from pace import PACE


@pytest.fixture
def own(browser: AnyBrowser, site: str) -> Iterator[FaultPage]:
    """A page of the test's own."""
    with FaultPage(browser, site, "spawn.html") as page:
        yield page


@pytest.mark.parametrize("how", ["reload", "history"])
def test_a_page_that_is_left(own: FaultPage, how: str) -> None:
    """A reload, and a visit of another page, end the workers and free their locks; a page out of a cache goes on or says so."""
    assert own.call("keep_busy", name="left") >= 2
    own.mark()
    own.come_back(how)
    if own.page.evaluate("() => Boolean(window.isMarked)"):
        outcome = own.call("kept_worker", name="left")
        assert outcome == ["answers", 42] or outcome[0] == "WorkerDiedError", outcome
        return
    own.page.wait_for_function(
        "async () => (await navigator.locks.query()).held.every(({ name }) => !name.startsWith('workerlib'))",
        timeout=20_000 * PACE,
    )
    assert own.call("keep_busy", name="again") >= 2


def test_two_pages_with_the_same_names(own: FaultPage) -> None:
    """Two pages of one origin, whose workers have the same name, never meet; one that is closed frees its workers."""
    other = FaultPage.beside(own)
    try:
        held = own.call("keep_busy", name="same")
        assert other.call("keep_busy", name="same") > held
        for number, page in enumerate((own, other)):
            assert page.call("say", name="same", value=f"page {number}") == f"page {number}"
    finally:
        other.page.close()
    own.page.wait_for_function(
        """async (count) => {
            const { held, pending } = await navigator.locks.query();
            return [...held, ...pending].filter(({ name }) => name.startsWith("workerlib")).length <= count;
        }""",
        arg=held,
        timeout=20_000 * PACE,
    )
    # The other page's end is no news for this one.
    assert own.call("say", name="same", value="alone") == "alone"
    assert own.call("kept_worker", name="same") == ["answers", 42]
