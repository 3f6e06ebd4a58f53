"""Two connected sides of the library in one Python, without a browser.

`channel()` makes two endpoints that behave as a MessagePort does: frames are copied when they are posted, arrive in
order and in a later turn of the event loop, wait for a listener, and what was posted before a close still arrives.
`connected()` opens a connection over a pair of endpoints and gives the page's side of it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any

from workerlib import Worker, __version__, _exports
from workerlib._native import Session
from workerlib._rpc.connection import Connection
from workerlib._rpc.endpoint import Endpoint
from workerlib._values.adapter import AdapterDescription
from workerlib._values.adapters import AdapterSet
from workerlib._values.sending import DEFAULT, SendingTable

Channel = Callable[[], tuple[Endpoint, Endpoint]]

configured = AdapterSet()
"""The adapters of the configuration that a test has given (`adapter_modules.configure`): both sides have them."""


class LoopbackEndpoint:
    """One end of a channel in memory; implements `workerlib._rpc.endpoint.Endpoint`."""

    def starts_at_once(self, _name: str, _function: object, _has_callback: bool) -> bool:
        return True

    def __init__(self) -> None:
        self.other: LoopbackEndpoint
        self.closed = False
        self._arrived: deque[tuple[bytes, list[bytes]]] = deque()
        self._on_message: Callable[[bytes, list[Any]], None] | None = None

    def listen(
        self,
        on_message: Callable[[bytes, list[Any]], None],
        on_broken: Callable[[str], None],
        on_death: Callable[[str], None] | None = None,
    ) -> None:
        self._on_message = on_message
        self._deliver_soon()

    def post(self, frame: bytes, buffers: list[Any]) -> None:
        if self.closed:
            return
        self.other._arrived.append((bytes(frame), [bytes(memoryview(buffer)) for buffer in buffers]))
        self.other._deliver_soon()

    def post_all(self, messages: list[tuple[bytes, list[Any]]]) -> None:
        for message in messages:
            self.post(*message)

    def close(self) -> None:
        self.closed = True

    def _deliver_soon(self) -> None:
        asyncio.get_running_loop().call_soon(self._deliver)

    def _deliver(self) -> None:
        if self._on_message is not None and self._arrived and not self.closed:
            self._on_message(*self._arrived.popleft())


def loopback_channel() -> tuple[LoopbackEndpoint, LoopbackEndpoint]:
    """Makes the two ends of a channel in memory."""
    one, other = LoopbackEndpoint(), LoopbackEndpoint()
    one.other, other.other = other, one
    return one, other


def port_channel() -> tuple[Endpoint, Endpoint]:
    """Makes the two ends of a JavaScript MessageChannel (in Pyodide only)."""
    import js
    from workerlib._channels.message_port import PortEndpoint

    ports = js.MessageChannel.new()
    return PortEndpoint(ports.port1), PortEndpoint(ports.port2)


def port_endpoint(port: Any, may_eval: bool = True) -> Endpoint:
    """Makes an endpoint over a MessagePort; where scripts may not be evaluated (CSP), by the channel in Python."""
    from workerlib._channels import message_port

    script = message_port._script
    if not may_eval:
        message_port._script = lambda _name: False
    try:
        return message_port.PortEndpoint(port)
    finally:
        message_port._script = script


def port_channel_without_eval() -> tuple[Endpoint, Endpoint]:
    """Makes the ends of a MessageChannel of which one may not evaluate a script (CSP)."""
    import js

    ports = js.MessageChannel.new()
    return port_endpoint(ports.port1, may_eval=False), port_endpoint(ports.port2)


@contextlib.asynccontextmanager
async def connected(
    channel: Channel,
    *,
    of_page: list[AdapterDescription] | None = None,
    of_worker: list[AdapterDescription] | None = None,
) -> AsyncIterator[Worker]:
    """Serves what is exported now over a channel, and gives the caller's side; closes both sides in the end.

    Both sides have the adapters of this Python, and tell each other of them, or of those that are given.
    """
    page_end, worker_end = channel()
    exports = _exports.describe_exports()
    adapters = configured.describe()
    # By the table of values without a connection where the test has given no configuration.
    table = SendingTable(configured) if configured._configured else DEFAULT
    listening = Session.listen(
        __version__, exports, adapters=adapters if of_worker is None else of_worker, table=table
    )
    serving = Connection(listening, worker_end, _exports.functions, table=table)
    serving.announce_exports()
    connecting = Session.connect(__version__, adapters=adapters if of_page is None else of_page, table=table)
    calling = Connection(connecting, page_end, {}, table=table)
    try:
        worker = Worker(calling, await calling.opened, "loopback", None)
        yield worker
    finally:
        calling.close()
        await serving.closed
        await calling.closed
