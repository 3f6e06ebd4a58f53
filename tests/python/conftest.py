"""Settings of the suite; it runs natively against the native wheel and inside Pyodide (tests/node/run.mjs)."""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
from workerlib import Worker, _exports
from workerlib._rpc import connection
from workerlib._values import adapters, sending

import loopback
from loopback import Channel, connected, loopback_channel, port_channel, port_channel_without_eval

pytest_plugins = ["limits", "repeated"]

CHANNELS: dict[str, Channel] = {"loopback": loopback_channel}
if sys.platform == "emscripten":
    CHANNELS["port"] = port_channel
    CHANNELS["port without eval"] = port_channel_without_eval


def pytest_collection_finish() -> None:
    """Takes what pytest, the tests and the libraries have made until now from the collector: many tests collect."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def no_exports(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test starts with nothing exported."""
    monkeypatch.setattr(_exports, "functions", {})


@pytest.fixture(autouse=True)
def no_adapters(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test starts with no adapter, and leaves none."""
    monkeypatch.setattr(adapters, "_registered", {})
    monkeypatch.setattr(loopback, "configured", adapters.AdapterSet())
    yield
    monkeypatch.setattr(adapters, "_registered", {})
    sending._forget_all()


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller that cancels waits for the worker's word, however slow this machine is; tests of the grace set their own."""
    monkeypatch.setattr(connection, "_GRACE", 600)


# In Pyodide a plain run tests the channels that only Pyodide has; the part `pytest` has these tests over the other one.
REPEATED = [pytest.mark.repeated] if sys.platform == "emscripten" else []


@pytest.fixture(params=[pytest.param("loopback", marks=REPEATED), *list(CHANNELS)[1:]])
def connect(request: pytest.FixtureRequest) -> Callable[[], contextlib.AbstractAsyncContextManager[Worker]]:
    """Connects to what the test has exported, over each kind of channel that this Python has."""

    @contextlib.asynccontextmanager
    async def over_channel() -> AsyncIterator[Worker]:
        async with connected(CHANNELS[request.param]) as worker:
            yield worker

    return over_channel
