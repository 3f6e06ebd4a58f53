"""Tables, record batches and arrays of pyarrow; imported only where pyarrow is, or comes in a frame.

They travel as Arrow's own stream of messages (IPC), which is one buffer out of band; what arrives lies in
that buffer. Arrow reads such a stream without a look at what the values say, so each array is validated in
full.
"""

from __future__ import annotations

import importlib
import struct
from typing import Any

# Without their types: whether pyarrow is installed must not matter to who checks this package.
pa: Any = importlib.import_module("pyarrow")
ipc: Any = importlib.import_module("pyarrow.ipc")


def take_apart_table(value: Any) -> tuple[Any, ...]:
    """Gives its kind and the stream: a table, a batch, or arrays as batches of one column."""
    if isinstance(value, pa.Table):
        return ("table", _write(value.schema, value.to_batches()))
    if isinstance(value, pa.RecordBatch):
        return ("batch", _write(value.schema, [value]))
    kind, arrays = ("array", [value]) if isinstance(value, pa.Array) else ("chunks", value.chunks)
    schema = pa.schema([pa.field("", value.type)])
    return (kind, _write(schema, [pa.record_batch([array], schema=schema) for array in arrays]))


def build_table(kind: Any, content: Any) -> Any:
    """Reads the stream."""
    if not isinstance(content, memoryview):
        raise ValueError("an Arrow table has to be made from a memoryview")
    schema, batches = _read(content)
    if kind == "table":
        return pa.Table.from_batches(batches, schema)
    if kind == "batch" and len(batches) == 1:
        return batches[0]
    if kind in ("array", "chunks") and len(schema) == 1:
        chunks = [batch.column(0) for batch in batches]
        if kind == "chunks":
            return pa.chunked_array(chunks, schema.field(0).type)
        if len(chunks) == 1:
            return chunks[0]
    raise ValueError(f"{kind!r} of {len(schema)} columns in {len(batches)} batches")


def as_chunks(value: Any) -> Any:
    """Checks that a value is a ChunkedArray."""
    if not isinstance(value, pa.ChunkedArray):
        raise ValueError("the value has to be a ChunkedArray")
    return value


def _write(schema: Any, batches: list[Any]) -> memoryview:
    sink = pa.BufferOutputStream()
    with ipc.new_stream(sink, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
    return memoryview(sink.getvalue())


def _read(content: memoryview) -> tuple[Any, list[Any]]:
    data = pa.py_buffer(content)
    try:
        for message in ipc.MessageReader.open_stream(data):
            _check_plain(memoryview(message.metadata))
        reader = ipc.open_stream(data)
        batches = list(reader)
        for batch in batches:
            batch.validate(full=True)
    except (pa.ArrowException, struct.error) as error:
        raise ValueError(f"the Arrow stream cannot be read: {error}") from error
    return reader.schema, batches


def _check_plain(metadata: memoryview) -> None:
    """Refuses a message whose body is compressed: a few bytes would take any amount of memory.

    pyarrow does not tell; so this looks for the field in the message's flatbuffer, in which a table begins
    with the way back to the list of its fields' places.
    """

    def field(table: int, number: int) -> int:
        fields = table - struct.unpack_from("<i", metadata, table)[0]
        size = struct.unpack_from("<H", metadata, fields)[0]
        place = 4 + 2 * number
        offset = struct.unpack_from("<H", metadata, fields + place)[0] if place < size else 0
        return table + offset if offset else 0

    def follow(place: int) -> int:
        (distance,) = struct.unpack_from("<I", metadata, place)
        return place + int(distance)

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
        raise ValueError("the Arrow stream has compressed bodies")


# Of Arrow's Message.fbs: kinds of messages, and a field of the table RecordBatch.
_DICTIONARY_BATCH = 2
_RECORD_BATCH = 3
_COMPRESSION = 3
