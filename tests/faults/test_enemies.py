"""Posts messages as a worker, another frame or a script of the page may: no connection takes them for its own."""

from __future__ import annotations

import pytest
from fault_page import FaultPage
from javascript_page import JavaScriptPage


@pytest.mark.every_engine
@pytest.mark.repeated("firefox", "webkit")
def test_garbage_on_every_channel(spawning: FaultPage) -> None:
    """Odd messages both ways, from other frames and to the page itself, disturb no call."""
    answered, is_open = spawning.call("enemies_in_the_page.between_garbage")
    assert answered == 100
    assert is_open


def test_garbage_on_a_connections_own_channel(scripted: FaultPage) -> None:
    """A message that breaks the rules ends its connection, in each direction, and no other connection of the worker."""
    outcomes = scripted.call("enemies_in_the_page.own_garbage", limit=120)
    assert len(outcomes) > 30
    for message, direction, ended, of_another in outcomes:
        assert ended.startswith("ConnectionClosedError: "), (message, direction, ended)
        assert of_another == 42


def test_forged_and_replayed_handshakes(scripted: FaultPage) -> None:
    """The mark of a handshake that is over, or that nobody has asked for, opens nothing and spoils nothing."""
    assert scripted.call("enemies_in_the_page.forged_handshakes") == [3, 7, 0]


def test_a_second_handshake(scripted: FaultPage) -> None:
    """A Hello on an open connection is a violation, which ends that connection and no other."""
    ended, goes_on = scripted.call("enemies_in_the_page.second_handshake")
    assert ended.startswith("ConnectionClosedError: "), ended
    assert "a second handshake on one connection" in ended
    assert goes_on == 3


@pytest.mark.parametrize(
    ("what", "size", "message"),
    [("a million exports", 12_000_000, "10,000 exports"), ("a docstring of 100 MB", 100_000_000, "16 MiB")],
)
def test_a_description_that_is_too_large(spawning: FaultPage, what: str, size: int, message: str) -> None:
    """It ends its connection, and the page's memory has grown in proportion to the message: it never shrinks again."""
    text, grown = spawning.call("enemies_in_the_page.described", limit=120, what=what)
    assert message in text
    assert grown < 16 * size


def test_a_package_that_is_not_the_lock_files(javascript: JavaScriptPage) -> None:
    """A server that gives another file in place of a package does not get it into a worker."""
    kind, text = javascript.call("changed_package")
    assert kind == "WorkerStartError"
    assert "packaging" in text
