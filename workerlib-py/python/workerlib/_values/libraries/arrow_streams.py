"""Checks the lengths in a stream of Arrow's (IPC) before a library that believes them reads it.

`polars_frames` uses it: polars' reader asks for as much memory as a stream announces, and the process ends
where there is not as much. The content of the arrays is checked by the reader. The format is Arrow's "IPC
Streaming Format"; its metadata are FlatBuffers, of which only the few fields with lengths are read here.
"""

from __future__ import annotations

import struct

_CONTINUATION = 0xFFFFFFFF
_SCHEMA, _DICTIONARY, _BATCH = 1, 2, 3
# Rows without any content, as a column of nulls has them, may be more than the bytes could hold.
_MOST_ROWS = 1 << 32


def check_stream(stream: memoryview) -> None:
    """Checks that each length in a stream is one of something that is there.

    Args:
        stream: The bytes of the stream.

    Raises:
        ValueError: If one is not, or a body is compressed.
    """
    position = 0
    try:
        while position < len(stream):
            position = _check_message(stream, position)
    except struct.error:
        raise ValueError("the Arrow stream ends too early") from None


def _check_message(stream: memoryview, position: int) -> int:
    mark, size = struct.unpack_from("<Ii", stream, position)
    if mark != _CONTINUATION or size < 0 or position + 8 + size > len(stream):
        raise ValueError("the Arrow stream has bytes that are not a message")
    start = position + 8
    if size == 0:
        # The end of the stream: nothing may follow.
        return len(stream)
    message = _Table.root(stream[start : start + size])
    body = message.number(3, "<q", 0)
    if body < 0 or start + size + body > len(stream):
        raise ValueError("the Arrow stream lacks the body of a message")
    kind, header = message.number(1, "<B", 0), message.table(2)
    if header is None or kind not in (_SCHEMA, _DICTIONARY, _BATCH):
        raise ValueError("the Arrow stream has a message that is not a schema, a dictionary or a batch")
    batch = header.table(1) if kind == _DICTIONARY else header if kind == _BATCH else None
    if kind != _SCHEMA:
        if batch is None:
            raise ValueError("the Arrow stream has a dictionary without content")
        _check_batch(batch, body)
    end: int = start + size + body
    return end


def _check_batch(batch: _Table, body: int) -> None:
    if batch.table(3) is not None:
        raise ValueError("the Arrow stream has a compressed body")
    most = max(8 * body, _MOST_ROWS)
    for length in (batch.number(0, "<q", 0), *(one for node in batch.structs(1) for one in node)):
        if not 0 <= length <= most:
            raise ValueError("the Arrow stream has a column of more rows than its body")
    for offset, length in batch.structs(2):
        if offset < 0 or length < 0 or offset + length > body:
            raise ValueError("the Arrow stream has a buffer outside of its body")


class _Table:
    """A table of FlatBuffers: its fields stand where its vtable says."""

    def __init__(self, data: memoryview, position: int) -> None:
        self._data = data
        self._position = position
        self._vtable = position - struct.unpack_from("<i", data, position)[0]
        if not 0 <= self._vtable <= len(data) - 4:
            raise ValueError("the Arrow stream has metadata that point outside of it")
        self._size = struct.unpack_from("<H", data, self._vtable)[0]

    @classmethod
    def root(cls, data: memoryview) -> _Table:
        """Finds the table that the others hang from."""
        return cls(data, _at(data, struct.unpack_from("<I", data, 0)[0]))

    def _field(self, number: int) -> int | None:
        entry = 4 + 2 * number
        if entry + 2 > self._size:
            return None
        offset = struct.unpack_from("<H", self._data, self._vtable + entry)[0]
        return _at(self._data, self._position + offset) if offset else None

    def number(self, field: int, form: str, default: int) -> int:
        """Reads a number, by its field and its form."""
        position = self._field(field)
        if position is None:
            return default
        number: int = struct.unpack_from(form, self._data, position)[0]
        return number

    def table(self, field: int) -> _Table | None:
        """Finds the table that a field refers to."""
        position = self._field(field)
        return None if position is None else _Table(self._data, self._follow(position))

    def structs(self, field: int) -> list[tuple[int, int]]:
        """Reads a vector of pairs of long numbers."""
        position = self._field(field)
        if position is None:
            return []
        start = self._follow(position)
        count = struct.unpack_from("<I", self._data, start)[0]
        if start + 4 + 16 * count > len(self._data):
            raise ValueError("the Arrow stream has a list that is longer than the stream")
        return list(struct.iter_unpack("<qq", self._data[start + 4 : start + 4 + 16 * count]))

    def _follow(self, position: int) -> int:
        return _at(self._data, position + struct.unpack_from("<I", self._data, position)[0])


def _at(data: memoryview, position: int) -> int:
    if not 0 <= position <= len(data) - 4:
        raise ValueError("the Arrow stream has metadata that point outside of it")
    return position
