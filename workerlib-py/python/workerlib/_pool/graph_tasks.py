"""dask's tasks in a worker: the worker runs them, and keeps their results until the page lets them go.

Tasks arrive by cloudpickle, data as frames of our own (`_native.encode`), by cloudpickle where a frame could
not carry it exactly. The page passes data from worker to worker without building it. This module is the
worker's side of `_pool/graphs.py`.
"""

from __future__ import annotations

import pickle
from typing import Any

from workerlib._errors import UnsendableError
from workerlib._native import decode, encode
from workerlib._rpc.connection import Connection
from workerlib._rpc.incoming_call import Served

Packed = tuple[bytes | None, list[Any]]
"""A value on its way: a frame and its buffers; or None and the parts of a pickle."""

_kept: dict[int, Any] = {}
"""Results that this worker keeps, by the numbers that the page has given them."""


def pack(value: Any) -> Packed:
    """Makes bytes of a value: as a frame if it arrives as itself, else by cloudpickle."""
    try:
        frame, buffers = encode(value, strict=True)
        # Some are objects of `_native` that only export a buffer.
        return frame, [memoryview(buffer).cast("B") for buffer in buffers]
    except UnsendableError:
        import cloudpickle

        apart: list[pickle.PickleBuffer] = []
        data = cloudpickle.dumps(value, protocol=5, buffer_callback=apart.append)
        return None, [data, *(buffer.raw() for buffer in apart)]


def unpack(packed: Packed) -> Any:
    """Makes the value of what `pack` has returned."""
    frame, buffers = packed
    if frame is None:
        data, *rest = buffers
        return pickle.loads(data, buffers=rest)
    return decode(frame, buffers)


async def run_tasks(
    connection: Connection,
    served: Served,
    tasks: list[tuple[Any, bytes, list[Any]]],
    inputs: dict[Any, int | Packed],
    changes: tuple[int, list[int]],
) -> int:
    """Runs tasks one after the other, each of which may use the results of those before it.

    Args:
        connection: The connection to the page.
        served: The call that this is.
        tasks: The key of each task, the task itself as cloudpickle has made bytes of it, and the keys of the
            results that it uses.
        inputs: Their further inputs: by key the number of a result that is kept here, or the value.
        changes: The number under which the last result is kept, and the numbers of results that nobody needs
            any more.

    Returns:
        The approximate size of the last result in bytes.
    """
    kept_as, forgotten = changes
    for number in forgotten:
        _kept.pop(number, None)
    values = {key: _kept[given] if isinstance(given, int) else unpack(given) for key, given in inputs.items()}
    last: Any = None
    for key, described, needed in tasks:
        task = pickle.loads(described)
        result: list[Any] = []
        arguments = {name: values[name] for name in needed}
        await connection.run_function(served, task, [(arguments,), {}], result)
        last = values[key] = result.pop()
    _kept[kept_as] = last
    return _size(last)


async def take(_connection: Connection, _served: Served, number: int) -> Packed:
    """Returns a result that is kept here."""
    return pack(_kept[number])


async def free(_connection: Connection, _served: Served, numbers: list[int]) -> int:
    """Forgets results, and returns how many this worker still keeps."""
    for number in numbers:
        _kept.pop(number, None)
    return len(_kept)


def _size(value: Any) -> int:
    """Estimates the size of a value without walking all of it."""
    size = getattr(value, "nbytes", None)
    if isinstance(size, int):
        return size
    if isinstance(value, (list, tuple, set, frozenset, dict)):
        return value.__sizeof__() + 50 * len(value)
    return int(value.__sizeof__()) if isinstance(value, (str, bytes, bytearray, int)) else 100
