"""Carries answers over shared memory to a worker whose thread sleeps, and so cannot read its port.

An isolated page, and a parent in Node, shares memory with each connection of its worker. While the worker
sleeps in `workerlib.wait(…)`, the page posts each message that the worker may wait for, and also writes it
into this memory. The session drops a message that arrives a second time. The memory grows with the messages.
This module does not read the frames.

The memory begins with 32-bit ints: the number of written messages, the number of read messages, and the
places where the last messages begin. A message is the number of its parts and their lengths, as 32-bit ints,
and then the parts.
"""

from __future__ import annotations

import functools
import struct
from typing import Any

import js
from pyodide.ffi import JsException, to_js

from workerlib._hosts.browser.shared_memory_interrupts import can_share

# Indices of 32-bit ints.
_WRITTEN, _READ, _PLACES = 0, 1, 2
# The number of messages that can wait to be read: a worker waits for one call at a time.
_MOST = 16
_HEAD = 4 * (_PLACES + _MOST)
_SIZE = 64 << 10
_LARGEST = 256 << 20


def new_answers() -> Any:
    """Makes the memory of one connection; None where memory cannot be shared, or cannot grow."""
    if not can_share() or not hasattr(js.SharedArrayBuffer.prototype, "grow"):
        return None
    options = to_js({"maxByteLength": _LARGEST}, dict_converter=js.Object.fromEntries)
    return js.SharedArrayBuffer.new(_SIZE, options)


class AnswerReader:
    """The worker's end."""

    def __init__(self, buffer: Any) -> None:
        """Takes the `SharedArrayBuffer` of `new_answers()`."""
        self._buffer = buffer
        self._ints = js.Int32Array.new(buffer, 0, _HEAD // 4)

    def sleep(self, seconds: float) -> None:
        """Sleeps until something is written, or so many seconds."""
        js.Atomics.wait(self._ints, _WRITTEN, js.Atomics.load(self._ints, _READ), seconds * 1000)

    def read(self) -> list[tuple[bytes, list[Any]]]:
        """Takes out what was written: frames with their buffers."""
        read, written = js.Atomics.load(self._ints, _READ), js.Atomics.load(self._ints, _WRITTEN)
        messages = [self._message(self._ints[_PLACES + number % _MOST]) for number in range(read, written)]
        js.Atomics.store(self._ints, _READ, written)
        return messages

    def _message(self, place: int) -> tuple[bytes, list[Any]]:
        (count,) = struct.unpack("<I", self._bytes(place, 4))
        lengths = struct.unpack(f"<{count}I", self._bytes(place + 4, 4 * count))
        place += 4 + 4 * count
        parts = []
        for length in lengths:
            parts.append(self._bytes(place, length))
            place += length
        return parts[0], parts[1:]

    def _bytes(self, place: int, length: int) -> bytes:
        # A slice is a copy, which is not shared.
        copied: bytes = js.Uint8Array.new(self._buffer, place, length).slice().to_bytes()
        return copied


class AnswerWriter:
    """The page's end, which never waits."""

    def __init__(self, buffer: Any) -> None:
        """Takes the `SharedArrayBuffer` of `new_answers()`, made here or in the worker."""
        self._buffer = buffer
        self._end = _HEAD

    @functools.cached_property
    def _ints(self) -> Any:
        # Few workers sleep: to connect does not wait for it.
        return js.Int32Array.new(self._buffer, 0, _HEAD // 4)

    def write(self, frame: bytes, buffers: list[Any]) -> bool:
        """Writes a message and wakes the worker; returns False if there is no room."""
        written, read = js.Atomics.load(self._ints, _WRITTEN), js.Atomics.load(self._ints, _READ)
        if written == read:
            self._end = _HEAD
        parts = [frame, *(bytes(memoryview(buffer)) for buffer in buffers)]
        head = struct.pack(f"<{len(parts) + 1}I", len(parts), *map(len, parts))
        place, end = self._end, self._end + len(head) + sum(map(len, parts))
        if written - read >= _MOST or not self._has_room(end):
            return False
        self._end = place
        for part in (head, *parts):
            js.Uint8Array.new(self._buffer, self._end, len(part)).assign(part)
            self._end += len(part)
        # Ints are aligned.
        self._end += -self._end % 4
        self._ints[_PLACES + written % _MOST] = place
        js.Atomics.store(self._ints, _WRITTEN, written + 1)
        js.Atomics.notify(self._ints, _WRITTEN)
        return True

    def _has_room(self, end: int) -> bool:
        if end <= self._buffer.byteLength:
            return True
        if end > _LARGEST:
            return False
        try:
            self._buffer.grow(min(_LARGEST, 2 * end))
        except JsException:
            return False
        return True
