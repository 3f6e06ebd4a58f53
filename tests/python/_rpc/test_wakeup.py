"""The words that a page writes for a worker whose thread sleeps, in whatever order the messages come."""

from __future__ import annotations

from typing import Any

from workerlib._rpc.wakeup import Wakeup


class Memory:
    """Stands for the memory that a page shares with its worker."""

    def __init__(self) -> None:
        self.written: list[bytes] = []

    def write(self, frame: bytes, _buffers: list[Any]) -> bool:
        self.written.append(frame)
        return True


def test_an_answer_that_comes_later_is_written() -> None:
    """The peer says for what it waits, and is answered; answers of other calls are for its port."""
    memory = Memory()
    wakeup = Wakeup(memory.write)
    wakeup.begin([7])
    wakeup.note([8], b"of another call", [])
    wakeup.note([], b"it has started", [])
    wakeup.note([7], b"answer", [b"large"])
    wakeup.note([], b"nobody sleeps any more", [])
    assert memory.written == [b"it has started", b"answer"]


def test_an_answer_that_came_before_is_written_when_it_is_wanted() -> None:
    """The answer was posted before the peer said that it waits, and it cannot read its port any more."""
    memory = Memory()
    wakeup = Wakeup(memory.write)
    wakeup.note([6, 7], b"answers", [])
    assert memory.written == []
    wakeup.begin([7])
    assert memory.written == [b"answers"]


def test_few_answers_are_kept() -> None:
    """Memory is bounded, whatever a peer asks for: one that waits for an old or a large answer hears that it is gone."""
    memory = Memory()
    wakeup = Wakeup(memory.write)
    for call in range(1_000):
        wakeup.note([call], b"answer", [])
    wakeup.note([1_000], bytes(1 << 20), [])
    wakeup.begin([1, 999, 1_000])
    assert memory.written == [b"", b"answer", b""]
    assert len(wakeup._answers) < 100


def test_a_peer_waits_for_what_it_said_last() -> None:
    """A wait that was given up does not make the page write its answer for ever."""
    memory = Memory()
    wakeup = Wakeup(memory.write)
    wakeup.begin([1])
    wakeup.begin([2])
    wakeup.note([1], b"given up", [])
    assert memory.written == []
