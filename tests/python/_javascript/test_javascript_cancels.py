"""Cancels of calls by pages in JavaScript, at the worker's end: `_javascript/comlink.py`."""

from __future__ import annotations

import asyncio
import sys

import pytest
from workerlib import _exports

pytestmark = pytest.mark.skipif(
    sys.platform != "emscripten", reason="there is no JavaScript outside of Pyodide"
)


async def test_a_cancel_before_the_loop_has_begun_the_call() -> None:
    """A cancel that is the next message after its call ends it; it was lost, and the function ran on for ever."""
    import js
    from workerlib._javascript import comlink

    begun = []

    async def held() -> None:
        begun.append(True)
        await asyncio.sleep(3600)

    _exports.functions["held"] = held
    try:
        call = asyncio.ensure_future(comlink.call("held", js.Array.new(), js.Object.new(), 7))
        comlink.cancel(7)
        outcome = await call
    finally:
        del _exports.functions["held"]
    assert outcome[0] == "error"
    assert "CancelledError" in outcome[1]
    assert not begun
    assert 7 not in comlink._running
