"""Measures workerlib's codec against its peers, natively or in Pyodide, and prints the result as JSON.

    python codec.py [--quick] [--shape NAME …]

All peers of a shape take turns within each round, so that a machine that gets slower gets slower for all of
them; a ratio is the median, over the rounds, of pickle's time by the codec's. Times are those that the
process spends on a processor, so that what else the machine does is not in them. docs/adr/0012 says why it is
measured so. What this does not do: judge. The goals are xtask's business.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
from collections.abc import Callable, Sequence
from time import process_time
from typing import Any

from peers import Peer, all_peers, missing_peers
from shapes import Shape, all_shapes

ROUNDS, QUICK_ROUNDS = 61, 11
BUFFER_ROUNDS, QUICK_BUFFER_ROUNDS = 15, 5
# Not counted: the first runs compile WebAssembly, and fill caches.
WARM_UP = 3


def processor_clock() -> Callable[[], float]:
    """Gives the clock of the time that this process spends on a processor, in seconds."""
    if sys.platform != "emscripten":
        return process_time
    import js

    # WebAssembly's clock of that name is the time of day; codec.mjs asks Node.
    clock: Callable[[], float] = js.processorSeconds
    return clock


now = processor_clock()


class Timing:
    """The times of one codec on one shape, in seconds, a pair for each round."""

    def __init__(self) -> None:
        self.encode: list[float] = []
        self.decode: list[float] = []
        self.free: list[float] = []

    @property
    def both(self) -> list[float]:
        """Adds up each round's times of encoding and decoding."""
        return [there + back for there, back in zip(self.encode, self.decode, strict=True)]

    @property
    def whole(self) -> list[float]:
        """Adds the time that it takes to be rid of what was decoded."""
        return [both + free for both, free in zip(self.both, self.free, strict=True)]


def refusal(peer: Peer, value: Any) -> str | None:
    """Tells why a codec cannot be measured on a value: it does not give it back as it was."""
    try:
        decoded = peer.decode(peer.encode(value))
    except Exception as error:  # each codec has errors of its own
        return f"{type(error).__name__}: {error}"[:200]
    same = type(decoded) is type(value) and is_equal(decoded, value)
    return None if same else f"another {type(decoded).__name__} comes back"


def is_equal(one: Any, other: Any) -> bool:
    """Compares two values: tables by their own method, and exceptions by their text."""
    if hasattr(one, "equals"):
        return bool(one.equals(other))
    if isinstance(one, list) and one and isinstance(one[0], Exception):
        return repr(one) == repr(other)
    same = one == other
    return same if isinstance(same, bool) else bool(same.all())


def measure_once(peer: Peer, value: Any, repeat: int, timing: Timing) -> None:
    """Appends one round of one codec.

    The collector runs as it always does: a collection before each measurement would make the next one,
    whoever it falls to, look at the whole heap.
    """
    start = now()
    for _ in range(repeat):
        encoded = peer.encode(value)
    timing.encode.append((now() - start) / repeat)
    start = now()
    decoded = [peer.decode(encoded) for _ in range(repeat)]
    timing.decode.append((now() - start) / repeat)
    start = now()
    del decoded
    timing.free.append((now() - start) / repeat)


def measure(shape: Shape, peers: Sequence[Peer], rounds: int) -> dict[str, Any]:
    """Measures all codecs that can do a shape."""
    value = shape.make()
    refusals = {peer.name: refusal(peer, value) for peer in peers}
    timings = {name: Timing() for name, reason in refusals.items() if reason is None}
    able = [peer for peer in peers if peer.name in timings]
    for turn in range(WARM_UP + rounds):
        # Each begins in turn: what one leaves behind for others' threads, or caches, burdens all alike.
        start = turn % len(able)
        for peer in able[start:] + able[:start]:
            measure_once(peer, value, shape.repeat, timings[peer.name] if turn >= WARM_UP else Timing())
    pickle = timings["pickle 5"]
    return {
        "shape": shape.name,
        "rounds": rounds,
        "refused": {name: reason for name, reason in refusals.items() if reason is not None},
        "peers": {name: summary(timing, pickle) for name, timing in timings.items()},
    }


def summary(timing: Timing, pickle: Timing) -> dict[str, float]:
    """Sums up a codec's rounds: medians in milliseconds, and how many times faster than pickle it is."""
    result = {}
    for name in ("encode", "decode", "both", "whole"):
        own, others = getattr(timing, name), getattr(pickle, name)
        result[f"{name}_ms"] = round(statistics.median(own) * 1e3, 5)
        result[f"{name}_ratio"] = round(
            statistics.median(other / time for time, other in zip(own, others, strict=True)), 3
        )
    return result


def python_version() -> str:
    """Names the Python that is measured."""
    version = f"CPython {platform.python_version()}"
    if sys.platform == "emscripten":
        import pyodide

        return f"Pyodide {pyodide.__version__} ({version})"
    return version


def main(arguments: Sequence[str]) -> dict[str, Any]:
    """Measures what the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--shape", nargs="*", help="only these shapes")
    options = parser.parse_args(arguments)
    peers = all_peers()
    results = []
    for shape in all_shapes():
        if options.shape and shape.name not in options.shape:
            continue
        rounds = (QUICK_ROUNDS, QUICK_BUFFER_ROUNDS) if options.quick else (ROUNDS, BUFFER_ROUNDS)
        results.append(measure(shape, peers, rounds[shape.is_buffer]))
        print(f"{shape.name}: measured", file=sys.stderr)
    return {"python": python_version(), "missing": missing_peers(), "results": results}


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1:]), indent=2))
