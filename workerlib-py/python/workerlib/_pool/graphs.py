"""Reads graphs of dask's: what `pool.compute()`, `pool.get()` and `pool.scheduler` are given.

`_pool/graph_run.py` computes them. Only public names of dask's are used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from workerlib._errors import NotSupportedError

_DATA = frozenset({str, bytes, int, float, bool, type(None), list, tuple, dict})
"""Types of arguments in which no task is."""


def nodes_of(graph: Any) -> dict[Any, Any]:
    """Reads a graph in any of dask's forms: an expression, a high-level graph, or a dict of tasks.

    Args:
        graph: The graph; tasks may be objects of `dask.task_spec`, or tuples with a function.

    Returns:
        Each key with its task, an object of `dask.task_spec`.

    Raises:
        NotSupportedError: If it shuffles by files, which each worker has of its own.
        TypeError: If it is not a graph.
    """
    from dask.task_spec import DataNode, GraphNode

    if not isinstance(graph, Mapping):
        if not hasattr(graph, "__dask_graph__"):
            raise TypeError(f"{graph!r} is not a graph of dask's: write a dict, or pool.compute(collection)")
        graph = graph.__dask_graph__()
    raw = dict(graph)
    nodes = {}
    for key, task in raw.items():
        node = task if isinstance(task, GraphNode) else _converted(task, raw, key)
        nodes[key] = node if isinstance(node, GraphNode) else DataNode(key, node)
    for key, node in nodes.items():
        if _uses_files(node):
            raise NotSupportedError(
                f"the task {key!r} shuffles by files, and each worker has files of its own, so the result"
                ' would be wrong: write bag.groupby(…, shuffle="tasks")'
            )
    return nodes


def _converted(task: Any, graph: Mapping[Any, Any], key: Any = None) -> Any:
    """Makes a task of a tuple with a function, which dask calls the legacy form."""
    from dask.task_spec import Alias, DataNode, List, Task, TaskRef

    if isinstance(task, tuple) and task and callable(task[0]):
        return Task(key, task[0], *(_converted(part, graph) for part in task[1:]))
    if isinstance(task, list):
        return List(*(_converted(part, graph) for part in task))
    try:
        is_key = task in graph
    except TypeError:
        is_key = False
    if is_key:
        return TaskRef(task) if key is None else Alias(key, task)
    return task if key is None else DataNode(key, task)


def _uses_files(node: Any) -> bool:
    """Tells whether a task writes to or reads from partd, dask's store of files.

    Tasks inside of it are looked at, data is not: the first task of a shuffle calls a class of partd's.
    """
    waiting = [node]
    while waiting:
        part = waiting.pop()
        if type(part) in _DATA:
            continue
        if (getattr(part, "__module__", None) or "").startswith("partd"):
            return True
        function = getattr(part, "func", None)
        if function is not None:
            waiting += [function, *getattr(part, "args", ()), *getattr(part, "kwargs", {}).values()]
    return False


def flat(keys: Any) -> list[Any]:
    """Lists the keys of nested lists of keys."""
    return [key for part in keys for key in flat(part)] if isinstance(keys, list) else [keys]


def arranged(keys: Any, results: Mapping[Any, Any]) -> Any:
    """Arranges results as their keys are."""
    return [arranged(key, results) for key in keys] if isinstance(keys, list) else results[keys]


class _GraphTakenError(Exception):
    """Ends a `dask.compute()` that only had to make the graph."""


def graph_of(collections: tuple[Any, ...], options: Mapping[str, Any]) -> tuple[Any, list[Any]]:
    """Has dask make the graph of collections, as `dask.compute()` would.

    Returns:
        The graph and its keys; no keys if nothing in there is a collection.
    """
    from dask.base import compute

    taken: list[tuple[Any, list[Any]]] = []

    def take(graph: Any, keys: list[Any], **_options: Any) -> Any:
        taken.append((graph, keys))
        raise _GraphTakenError

    try:
        compute(*collections, scheduler=take, **options)  # type: ignore[no-untyped-call]
    except _GraphTakenError:
        return taken[0]
    return {}, []


def finished(collections: tuple[Any, ...], options: Mapping[str, Any], results: Callable[[Any], Any]) -> Any:
    """Has dask put results in the place of collections, as `dask.compute()` would."""
    from dask.base import compute

    scheduler = lambda _graph, keys, **_options: results(keys)  # noqa: E731
    return compute(*collections, scheduler=scheduler, **options)  # type: ignore[no-untyped-call]
