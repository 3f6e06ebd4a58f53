"""The outcomes of calls that end with their connection."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import workerlib

from loopback import LoopbackEndpoint, connected


class AtOnce(LoopbackEndpoint):
    """An endpoint that has waiting tasks go on at once, as that of a browser does."""

    @contextmanager
    def together(self) -> Iterator[None]:
        loop: Any = asyncio.get_running_loop()
        ready: list[tuple[Callable[..., object], tuple[Any, ...], contextvars.Context | None]] = []
        later = loop.call_soon
        loop.call_soon = lambda callback, *args, context=None: ready.append((callback, args, context))
        try:
            yield
        finally:
            loop.call_soon = later
            for callback, args, context in ready:
                (context or contextvars.copy_context()).run(callback, *args)


def channel() -> tuple[LoopbackEndpoint, LoopbackEndpoint]:
    """Makes a channel whose page has its tasks go on at once."""
    page, worker = AtOnce(), LoopbackEndpoint()
    page.other, worker.other = worker, page
    return page, worker


async def test_a_caller_that_hears_of_the_end_finds_the_connection_closed() -> None:
    """Protects code that starts a worker again: it asks `worker.closed` in the moment in which its call has failed."""

    @workerlib.export
    async def hold() -> None:
        await asyncio.Event().wait()

    async with connected(channel) as worker:
        found: list[bool] = []

        async def call() -> None:
            with pytest.raises(workerlib.ConnectionClosedError):
                await worker.hold()
            found.append(worker.closed)

        calling = asyncio.create_task(call())
        await asyncio.sleep(0.01)
        # Out of no task, as an end arrives in a browser.
        asyncio.get_running_loop().call_soon(worker.close)
        await calling
        assert found == [True]
