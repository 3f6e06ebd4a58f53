"""A MessagePort of JavaScript's as an endpoint: where frames leave this Python's memory.

A frame and each buffer are copied once, into an ArrayBuffer of its own, which is transferred; the other
side copies once more, into the object that its user sees. Two copies are the least there can be: the
memory of WebAssembly can be neither shared nor transferred.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import js
from pyodide.ffi import create_proxy


class PortEndpoint:
    """An `Endpoint` over a MessagePort."""

    def __init__(self, port: Any) -> None:
        """Takes over the port: nobody else may listen to it."""
        self._port = port
        self._proxies: list[Any] = []

    def listen(
        self, on_message: Callable[[bytes, list[Any]], None], on_broken: Callable[[str], None]
    ) -> None:
        """Starts to deliver; what arrived before is delivered too."""

        def receive(event: Any) -> None:
            try:
                frame, *buffers = event.data
                on_message(frame.to_bytes(), buffers)
            except Exception as error:
                on_broken(f"a message could not be taken in: {error!r}")

        def unreadable(_event: Any) -> None:
            on_broken("a message could not be read by the browser (messageerror)")

        self._proxies = [create_proxy(receive), create_proxy(unreadable)]
        self._port.onmessage, self._port.onmessageerror = self._proxies

    def post(self, frame: bytes, buffers: list[Any]) -> None:
        """Copies and sends."""
        parts, transfer = js.Array.new(), js.Array.new()
        for part in (frame, *buffers):
            copy = js.Uint8Array.new(len(part))
            copy.assign(part)
            parts.push(copy)
            transfer.push(copy.buffer)
        self._port.postMessage(parts, transfer)

    def close(self) -> None:
        """Closes the port; JavaScript delivers what was posted before."""
        self._port.onmessage = self._port.onmessageerror = None
        self._port.close()
        proxies, self._proxies = self._proxies, []
        # One of them may be what is calling this.
        loop = asyncio.get_event_loop()
        for proxy in proxies:
            loop.call_soon(proxy.destroy)
