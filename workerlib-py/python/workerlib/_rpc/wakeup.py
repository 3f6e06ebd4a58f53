"""Gives a peer whose thread sleeps the answers that it waits for, since it cannot read its channel meanwhile.

A connection uses it; the host provides the carrier, which is shared memory. A peer may begin to wait for a
call that has been answered already, and cannot read that answer from its channel either. Therefore the last
answers are kept. This module decides nothing about the state of a call.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

# Answers that are kept, and how large they are at most.
_KEPT = 64
_LARGEST = 64 << 10
# The calls whose answers are not kept; sync code has at most so many replies that it has not read.
_GONE = 4096


class Wakeup:
    """Wakes a peer that waits for an answer while its event loop stands."""

    def __init__(self, wake: Callable[[bytes, list[Any]], bool]) -> None:
        """Takes the host's way."""
        self._wake = wake
        self._waited_for: set[int] = set()
        self._answers: OrderedDict[int, tuple[bytes, list[Any]]] = OrderedDict()
        self._gone: OrderedDict[int, None] = OrderedDict()

    def begin(self, calls: list[int]) -> None:
        """Notes that the peer sleeps until it has the answers of these calls, which may not have come yet."""
        # It waits for nothing else any more.
        self._waited_for.clear()
        for call in calls:
            if (answer := self._answers.pop(call, None)) is not None:
                self._wake(*answer)
            elif call in self._gone:
                # An empty frame says that the answer is not kept.
                self._wake(b"", [])
            else:
                self._waited_for.add(call)

    def note(self, calls: list[int], frame: bytes, buffers: list[Any]) -> None:
        """Takes a message that is posted: it is for the peer, if the peer waits for it.

        Args:
            calls: The calls that it answers; none if a sleeping peer has to hear of it in any case.
            frame: The frame.
            buffers: Its buffers.
        """
        if not self._waited_for and len(calls) == 1 and not buffers and len(frame) <= _LARGEST:
            # Nearly always: an answer has time for few steps of Python.
            answers = self._answers
            answers[calls[0]] = frame, buffers
            if len(answers) > _KEPT:
                self._gone[answers.popitem(last=False)[0]] = None
        elif not self._waited_for.isdisjoint(calls) or (not calls and self._waited_for):
            self._waited_for.difference_update(calls)
            self._wake(frame, buffers)
        elif not buffers and len(frame) <= _LARGEST:
            for call in calls:
                self._answers[call] = frame, buffers
            while len(self._answers) > _KEPT:
                self._gone[self._answers.popitem(last=False)[0]] = None
        else:
            self._gone.update(dict.fromkeys(calls))
        while len(self._gone) > _GONE:
            self._gone.popitem(last=False)
