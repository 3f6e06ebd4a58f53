"""dask's graphs on a pool: `pool.compute()`, `pool.get()` and `pool.scheduler`.

A task runs where its largest input is. Its result stays in that worker until no task needs it; data travels
through the page only where a task needs results of two workers, and as bytes. Tasks whose worker died run
again, with the lost results that they need. The order is dask's own (`dask.order`). Only public names of
dask's are used. The workers' side is `_pool/graph_tasks.py`.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from workerlib._errors import NotSupportedError, WorkerDiedError
from workerlib._pool.driver import Driver
from workerlib._pool.graph_tasks import Packed, unpack
from workerlib._pool.jobs import Job
from workerlib._pool.schedule import State
from workerlib._pool.steps import Ending

_LONGEST_CHAIN = 16
"""How many tasks that follow each other a worker gets at a time."""
_DEATHS = 2
"""After how many deaths of workers a task is not tried again: the pool's default."""


@dataclass(slots=True)
class _Node:
    """A task of a graph."""

    key: Any
    task: Any
    needs: frozenset[Any]
    priority: int
    needed_by: set[Any] = field(default_factory=set)
    """Tasks that need the result and have not ended."""
    deaths: int = 0
    place: tuple[int, int] | None = None
    """The slot and the incarnation of the worker that keeps the result."""
    number: int = 0
    """The number under which the worker keeps it."""
    size: int = 0
    is_running: bool = False
    described: bytes | None = None


@dataclass(slots=True)
class _Batch:
    """Tasks that a worker runs one after the other."""

    nodes: list[_Node]
    slot: int
    incarnation: int


_numbers = itertools.count(1)


def nodes_of(graph: Any) -> dict[Any, Any]:
    """Reads a graph in any of dask's forms: an expression, a high-level graph, or a dict of tasks.

    Args:
        graph: The graph; tasks may be objects of `dask.task_spec`, or tuples with a function.

    Returns:
        Each key with its task, an object of `dask.task_spec`.

    Raises:
        NotSupportedError: If it shuffles by files, which each worker has of its own.
    """
    from dask.task_spec import DataNode, GraphNode

    if not isinstance(graph, Mapping):
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
    """Tells whether a task writes to or reads from partd, dask's store of files."""
    waiting = [node]
    while waiting:
        part = waiting.pop()
        function = getattr(part, "func", None)
        if any((getattr(one, "__module__", None) or "").startswith("partd") for one in (function, part)):
            return True
        if function is not None:
            waiting += [*getattr(part, "args", ()), *getattr(part, "kwargs", {}).values()]
            waiting.append(function)
        elif isinstance(part, (list, tuple)):
            waiting += part
        if hasattr(part, "value") and type(part).__name__ == "DataNode":
            waiting.append(part.value)
    return False


