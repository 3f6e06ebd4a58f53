"""The ways in which a value gets to the worker and back, each as its users would write it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import js
import pickled
import workerlib
from pyscript import workers

WORKERLIB = "workerlib"
PING = "JS ping"
PING_BYTES = "JS ping, 32 bytes"
PYSCRIPT = "PyScript's own"
PICKLE_PORT = "pickle 5 over a port"
PICKLE_PYSCRIPT = "pickle 5 over PyScript"
COMLINK = "Comlink (from JS)"
MEMCPY = "four memcpys"

Times = list[float]
"""Milliseconds of single calls."""


@dataclass(frozen=True)
class Peer:
    """One way, called by Python."""

    name: str
    echo: Callable[[Any], Awaitable[Any]]

    async def in_a_row(self, value: Any, count: int) -> Times:
        """Calls one after the other."""
        times, echo = [], self.echo
        for _ in range(count):
            start = perf_counter()
            await echo(value)
            times.append((perf_counter() - start) * 1e3)
        return times


@dataclass(frozen=True)
class JavaScriptPeer:
    """One way, called by JavaScript: from a count to the milliseconds of each call."""

    name: str
    function: Callable[[int], Awaitable[Any]]

    async def in_a_row(self, _value: Any, count: int) -> Times:
        """Calls one after the other; the function knows the value."""
        return list(await self.function(count))


class FourCopies:
    """The floor of an echo: each side has to copy its memory out, and in, once each way."""

    name = MEMCPY

    async def in_a_row(self, value: Any, count: int) -> Times:
        """Copies four times into memory that is in use already."""
        with memoryview(value).cast("B") as source:
            target = bytearray(len(source))
            times = []
            for _ in range(count):
                start = perf_counter()
                for _ in range(4):
                    target[:] = source
                times.append((perf_counter() - start) * 1e3)
            return times


@dataclass(frozen=True)
class Connected:
    """All ways, open."""

    worker: workerlib.Worker
    own: Any
    """The worker's exports, by PyScript."""
    python: list[Peer]
    ping: list[JavaScriptPeer]

    async def settle(self) -> None:
        """Waits until both sides have handled all messages of the way that was measured last.

        A callback of a peer's for each item leaves thousands of answers that nobody awaits: on a page without
        isolation, those of PyScript's too. They would come before the messages of the way that is measured
        next. Each channel keeps its order, so an answer that comes back by it is behind all others.
        """
        await self.own.echo(1)
        await js.peers.comlinkNumber(1)
        await self.worker.echo(1)


async def connect() -> Connected:
    """Opens all ways to the worker of the page."""
    worker = await workerlib.connect("bench")
    js.peers.listen(js.document.querySelector("script[name=bench]"))
    await worker.open_ports()
    port = pickled.Port(await js.peers.portOf("pickle"))
    await js.peers.connectComlink()
    own = await workers["bench"]

    async def over_pyscript(value: Any) -> Any:
        return pickled.unpack(await own.pickled_echo(pickled.pack(value)))

    python = [
        Peer(WORKERLIB, worker.echo),
        Peer(PYSCRIPT, own.echo),
        Peer(PICKLE_PORT, port.call),
        Peer(PICKLE_PYSCRIPT, over_pyscript),
    ]
    ping = [JavaScriptPeer(PING, js.peers.pingNumber), JavaScriptPeer(PING_BYTES, js.peers.pingBytes)]
    return Connected(worker, own, python, ping)


def comlink_number() -> JavaScriptPeer:
    """Comlink with a number."""
    return JavaScriptPeer(COMLINK, js.peers.comlinkNumber)


def comlink_bytes(size: int) -> JavaScriptPeer:
    """Comlink with so many bytes."""
    return JavaScriptPeer(COMLINK, lambda count: js.peers.comlinkBytes(size, count))


def comlink_floats(size: int) -> JavaScriptPeer:
    """Comlink with floats of so many bytes."""
    return JavaScriptPeer(COMLINK, lambda count: js.peers.comlinkFloats(size, count))


def comlink_json(text: str) -> JavaScriptPeer:
    """Comlink with what a text of JSON says."""
    return JavaScriptPeer(COMLINK, lambda count: js.peers.comlinkJson(text, count))
