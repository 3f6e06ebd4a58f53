"""Decides which tasks of a graph a worker runs next, and which results stay where.

`Plan` is a state machine without I/O, without a clock and without dask: the run of a graph
(`_pool/graph_run.py`) tells it what has happened, and sends the batches that `next_batch()` returns. A batch
is a list of tasks that one worker runs one after the other. The plan holds these invariants, whatever happens
in whichever order:

- A task is sent only when each of its inputs is kept by a worker that lives, or is made earlier in its batch.
- A result is kept while the caller needs it, or a task that has not ended. Then its worker frees it.
- A result that is lost with its worker is made again if it is needed, and so are the results that it needs.
- A task of which two workers died is not tried again. Tasks of a batch whose worker died run alone then.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

_TARGET = 0.02
"""The time in seconds that a batch should take, as far as its tasks could run elsewhere at the same time."""
_LONGEST = 64
"""The number of tasks that a batch has at most."""
_DEATHS = 2
"""After how many deaths of workers a task is not tried again: the pool's default."""
_LOOKED_AT = 32
"""The number of tasks of other workers that are passed in a search; to pass all would take too long."""
_NEWEST = 0.3
"""The weight of a task's time against the earlier times of its kind."""

_numbers = itertools.count(1)


def next_number() -> int:
    """Returns a number by which workers keep a value: no other value of this Python has it."""
    return next(_numbers)


class Place(NamedTuple):
    """A worker: its slot, and which of the slot's workers it is."""

    slot: int
    incarnation: int


class Entry(NamedTuple):
    """A task as the graph describes it."""

    needs: Iterable[Hashable]
    """The keys of the tasks whose results it uses."""
    priority: int
    """Its place in the order in which tasks should run."""
    kind: Hashable
    """Tasks of a kind take about the same time."""


class State(Enum):
    """The states of a task."""

    WAITING = "waiting"
    """It lacks a result."""
    READY = "ready"
    RUNNING = "running"
    """It is in a batch."""
    ENDED = "ended"
    """Its result is kept, or has been freed because nobody needs it."""


@dataclass(slots=True, eq=False)
class Node:
    """A task in a plan."""

    key: Hashable
    number: int
    """The number by which workers keep its result."""
    priority: int
    kind: Hashable
    needs: list[Node] = field(default_factory=list)
    needed_by: set[Node] = field(default_factory=set)
    """The tasks that use its result and have not ended."""
    missing: int = 0
    """The number of results that it uses and that are kept nowhere."""
    state: State = State.WAITING
    place: Place | None = None
    """The worker that keeps its result."""
    size: int = 0
    """The approximate size of its result in bytes."""
    deaths: int = 0
    """The number of workers that died while they ran it, or a batch that it was in."""


@dataclass(slots=True, eq=False)
class Batch:
    """Tasks that a worker runs one after the other."""

    place: Place
    nodes: list[Node]
    inputs: list[Node] = field(default_factory=list)
    """The tasks of earlier batches whose results these use."""
    drops: list[list[Node]] = field(default_factory=list)
    """For each task the results that its worker frees afterwards, since nobody else needs them."""

    def dropped(self) -> set[Node]:
        """Returns all tasks whose results the worker frees."""
        return set(itertools.chain.from_iterable(self.drops))


