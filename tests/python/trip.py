"""One way through the codec, with the copies that a port would make."""

from __future__ import annotations

from workerlib._native import decode, encode

Frame = tuple[bytes, list[bytes]]


def frame_of(value: object) -> Frame:
    """Encodes a value and copies what would be posted: bytes, and the buffers beside them."""
    data, buffers = encode(value)
    return bytes(data), [bytes(memoryview(buffer)) for buffer in buffers]


def round_trip(value: object) -> object:
    """Encodes and decodes a value."""
    data, buffers = frame_of(value)
    return decode(data, list(buffers))
