"""A second Python that decodes a frame and sends back what it made of it, as the other side of a connection would.

Run as a program it reads one frame from its standard input and writes one to its standard output: the modules that it had
imported before the frame came, and the value.
"""

from __future__ import annotations

import pathlib
import struct
import subprocess
import sys
from typing import Any, BinaryIO

from workerlib._native import decode, encode

from pace import PACE


def there_and_back(value: object) -> tuple[frozenset[str], Any]:
    """Sends a value to a new Python; gives the modules that it had before, and the value that came back."""
    done = subprocess.run(
        [sys.executable, "-W", "error", __file__],
        input=_written(value),
        stdout=subprocess.PIPE,
        check=True,
        timeout=120 * PACE,
        cwd=pathlib.Path(__file__).parent,
    )
    modules, back = _read(done.stdout)
    return frozenset(modules), back


def _written(value: object) -> bytes:
    data, buffers = encode(value)
    parts = [bytes(data), *(bytes(memoryview(buffer)) for buffer in buffers)]
    return b"".join(struct.pack("<Q", len(part)) + part for part in parts)


def _read(written: bytes) -> Any:
    parts, position = [], 0
    while position < len(written):
        (length,) = struct.unpack_from("<Q", written, position)
        parts.append(written[position + 8 : position + 8 + length])
        position += 8 + length
    return decode(parts[0], list(parts[1:]))


def main(source: BinaryIO, sink: BinaryIO) -> None:
    """Answers one frame."""
    before = sorted({name.partition(".")[0] for name in sys.modules})
    sink.write(_written((before, _read(source.read()))))


if __name__ == "__main__":
    main(sys.stdin.buffer, sys.stdout.buffer)
