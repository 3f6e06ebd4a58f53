"""One way through the codec, with the copies that a port would make."""

from __future__ import annotations

from workerlib._native import decode, encode
from workerlib._values import sending

Frame = tuple[bytes, list[bytes]]


def frame_of(value: object) -> Frame:
    """Encodes a value and copies what would be posted: bytes, and the buffers beside them."""
    data, buffers = encode(value)
    return bytes(data), [bytes(memoryview(buffer)) for buffer in buffers]


def round_trip(value: object) -> object:
    """Encodes and decodes a value."""
    data, buffers = frame_of(value)
    return decode(data, list(buffers))


def frame_of_extension(kind: int, values: tuple[object, ...]) -> Frame:
    """Makes the frame of an extension type with these values, whatever they are: what a peer could send."""

    class Lie:
        pass

    sending.DEFAULT.ways[Lie] = (kind, lambda _: values)
    try:
        return frame_of(Lie())
    finally:
        del sending.DEFAULT.ways[Lie]
