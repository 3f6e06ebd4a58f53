"""Awaitables that sync functions return: the outcome of the awaitable is the outcome of the call."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Any


async def add_later(a: int, b: int) -> int:
    """Adds two numbers after an iteration of the loop; raises ValueError if the second is negative."""
    await asyncio.sleep(0)
    if b < 0:
        raise ValueError("negative")
    return a + b


class Later:
    """An awaitable of the user's own, which is not a coroutine: its outcome is 11."""

    def __await__(self) -> Generator[Any, None, int]:
        return add_later(5, 6).__await__()


class Endless:
    """Makes coroutines that wait until they are cancelled, and notes the cancel."""

    def __init__(self) -> None:
        self.is_cancelled = False

    async def wait(self) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.is_cancelled = True
            raise
