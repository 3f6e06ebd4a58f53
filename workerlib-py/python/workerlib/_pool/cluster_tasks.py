"""The worker's side of a pool on a dask.distributed cluster: functions that the cluster's workers import.

They run exports of the script that was uploaded, which is imported at the first task. Exceptions travel by
our own description, so that they keep their class, their attributes and their traceback.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
from collections.abc import Callable
from time import monotonic
from typing import Any

from workerlib import _exports
from workerlib._errors import UnsendableError
from workerlib._pool.chunks import RAISED, RETURNED
from workerlib._rpc.remote_functions import not_exported
from workerlib._values.exceptions import describe

Outcome = tuple[int, Any]
"""The kind of an outcome (`_pool/chunks.py`), and the result or the description of the exception."""

_PLAIN = frozenset({int, float, bool, complex, str, type(None)})
"""Types whose values pickle takes in any case."""


class Outcomes(list[Outcome]):
    """The outcomes of a chunk, each of which is pickled by itself.

    An outcome that pickle cannot take, or cannot read on the other side, costs no other outcome. All items
    have run by then, so none of them may run again because of it.
    """

    def __reduce_ex__(self, _protocol: object) -> tuple[Any, ...]:
        """Describes the list for pickle; large buffers stay apart, as in any pickle of distributed's."""
        return _unpacked, (
            [outcome if type(outcome[1]) in _PLAIN else _packed(*outcome) for outcome in self],
        )


class _Packed:
    """A pickled outcome, and the buffers that are not in the pickle."""

    def __init__(self, kind: int, pickled: bytes, buffers: list[Any]) -> None:
        self.kind = kind
        self.pickled = pickled
        self.buffers = buffers


def _pickle() -> Any:
    """Returns distributed's own pickle, by which the cluster would send the value itself."""
    return importlib.import_module("distributed.protocol.pickle")


def _packed(kind: int, value: Any) -> Outcome | _Packed:
    buffers: list[Any] = []
    try:
        return _Packed(kind, _pickle().dumps(value, buffer_callback=buffers.append), buffers)
    except Exception as error:
        return RAISED, describe(by_pickle("result", error))


def _unpacked(packed: list[Outcome | _Packed]) -> Outcomes:
    return Outcomes(_read(one) if isinstance(one, _Packed) else one for one in packed)


def _read(packed: _Packed) -> Outcome:
    try:
        return packed.kind, _pickle().loads(packed.pickled, buffers=packed.buffers)
    except Exception as error:
        return RAISED, describe(by_pickle("result", error))


def by_pickle(path: str, error: Exception) -> UnsendableError:
    """Makes the error of a value that pickle cannot take, or cannot read.

    Args:
        path: The place of the value: "arguments" or "result".
        error: The error of pickle, or of distributed.
    """
    # Distributed's own text about arguments shows an expression of its own.
    text = str(error.__cause__ or error).partition("\n")[0]
    return UnsendableError(path, reason=f"values travel to and from a cluster by pickle: {text}")


def describe_script(module: str) -> tuple[list[tuple[str, int]], list[str]] | Outcome:
    """Imports the script and tells its exports.

    Args:
        module: The script's name without its suffix.

    Returns:
        The name and the kind of each export, and the names of those that may run again; or, if the script
        fails, the description of its exception.
    """
    try:
        importlib.import_module(module)
    except BaseException as error:
        return RAISED, describe(error)
    exports = [(export[0], export[4]) for export in _exports.describe_exports()]
    return exports, sorted(_exports.idempotent)


def call(module: str, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Outcome:
    """Calls an export of the script.

    Args:
        module: The script's name without its suffix.
        name: The name of the export.
        args: Its positional arguments.
        kwargs: Its keyword arguments.
    """
    return _outcome(_function(module, name), args, kwargs)


def call_for_each(module: str, name: str, items: list[Any], patience: float) -> Outcomes:
    """Calls an export for each item, in their order.

    Args:
        module: The script's name without its suffix.
        name: The name of the export.
        items: The items, each the only argument of its call.
        patience: After how many seconds no further item begins.
    """
    function = _function(module, name)
    outcomes = Outcomes()
    start = monotonic()
    for item in items:
        outcomes.append(_outcome(function, (item,), {}))
        if monotonic() - start > patience:
            break
    return outcomes


def call_function(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Outcome:
    """Calls a function that the script does not export."""
    return _outcome(function, args, kwargs)


def _function(module: str, name: str) -> Callable[..., Any]:
    importlib.import_module(module)
    function = _exports.functions.get(name)
    if function is None:
        raise not_exported(name, _exports.functions)
    return function


def _outcome(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Outcome:
    try:
        result = function(*args, **kwargs)
        if inspect.isawaitable(result):
            result = asyncio.run(_awaited(result))
        return RETURNED, result
    except BaseException as error:
        return RAISED, describe(error)


async def _awaited(awaitable: Any) -> Any:
    return await awaitable
