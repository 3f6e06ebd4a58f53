"""Measures a call by the time on the processor, with both sides in one Python and nothing else in its thread.

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
from collections.abc import Callable
from typing import Any

from workerlib import __version__, _exports
from workerlib._native import Session
from workerlib._rpc.connection import Connection

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


async def _connected() -> Connection:
    one, other = _over_ports() if sys.platform == "emscripten" else _in_memory()
    functions = {"echo": _echo, "echo_async": _echo_async}
    descriptions = [_exports.describe_export(name, function) for name, function in functions.items()]
    worker = Connection(Session.listen(__version__, descriptions), one, functions)
    page = Connection(Session.connect(__version__), other, {})
    await page.opened
    await worker.opened
    return page


SHAPES: dict[str, tuple[str, Any, int]] = {
    "a number": ("echo", 1, 1),
    "a number, async function": ("echo_async", 1, 1),
    "a number, 100 at a time": ("echo", 1, 100),
    "1 KB of bytes": ("echo", bytes(1 << 10), 1),
    "16 KB of bytes": ("echo", bytes(16 << 10), 1),
    "array of 1 KB": ("echo", array("d", bytes(1 << 10)), 1),
    "array of 16 KB": ("echo", array("d", bytes(16 << 10)), 1),
    "memoryview of 1 KB": ("echo", memoryview(bytes(1 << 10)), 1),
}
"""The calls that are measured: the function, its argument, and how many calls are in flight at a time."""


async def measure(calls: int, only: str) -> dict[str, dict[str, float]]:
    """Gives the microseconds of a call, for each shape: the least and the median of the rounds."""
    page = await _connected()
    results = {}
    for shape, (function, value, at_once) in SHAPES.items():
        if only not in shape:
            continue
        times = []
        for _ in range(ROUNDS + 3):
            gc.collect()
            start = _processor_seconds()
            for _ in range(calls // at_once):
                if at_once == 1:
                    await page.call(function, (value,), {})
                else:
                    await asyncio.gather(*(page.call(function, (value,), {}) for _ in range(at_once)))
            times.append((_processor_seconds() - start) * 1e6 / calls)
        # The first rounds are those in which engines compile.
        results[shape] = {"least": min(times[3:]), "median": statistics.median(times[3:])}
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
