"""Tests that must fail, each in its own way; whoever runs the suite runs these first and goes on only if they do.

An async test that is collected but never awaited passes whatever it says, and then every other result is worthless.
So these say something false: at once, after the event loop has turned, and by never ending. They are not collected
with the suite: tests/python/test_canary.py runs them natively, tests/node/run.mjs inside Pyodide.
"""

import asyncio


def test_failure_at_once() -> None:
    """Fails at once."""
    raise AssertionError("canary: at once")


async def test_failure_after_an_await() -> None:
    """Fails only if it is awaited to its end."""
    await asyncio.sleep(0.01)
    raise AssertionError("canary: after an await")


async def test_endless_await() -> None:
    """Fails only if async tests have a time limit."""
    await asyncio.Event().wait()
