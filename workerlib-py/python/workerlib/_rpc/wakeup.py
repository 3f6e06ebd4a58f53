"""Tells a peer whose thread sleeps what it waits for: it cannot read its channel meanwhile.

The host has the way, shared memory. A peer may begin to wait for a call that has been answered already, and
then cannot read the answer either. So the last answers are kept. It decides nothing about the state of a
call.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Container
from typing import Any

# Answers that are kept, and how large they are at most.
_KEPT = 64
_LARGEST = 64 << 10


class Wakeup:
    """What a peer may wait for."""

    def __init__(self, wake: Callable[[bytes, list[Any]], bool]) -> None:
        """Takes the host's way."""
        self._wake = wake
        self._waited_for: set[int] = set()
        self._answers: OrderedDict[int, tuple[bytes, list[Any]]] = OrderedDict()

    def begin(self, calls: list[int], running: Container[int]) -> None:
        """Notes that the peer sleeps until it has the answers of these calls.

        Args:
            calls: The calls.
            running: Those that have no answer yet.
        """
        # It waits for nothing else any more.
        self._waited_for.clear()
        for call in calls:
            if call in running:
                self._waited_for.add(call)
            else:
                # An empty frame says that the answer is not kept.
                self._wake(*self._answers.pop(call, (b"", [])))

    def note(self, calls: list[int], frame: bytes, buffers: list[Any]) -> None:
        """Takes a message that is posted: it is for the peer, if the peer waits for it.

        Args:
            calls: The calls that it answers; none if a sleeping peer has to hear of it in any case.
            frame: The frame.
            buffers: Its buffers.
        """
        if not self._waited_for.isdisjoint(calls) or (not calls and self._waited_for):
            self._waited_for.difference_update(calls)
            self._wake(frame, buffers)
        elif not buffers and len(frame) <= _LARGEST:
            for call in calls:
                self._answers[call] = frame, buffers
            while len(self._answers) > _KEPT:
                self._answers.popitem(last=False)
