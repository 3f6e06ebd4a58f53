"""Computes a graph of dask's on a pool: carries out what its `Plan` decides.

The tasks of a batch travel in one message, and a function that several tasks use travels once to each worker.
Results stay in the workers. Data travels through the page only where a task needs results of two workers, and
as bytes. The workers' side is `_pool/graph_tasks.py`; `_pool/graphs.py` reads the graph.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from workerlib._errors import ConnectionClosedError, UnsendableError, WorkerDiedError
from workerlib._pool.driver import Driver
from workerlib._pool.graph_plan import Batch, Entry, Node, Place, Plan, next_number
from workerlib._pool.graph_tasks import Packed, Step, pack, unpack
from workerlib._pool.graphs import nodes_of
from workerlib._pool.jobs import Job
from workerlib._pool.slots import State
from workerlib._pool.steps import Ending
from workerlib._rpc.outgoing_call import errors_of_end
from workerlib._values.safe_text import text_of


@dataclass(slots=True)
class _Function:
    """A function that several tasks use: workers keep it by its number, as they keep results."""

    number: int
    pickled: bytes
    sent_to: set[Place] = field(default_factory=set)


@dataclass(slots=True)
class _Changes:
    """Changes of what a worker keeps, which travel with a batch."""

    freed: list[int]
    """The numbers of values that it is to free."""
    functions: list[_Function] = field(default_factory=list)
    """The functions that it is to keep."""


class GraphRun:
    """One computation of a graph."""

    def __init__(self, driver: Driver, graph: Any, keys: Iterable[Hashable]) -> None:
        """Prepares a computation.

        Args:
            driver: The pool.
            graph: The graph, in any of dask's forms.
            keys: The keys whose results are wanted.

        Raises:
            NotSupportedError: If the graph shuffles by files.
            KeyError: If a key is not in the graph.
        """
        from dask.order import order
        from dask.utils import key_split

        wanted = list(dict.fromkeys(keys))
        self._tasks = _needed(nodes_of(graph), wanted)
        priorities = order(self._tasks)
        entries = {
            key: Entry(task.dependencies, priorities[key], key_split(key))
            for key, task in self._tasks.items()
        }
        self._plan = Plan(entries, wanted)
        self._driver = driver
        self._results: dict[Any, Any] = {}
        self._uses = Counter(id(getattr(task, "func", None)) for task in self._tasks.values())
        """The number of tasks that use a function, by its identity."""
        self._functions: dict[int, _Function] = {}
        self._running: dict[asyncio.Task[None], Batch] = {}
        self._freed: dict[Batch, list[int]] = {}
        """The numbers that travel with a batch, to be freed: of each batch that has no answer yet."""
        self._busy: set[int] = set()
        """The slots whose workers run a batch."""
        self._done: asyncio.Future[None] = driver.loop.create_future()
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
        driver.on_change.append(self._assign)
        driver.on_end.append(self._on_pool_end)
        try:
            self._end_if_done()
            self._assign()
            await self._done
            return self._results
        finally:
            driver.on_change.remove(self._assign)
            driver.on_end.remove(self._on_pool_end)
            self._free_all()

    # Batches.

    def _assign(self) -> None:
        """Gives each idle worker a batch."""
        if self._done.done():
            return
        self._forget_the_dead()
        places = {
            slot: Place(slot, incarnation)
            for slot, (state, incarnation) in enumerate(self._driver.schedule.states())
            if state is State.IDLE and slot not in self._busy and self._alive[slot] == incarnation
        }
        workers = sum(incarnation is not None for incarnation in self._alive)
        for slot, place in list(places.items()):
            batch = self._plan.next_batch(place, places, workers)
            if batch is not None:
                del places[slot]
                self._busy.add(slot)
                task = self._driver.loop.create_task(self._run_batch(batch))
                self._running[task] = batch
                task.add_done_callback(self._running.pop)

    async def _run_batch(self, batch: Batch) -> None:
        try:
            try:
                results = await self._run_on_worker(batch)
            finally:
                self._busy.discard(batch.place.slot)
            if results is None:
                self._assign()
                return
            for node in batch.nodes:
                if node.number in results:
                    self._take_in(node, results.pop(node.number))
            self._assign()
            # The worker goes on meanwhile.
            for node in batch.nodes:
                if self._plan.is_undelivered(node):
                    packed = await self._fetch(node)
                    if packed is None:
                        self._assign()
                    else:
                        self._take_in(node, packed)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            if not self._done.done():
                self._done.set_exception(error)

    def _take_in(self, node: Node, packed: Packed) -> None:
        """Takes in a result that the caller wants."""
        if self._plan.is_undelivered(node):
            with _named(f"the result of the task {node.key!r}"):
                self._results[node.key] = unpack(packed)
            self._plan.handle_delivered(node)
        self._end_if_done()

    def _end_if_done(self) -> None:
        if self._plan.is_done and not self._done.done():
            self._done.set_result(None)

    async def _run_on_worker(self, batch: Batch) -> dict[int, Packed] | None:
        """Has a worker run a batch.

        Returns:
            The results that the caller wants and that are small, by their numbers; None if the batch is to
            run again.

        Raises:
            WorkerDiedError: If two workers died of a task.
            BaseException: Any exception of a task.
        """
        inputs: dict[int, Packed] = {}
        for node in batch.inputs:
            if node.place != batch.place:
                packed = await self._fetch(node)
                if packed is None:
                    # Its worker has died, so it is made again before this batch.
                    self._forget_the_dead()
                    self._plan.handle_failed(batch, is_death=False)
                    return None
                inputs[node.number] = packed
        changes = _Changes(self._plan.garbage(batch.place))
        self._freed[batch] = changes.freed
        job, ending = await self._call(batch, self._message(batch, inputs, changes))
        del self._freed[batch]
        if ending is Ending.ANSWERED:
            seconds, sizes, results = job.answer
            self._plan.handle_ended(batch, sizes, seconds)
            return results  # type: ignore[no-any-return]
        # The worker may live: while it is interrupted for another caller, it gets nothing.
        for function in changes.functions:
            function.sent_to.discard(batch.place)
        for number in changes.freed:
            self._plan.discard(batch.place, number)
        self._forget_the_dead()
        poison = self._plan.handle_failed(batch, ending in {Ending.DIED, Ending.POISONED})
        if poison is not None:
            raise errors_of_end(True, job.cause)(
                f"the task {poison.key!r} is not tried again, since each worker that ran it died; the last"
                f" one: {job.fate}"
            )
        return None

    def _message(self, batch: Batch, inputs: dict[int, Packed], changes: _Changes) -> tuple[Any, ...]:
        """Makes the arguments of `run_tasks` (`_pool/graph_tasks.py`)."""
        steps: list[Step] = []
        whole: list[tuple[Any, dict[Hashable, int]]] = []
        for node, drops in zip(batch.nodes, batch.drops, strict=True):
            task = self._tasks[node.key]
            dropped = [one.number for one in drops]
            arguments = self._arguments(task)
            if arguments is None:
                steps.append((node.number, None, [len(whole)], [], {}, [], dropped))
                whole.append((task, {needed.key: needed.number for needed in node.needs}))
            else:
                with _named(f"the task {node.key!r}"):
                    function = self._function(task.func)
                if batch.place not in function.sent_to:
                    function.sent_to.add(batch.place)
                    changes.functions.append(function)
                steps.append((node.number, function.number, *arguments, dropped))
        wanted = [node.number for node in batch.nodes if self._plan.is_undelivered(node)]
        functions = {function.number: function.pickled for function in changes.functions}
        try:
            packed, pickled = pack(steps), _pickled(whole) if whole else None
        except Exception:
            # One of them is at fault: each is tried alone.
            for node, step in zip(batch.nodes, steps, strict=True):
                with _named(f"the task {node.key!r}"):
                    pack(step)
                    if step[1] is None:
                        _pickled(whole[step[2][0]])
            raise
        return (packed, pickled, wanted), inputs, (functions, changes.freed)

    def _arguments(self, task: Any) -> tuple[list[Any], list[int], dict[str, Any], list[str]] | None:
        """Takes a task apart whose function others use, too.

        Returns:
            The positional arguments, the indices of those that are numbers of results, the keyword arguments,
            and the names of those that are numbers of results; None if the task is not that simple.
        """
        from dask.task_spec import Alias, GraphNode, Task, TaskRef

        if type(task) is not Task or self._uses[id(task.func)] < 2:
            return None
        args, kwargs = list(task.args), dict(task.kwargs)
        indices: list[int] = []
        names: list[str] = []
        given: tuple[tuple[Any, Any], ...] = ((args, indices), (kwargs, names))
        for values, references in given:
            for index, value in values.items() if isinstance(values, dict) else enumerate(values):
                if isinstance(value, (TaskRef, Alias)):
                    key = value.target if isinstance(value, Alias) else value.key
                    values[index] = self._plan.nodes[key].number
                    references.append(index)
                elif isinstance(value, GraphNode):
                    return None
        return args, indices, kwargs, names

    def _function(self, function: Any) -> _Function:
        known = self._functions.get(id(function))
        if known is None:
            known = self._functions[id(function)] = _Function(next_number(), _pickled(function))
        return known

    async def _call(self, batch: Batch, arguments: tuple[Any, ...]) -> tuple[Job, Ending]:
        """Has a worker run tasks.

        Returns:
            The call of `run_tasks` with its result, or with the death of its worker; and how it ended.
        """
        driver = self._driver
        outcome: asyncio.Future[tuple[Job, Ending]] = driver.loop.create_future()
        title = f"the task {batch.nodes[0].key!r}"

        def end(job: Job, ending: Ending) -> None:
            if outcome.done():
                return
            if ending in {Ending.DIED, Ending.GONE, Ending.POISONED}:
                outcome.set_result((job, ending))
            elif (error := driver.error_of(job, ending)) is not None:
                outcome.set_exception(error)
            elif ending is Ending.CANCELLED:
                outcome.cancel()
            else:
                outcome.set_result((job, ending))

        job = Job("workerlib:tasks", arguments, {}, end, title=title)
        number = driver.submit(job, slot=batch.place.slot)
        try:
            return await outcome
        except asyncio.CancelledError:
            driver.cancel(number)
            raise

    async def _fetch(self, node: Node) -> Packed | None:
        """Gets a result from the worker that keeps it; None if that worker is gone."""
        if node.place is None:
            return None
        member = self._driver.member(*node.place)
        if member is None:
            return None
        try:
            with _named(f"the result of the task {node.key!r}"):
                packed: Packed = await member.take(node.number)
        except WorkerDiedError:
            return None
        return packed

    # Ends of workers, and of the computation.

    def _forget_the_dead(self) -> None:
        """Has results made again that were kept by workers that are gone, if somebody needs them."""
        alive = self._driver.alive()
        if alive != self._alive:
            self._alive = alive
            self._plan.handle_gone(lambda place: alive[place.slot] == place.incarnation)

    def _free_all(self) -> None:
        """Has the workers free all that they keep for this computation, and drop what they run of it."""
        garbage = self._plan.end()
        for task, batch in self._running.items():
            task.cancel()
            # The worker may have run it to its end in this moment.
            garbage.setdefault(batch.place, []).extend(node.number for node in batch.nodes)
        for batch, numbers in self._freed.items():
            garbage.setdefault(batch.place, []).extend(numbers)
        for function in self._functions.values():
            for place in function.sent_to:
                garbage.setdefault(place, []).append(function.number)
        for place, numbers in garbage.items():
            member = self._driver.member(*place)
            if member is not None:
                self._driver.keep(place.slot, member.free(numbers))

    def _on_pool_end(self) -> None:
        if not self._done.done():
            self._done.set_exception(self._driver.closing_error())


@contextlib.contextmanager
def _named(what: str) -> Iterator[None]:
    """Has the error of a value that cannot travel name the task.

    Args:
        what: The value, for the message.

    Raises:
        UnsendableError: If the value cannot be packed or unpacked.
    """
    try:
        yield
    except ConnectionClosedError:
        raise
    except Exception as error:
        raise UnsendableError(
            what, reason=f"neither workerlib nor cloudpickle can send it: {text_of(error)}"
        ) from error


def _pickled(value: Any) -> bytes:
    import cloudpickle

    return bytes(cloudpickle.dumps(value))


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
