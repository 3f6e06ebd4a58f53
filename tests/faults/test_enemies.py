"""Posts messages as a worker, another frame or a script of the page may: no connection takes them for its own."""

from __future__ import annotations

import pytest
from fault_page import FaultPage


@pytest.mark.every_engine
@pytest.mark.repeated("firefox", "webkit")
def test_garbage_on_every_channel(spawning: FaultPage) -> None:
    """Odd messages both ways, from other frames and to the page itself, disturb no call."""
    answered, is_open = spawning.call("between_garbage")
    assert answered == 100
    assert is_open


def test_forged_and_replayed_handshakes(scripted: FaultPage) -> None:
    """The mark of a handshake that is over, or that nobody has asked for, opens nothing and spoils nothing."""
    assert scripted.call("forged_handshakes") == [3, 7]


def test_a_second_handshake(scripted: FaultPage) -> None:
    """A Hello on an open connection is a violation, which ends that connection and no other."""
    ended, goes_on = scripted.call("second_handshake")
    assert ended.startswith("ConnectionClosedError: "), ended
    assert "a second handshake on one connection" in ended
    assert goes_on == 3
