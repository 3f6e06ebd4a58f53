"""Ends a connection whose worker gives no sign of life: its loop stands, or its thread computes for ever.

A death is told in other ways, and at once. The heartbeat is for a worker that nobody can tell of: it asks
again and again, and the worker's Python answers from its event loop. While a call is in flight a silent
worker may compute, so silence counts only if the user has asked for that. Timers of a hidden page are late:
silence counts by what the timer should have taken, not by what it took.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from workerlib._rpc.connection import Connection
from workerlib._rpc.timers import TimeLimit, sleep

# The number of times that the other side is asked within the limit.
_QUESTIONS = 4


@dataclass(frozen=True)
class Heartbeat:
    """The time for which a worker may be silent."""

    limit: float
    """For how many seconds."""
    in_calls: bool
    """Whether the time in which calls are in flight counts too."""


class BeatingEndpoint(Protocol):
    """An endpoint that can ask the other side for a sign of life."""

    def ask(self, on_answer: Callable[[], None]) -> None:
        """Asks; the answer comes out of the other side's event loop."""


_calling: dict[Any, list[Connection]] = {}
"""The open connections to each worker: a call of any of them may compute there."""


def note_connection(worker: Any, connection: Connection) -> None:
    """Notes that a connection leads to a worker, until it has ended."""
    connections = _calling.setdefault(worker, [])
    connections.append(connection)

    def forget(_: object) -> None:
        connections.remove(connection)
        if not connections:
            _calling.pop(worker, None)

    connection.closed.add_done_callback(forget)


def is_calling() -> bool:
    """Returns whether a call to any worker has no answer yet."""
    return any(connection.is_calling for others in _calling.values() for connection in others)


def watch(
    heartbeat: Heartbeat,
    worker: Any,
    connection: Connection,
    endpoint: BeatingEndpoint,
    end: Callable[[str], None],
) -> None:
    """Has `end` called with the reason when a worker has been silent for too long.

    Args:
        heartbeat: The time for which it may be silent.
        worker: The worker, as `note_connection` was told.
        connection: The connection, with whose end the watch ends.
        endpoint: Its endpoint.
        end: Ends the connection and the worker.
    """

    async def expect() -> None:
        step = heartbeat.limit / _QUESTIONS
        answered = asyncio.Event()
        while True:
            answered.clear()
            endpoint.ask(answered.set)
            silent = 0.0
            while not answered.is_set():
                try:
                    async with TimeLimit(step):
                        await answered.wait()
                except TimeoutError:
                    is_busy = any(other.is_calling for other in _calling.get(worker, ()))
                    silent = 0.0 if is_busy and not heartbeat.in_calls else silent + step
                if silent >= heartbeat.limit:
                    end(f"gave no sign of life for {heartbeat.limit} seconds")
                    return
            await sleep(step)

    task = asyncio.ensure_future(expect())
    connection.closed.add_done_callback(lambda _: task.cancel())
