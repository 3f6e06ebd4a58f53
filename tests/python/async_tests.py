"""Runs async tests natively, each in an event loop of its own and within a time limit.

Inside Pyodide tests/node/driver.py takes the coroutine before this hook sees it; should it ever arrive here, the test
fails rather than pass unawaited.
"""

from __future__ import annotations

import asyncio
import inspect
import sys

import pytest

DEFAULT_LIMIT_SECONDS = "30"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the setting `async_timeout`."""
    parser.addini("async_timeout", "seconds that one async test may take", default=DEFAULT_LIMIT_SECONDS)


def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Awaits the test function if it is async."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    if sys.platform == "emscripten":
        pytest.fail(
            "an async test reached the native hook: it would pass unawaited (see tests/node/driver.py)"
        )
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    limit = float(pyfuncitem.config.getini("async_timeout"))

    async def within_limit() -> None:
        async with asyncio.timeout(limit):
            await pyfuncitem.obj(**arguments)

    asyncio.run(within_limit())
    return True
