"""Decides which worker runs which task, and what becomes of tasks and workers.

`Schedule` is a state machine without I/O and without a clock: the driver (`_pool/driver.py`) tells it what
has happened and when, and carries out the steps that `poll()` returns. Tasks are numbers here; the driver
keeps their functions, arguments and results.

It holds these invariants, whatever happens in whichever order:

- Each task settles once.
- A condemned worker (one that is being interrupted, has died or is parked) gets no task.
- Each worker runs one task at a time, so a death has one suspect.
- Of each feed at most `ahead` chunks of items have been read and not been taken by their consumer.
- A worker is started again at most `max_restarts` times in a minute.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from workerlib._pool.restarts import Policy, Restarts

TARGET = 0.01
"""How many seconds a chunk of items should take."""
LARGEST = 1024
"""The largest number of items of a chunk whose size the schedule chooses."""
GRACE = 2.0
"""How many seconds an interrupted worker has to become idle before it is terminated."""


class Ending(Enum):
    """How a task settles."""

    ANSWERED = "answered"
    """The function returned or raised: the driver has the answer."""
    DIED = "died"
    """Its worker died while it ran."""
    POISONED = "poisoned"
    """So many workers died while it ran that it is not tried again."""
    TIMED_OUT = "timed out"
    """It ran for longer than it may."""
    CANCELLED = "cancelled"
    """Its caller cancelled it."""
    DISTURBED = "disturbed"
    """It began in the moment in which the task before it was interrupted, and was interrupted instead."""
    GONE = "gone"
    """It was for one worker, which died before the task began."""
    BROKEN = "broken"
    """The pool has no worker left."""


class Start(NamedTuple):
    """Start a worker."""

    slot: int
    incarnation: int


class Run(NamedTuple):
    """Have a worker run tasks, one after the other."""

    slot: int
    incarnation: int
    tasks: list[int]
    is_chunk: bool = False
    """Whether they are items of a feed, which may travel in one call."""


class Interrupt(NamedTuple):
    """Interrupt what a worker runs, and say by `handle_ended` when it is idle."""

    slot: int
    incarnation: int


class Terminate(NamedTuple):
    """Terminate a worker, and say by `handle_died` when it is gone."""

    slot: int
    incarnation: int


class Settle(NamedTuple):
    """Tell the caller of a task how it ended."""

    task: int
    ending: Ending


class Read(NamedTuple):
    """Read further items of a feed, and give them by `supply`: `most` of them, or fewer."""

    feed: int
    most: int


class Break(NamedTuple):
    """Tell everybody that no worker is left."""


Step = Start | Run | Interrupt | Terminate | Settle | Read | Break


class State(Enum):
    """The states of a slot, which is the place of a worker and of those that replace it."""

    WAITING = "waiting"
    """It has no worker, and gets one when its time has come."""
    STARTING = "starting"
    IDLE = "idle"
    BUSY = "busy"
    CONDEMNED = "condemned"
    """Its worker is being interrupted, or terminated."""
    PARKED = "parked"
    """It has no worker, and gets none."""


@dataclass(slots=True, eq=False)
class _Task:
    number: int
    timeout: float | None
    retries: float
    feed: _Feed | None = None
    slot: int | None = None
    """The slot for whose worker it is; None for any."""
    deaths: int = 0
    is_settled: bool = False
    is_running: bool = False
    where: _Slot | None = None


@dataclass(slots=True, eq=False)
class _Feed:
    number: int
    ahead: int
    chunk: int | None
    timeout: float | None
    retries: float
    buffer: deque[_Task] = field(default_factory=deque)
    size: int = 1
    """How many items the next chunk has."""
    untaken: int = 0
    """How many items have been read, and not been taken."""
    requested: int = 0
    has_ended: bool = False
    is_closed: bool = False


@dataclass(slots=True, eq=False)
class _Slot:
    number: int
    restarts: Restarts
    state: State = State.WAITING
    incarnation: int = 0
    start_at: float = 0.0
    tasks: deque[_Task] = field(default_factory=deque)
    """The tasks that its worker has been given and has not answered; the first one runs."""
    pinned: deque[_Task] = field(default_factory=deque)
    """Tasks for its worker and no other."""
    begun_at: float = 0.0
    """When the first of `tasks` began."""
    run_at: float = 0.0
    """When the run began."""
    run_of: int = 0
    """How many tasks the run had."""
    run_feed: _Feed | None = None
    """The feed of the run's tasks, if they are of one."""
    meant: _Task | None = None
    """The task for which the worker is being interrupted."""
    meaning: Ending = Ending.CANCELLED
    grace_ends: float = math.inf
    is_own_kill: bool = False


