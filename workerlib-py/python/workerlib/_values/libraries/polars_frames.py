"""Takes apart and builds frames and series of polars; imported only where polars is, or comes in a frame.

Both travel as the stream of Arrow's (IPC) that polars writes and reads itself, without pyarrow: one buffer,
which goes out of band if it is large. `arrow_streams` checks its lengths before polars reads it.
"""

from __future__ import annotations

import importlib
import io
from typing import Any

from workerlib._values.libraries.arrow_streams import check_stream
from workerlib._values.row import RefusedError

# Without their types: whether polars is installed must not matter to who checks this package.
pl: Any = importlib.import_module("polars")


def take_apart_frame(frame: Any) -> tuple[Any, ...]:
    """Gives the stream of a DataFrame.

    Raises:
        RefusedError: If a column holds Python objects.
    """
    for name, dtype in frame.schema.items():
        if _holds_objects(dtype):
            raise RefusedError(f"its column {name!r} holds Python objects: send it as a list by to_list()")
    sink = io.BytesIO()
    frame.write_ipc_stream(sink, compression="uncompressed", compat_level=pl.CompatLevel.newest())
    return (sink.getbuffer(),)


def build_frame(stream: Any) -> Any:
    """Builds a DataFrame from its stream."""
    if not isinstance(stream, memoryview):
        raise ValueError("a frame of polars has to be made from a memoryview")
    check_stream(stream)
    try:
        frame = pl.read_ipc_stream(io.BytesIO(stream))
    except Exception:
        raise
    except BaseException as panic:
        # Polars raises an error that its own code did not expect as something that is not an `Exception`.
        if type(panic).__name__ != "PanicException":
            raise
        raise ValueError("polars cannot read the stream") from None
    if any(map(_holds_objects, frame.schema.values())):
        raise ValueError("a frame of Python objects is refused")
    return frame


def take_apart_series(series: Any) -> tuple[Any, ...]:
    """Gives the stream of a Series: that of a frame with no other column.

    Raises:
        RefusedError: If it holds Python objects.
    """
    return take_apart_frame(series.to_frame())


def build_series(stream: Any) -> Any:
    """Builds a Series from its stream."""
    frame = build_frame(stream)
    if frame.width != 1:
        raise ValueError(f"a Series cannot have {frame.width} columns")
    return frame.to_series(0)


def _holds_objects(dtype: Any) -> bool:
    inner = getattr(dtype, "inner", None)
    fields = getattr(dtype, "fields", ())
    return (
        dtype == pl.Object
        or (inner is not None and _holds_objects(inner))
        or any(_holds_objects(field.dtype) for field in fields)
    )
