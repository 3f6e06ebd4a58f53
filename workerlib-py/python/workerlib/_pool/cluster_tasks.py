"""The worker's side of a pool on a dask.distributed cluster: functions that the cluster's workers import.

They run exports of the script that was uploaded, which is imported at the first task. Exceptions travel by
our own description, so that they keep their class, their attributes and their traceback.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
from collections.abc import Callable
from typing import Any

from workerlib import _exports
from workerlib._pool.chunks import RAISED, RETURNED
from workerlib._rpc.remote_functions import not_exported
from workerlib._values.exceptions import describe

Outcome = tuple[int, Any]
"""The kind of an outcome (`_pool/chunks.py`), and the result or the description of the exception."""


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


def call_for_each(module: str, name: str, items: list[Any]) -> list[Outcome]:
    """Calls an export for each item, in their order."""
    function = _function(module, name)
    return [_outcome(function, (item,), {}) for item in items]


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
