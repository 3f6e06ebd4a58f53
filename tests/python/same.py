"""Compares what arrived with what was sent, for the types of pandas, Pillow and pyarrow.

Each function imports its library: only those of its tests need it.
"""

from __future__ import annotations

from typing import Any


def assert_same_table(actual: Any, expected: Any) -> None:
    """Compares tables, columns, indexes, arrays and scalars of pandas: everything that pandas' own comparison does, and what it overlooks."""
    import pandas as pd

    assert type(actual) is type(expected)
    if isinstance(expected, pd.DataFrame):
        pd.testing.assert_frame_equal(actual, expected, check_exact=True, check_freq=True, check_flags=True)
        assert_same_table(actual.columns, expected.columns)
        assert actual.attrs == expected.attrs
    elif isinstance(expected, pd.Series):
        pd.testing.assert_series_equal(actual, expected, check_exact=True, check_freq=True, check_flags=True)
        assert actual.attrs == expected.attrs
    elif isinstance(expected, pd.Index):
        pd.testing.assert_index_equal(actual, expected, exact="equiv", check_exact=True)
        assert actual.names == expected.names
        assert getattr(actual, "freq", None) == getattr(expected, "freq", None)
        assert actual.dtype == expected.dtype
    elif not isinstance(expected, pd.api.extensions.ExtensionArray):
        # Scalars: those that stand for a gap are equal to nothing, but there is only one of each.
        assert repr(actual) == repr(expected)
        assert actual is expected or actual == expected
        assert [getattr(one, "unit", None) for one in (actual, expected)] == [
            getattr(expected, "unit", None)
        ] * 2
    else:
        pd.testing.assert_extension_array_equal(actual, expected, check_exact=True)
        assert actual.dtype == expected.dtype


def assert_same_image(actual: Any, expected: Any) -> None:
    """Compares images of Pillow: class, mode, size, every pixel, palette and info."""
    from PIL import Image

    assert type(actual) is Image.Image
    assert (actual.mode, actual.size, actual.info) == (expected.mode, expected.size, expected.info)
    assert actual.tobytes() == expected.tobytes()
    assert actual.getpalette() == expected.getpalette()
    assert actual.format == expected.format
    if expected.palette is not None:
        assert actual.palette.mode == expected.palette.mode
        assert actual.getpalette(expected.palette.mode) == expected.getpalette(expected.palette.mode)


def assert_same_arrow(actual: Any, expected: Any) -> None:
    """Compares tables, batches and arrays of pyarrow: class, type, content and metadata."""
    import pyarrow as pa

    assert type(actual) is type(expected)
    if isinstance(expected, pa.Table | pa.RecordBatch):
        assert actual.schema.equals(expected.schema, check_metadata=True)
        assert actual.num_rows == expected.num_rows
    else:
        assert actual.type == expected.type
    assert actual.to_pylist() == expected.to_pylist()
    actual.validate(full=True)
