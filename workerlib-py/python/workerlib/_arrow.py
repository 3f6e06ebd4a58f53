"""Tables, record batches and arrays of pyarrow; imported only where pyarrow is, or comes in a frame.

They travel as Arrow's own stream of messages (IPC), which is one buffer out of band; what arrives lies in that
buffer. Arrow reads such a stream without a look at what the values say; so each array is validated in full.
"""

from __future__ import annotations

import importlib
import struct
from typing import Any

# Without their types: whether pyarrow is installed must not matter to who checks this package.
pa: Any = importlib.import_module("pyarrow")
ipc: Any = importlib.import_module("pyarrow.ipc")


def take_apart_table(value: Any) -> tuple[Any, ...]:
    """Gives its kind and the stream."""
    if isinstance(value, pa.Table):
        return ("table", _stream(value))
    if isinstance(value, pa.RecordBatch):
        return ("batch", _stream(pa.Table.from_batches([value])))
    kind, chunks = ("chunks", value) if isinstance(value, pa.ChunkedArray) else ("array", pa.chunked_array([value]))
    return (kind, _stream(pa.Table.from_arrays([chunks], names=[""])))


def build_table(kind: Any, content: Any) -> Any:
    """Reads the stream."""
    if not isinstance(content, memoryview):
        raise ValueError("no stream of Arrow's")
    table = _read(content)
    if kind == "table":
        return table
    if kind == "batch":
        batches = table.to_batches()
        if len(batches) > 1:
            raise ValueError(f"{len(batches)} batches instead of one")
        return batches[0] if batches else table.schema.empty_table().to_batches()[0]
    if table.num_columns == 1 and kind in ("array", "chunks"):
        column = table.column(0)
        if kind == "chunks":
            return column
        if column.num_chunks == 1:
            return column.chunk(0)
    raise ValueError(f"{kind!r} of {table.num_columns} columns")


def as_chunks(value: Any) -> Any:
    """Checks that a value is a ChunkedArray."""
    if not isinstance(value, pa.ChunkedArray):
        raise ValueError("no chunks of Arrow's")
    return value


def _stream(table: Any) -> memoryview:
    sink = pa.BufferOutputStream()
    with ipc.new_stream(sink, table.schema, options=ipc.IpcWriteOptions(compression=None)) as writer:
        writer.write_table(table)
    return memoryview(sink.getvalue())


def _read(content: memoryview) -> Any:
    data = pa.py_buffer(content)
    try:
        for message in ipc.MessageReader.open_stream(data):
            _check_plain(memoryview(message.metadata))
        table = ipc.open_stream(data).read_all()
        table.validate(full=True)
    except (pa.ArrowException, struct.error) as error:
        raise ValueError(f"no stream of Arrow's: {error}") from error
    return table


def _check_plain(metadata: memoryview) -> None:
    """Refuses a message whose body is compressed: a few bytes would take any amount of memory.

    pyarrow does not tell; so this looks for the field in the message's flatbuffer, in which a table begins with
    the way back to the list of its fields' places.
    """

    def field(table: int, number: int) -> int:
        fields = table - struct.unpack_from("<i", metadata, table)[0]
        size = struct.unpack_from("<H", metadata, fields)[0]
        place = 4 + 2 * number
        offset = struct.unpack_from("<H", metadata, fields + place)[0] if place < size else 0
        return table + offset if offset else 0

    def follow(place: int) -> int:
        return place + struct.unpack_from("<I", metadata, place)[0]

    message = follow(0)
    kind = field(message, 1)
    header = field(message, 2)
    if not kind or not header:
        return
    batch = follow(header)
    number = metadata[kind]
    if number == _DICTIONARY_BATCH:
        data = field(batch, 1)
        batch = follow(data) if data else 0
    if number in (_DICTIONARY_BATCH, _RECORD_BATCH) and batch and field(batch, _COMPRESSION):
        raise ValueError("a stream of Arrow's whose bodies are compressed")


# Of Arrow's Message.fbs: kinds of messages, and a field of the table RecordBatch.
_DICTIONARY_BATCH = 2
_RECORD_BATCH = 3
_COMPRESSION = 3
