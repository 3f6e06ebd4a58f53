"""numpy's scalars: `_native` makes those of numbers without their row (`workerlib-py/src/frequent.rs`), and no others."""

from __future__ import annotations

from typing import Any

import pytest

np: Any = pytest.importorskip(
    "numpy", reason="numpy is not installed: in Pyodide its wheel is neither in npm nor in PyPI"
)

import workerlib
from workerlib._native import decode, encode

from trip import frame_of


def trip(value: Any) -> Any:
    """Sends a value through a frame."""
    return decode(*encode(value))


def extension(kind: int, *values: object) -> bytes:
    """Makes an extension that is followed by values."""
    return b"\x90\xd4" + bytes([kind, len(values)]) + b"".join(frame_of(value)[0][1:] for value in values)


@pytest.mark.parametrize(
    "scalar",
    [
        *(
            np.int8(-1),
            np.uint64(2**64 - 1),
            np.float16(0.1),
            np.float32(0.1),
            np.float64(-0.0),
            np.bool_(True),
        ),
        *(np.longdouble("0.1"), np.complex64(1 + 2j), np.complex128(1j), np.datetime64("2026", "Y")),
        *(np.timedelta64(5, "us"), np.str_("aé"), np.bytes_(b""), np.void(b"ab")),
    ],
)
def test_each_class_of_scalars_keeps_class_dtype_and_bytes(scalar: Any) -> None:
    """Scalars of one class have one dtype only where they are numbers."""
    back = trip([scalar, scalar.copy()])[1]
    assert (type(back), back.dtype, back.tobytes()) == (type(scalar), scalar.dtype, scalar.tobytes())


def test_the_bits_of_a_nan_arrive_in_a_scalar() -> None:
    """A scalar travels as its bytes: the payload of a NaN is kept."""
    for kind, bits in [("f4", 0x7FC12345), ("f8", 0x7FF8_0000_DEAD_BEEF)]:
        scalar = np.array(bits, f"u{kind[1]}").view(kind)[()]
        assert trip(scalar).tobytes() == scalar.tobytes()


@pytest.mark.parametrize(
    ("descr", "content"),
    [("<f8", b"x"), ("<f8", "12345678"), ("f", b"1234567"), ("<f9", b"1"), ("O", b"12345678")],
)
def test_a_scalar_of_too_few_bytes_is_refused(descr: str, content: object) -> None:
    """numpy is handed as many bytes as a scalar has: it would read what lies behind them."""
    with pytest.raises(workerlib.FrameError):
        decode(extension(74, descr, content), [])