class Schedule:
    """The state machine of a pool."""

    def __init__(
        self, size: int, policy: Policy | None = None, poison_after: float = 2, target: float = TARGET
    ) -> None:
        """Starts with no worker; the first `poll()` asks for one.

        Args:
            size: The number of workers.
            policy: How often a worker is started again.
            poison_after: How many workers may die of a task before it is not tried again.
            target: How many seconds a chunk of items should take.
        """
        self._target = target
        policy = policy or Policy()
        self._slots = [_Slot(number, Restarts(policy)) for number in range(size)]
        self._poison_after = poison_after
        self._tasks: dict[int, _Task] = {}
        self._feeds: dict[int, _Feed] = {}
        self._again: deque[_Task] = deque()
        """Tasks that run alone and before all others: they ran when a worker died."""
        self._singles: deque[_Task] = deque()
        self._turns: deque[_Feed | None] = deque([None])
        """Whose turn it is: the feeds, and None for the tasks that are submitted one by one."""
        self._steps: deque[Step] = deque()
        self._now = 0.0
        self.is_broken = False
        """Whether every slot is parked."""
        self.is_closed = False
        """Whether the pool is closed: nothing is started any more."""

    # Wishes of the user.

    def submit(
        self, task: int, timeout: float | None = None, retries: float = 0, slot: int | None = None
    ) -> None:
        """Adds a task.

        Args:
            task: A number that no other task has.
            timeout: The number of seconds that it may run; None for any.
            retries: How often it runs again after the death of its worker.
            slot: The slot for whose worker it is; None for any.
        """
        made = self._tasks[task] = _Task(task, timeout, retries, slot=slot)
        if self.is_broken or self.is_closed:
            self._settle(made, Ending.BROKEN)
        elif slot is None:
            self._singles.append(made)
        elif self._slots[slot].state in {State.IDLE, State.BUSY}:
            self._slots[slot].pinned.append(made)
        else:
            self._settle(made, Ending.GONE)

    def cancel(self, task: int) -> None:
        """Cancels a task; one that runs is interrupted."""
        known = self._tasks.get(task)
        if known is None:
            return
        if known.is_running and known.where is not None:
            self._interrupt(known.where, known, Ending.CANCELLED)
        else:
            self._settle(known, Ending.CANCELLED)

    def open_feed(
        self,
        feed: int,
        ahead: int,
        chunk: int | None = None,
        timeout: float | None = None,
        retries: float = 0,
    ) -> None:
        """Adds a source of tasks that is read as far as there are workers for it.

        Args:
            feed: A number that no other feed has.
            ahead: How many chunks of items may have been read and not been taken.
            chunk: The number of items of a chunk; None to choose it by the time that items take.
            timeout: The number of seconds that each item may run.
            retries: How often an item runs again after the death of its worker.
        """
        made = self._feeds[feed] = _Feed(feed, ahead, chunk, timeout, retries)
        made.size = chunk or 1
        self._turns.append(made)

    def supply(self, feed: int, tasks: Iterable[int]) -> None:
        """Gives items of a feed that `Read` has asked for."""
        known = self._feeds[feed]
        for number in tasks:
            task = self._tasks[number] = _Task(number, known.timeout, known.retries, known)
            known.untaken += 1
            known.requested -= 1
            if self.is_broken or self.is_closed:
                self._settle(task, Ending.BROKEN)
            elif known.is_closed:
                self._settle(task, Ending.CANCELLED)
            else:
                known.buffer.append(task)

    def end_feed(self, feed: int) -> None:
        """Notes that a feed has no further items."""
        self._feeds[feed].has_ended = True

    def take(self, feed: int, count: int = 1) -> None:
        """Notes that the consumer of a feed has taken results."""
        known = self._feeds.get(feed)
        if known is not None:
            known.untaken -= count

    def close_feed(self, feed: int) -> None:
        """Drops a feed: its consumer has gone. Items that wait are cancelled, items that run interrupted."""
        known = self._feeds.pop(feed, None)
        if known is None:
            return
        known.is_closed = known.has_ended = True
        self._turns.remove(known)
        for task in [task for task in self._tasks.values() if task.feed is known]:
            self.cancel(task.number)

    def recycle(self, slot: int, incarnation: int) -> None:
        """Replaces an idle worker by a new one, which counts as no death."""
        known = self._current(slot, incarnation)
        if known is not None and known.state is State.IDLE:
            self._terminate(known)

    def close(self) -> None:
        """Ends the pool: every task settles, and no worker is started."""
        self.is_closed = True
        self._settle_all(Ending.BROKEN)

    # Events.

    def handle_started(self, slot: int, incarnation: int) -> None:
        """Notes that a worker can run tasks."""
        known = self._current(slot, incarnation)
        if known is not None and known.state is State.STARTING:
            known.state = State.IDLE

    def handle_start_failed(self, slot: int, incarnation: int, is_final: bool) -> None:
        """Notes that a worker could not be started.

        Args:
            slot: Its slot.
            incarnation: Which of the slot's workers it is.
            is_final: Whether another attempt would fail as well.
        """
        known = self._current(slot, incarnation)
        if known is None or known.state is not State.STARTING:
            return
        if is_final:
            self._park(known)
        else:
            self._wait(known, is_death=True)

    def handle_outcome(self, slot: int, incarnation: int, task: int, was_interrupted: bool = False) -> bool:
        """Notes that the task that runs has ended.

        Args:
            slot: The slot of its worker.
            incarnation: Which of the slot's workers it is.
            task: The task.
            was_interrupted: Whether it ended because of an `Interrupt`, without an answer.

        Returns:
            Whether the answer counts: it does not if the worker has been replaced meanwhile.
        """
        known = self._current(slot, incarnation)
        if known is None or not known.tasks or known.tasks[0].number != task:
            return False
        ended = known.tasks.popleft()
        known.begun_at = self._now
        if known.tasks:
            known.tasks[0].is_running = True
        if not was_interrupted:
            self._settle(ended, Ending.ANSWERED)
        elif ended is known.meant:
            self._settle(ended, known.meaning)
        elif ended.retries > 0:
            self._run_again(ended)
        else:
            self._settle(ended, Ending.DISTURBED)
        return True

    def skip(self, slot: int, incarnation: int, task: int) -> None:
        """Notes that a task that was cancelled before its turn has not been run."""
        self.handle_outcome(slot, incarnation, task)

    def handle_ended(self, slot: int, incarnation: int, seconds: float | None = None) -> None:
        """Notes that a worker is idle: its run has ended. Tasks without an outcome have not begun.

        Args:
            slot: The worker's slot.
            incarnation: Which of the slot's workers it is.
            seconds: How long the run took in the worker, if that is known.
        """
        known = self._current(slot, incarnation)
        if known is None or known.state not in {State.BUSY, State.CONDEMNED} or known.is_own_kill:
            return
        if known.state is State.BUSY and not known.tasks:
            self._learn(known, self._now - known.run_at if seconds is None else seconds)
        if known.meant is not None:
            # Interrupted before it had begun.
            self._settle(known.meant, known.meaning)
        self._put_back(known)
        known.state = State.IDLE
        known.meant = None
        known.grace_ends = math.inf

    def handle_not_begun(self, slot: int, incarnation: int) -> None:
        """Notes that a run could not begin, because of one of its tasks: each is tried alone."""
        known = self._current(slot, incarnation)
        if known is None:
            return
        for task in reversed(known.tasks):
            task.is_running, task.where = False, None
            self._again.appendleft(task)
        known.tasks.clear()

    def handle_lost(self, slot: int, incarnation: int) -> None:
        """Notes that the tasks of a run are lost though their slot has a worker: of a cluster.

        Each of them may have run, since nothing tells how far the worker had come.
        """
        known = self._current(slot, incarnation)
        if known is None:
            return
        tasks, known.tasks = known.tasks, deque()
        for task in tasks:
            task.deaths += 1
            if task.is_settled:
                continue
            if task is known.meant:
                self._settle(task, known.meaning)
            elif task.deaths >= self._poison_after:
                self._settle(task, Ending.POISONED)
            else:
                self._run_again_or(task, Ending.DIED)

    def handle_died(self, slot: int, incarnation: int) -> None:
        """Notes that a worker is gone."""
        known = self._current(slot, incarnation)
        if known is None or known.state in {State.WAITING, State.PARKED}:
            return
        is_death = not known.is_own_kill
        if known.tasks:
            suspect = known.tasks.popleft()
            if suspect is known.meant:
                self._settle(suspect, known.meaning)
            elif not is_death:
                # Terminated because the task before it could not be interrupted, and it had begun since.
                self._run_again_or(suspect, Ending.DISTURBED)
            else:
                suspect.deaths += 1
                if suspect.deaths >= self._poison_after:
                    self._settle(suspect, Ending.POISONED)
                else:
                    self._run_again_or(suspect, Ending.DIED)
        self._put_back(known)
        for task in known.pinned:
            self._settle(task, Ending.GONE)
        known.pinned.clear()
        self._wait(known, is_death)

    def handle_time(self, now: float) -> None:
        """Notes the time, in seconds: to be called before whatever happened then, and at `deadline()`."""
        self._now = now
        for slot in self._slots:
            if slot.grace_ends <= now:
                self._terminate(slot)
            elif slot.state is State.BUSY and slot.tasks:
                task = slot.tasks[0]
                if task.timeout is not None and slot.begun_at + task.timeout <= now:
                    self._interrupt(slot, task, Ending.TIMED_OUT)

    def deadline(self) -> float:
        """Returns the time of the next `handle_time`; infinity if there is none."""
        times = [math.inf]
        is_starting = any(slot.state is State.STARTING for slot in self._slots)
        for slot in self._slots:
            if slot.state is State.WAITING and not is_starting and not self.is_closed:
                times.append(slot.start_at)
            elif slot.state is State.BUSY and slot.tasks and slot.tasks[0].timeout is not None:
                times.append(slot.begun_at + slot.tasks[0].timeout)
            times.append(slot.grace_ends)
        return min(times)

    # Steps for the driver.

    def poll(self) -> Step | None:
        """Returns the next thing for the driver to do; None if there is nothing."""
        if not self._steps and not self.is_closed and not self.is_broken:
            self._read()
            self._start()
            if not self._steps:
                self._assign()
        return self._steps.popleft() if self._steps else None

    def states(self) -> list[tuple[State, int]]:
        """Returns the state of each slot, and the incarnation of its worker."""
        return [(slot.state, slot.incarnation) for slot in self._slots]

    def waiting(self) -> int:
        """Returns the number of tasks that have been read or submitted and do not run."""
        return sum(not task.is_running for task in self._tasks.values())

    def _current(self, slot: int, incarnation: int) -> _Slot | None:
        known = self._slots[slot]
        return known if known.incarnation == incarnation else None

    def _settle(self, task: _Task, ending: Ending) -> None:
        if self._tasks.pop(task.number, None) is not None:
            task.is_settled, task.is_running, task.where = True, False, None
            self._steps.append(Settle(task.number, ending))

    def _settle_all(self, ending: Ending) -> None:
        for task in list(self._tasks.values()):
            self._settle(task, ending)
        for slot in self._slots:
            slot.tasks.clear()
            slot.pinned.clear()
        self._again.clear()
        self._singles.clear()
        for feed in self._feeds.values():
            feed.buffer.clear()

    def _interrupt(self, slot: _Slot, task: _Task, meaning: Ending) -> None:
        if slot.state is not State.BUSY:
            return
        slot.state = State.CONDEMNED
        slot.meant, slot.meaning = task, meaning
        slot.grace_ends = self._now + GRACE
        self._steps.append(Interrupt(slot.number, slot.incarnation))

    def _terminate(self, slot: _Slot) -> None:
        slot.state = State.CONDEMNED
        slot.is_own_kill = True
        slot.grace_ends = math.inf
        self._steps.append(Terminate(slot.number, slot.incarnation))

    def _wait(self, slot: _Slot, is_death: bool) -> None:
        """Has a slot wait for its next worker, unless it had too many."""
        slot.meant, slot.is_own_kill, slot.grace_ends = None, False, math.inf
        delay = slot.restarts.delay_after_death(self._now) if is_death else 0.0
        if delay is None:
            self._park(slot)
        else:
            slot.state = State.WAITING
            slot.start_at = self._now + delay

    def _park(self, slot: _Slot) -> None:
        slot.state = State.PARKED
        if all(slot.state is State.PARKED for slot in self._slots) and not self.is_broken:
            self.is_broken = True
            self._steps.append(Break())
            self._settle_all(Ending.BROKEN)

    def _put_back(self, slot: _Slot) -> None:
        """Puts tasks that a worker has not begun where they were before."""
        while slot.tasks:
            task = slot.tasks.pop()
            task.is_running, task.where = False, None
            if task.is_settled:
                continue
            if task.slot is not None:
                slot.pinned.appendleft(task)
            elif task.feed is not None and not task.deaths:
                task.feed.buffer.appendleft(task)
            else:
                self._again.appendleft(task)

    def _run_again_or(self, task: _Task, ending: Ending) -> None:
        if task.retries > 0 and task.slot is None:
            self._run_again(task)
        else:
            self._settle(task, ending)

    def _run_again(self, task: _Task) -> None:
        task.retries -= 1
        task.is_running, task.where = False, None
        self._again.append(task)

    def _learn(self, slot: _Slot, seconds: float) -> None:
        """Chooses the size of a feed's next chunk by the time that the last one took."""
        feed = slot.run_feed
        if feed is None or feed.chunk is not None or slot.run_of == 0:
            return
        each = seconds / slot.run_of
        fitting = LARGEST if each <= 0 else int(self._target / each)
        # From one chunk to the next it grows by two at most: one quick item says little of the others.
        feed.size = max(1, min(fitting, 2 * slot.run_of, LARGEST))

    def _read(self) -> None:
        for feed in self._feeds.values():
            count = feed.ahead * feed.size - feed.untaken - feed.requested
            if count > 0 and not feed.has_ended:
                feed.requested += count
                self._steps.append(Read(feed.number, count))

    def _start(self) -> None:
        # One after the other: each start uses the whole machine, and the first one leaves a memory snapshot.
        if any(slot.state is State.STARTING for slot in self._slots):
            return
        due = [slot for slot in self._slots if slot.state is State.WAITING and slot.start_at <= self._now]
        if due:
            slot = min(due, key=lambda slot: (slot.start_at, slot.number))
            slot.state = State.STARTING
            slot.incarnation += 1
            self._steps.append(Start(slot.number, slot.incarnation))

    def _assign(self) -> None:
        for slot in self._slots:
            if slot.state is not State.IDLE:
                continue
            tasks, feed = self._choose(slot)
            if tasks:
                slot.state = State.BUSY
                slot.tasks.extend(tasks)
                for task in tasks:
                    task.where = slot
                tasks[0].is_running = True
                slot.run_at = slot.begun_at = self._now
                slot.run_of = len(tasks)
                slot.run_feed = feed
                numbers = [task.number for task in tasks]
                self._steps.append(Run(slot.number, slot.incarnation, numbers, feed is not None))

    def _choose(self, slot: _Slot) -> tuple[list[_Task], _Feed | None]:
        """Takes out what an idle worker runs next: tasks, and their feed if they are its next chunk."""
        for line in (slot.pinned, self._again):
            while line:
                task = line.popleft()
                if not task.is_settled:
                    return [task], None
        for _ in range(len(self._turns)):
            feed = self._turns[0]
            self._turns.rotate(-1)
            if feed is None:
                while self._singles:
                    task = self._singles.popleft()
                    if not task.is_settled:
                        return [task], None
            elif tasks := self._chunk(feed):
                return tasks, feed
        return [], None

    def _chunk(self, feed: _Feed) -> list[_Task]:
        while feed.buffer and feed.buffer[0].is_settled:
            feed.buffer.popleft()
        count = min(feed.size, len(feed.buffer))
        if feed.has_ended and feed.chunk is None:
            # Towards the end the chunks become smaller, so that all workers end at about the same time.
            workers = sum(slot.state in {State.IDLE, State.BUSY} for slot in self._slots)
            count = min(count, math.ceil(len(feed.buffer) / (2 * workers)))
        tasks = [feed.buffer.popleft() for _ in range(count)]
        return [task for task in tasks if not task.is_settled]
