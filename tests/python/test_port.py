"""The endpoint over a MessagePort, by itself: where there are ports, which is in Pyodide."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import pytest

from loopback import Channel, port_channel, port_channel_without_eval

pytestmark = pytest.mark.skipif(sys.platform != "emscripten", reason="there are no ports outside of Pyodide")


@pytest.mark.parametrize("channel", [port_channel, port_channel_without_eval])
async def test_a_buffer_that_nobody_took_outlives_its_channel(
    channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is freed without a word: no "Exception ignored in …" comes to the console of the user."""
    ignored: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda trouble: ignored.append(trouble.exc_value))
    one, other = channel()
    arrived: list[Any] = []
    came = asyncio.Event()

    def on_message(_frame: bytes, buffers: list[Any]) -> None:
        arrived.extend(buffers)
        # The caller still holds the list when what waits below goes on.
        buffers.clear()
        came.set()

    one.listen(on_message, lambda _reason: None)
    other.listen(lambda _frame, _buffers: None, lambda _reason: None)
    other.post(b"a frame", [bytes(20_000)])
    await came.wait()
    one.close()
    other.close()
    assert len(arrived) == 1
    arrived.clear()
    assert ignored == []


@pytest.mark.parametrize("channel", [port_channel, port_channel_without_eval])
async def test_a_channel_lets_go_of_what_it_does_not_know(channel: Channel) -> None:
    """Only who wants the content of an unknown buffer makes a mistake."""
    from pyodide.ffi import JsException

    one: Any
    one, other = channel()
    one._channel.take(7, -1)
    with pytest.raises((KeyError, JsException)):
        one._channel.take(7, 0)
    one.close()
    other.close()
