"""Begins the session of the side that connects, for hosts that carry its first message themselves.

A host that asks a worker for a channel sends the first message of the handshake with the question, and gets
the worker's answer with the channel: so the connection is open as soon as there is a channel. `establish()`
(`_api/connect.py`) makes the connection of it. Other hosts leave the handshake to the channel.
"""

from __future__ import annotations

from workerlib import _exports
from workerlib._config.settings import Settings
from workerlib._native import Session
from workerlib._values.adapters import AdapterSet
from workerlib._version import __version__


class Greeting:
    """A session of the side that connects, before there is a channel."""

    def __init__(self, chosen: Settings, adapters: AdapterSet) -> None:
        """Begins the session with the exports that there are now.

        Args:
            chosen: The settings of this side.
            adapters: The adapters of this side.
        """
        self.table = chosen.table(adapters)
        """The table by which values are sent."""
        self._told = dict(_exports.functions)
        self.session = Session.connect(
            __version__,
            exports=_exports.describe_exports(),
            adapters=adapters.describe(),
            table=self.table,
            max_depth=chosen.max_depth,
            max_in_flight=chosen.max_in_flight,
        )
        """The session, whose first message is to be sent."""

    def take_out(self) -> bytes:
        """Takes out the first message, which has no buffers: the host sends it, and not the channel."""
        transmit = self.session.poll_transmit()
        assert transmit is not None
        frame: bytes = transmit[0]
        return frame

    def announce_later_exports(self) -> None:
        """Has the other side told of what was exported while the host waited for it."""
        now, told = _exports.functions, self._told
        if len(now) != len(told) or any(now.get(name) is not function for name, function in told.items()):
            self.session.announce(_exports.describe_exports())
