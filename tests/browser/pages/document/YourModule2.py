"""Another one."""

import asyncio


def func3(*numbers):
    return sum(numbers)


async def func4(seconds):
    await asyncio.sleep(seconds)
    return seconds


def hidden():
    """Nobody exports it."""
    return "seen"
