"""The values that must arrive exactly as they were; used natively, inside Pyodide and in the browser's pages.

Each is named, so that a failing test says which one. The edges are those of MessagePack's markers (lengths and ints at
which the encoding changes) and of Python's types.
"""

from __future__ import annotations

import math
import struct
from array import array
from typing import Any

_EDGES = (7, 8, 15, 16, 31, 32, 53, 63, 64, 65, 127, 128, 2048)
_LENGTHS = (0, 1, 15, 16, 31, 32, 255, 256, 65535, 65536)


def _ints() -> dict[str, object]:
    values: dict[str, object] = {
        "int 0": 0,
        "int -1": -1,
        "int 10**1000": 10**1000,
        "int -10**1000": -(10**1000),
    }
    for bits in _EDGES:
        for step in (-1, 0, 1):
            values[f"int 2**{bits}{step:+d}"] = 2**bits + step
            values[f"int -2**{bits}{step:+d}"] = -(2**bits) + step
    for value in (-32, -33, 200, 70_000):
        values[f"int {value}"] = value
    return values


def _floats() -> dict[str, object]:
    odd_nan = struct.unpack(">d", bytes.fromhex("fff8000000000abc"))[0]
    numbers = [
        0.0,
        -0.0,
        1.0,
        -1.5,
        0.1,
        math.pi,
        math.inf,
        -math.inf,
        math.nan,
        5e-324,
        -5e-324,
        2.2250738585072014e-308,
    ]
    numbers += [1.7976931348623157e308, 2.0**53, 2.0**53 + 2, 1e16]
    return {"float nan with a payload": odd_nan, **{f"float {number!r}": number for number in numbers}}


def _texts() -> dict[str, object]:
    texts: dict[str, object] = {f"str of {length}": "x" * length for length in _LENGTHS}
    texts["str with umlauts"] = "Grüße, Welt"
    texts["str of three-byte characters"] = "日本語" * 100
    texts["str with astral characters"] = "a\U0001f600b\U0010ffff"
    texts["str with NUL"] = "a\0b\0"
    texts["str of a NUL"] = "\0"
    texts["str with a lone high surrogate"] = "a\ud83d"
    texts["str with a lone low surrogate"] = "\udc00z"
    texts["str with surrogates the wrong way round"] = "\ude00\ud83d"
    texts["str with surrogates that would make a pair"] = "\ud83d\ude00"
    texts["str with a BOM"] = "\ufeffx"
    texts["str with control characters"] = "".join(map(chr, range(33)))
    return texts


def _buffers() -> dict[str, object]:
    buffers: dict[str, object] = {}
    for length in _LENGTHS:
        content = bytes(index * 7 % 256 for index in range(length))
        buffers[f"bytes of {length}"] = content
        buffers[f"bytearray of {length}"] = bytearray(content)
        buffers[f"memoryview of {length}"] = memoryview(content)
    buffers["bytes of every value"] = bytes(range(256))
    return buffers


def _views() -> dict[str, object]:
    twelve = bytes(range(12))
    views: dict[str, object] = {
        "memoryview of bytearray": memoryview(bytearray(b"writable")),
        "memoryview read-only of bytearray": memoryview(bytearray(b"read-only")).toreadonly(),
        "memoryview 3x4": memoryview(twelve).cast("B", (3, 4)),
        "memoryview 2x3x2": memoryview(bytearray(twelve)).cast("B", (2, 3, 2)),
        "memoryview 2x3 of H": memoryview(twelve).cast("H", (2, 3)),
        "memoryview of no dimensions": memoryview(b"\x01\x02\x03\x04").cast("i", ()),
        "memoryview with a dimension of 1": memoryview(twelve).cast("B", (12, 1)),
        "memoryview of bool": memoryview(b"\x00\x01\x01").cast("?"),
        "memoryview of c": memoryview(b"abc").cast("c"),
    }
    for code in "bBhHiIlLqQfd":
        views[f"memoryview of {code}"] = memoryview(array(code, [1, 2, 3]))
    return views


def _containers() -> dict[str, object]:
    containers: dict[str, object] = {}
    for length in (0, 1, 15, 16, 300, 65536):
        containers[f"list of {length}"] = list(range(length))
        containers[f"tuple of {length}"] = tuple(range(length))
        containers[f"dict of {length}"] = {f"key {index}": index for index in range(length)}
    keys = (None, True, 0, -(2**70), 1.5, "text", b"bytes", (), (1, ("nested", None)), "", math.inf)
    containers["dict with keys of many types"] = {key: index for index, key in enumerate(keys)}
    containers["dict in an order of its own"] = {"z": 1, "a": 2, "m": 3, "b": 4}
    containers["nested"] = [
        {"rows": [(1, 2.5, None), [b"x", bytearray(b"y")]], 7: {"deep": ({"er": [[]]},)}},
        (),
        {},
    ]
    containers["mixed"] = [None, True, False, 0, 0.0, "", b"", bytearray(), [], (), {}]
    containers["records"] = [{"id": n, "name": f"n{n}", "x": n / 7, "tags": ["a", "b"]} for n in range(200)]
    return containers


VALUES: dict[str, object] = {
    "None": None,
    "True": True,
    "False": False,
    **_ints(),
    **_floats(),
    **_texts(),
    **_buffers(),
    **_views(),
    **_containers(),
}

# The name, the view that is sent, the contiguous view that arrives.
NON_CONTIGUOUS: list[tuple[str, memoryview, memoryview]] = [
    ("every second", memoryview(bytes(range(10)))[::2], memoryview(bytes(range(0, 10, 2)))),
    ("backwards", memoryview(b"abc")[::-1], memoryview(b"cba")),
    ("backwards, writable", memoryview(bytearray(b"abc"))[::-1], memoryview(bytearray(b"cba"))),
    ("every third int", memoryview(array("i", range(9)))[::3], memoryview(array("i", range(0, 9, 3)))),
]


def nested_lists(depth: int) -> list[object]:
    """Builds `depth` lists, each the only item of the next."""
    value: list[object] = []
    for _ in range(depth - 1):
        value = [value]
    return value


def nested_tuples(depth: int) -> tuple[object, ...]:
    """Builds `depth` tuples, each the only item of the next."""
    value: tuple[object, ...] = ()
    for _ in range(depth - 1):
        value = (value,)
    return value


def nested_dicts(depth: int) -> dict[str, object]:
    """Builds `depth` dicts, each the only value of the next."""
    value: dict[str, object] = {}
    for _ in range(depth - 1):
        value = {"inner": value}
    return value


def dismantle(box: list[object]) -> None:
    """Frees the nested value that `box` holds the only reference to, level by level.

    Pyodide dies when a value some thousands of levels deep is freed from the outside in, as `del` does.
    """
    value: Any = box.pop()
    while value:
        value = next(iter(value.values())) if isinstance(value, dict) else value[0]