class Plan:
    """The state machine of one computation."""

    def __init__(
        self, entries: Mapping[Hashable, Entry], wanted: Collection[Hashable], target: float = _TARGET
    ) -> None:
        """Starts with those tasks ready that need nothing.

        Args:
            entries: The tasks by their keys.
            wanted: The keys of the results that the caller wants.
            target: The time in seconds that a batch should take.
        """
        self._target = target
        self.nodes = {
            key: Node(key, next_number(), entry.priority, entry.kind) for key, entry in entries.items()
        }
        """The tasks by their keys."""
        self._undelivered = {self.nodes[key] for key in wanted}
        self._ready: list[tuple[int, int, Node]] = []
        """A heap. A task that is no longer ready stays in it, and is passed over."""
        self._ready_count = 0
        self._busy: set[int] = set()
        """The slots whose workers run a batch."""
        self._seconds: dict[Hashable, float] = {}
        """About how long a task of each kind takes."""
        self._garbage: dict[Place, list[int]] = {}
        for key, entry in entries.items():
            node = self.nodes[key]
            node.needs = [self.nodes[needed] for needed in entry.needs]
            node.missing = len(node.needs)
            for needed in node.needs:
                needed.needed_by.add(node)
        for node in self.nodes.values():
            self._make_ready(node)

    @property
    def is_done(self) -> bool:
        """Whether the caller has all results."""
        return not self._undelivered

    def is_undelivered(self, node: Node) -> bool:
        """Tells whether the caller still lacks a result."""
        return node in self._undelivered

    def discard(self, place: Place, number: int) -> None:
        """Has a worker free a value with its next batch."""
        self._garbage.setdefault(place, []).append(number)

    def garbage(self, place: Place) -> list[int]:
        """Takes out the numbers of the values that a worker is to free."""
        return self._garbage.pop(place, [])

    def end(self) -> dict[Place, list[int]]:
        """Ends the computation; returns what each worker is to free."""
        for node in self.nodes.values():
            self._free(node)
        garbage, self._garbage = self._garbage, {}
        return garbage

    # Batches.

    def next_batch(self, place: Place, idle: Collection[int], workers: int) -> Batch | None:
        """Takes out tasks for an idle worker.

        Args:
            place: The worker.
            idle: The slots whose workers are idle, this one among them.
            workers: The number of workers that live.

        Returns:
            The batch; None if there is nothing for this worker.
        """
        # Batches become smaller towards the end, so that all workers end at about the same time.
        share = max(1, self._ready_count // (2 * workers))
        passed: list[tuple[int, int, Node]] = []
        first = self._next_for(place, passed) or self._next_of_others(passed, idle)
        batch = None
        if first is not None:
            batch = Batch(place, self._filled(first, place, passed, share))
            self._note_uses(batch)
            self._busy.add(place.slot)
        for entry in passed:
            heapq.heappush(self._ready, entry)
        return batch

    def _next_for(self, place: Place, passed: list[tuple[int, int, Node]]) -> Node | None:
        """Takes out the first task whose largest input this worker has, or that needs none."""
        while self._ready and len(passed) < _LOOKED_AT:
            entry = heapq.heappop(self._ready)
            node = entry[2]
            if node.state is not State.READY:
                continue
            if _home(node) in {None, place}:
                return node
            passed.append(entry)
        return None

    def _next_of_others(self, passed: list[tuple[int, int, Node]], idle: Collection[int]) -> Node | None:
        """Takes out a task of a worker that is busy: its inputs travel."""
        for entry in passed:
            home = _home(entry[2])
            # The last one waits for its worker, unless that is busy with something else than this graph.
            if (
                home is not None
                and home.slot not in idle
                and (len(passed) > 1 or home.slot not in self._busy)
            ):
                passed.remove(entry)
                return entry[2]
        return None

    def _filled(
        self, first: Node, place: Place, passed: list[tuple[int, int, Node]], share: int
    ) -> list[Node]:
        """Makes a batch of a task and of others that may follow it, in the order of their priorities.

        A task that can run nowhere else, because the batch makes its inputs and nothing else uses them, is
        always taken. Other tasks are taken until the batch has its time, or this worker has its share of the
        ready tasks.
        """
        nodes: list[Node] = []
        spent = 0.0
        met: dict[Node, int] = {}
        line = [(first.priority, first.number, first)]
        while line and len(nodes) < _LONGEST and not (nodes and first.deaths):
            entry = heapq.heappop(line)
            node = entry[2]
            if node.state is State.RUNNING:
                # It was in the heap twice.
                continue
            was_ready = node.state is State.READY
            seconds = self._seconds.get(node.kind, self._target)
            if not _is_bound(node, met):
                if nodes and (node.deaths or share < 1 or spent + seconds > self._target):
                    if was_ready:
                        heapq.heappush(self._ready, entry)
                    continue
                share -= 1
            nodes.append(node)
            spent += seconds
            node.state = State.RUNNING
            for user in node.needed_by:
                met[user] = met.get(user, 0) + 1
                if _may_follow(user, met[user], place):
                    heapq.heappush(line, (user.priority, user.number, user))
            if was_ready:
                self._ready_count -= 1
                other = self._next_for(place, passed)
                if other is not None:
                    heapq.heappush(line, (other.priority, other.number, other))
        for entry in line:
            if entry[2].state is State.READY:
                heapq.heappush(self._ready, entry)
        return nodes

    def _note_uses(self, batch: Batch) -> None:
        """Notes the inputs of a batch, and after which task nobody needs a result any more."""
        inside = set(batch.nodes)
        last_use: dict[Node, int] = {}
        for index, node in enumerate(batch.nodes):
            last_use[node] = index
            for needed in node.needs:
                last_use[needed] = index
        batch.drops = [[] for _ in batch.nodes]
        for node, index in last_use.items():
            if node not in inside:
                batch.inputs.append(node)
            is_here = node in inside or node.place == batch.place
            if is_here and node not in self._undelivered and node.needed_by <= inside:
                batch.drops[index].append(node)

    # Events.

    def handle_ended(self, batch: Batch, sizes: Iterable[int], seconds: Iterable[float]) -> None:
        """Notes that a worker has run a batch.

        Args:
            batch: The batch.
            sizes: The approximate sizes of the results that the worker keeps, in their order.
            seconds: The time that each task took.
        """
        self._busy.discard(batch.place.slot)
        dropped = batch.dropped()
        size_of = iter(sizes)
        for node, took in zip(batch.nodes, seconds, strict=True):
            known = self._seconds.get(node.kind, took)
            self._seconds[node.kind] = known + _NEWEST * (took - known)
            node.state = State.ENDED
            for needed in node.needs:
                needed.needed_by.discard(node)
            if node not in dropped:
                node.place, node.size = batch.place, next(size_of)
                for user in node.needed_by:
                    user.missing -= 1
                    self._make_ready(user)
        # A task that is to run again, because of a death meanwhile, may need a result that is freed now.
        self._lose(dropped.intersection(batch.inputs))
        self._make_again([node for node in dropped.intersection(batch.nodes) if self._is_needed(node)])
        for node in {*batch.nodes, *batch.inputs} - dropped:
            if not self._is_needed(node):
                self._free(node)

    def handle_failed(self, batch: Batch, is_death: bool) -> Node | None:
        """Notes that a batch has not been run to its end, and is to be run again.

        Args:
            batch: The batch.
            is_death: Whether its worker died of it, perhaps.

        Returns:
            A task of which too many workers have died; None if there is none.
        """
        self._busy.discard(batch.place.slot)
        for node in batch.nodes:
            node.state = State.WAITING
            node.deaths += is_death
        for node in batch.nodes:
            self._make_ready(node)
        return next((node for node in batch.nodes if node.deaths >= _DEATHS), None)

    def handle_gone(self, lives: Callable[[Place], bool]) -> None:
        """Has results made again that are needed and were kept by workers that are gone.

        Args:
            lives: Tells whether a worker lives.
        """
        self._garbage = {place: numbers for place, numbers in self._garbage.items() if lives(place)}
        self._lose([node for node in self.nodes.values() if node.place is not None and not lives(node.place)])

    def handle_delivered(self, node: Node) -> None:
        """Notes that the caller has a result."""
        self._undelivered.discard(node)
        if not self._is_needed(node):
            self._free(node)

    def _lose(self, lost: Collection[Node]) -> None:
        """Notes that results are kept no longer, and has those made again that are needed."""
        for node in lost:
            node.place = None
            for user in node.needed_by:
                user.missing += 1
                if user.state is State.READY:
                    user.state = State.WAITING
                    self._ready_count -= 1
        self._make_again([node for node in lost if self._is_needed(node)])

    def _make_again(self, lost: list[Node]) -> None:
        """Has results made again, and before that those that they need and that have been freed."""
        for node in lost:
            node.state = State.WAITING
        waiting = list(lost)
        while waiting:
            node = waiting.pop()
            node.missing = 0
            for needed in node.needs:
                needed.needed_by.add(node)
                node.missing += needed.place is None
                if needed.place is None and needed.state is State.ENDED:
                    needed.state = State.WAITING
                    waiting.append(needed)
            self._make_ready(node)

    def _make_ready(self, node: Node) -> None:
        if node.state is State.WAITING and not node.missing:
            node.state = State.READY
            self._ready_count += 1
            heapq.heappush(self._ready, (node.priority, node.number, node))

    def _is_needed(self, node: Node) -> bool:
        return bool(node.needed_by) or node in self._undelivered

    def _free(self, node: Node) -> None:
        if node.place is not None:
            self.discard(node.place, node.number)
            node.place = None


def _home(node: Node) -> Place | None:
    """Returns the worker that has the largest input of a task; None if no worker has one."""
    placed = [needed for needed in node.needs if needed.place is not None]
    return max(placed, key=lambda needed: needed.size).place if placed else None


def _may_follow(node: Node, met: int, place: Place) -> bool:
    """Tells whether a task can run in a batch of a worker.

    Args:
        node: The task.
        met: The number of its inputs that the batch makes.
        place: The worker.
    """
    if node.state is not State.WAITING or node.missing != met or node.deaths:
        return False
    return met == len(node.needs) or all(
        needed.place == place for needed in node.needs if needed.place is not None
    )


def _is_bound(node: Node, met: Mapping[Node, int]) -> bool:
    """Tells whether a batch makes all inputs of a task, and the task is the only one that uses them."""
    return met.get(node) == len(node.needs) and all(len(needed.needed_by) == 1 for needed in node.needs)
