"""Tells a peer whose thread sleeps what it waits for: it cannot read its channel meanwhile.

The host has the way, shared memory. A peer may begin to wait for a call that has been answered already, and
then cannot read the answer either. So the last answers are kept. It decides nothing about the state of a
call.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

# Answers that are kept, and how large they are at most.
_KEPT = 64
_LARGEST = 64 << 10

OF_NO_CALL = -1
"""Stands for the call of messages that a sleeping peer has to hear of in any case."""


class Wakeup:
    """What a peer may wait for."""

    def __init__(self, wake: Callable[[bytes, list[Any]], bool]) -> None:
        """Takes the host's way."""
        self._wake = wake
        self._waited_for: set[int] = set()
        self._answers: OrderedDict[int, tuple[bytes, list[Any]]] = OrderedDict()

    def begin(self, calls: list[int]) -> None:
        """Notes that the peer sleeps until it has the answers of these calls."""
        # It waits for nothing else any more.
        self._waited_for.clear()
        for call in calls:
            if (answer := self._answers.pop(call, None)) is not None:
                self._wake(*answer)
            else:
                self._waited_for.add(call)

    def note(self, call: int, frame: bytes, buffers: list[Any]) -> None:
        """Takes an answer, or another message that is posted: for the peer, if it waits for it."""
        if call == OF_NO_CALL:
            if self._waited_for:
                self._wake(frame, buffers)
        elif call in self._waited_for:
            self._waited_for.discard(call)
            self._wake(frame, buffers)
        elif not buffers and len(frame) <= _LARGEST:
            self._answers[call] = frame, buffers
            if len(self._answers) > _KEPT:
                self._answers.popitem(last=False)