class GraphRun:
    """One computation of a graph."""

    def __init__(self, driver: Driver, graph: Any, keys: Iterable[Any]) -> None:
        """Prepares a computation.

        Args:
            driver: The pool.
            graph: The graph.
            keys: The keys whose results are wanted.

        Raises:
            NotSupportedError: If the graph shuffles by files.
            KeyError: If a key is not in the graph.
        """
        from dask.order import order

        tasks = nodes_of(graph)
        wanted = list(dict.fromkeys(keys))
        tasks = _needed(tasks, wanted)
        priorities = order(tasks)
        self._driver = driver
        self._wanted = wanted
        self._nodes = {
            key: _Node(key, task, frozenset(task.dependencies), priorities[key])
            for key, task in tasks.items()
        }
        for node in self._nodes.values():
            for key in node.needs:
                self._nodes[key].needed_by.add(node.key)
        self._results: dict[Any, Any] = {}
        self._missing = {key: len(node.needs) for key, node in self._nodes.items()}
        self._ready: list[tuple[int, int, Any]] = []
        self._is_ready: set[Any] = set()
        self._busy: dict[int, _Batch] = {}
        self._garbage: dict[tuple[int, int], list[int]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._done: asyncio.Future[None] = driver.loop.create_future()
        self._counter = itertools.count()
        self._alive = driver.alive()

    async def run(self) -> dict[Any, Any]:
        """Computes the graph.

        Returns:
            The results of the keys that are wanted.

        Raises:
            WorkerDiedError: If two workers died of a task.
            BaseException: Any exception of a task.
        """
        driver = self._driver
        driver.check_open()
        for key, missing in self._missing.items():
            if not missing:
                self._make_ready(key)
        driver.on_change.append(self._assign)
        driver.on_end.append(self._on_pool_end)
        try:
            self._assign()
            await self._done
            return self._results
        finally:
            driver.on_change.remove(self._assign)
            driver.on_end.remove(self._on_pool_end)
            for task in self._tasks:
                task.cancel()
            self._free_all()

    # Which task runs where.

    def _make_ready(self, key: Any) -> None:
        if key not in self._is_ready:
            self._is_ready.add(key)
            heapq.heappush(self._ready, (self._nodes[key].priority, next(self._counter), key))

    def _assign(self) -> None:
        if self._done.done():
            return
        self._forget_the_dead()
        for slot, (state, incarnation) in enumerate(self._driver.schedule.states()):
            if state is State.IDLE and slot not in self._busy and self._ready:
                node = self._choose(slot, incarnation)
                if node is not None:
                    self._start(_Batch(self._chain(node), slot, incarnation))

    def _choose(self, slot: int, incarnation: int) -> _Node | None:
        """Takes out the first task whose largest input this worker has, or that needs none."""
        here = (slot, incarnation)
        passed: list[tuple[int, int, Any]] = []
        chosen: _Node | None = None
        while self._ready:
            entry = heapq.heappop(self._ready)
            node = self._nodes[entry[2]]
            home = self._home(node)
            # Some tasks are looked at; to look at all each time would take too long.
            if home in {None, here} or len(passed) >= 32:
                chosen = node
                break
            passed.append(entry)
        if chosen is None and passed:
            # A task of another worker's, which is busy: its inputs travel.
            first = next((entry for entry in passed if self._is_busy(self._nodes[entry[2]])), None)
            if first is not None and len(passed) > 1:
                passed.remove(first)
                chosen = self._nodes[first[2]]
        for entry in passed:
            heapq.heappush(self._ready, entry)
        if chosen is not None:
            self._is_ready.discard(chosen.key)
        return chosen

    def _home(self, node: _Node) -> tuple[int, int] | None:
        inputs = [self._nodes[key] for key in node.needs]
        placed = [one for one in inputs if one.place is not None]
        return max(placed, key=lambda one: one.size).place if placed else None

    def _is_busy(self, node: _Node) -> bool:
        home = self._home(node)
        return home is not None and home[0] in self._busy

    def _chain(self, node: _Node) -> list[_Node]:
        """Adds the tasks that can follow a task at once, because they need nothing else."""
        chain = [node]
        while (
            len(chain) < _LONGEST_CHAIN
            and len(chain[-1].needed_by) == 1
            and chain[-1].key not in self._wanted
        ):
            (key,) = chain[-1].needed_by
            if self._missing[key] != 1 or self._nodes[key].place is not None:
                break
            chain.append(self._nodes[key])
        return chain

    # Runs, and their ends.

    def _start(self, batch: _Batch) -> None:
        self._busy[batch.slot] = batch
        for node in batch.nodes:
            node.is_running = True
        task = self._driver.loop.create_task(self._run_batch(batch))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run_batch(self, batch: _Batch) -> None:
        try:
            await self._run_on_worker(batch)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            self._fail(error)
        finally:
            if self._busy.get(batch.slot) is batch:
                del self._busy[batch.slot]
            for node in batch.nodes:
                node.is_running = False
            self._assign()

    async def _run_on_worker(self, batch: _Batch) -> None:
        here = (batch.slot, batch.incarnation)
        own = {node.key for node in batch.nodes}
        needs = {key for node in batch.nodes for key in node.needs if key not in own}
        inputs: dict[Any, int | Packed] = {}
        for key in needs:
            held = self._nodes[key]
            if held.place == here:
                inputs[key] = held.number
                continue
            packed = await self._fetch(held)
            if packed is None:
                # Its worker has died: it is made again before this task.
                self._put_back(batch)
                return
            inputs[key] = packed
        last = batch.nodes[-1]
        last.number = next(_numbers)
        described = [(node.key, _described(node), list(node.needs)) for node in batch.nodes]
        free = self._garbage.pop(here, [])
        arguments = (described, inputs, (last.number, free))
        size, ending, fate = await self._call(batch, arguments)
        if ending is Ending.ANSWERED:
            last.place, last.size = here, size
            await self._end_batch(batch, own)
            return
        first = batch.nodes[0]
        first.deaths += ending is Ending.DIED
        if first.deaths >= _DEATHS:
            raise WorkerDiedError(
                f"the task {first.key!r} is not tried again, since each worker that ran it died; the last"
                f" one: {fate}"
            )
        self._put_back(batch)

    async def _end_batch(self, batch: _Batch, own: set[Any]) -> None:
        """Notes that tasks have ended, and lets go of results that nobody else needs."""
        last = batch.nodes[-1]
        if last.key in self._wanted and last.key not in self._results:
            packed = await self._fetch(last)
            if packed is None:
                self._put_back(batch)
                return
            self._results[last.key] = unpack(packed)
        for node in batch.nodes:
            for key in node.needs - own:
                self._release(self._nodes[key], node.key)
        for node in batch.nodes[:-1]:
            node.needed_by.clear()
        for key in last.needed_by:
            self._missing[key] -= 1
            if not self._missing[key]:
                self._make_ready(key)
        if not last.needed_by:
            self._drop(last)
        if len(self._results) == len(self._wanted) and not self._done.done():
            self._done.set_result(None)

    async def _call(self, batch: _Batch, arguments: tuple[Any, ...]) -> tuple[int, Ending, str]:
        """Has a worker run tasks; returns the size of the last result, and how it ended."""
        driver = self._driver
        outcome: asyncio.Future[tuple[int, Ending, str]] = driver.loop.create_future()
        title = f"the task {batch.nodes[-1].key!r}"

        def end(job: Job, ending: Ending) -> None:
            if outcome.done():
                return
            if ending in {Ending.DIED, Ending.GONE, Ending.POISONED}:
                outcome.set_result((0, ending, job.fate))
            elif (error := driver.error_of(job, ending)) is not None:
                outcome.set_exception(error)
            elif ending is Ending.CANCELLED:
                outcome.cancel()
            else:
                outcome.set_result((job.answer, ending, ""))

        job = Job("workerlib:tasks", arguments, {}, end, title=title)
        number = driver.submit(job, slot=batch.slot)
        try:
            return await outcome
        except asyncio.CancelledError:
            driver.cancel(number)
            raise

    async def _fetch(self, node: _Node) -> Packed | None:
        """Gets a result from the worker that keeps it; None if that worker is gone."""
        if node.place is None:
            return None
        member = self._driver.member(*node.place)
        if member is None:
            return None
        try:
            packed: Packed = await member.take(node.number)
        except WorkerDiedError:
            return None
        return packed

    def _put_back(self, batch: _Batch) -> None:
        """Has tasks run again later: their worker died, or one that has an input."""
        for node in batch.nodes:
            node.place = None
        self._forget_the_dead()
        first = batch.nodes[0]
        if not self._missing[first.key]:
            self._make_ready(first.key)

    def _forget_the_dead(self) -> None:
        """Has results made again that were kept by workers that are gone, if somebody needs them."""
        alive = self._driver.alive()
        if alive == self._alive:
            return
        self._alive = alive
        for node in self._nodes.values():
            if node.place is None or self._driver.member(*node.place) is not None:
                continue
            node.place = None
            if not node.needed_by:
                continue
            for key in node.needed_by:
                self._missing[key] += 1
                self._is_ready.discard(key)
            self._ready = [entry for entry in self._ready if entry[2] not in node.needed_by]
            heapq.heapify(self._ready)
            self._make_again(node)

    def _make_again(self, node: _Node) -> None:
        """Makes a result again, and before that those that it needs and that have been let go."""
        missing = 0
        for key in node.needs:
            needed = self._nodes[key]
            needed.needed_by.add(node.key)
            if needed.place is None or self._driver.member(*needed.place) is None:
                missing += 1
                if not needed.is_running and key not in self._is_ready and needed.place is None:
                    self._make_again(needed)
        self._missing[node.key] = missing
        if not missing and not node.is_running:
            self._make_ready(node.key)

    def _release(self, node: _Node, user: Any) -> None:
        node.needed_by.discard(user)
        if not node.needed_by:
            self._drop(node)

    def _drop(self, node: _Node) -> None:
        """Has the worker forget a result: with its next tasks."""
        if node.place is not None:
            self._garbage.setdefault(node.place, []).append(node.number)
            node.place = None

    def _free_all(self) -> None:
        for node in self._nodes.values():
            self._drop(node)
        for place, numbers in self._garbage.items():
            member = self._driver.member(*place)
            if member is not None:
                self._driver.keep(place[0], member.free(numbers))

    def _fail(self, error: BaseException) -> None:
        if not self._done.done():
            self._done.set_exception(error)

    def _on_pool_end(self) -> None:
        self._fail(self._driver.closing_error())


def _described(node: _Node) -> bytes:
    if node.described is None:
        import cloudpickle

        node.described = cloudpickle.dumps(node.task)
    return node.described


def _needed(tasks: dict[Any, Any], wanted: list[Any]) -> dict[Any, Any]:
    """Leaves out tasks that nobody needs."""
    needed: dict[Any, Any] = {}
    waiting = list(wanted)
    while waiting:
        key = waiting.pop()
        if key not in needed:
            needed[key] = tasks[key]
            waiting += tasks[key].dependencies
    return needed


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
