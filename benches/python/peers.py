"""The codecs that are compared: what each one's way to bytes and back is.

Each does the same whole job: a value leaves as bytes and buffers that belong to nobody else, and arrives in
memory of its own. So where a codec hands out a view of the sender's memory, its copy counts, on either side.
"""

from __future__ import annotations

import importlib.util
import marshal
import pickle
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from workerlib import _native

#: The compiled codecs that native Python is compared with.
FROM_PYPI = ("msgpack", "orjson")


@dataclass(frozen=True)
class Peer:
    """One codec."""

    name: str
    encode: Callable[[Any], Any]
    decode: Callable[[Any], Any]


def workerlib_encode(value: Any) -> Any:
    """Encodes; the buffers are copied out as the connection's glue copies them."""
    frame, buffers = _native.encode(value)
    return frame, [bytearray(buffer) for buffer in buffers] if buffers else buffers


def workerlib_decode(encoded: Any) -> Any:
    """Decodes; each buffer is copied into what the user gets."""
    return _native.decode(*encoded)


def pickle_encode(value: Any) -> Any:
    """Pickles by protocol 5; out-of-band buffers are views, so they are copied out."""
    buffers: list[pickle.PickleBuffer] = []
    frame = pickle.dumps(value, protocol=5, buffer_callback=buffers.append)
    return frame, [bytearray(buffer) for buffer in buffers] if buffers else buffers


def pickle_decode(encoded: Any) -> Any:
    """Unpickles; it would use the buffers as they lie, so they are copied in."""
    frame, buffers = encoded
    return pickle.loads(frame, buffers=[bytearray(buffer) for buffer in buffers] if buffers else buffers)


def native_peers() -> list[Peer]:
    """Lists the compiled codecs from PyPI that are installed with this benchmark."""
    peers = []
    if is_installed("msgpack"):
        import msgpack

        peers.append(Peer("msgpack", msgpack.packb, lambda data: msgpack.unpackb(data, strict_map_key=False)))
    if is_installed("orjson"):
        import orjson

        peers.append(Peer("orjson", orjson.dumps, orjson.loads))
    return peers


def missing_peers() -> list[str]:
    """Lists the codecs that would be measured here and are not installed."""
    return [] if sys.platform == "emscripten" else [name for name in FROM_PYPI if not is_installed(name)]


def is_installed(name: str) -> bool:
    """Tells whether a module can be imported."""
    return importlib.util.find_spec(name) is not None


def pyodide_peers() -> list[Peer]:
    """Lists what Pyodide itself converts with."""
    from pyodide.ffi import to_js

    return [Peer("to_js/to_py", to_js, lambda value: value.to_py())]


def all_peers() -> list[Peer]:
    """Lists the codecs: workerlib first, pickle second."""
    peers = [
        Peer("workerlib", workerlib_encode, workerlib_decode),
        Peer("pickle 5", pickle_encode, pickle_decode),
        Peer("marshal", marshal.dumps, marshal.loads),
    ]
    return peers + (pyodide_peers() if sys.platform == "emscripten" else native_peers())
