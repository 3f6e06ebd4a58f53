"""Errors in JavaScript become errors of the call: nothing is left to the console of page or worker.

The page of these tests fails at any console error, page error or rejection that nobody handles.
"""

from __future__ import annotations

from typing import Any

import pytest

from in_page import in_page


@pytest.mark.every_engine
@in_page
async def test_what_javascript_throws(worker: Any, workerlib: Any, raises: Any) -> None:
    """A JavaScript error in a function is one of Python's class, or names it, with the error's own text."""
    with raises(Exception, "SyntaxError") as caught:
        await worker.raise_in_javascript()
    assert "JsException" in type(caught.value).__name__ + getattr(caught.value, "type_name", "")
    with raises(Exception, "TypeError: rejected"):
        await worker.await_a_rejected_promise()
    assert await worker.add(1, 2) == 3


@pytest.mark.every_engine
@in_page
async def test_what_passes_through_javascript(worker: Any, raises: Any) -> None:
    """A Python exception that passes frames of JavaScript arrives as itself."""
    with raises(KeyError, "through JavaScript"):
        await worker.raise_through_javascript()
    assert await worker.add(1, 2) == 3


@pytest.mark.every_engine
@in_page
async def test_a_message_that_is_none(workerlib: Any, raises: Any) -> None:
    """A channel that breaks ends its calls with an error, and says nothing to the console."""
    import asyncio

    other = await workerlib.connect("bench")
    call = asyncio.gather(other.hold("broken"), return_exceptions=True)
    while "broken" not in await other.held():
        pass
    other._connection._receive(b"\xc1", [])
    [error] = await call
    assert isinstance(error, workerlib.ConnectionClosedError)
    assert "broke the protocol" in str(error)


@pytest.mark.every_engine
@pytest.mark.isolation("chromium")
@in_page
async def test_callers_that_go_away(worker: Any) -> None:
    """Calls whose tasks are cancelled, closed or dropped at any time leave no exception behind that is nobody's."""
    import asyncio
    import gc

    for _ in range(20):
        task = asyncio.ensure_future(worker.raise_named("ValueError", "nobody's"))
        # Gathered before: the answer may come first, and Pyodide tells the console of a task that fails while nobody waits for it.
        waiting = asyncio.gather(task, return_exceptions=True)
        await asyncio.sleep(0)
        task.cancel()
        await waiting
        coroutine = worker.hold("dropped")
        coroutine.send(None)
        coroutine.close()
    del task, waiting, coroutine
    gc.collect()
    await asyncio.sleep(0.05)
    assert await worker.add(1, 2) == 3
