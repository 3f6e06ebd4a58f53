"""dask's tasks in a worker: the worker runs them, and keeps their results until the page lets them go.

Tasks arrive by cloudpickle, data as frames of our own (`_native.encode`), by cloudpickle where a frame could
not carry it exactly. The page passes data from worker to worker without building it. This module is the
worker's side of `_pool/graph_run.py`.
"""

from __future__ import annotations

import contextlib
import pickle
from time import perf_counter
from typing import Any

from workerlib._errors import UnsendableError
from workerlib._native import decode, encode
from workerlib._pool.sent_functions import name_script
from workerlib._rpc.connection import Connection
from workerlib._rpc.incoming_call import Served

Packed = tuple[bytes | None, list[Any]]
"""A value on its way: a frame and its buffers; or None and the parts of a pickle."""

Step = tuple[int, int | None, list[Any], list[int], dict[str, Any], list[str], list[int]]
"""A task: the number of its result, and that of its function; the positional arguments, and the indices of
those that are numbers of results; the same of the keyword arguments, by names; the numbers of the values that
nobody needs after it. A task whose function has no number travels whole, and its argument is its index."""

_kept: dict[int, Any] = {}
"""Results and functions that this worker keeps, by the numbers that the page has given them."""

_ROOM = 1 << 20
"""About how many bytes of results come with a batch's answer. The page takes larger results one by one."""


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
    work: tuple[Packed, bytes | None, list[int]],
    inputs: dict[int, Packed],
    changes: tuple[dict[int, bytes], list[int]],
) -> tuple[list[float], list[int], dict[int, Packed]]:
    """Runs tasks one after the other, each of which may use the results of those before it.

    Args:
        connection: The connection to the page.
        served: The call that this is.
        work: The tasks, packed: a list of `Step`; the tasks that travel whole, each with the numbers of its
            inputs by their keys; and the numbers of the results that the page wants.
        inputs: The results of other workers that these tasks use, by their numbers.
        changes: The functions that this worker is to keep, by their numbers, and the numbers of the values
            that it is to free.

    Returns:
        The time in seconds that each task took; the approximate sizes in bytes of the results that are
        kept here now; and the results that the page wants, as far as they are small.
    """
    steps, pickled, wanted = work
    functions, freed = changes
    for number in freed:
        _kept.pop(number, None)
    name_script()
    for number, function in functions.items():
        _kept[number] = pickle.loads(function)
    values = {number: unpack(packed) for number, packed in inputs.items()}
    tasks = [] if pickled is None else pickle.loads(pickled)
    seconds: list[float] = []
    made: list[int] = []
    try:
        for step in unpack(steps):
            begun = perf_counter()
            made.append(step[0])
            result: list[Any] = []
            await connection.run_function(served, *_call(step, tasks, values), result)
            _kept[step[0]] = result.pop()
            # They would keep what is freed now.
            step[2].clear()
            step[4].clear()
            for number in step[-1]:
                _kept.pop(number, None)
            seconds.append(perf_counter() - begun)
        return seconds, [_size(_kept[number]) for number in made if number in _kept], _small(wanted)
    except BaseException:
        for number in made:
            _kept.pop(number, None)
        raise


def _call(step: Step, tasks: list[Any], values: dict[int, Any]) -> tuple[Any, list[Any]]:
    """Returns the function of a task, and its arguments: the positional ones, and those by name."""
    _, function, args, indices, kwargs, names, _ = step
    if function is None:
        task, needs = tasks[args[0]]
        return task, [({key: _value(number, values) for key, number in needs.items()},), {}]
    for index in indices:
        args[index] = _value(args[index], values)
    for name in names:
        kwargs[name] = _value(kwargs[name], values)
    return _kept[function], [args, kwargs]


def _value(number: int, values: dict[int, Any]) -> Any:
    return values[number] if number in values else _kept[number]


def _small(wanted: list[int]) -> dict[int, Packed]:
    """Packs those results that the page wants and that are small."""
    results: dict[int, Packed] = {}
    room = _ROOM
    for number in wanted:
        size = _size(_kept[number])
        # The page takes the others one by one. So the error of a result that cannot travel is of that one.
        if size <= room:
            with contextlib.suppress(Exception):
                results[number] = pack(_kept[number])
                room -= size
    return results


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
