"""Values of numpy, Pillow, pandas, polars and scipy between page and worker, and how they must arrive."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
from PIL import Image
from scipy import sparse


def arrays() -> Iterator[Any]:
    """Makes arrays: small and large, in both orders, of several dtypes."""
    yield np.arange(6.0).reshape(2, 3)
    yield np.asfortranarray(np.arange(200_000, dtype="i2").reshape(400, 500))
    yield np.array(["2026-11-22", "NaT"], "M8[ms]")
    yield np.array([(1, 2.5)], [("a", ">i4"), ("b", "f8")])
    yield np.float32(1.5)


def images() -> Iterator[Any]:
    """Makes images: of colours, grey, and with a palette."""
    yield Image.effect_mandelbrot((300, 200), (-2, -1.5, 1, 1.5), 50)
    yield Image.linear_gradient("L").convert("RGBA").rotate(45)
    yield Image.linear_gradient("L").convert("RGB").quantize(16)


def tables() -> Iterator[Any]:
    """Makes tables, columns and indexes with the dtypes that people use."""
    frame = pd.DataFrame(
        {
            "number": np.arange(50_000),
            "text": ["a", None, "ß", ""] * 12_500,
            "kind": pd.Categorical(["x", "y"] * 25_000),
            "when": pd.date_range("2026-01-01", periods=50_000, freq="min", tz="UTC"),
            "maybe": pd.array([1, None] * 25_000, dtype="Int64"),
        }
    )
    frame.attrs["unit"] = "m"
    yield frame
    yield frame.groupby("kind", observed=True)["number"].describe()
    yield frame.set_index(["kind", "when"]).head(10)
    yield frame["text"]
    yield frame["when"].dt.tz_localize(None)
    yield pd.Index([1.5, None], name="i")


def frames() -> Iterator[Any]:
    """Makes frames and series of polars, small and large."""
    yield pl.DataFrame({"number": [1, None], "text": ["a", "ß"], "parts": [[1.5], []]})
    yield pl.DataFrame({"number": range(50_000), "text": [str(number) for number in range(50_000)]})
    yield pl.Series("kind", ["x", "y", "x"], dtype=pl.Categorical)


def matrices() -> Iterator[Any]:
    """Makes sparse arrays and matrices of scipy."""
    yield sparse.csr_array(np.eye(300))
    yield sparse.coo_matrix(([1.5, 2], ([0, 1], [1, 0])), shape=(2, 3))


def assert_same(actual: Any, expected: Any) -> None:
    """Compares what arrived with what was sent."""
    assert type(actual) is type(expected), (type(actual), type(expected))
    if isinstance(expected, pd.DataFrame):
        pd.testing.assert_frame_equal(actual, expected, check_exact=True)
        assert actual.attrs == expected.attrs
    elif isinstance(expected, pd.Series):
        pd.testing.assert_series_equal(actual, expected, check_exact=True)
    elif isinstance(expected, pd.Index):
        pd.testing.assert_index_equal(actual, expected)
    elif isinstance(expected, pl.DataFrame | pl.Series):
        assert actual.equals(expected)
        kinds = [
            one.schema if isinstance(one, pl.DataFrame) else (one.name, one.dtype)
            for one in (actual, expected)
        ]
        assert kinds[0] == kinds[1]
    elif sparse.issparse(expected):
        assert (actual.format, actual.shape, actual.dtype) == (
            expected.format,
            expected.shape,
            expected.dtype,
        )
        assert actual.toarray().tobytes() == expected.toarray().tobytes()
    elif isinstance(expected, Image.Image):
        assert (actual.mode, actual.size, actual.getpalette()) == (
            expected.mode,
            expected.size,
            expected.getpalette(),
        )
        assert actual.tobytes() == expected.tobytes()
    else:
        assert (actual.dtype, actual.shape) == (expected.dtype, expected.shape)
        assert actual.tobytes() == expected.tobytes()


async def check(worker: Any) -> int:
    """Sends everything there and back, and gives how much that was; the worker checks what it gets, too."""
    checked = 0
    for name, make in MAKERS.items():
        values = list(make())
        for value, back in zip(values, await worker.compare(name, values), strict=True):
            assert_same(back, value)
            checked += 1
    return checked


MAKERS = {"arrays": arrays, "images": images, "tables": tables, "frames": frames, "matrices": matrices}
