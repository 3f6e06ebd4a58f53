"""Measures calls and streams by the time on the processor, with both sides in one Python and in one thread.

    calls.main(["--calls", "3000"])

Between two threads a call takes as long as they take to wake up, which depends on the machine and on what
else runs there. The time on the processor is the work itself, so it tells what a change costs.
In Pyodide `calls.mjs` runs this over a MessageChannel; `python calls.py` runs it natively, over memory.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import statistics
import sys
import time
from array import array
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import shapes
from workerlib import __version__, _exports
from workerlib._native import Session
from workerlib._rpc.connection import Connection
from workerlib._rpc.remote_functions import learn

ROUNDS = 15


class _End:
    """One end of a channel in memory."""

    def __init__(self) -> None:
        self.other: _End
        self._arrived: deque[tuple[bytes, list[Any]]] = deque()
        self._handle: Callable[[bytes, list[Any]], None] = lambda *_: None

    def starts_at_once(self, _name: str, _function: object, _has_callback: bool) -> bool:
        """Says that a call may start while its message is handled."""
        return True

    def listen(self, handle: Callable[[bytes, list[Any]], None], *_: object) -> None:
        """Takes what handles a message."""
        self._handle = handle

    def post(self, frame: bytes, buffers: list[Any]) -> None:
        """Sends a copy."""
        self.other._arrived.append((frame, [bytes(memoryview(buffer)) for buffer in buffers]))
        asyncio.get_running_loop().call_soon(self.other._deliver)

    def post_all(self, messages: list[tuple[bytes, list[Any]]]) -> None:
        """Sends several."""
        for message in messages:
            self.post(*message)

    def close(self) -> None:
        """Does nothing."""

    def _deliver(self) -> None:
        self._handle(*self._arrived.popleft())


def _in_memory() -> tuple[Any, Any]:
    one, other = _End(), _End()
    one.other, other.other = other, one
    return one, other


def _over_ports() -> tuple[Any, Any]:
    import js
    from workerlib._channels.message_port import PortEndpoint

    ports = js.MessageChannel.new()
    return PortEndpoint(ports.port1), PortEndpoint(ports.port2)


def _processor_seconds() -> float:
    if sys.platform != "emscripten":
        return time.process_time()
    import js

    return float(js.processorSeconds())


def _echo(value: Any) -> Any:
    return value


async def _echo_async(value: Any) -> Any:
    return value


async def _call_back(callback: Callable[[int], Awaitable[Any]], count: int) -> None:
    for _ in range(count):
        await callback(1)


def _call_back_only(callback: Callable[[int], Any], count: int) -> None:
    for _ in range(count):
        callback(1)


def _hear(_value: int) -> None:
    pass


@cache
def _records() -> list[dict[str, Any]]:
    return shapes.records(5_000)


@cache
def _blocks() -> list[bytes]:
    return [bytes(1 << 20) for _ in range(32)]


def _stream(what: str) -> Iterator[Any]:
    yield from _WHAT[what]()


def _list(what: str) -> list[Any]:
    return list(_WHAT[what]())


_WHAT: dict[str, Callable[[], Any]] = {
    "records": _records,
    "blocks": _blocks,
    "ints": lambda: range(20_000),
    "one": lambda: (1,),
}


async def _connected() -> Connection:
    one, other = _over_ports() if sys.platform == "emscripten" else _in_memory()
    functions = {
        "echo": _echo,
        "echo_async": _echo_async,
        "call_back": _call_back,
        "call_back_only": _call_back_only,
        "stream": _stream,
        "list": _list,
    }
    descriptions = [_exports.describe_export(name, function) for name, function in functions.items()]
    worker = Connection(Session.listen(__version__, descriptions), one, functions)
    page = Connection(Session.connect(__version__), other, {})
    learn(page, "worker", "the worker", await page.opened)
    await worker.opened
    return page


@dataclass(frozen=True)
class Shape:
    """A measurement: a call, or more, so many times."""

    name: str
    take: Callable[[Connection], Awaitable[Any]]
    """Makes the call."""
    calls: int = 1
    """How many calls that is."""
    weight: int = 1
    """As how many calls of a number it counts, so that no shape takes much longer than others."""

    async def measure(self, page: Connection, calls: int) -> float:
        """Gives the microseconds of a call."""
        gc.collect()
        count = max(1, calls // (self.calls * self.weight))
        start = _processor_seconds()
        for _ in range(count):
            await self.take(page)
        return (_processor_seconds() - start) * 1e6 / (count * self.calls)


def _call(name: str, value: Any, function: str = "echo") -> Shape:
    return Shape(name, lambda page: page.call(function, (value,), {}))


async def _many(page: Connection) -> None:
    await asyncio.gather(*(page.call("echo", (1,), {}) for _ in range(100)))


def _called_back(name: str, function: str) -> Shape:
    return Shape(name, lambda page: page.call(function, (_hear, 100), {}), calls=100)


def _streamed(name: str, what: str, weight: int) -> Shape:
    async def take(page: Connection) -> None:
        async for _ in page.functions_there["stream"](what):
            pass

    return Shape(name, take, weight=weight)


async def _first_item(page: Connection) -> None:
    stream = page.functions_there["stream"]("one")
    await anext(stream)
    await stream.aclose()


SHAPES = (
    _call("a number", 1),
    _call("a number, async function", 1, "echo_async"),
    Shape("a number, 100 at a time", _many, calls=100),
    _called_back("a callback, awaited", "call_back"),
    _called_back("a callback, not awaited", "call_back_only"),
    _call("1 KB of bytes", bytes(1 << 10)),
    _call("16 KB of bytes", bytes(16 << 10)),
    _call("array of 1 KB", array("d", bytes(1 << 10))),
    _call("array of 16 KB", array("d", bytes(16 << 10))),
    _call("memoryview of 1 KB", memoryview(bytes(1 << 10))),
    _streamed("stream of 20,000 ints", "ints", 200),
    _streamed("stream of 5,000 records", "records", 200),
    Shape("5,000 records, one result", lambda page: page.call("list", ("records",), {}), weight=200),
    _streamed("stream of 32 x 1 MB", "blocks", 200),
    Shape("32 x 1 MB, one result", lambda page: page.call("list", ("blocks",), {}), weight=200),
    Shape("stream of one item", _first_item, weight=4),
)


async def measure(calls: int, only: str) -> dict[str, dict[str, float]]:
    """Gives the microseconds of a call, for each shape: the least and the median of the rounds."""
    page = await _connected()
    results = {}
    for shape in SHAPES:
        if only not in shape.name:
            continue
        times = [await shape.measure(page, calls) for _ in range(ROUNDS + 3)]
        # The first rounds are those in which engines compile.
        results[shape.name] = {"least": min(times[3:]), "median": statistics.median(times[3:])}
    page.close()
    return results


async def main(arguments: list[str]) -> str:
    """Measures, and returns the results as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--only", default="", help="a part of a shape's name")
    options = parser.parse_args(arguments)
    return json.dumps(await measure(options.calls, options.only), indent=1)


if __name__ == "__main__":
    print(asyncio.run(main(sys.argv[1:])))
