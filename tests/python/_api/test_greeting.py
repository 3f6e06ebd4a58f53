"""A host that carries the handshake's first messages itself: what `connect()` makes of them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import workerlib
from workerlib import Worker, __version__, _exports
from workerlib._api.connect import establish
from workerlib._config.settings import Settings
from workerlib._hosts.greeting import Greeting
from workerlib._hosts.host import Found, Progress
from workerlib._native import Session
from workerlib._rpc.connection import Connection
from workerlib._values.adapters import AdapterSet

from loopback import loopback_channel

REFUSE = b"\x93\x02\x63\xa8too old!"
"""The frame by which a worker of another protocol refuses (docs/wire-format.md, section 3)."""


def double(number: int) -> int:
    """Doubles a number."""
    return 2 * number


async def connected(pause: Any = None) -> tuple[Worker, Connection, list[bytes]]:
    """Connects by a host that carries the first messages; gives the worker's connection too, and what the channel carried.

    Args:
        pause: Called while the host waits for the worker.
    """
    end, page_end = loopback_channel()
    carried: list[bytes] = []
    real = page_end.post
    page_end.post = lambda frame, buffers: (carried.append(frame), real(frame, buffers))  # type: ignore[func-returns-value, method-assign]
    listening = Session.listen(__version__, [_exports.describe_export("double", double)])
    serving: list[Connection] = []

    async def opening() -> Found:
        greeting = Greeting(Settings(), AdapterSet())
        listening.handle(greeting.take_out(), [])
        answer = listening.poll_transmit()
        assert answer is not None
        serving.append(Connection(listening, end, {"double": double}))
        if pause is not None:
            pause()
        await asyncio.sleep(0)
        return Found("quick", page_end, None, greeting=greeting, frames=(answer[0],))

    worker = await establish(opening, Progress("quick"), Settings(), AdapterSet(), interface=None, timeout=5)
    return worker, serving[0], carried


async def test_the_channel_carries_no_handshake() -> None:
    """The connection is open before the channel has carried a message, and the first one is the call."""
    worker, serving, carried = await connected()
    assert carried == []
    assert await worker.double(21) == 42
    assert len(carried) == 1
    worker.close()
    await serving.closed


async def test_an_export_that_is_made_meanwhile() -> None:
    """The worker is told of what the page exports after its first message."""

    def late() -> int:
        return 7

    worker, serving, _ = await connected(lambda: workerlib.export(late))
    while "late" not in serving.functions_there:
        await asyncio.sleep(0)
    assert await serving.functions_there["late"]() == 7
    worker.close()
    await serving.closed


async def test_a_worker_that_refuses() -> None:
    """It is the same error as over a channel, and the channel is closed."""
    _, page_end = loopback_channel()

    async def opening() -> Found:
        greeting = Greeting(Settings(), AdapterSet())
        greeting.take_out()
        return Found("old", page_end, None, greeting=greeting, frames=(REFUSE,))

    with pytest.raises(workerlib.ProtocolError, match="protocol"):
        await establish(opening, Progress("old"), Settings(), AdapterSet(), interface=None, timeout=5)
    assert page_end.closed
