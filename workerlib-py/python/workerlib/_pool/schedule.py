"""Decides which worker runs which task, and what becomes of tasks and workers.

`Schedule` is a state machine without I/O and without a clock: the driver (`_pool/driver.py`) tells it what
has happened and when, and carries out the steps that `poll()` returns. Tasks are numbers here; the driver
keeps their functions, arguments and results. The items of a feed are ranges of numbers (`items_of`): a chunk
of items costs here as much as one of them.

It holds these invariants, whatever happens in whichever order:

- Each task settles once.
- A condemned worker (one that is being interrupted, has died or is parked) gets no task.
- Each worker runs one task at a time. A death has one suspect, or so many as outcomes may travel together
  (`Run.together`): nothing tells which of these the worker ran.
- Of each feed at most `ahead` chunks of items have been read and not been taken by their consumer.
- A worker is started again at most `max_restarts` times in a minute.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field, replace
from enum import Enum

from workerlib._pool.restarts import Policy, Restarts
from workerlib._pool.steps import (
    Break,
    Ending,
    Interrupt,
    Read,
    Run,
    Settle,
    Start,
    Step,
    Terminate,
)

TARGET = 0.01
"""How many seconds a chunk of items should take."""
PATIENCE = 2
"""After how many times `target` a worker gives back the items of such a chunk that have not begun."""
LARGEST = 1024
"""The largest number of items of a chunk whose size the schedule chooses."""
GRACE = 2.0
"""How many seconds an interrupted worker has to become idle before it is terminated."""
_PARTS = 16
"""In how many parts the outcomes of a chunk travel at least."""


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
    """A task that was submitted alone, or items of a feed to which the same has happened."""

    numbers: range
    timeout: float | None
    retries: float
    feed: _Feed | None = None
    slot: int | None = None
    """The slot for whose worker it is; None for any."""
    deaths: int = 0
    where: _Slot | None = None
    """The slot whose worker runs it."""
    settled_from: float = math.inf
    """The first of the numbers at the end that have settled already: they were cancelled."""

    @property
    def is_settled(self) -> bool:
        """Whether nothing is left of it."""
        return not self.numbers or self.settled_from <= self.numbers.start

    def split_off(self, count: int) -> _Task:
        """Takes out the first of its items."""
        first, self.numbers = self.numbers[:count], self.numbers[count:]
        return replace(self, numbers=first)


@dataclass(slots=True, eq=False)
class _Feed:
    number: int
    ahead: int
    chunk: int | None
    timeout: float | None
    retries: float
    buffer: deque[_Task] = field(default_factory=deque)
    """Items that have been read and wait, in their order."""
    size: int = 1
    """How many items the next chunk has."""
    untaken: int = 0
    """How many items have been read, and not been taken."""
    requested: int = 0
    has_ended: bool = False


@dataclass(slots=True, eq=False)
class _Slot:
    number: int
    restarts: Restarts
    state: State = State.WAITING
    incarnation: int = 0
    start_at: float = 0.0
    task: _Task | None = None
    """The items that its worker has been given and has not answered; the first of them runs."""
    pinned: deque[_Task] = field(default_factory=deque)
    """Tasks for its worker and no other."""
    begun_at: float = 0.0
    """When the first item of `task` began."""
    run_at: float = 0.0
    """When the run began."""
    run_of: int = 0
    """How many tasks the run had."""
    run_feed: _Feed | None = None
    """The feed of the run's tasks, if they are of one."""
    together: int = 1
    """Of how many items the outcomes may travel in one message."""
    meant: int | None = None
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
        """The tasks that were submitted alone and have not settled."""
        self._unsettled = 0
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
            task: A number that no other task has, below the numbers of items.
            timeout: The number of seconds that it may run; None for any.
            retries: How often it runs again after the death of its worker.
            slot: The slot for whose worker it is; None for any.
        """
        made = self._tasks[task] = _Task(range(task, task + 1), timeout, retries, slot=slot)
        self._unsettled += 1
        if self.is_broken or self.is_closed:
            self._settle(made, Ending.BROKEN)
        elif slot is None:
            self._singles.append(made)
        elif self.takes_calls(slot):
            self._slots[slot].pinned.append(made)
        else:
            self._settle(made, Ending.GONE)

    def takes_calls(self, slot: int) -> bool:
        """Tells whether a slot has a worker that runs tasks, or will when its interrupt has ended."""
        known = self._slots[slot]
        return known.state in {State.IDLE, State.BUSY} or (
            known.state is State.CONDEMNED and not known.is_own_kill
        )

    def cancel(self, task: int) -> None:
        """Cancels a task that was submitted alone; one that runs is interrupted."""
        known = self._tasks.get(task)
        if known is None:
            return
        if known.where is not None:
            self._interrupt(known.where, task, Ending.CANCELLED)
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

    def supply(self, feed: int, tasks: range) -> None:
        """Gives items of a feed that `Read` has asked for: the next ones of its numbers (`items_of`)."""
        if not tasks:
            # The source had no more. A worker that is to run nothing would be busy all the same.
            return
        known = self._feeds[feed]
        known.untaken += len(tasks)
        known.requested -= len(tasks)
        self._unsettled += len(tasks)
        task = _Task(tasks, known.timeout, known.retries, known)
        if self.is_broken or self.is_closed:
            self._settle(task, Ending.BROKEN)
        else:
            known.buffer.append(task)
            self._join(known.buffer, -2)

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
        self._turns.remove(known)
        for task in [*known.buffer, *(task for task in self._again if task.feed is known)]:
            self._settle(task, Ending.CANCELLED)
        known.buffer.clear()
        for slot in self._slots:
            running = slot.task
            if running is not None and running.feed is known and not running.is_settled:
                first = running.numbers.start
                self._settle_numbers(running, running.numbers[1:], Ending.CANCELLED)
                running.settled_from = min(running.settled_from, first + 1)
                self._interrupt(slot, first, Ending.CANCELLED)

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

    def handle_outcome(
        self, slot: int, incarnation: int, task: int, was_interrupted: bool = False, count: int = 1
    ) -> bool:
        """Notes that the task that runs has ended, and perhaps items that came after it.

        Args:
            slot: The slot of its worker.
            incarnation: Which of the slot's workers it is.
            task: The task.
            was_interrupted: Whether it ended because of an `Interrupt`, without an answer.
            count: How many items have ended, of which this one is the first.

        Returns:
            Whether the answer counts: it does not if the worker has been replaced meanwhile.
        """
        known = self._current(slot, incarnation)
        running = None if known is None else known.task
        if known is None or running is None or not running.numbers or running.numbers.start != task:
            return False
        ended = running if count == len(running.numbers) else running.split_off(count)
        if ended is running:
            known.task = None
        ended.where = None
        known.begun_at = self._now
        if not was_interrupted:
            self._settle(ended, Ending.ANSWERED)
        elif known.meant == task:
            self._settle(ended, known.meaning)
        elif not ended.is_settled and ended.retries > 0:
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
        if known.state is State.BUSY:
            self._learn(known, self._now - known.run_at if seconds is None else seconds)
        if known.task is not None and known.meant == known.task.numbers.start:
            # Interrupted before it had begun.
            self._settle(known.task.split_off(1), known.meaning)
        self._put_back(known)
        known.state = State.IDLE
        known.meant = None
        known.grace_ends = math.inf

    def handle_not_begun(self, slot: int, incarnation: int) -> None:
        """Notes that a run could not begin, because of one of its tasks: each is tried alone."""
        known = self._current(slot, incarnation)
        if known is None or known.task is None:
            return
        self._again.extendleft(reversed(self._singled_out(known, math.inf)))

    def handle_lost(self, slot: int, incarnation: int) -> None:
        """Notes that the tasks of a run are lost though their slot has a worker: of a cluster.

        Each of them may have run, since nothing tells how far the worker had come.
        """
        known = self._current(slot, incarnation)
        if known is None:
            return
        for task in self._singled_out(known, math.inf):
            if task.numbers.start == known.meant:
                self._settle(task, known.meaning)
            else:
                self._suspect(task, Ending.DIED)

    def handle_died(self, slot: int, incarnation: int) -> None:
        """Notes that a worker is gone."""
        known = self._current(slot, incarnation)
        if known is None or known.state in {State.WAITING, State.PARKED}:
            return
        is_death = not known.is_own_kill
        suspects = self._singled_out(known, known.together)
        for task in suspects:
            if task.numbers.start == known.meant:
                self._settle(task, known.meaning)
            elif not is_death:
                # Terminated because the task before it could not be interrupted, and it had begun since.
                self._run_again_or(task, Ending.DISTURBED)
            else:
                self._suspect(task, Ending.DIED if len(suspects) == 1 else Ending.LOST)
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
            elif slot.state is State.BUSY and slot.task is not None:
                task = slot.task
                if task.timeout is not None and slot.begun_at + task.timeout <= now:
                    self._interrupt(slot, task.numbers.start, Ending.TIMED_OUT)

    def deadline(self) -> float:
        """Returns the time of the next `handle_time`; infinity if there is none."""
        times = [math.inf]
        is_starting = any(slot.state is State.STARTING for slot in self._slots)
        for slot in self._slots:
            if slot.state is State.WAITING and not is_starting and not self.is_closed:
                times.append(slot.start_at)
            elif slot.state is State.BUSY and slot.task is not None and slot.task.timeout is not None:
                times.append(slot.begun_at + slot.task.timeout)
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
        running = sum(slot.task is not None and not slot.task.is_settled for slot in self._slots)
        return self._unsettled - running

    def _current(self, slot: int, incarnation: int) -> _Slot | None:
        known = self._slots[slot]
        return known if known.incarnation == incarnation else None

    def _settle(self, task: _Task, ending: Ending) -> None:
        self._settle_numbers(task, task.numbers, ending)
        task.settled_from = -math.inf
        task.where = None
        self._tasks.pop(task.numbers.start, None)

    def _settle_numbers(self, task: _Task, numbers: range, ending: Ending) -> None:
        if numbers.stop > task.settled_from:
            numbers = range(numbers.start, int(max(numbers.start, task.settled_from)))
        if numbers:
            self._unsettled -= len(numbers)
            self._steps.append(Settle(numbers, ending))

    def _settle_all(self, ending: Ending) -> None:
        waiting = [*self._tasks.values(), *self._again]
        waiting += [slot.task for slot in self._slots if slot.task is not None]
        waiting += [task for feed in self._feeds.values() for task in feed.buffer]
        for task in waiting:
            self._settle(task, ending)
        for slot in self._slots:
            slot.task = None
            slot.pinned.clear()
        self._again.clear()
        self._singles.clear()
        for feed in self._feeds.values():
            feed.buffer.clear()

    def _singled_out(self, slot: _Slot, count: float) -> list[_Task]:
        """Takes the first items of a run out of it, each as a task of its own."""
        singled: list[_Task] = []
        while slot.task is not None and len(singled) < count:
            task = slot.task if len(slot.task.numbers) == 1 else slot.task.split_off(1)
            if task is slot.task:
                slot.task = None
            task.where = None
            if task.is_settled:
                break
            singled.append(task)
        return singled

    def _suspect(self, task: _Task, ending: Ending) -> None:
        """Notes that the worker died that ran a task, or may have run it."""
        task.deaths += 1
        if task.deaths >= self._poison_after:
            self._settle(task, Ending.POISONED)
        else:
            self._run_again_or(task, ending)

    def _join(self, line: deque[_Task], index: int) -> None:
        """Makes one of two neighbours, if items follow each other to which nothing has happened yet."""
        if len(line) < 2:
            return
        left, right = line[index], line[index + 1]
        if left.numbers.stop == right.numbers.start and left.retries == right.retries:
            left.numbers = range(left.numbers.start, right.numbers.stop)
            del line[index + 1]

    def _interrupt(self, slot: _Slot, task: int, meaning: Ending) -> None:
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
        task, slot.task = slot.task, None
        if task is None or task.is_settled:
            return
        task.where = None
        if self._settle_dropped(task):
            return
        if task.slot is not None:
            slot.pinned.appendleft(task)
        elif task.feed is not None and not task.deaths:
            task.feed.buffer.appendleft(task)
            self._join(task.feed.buffer, 0)
        else:
            self._again.appendleft(task)

    def _run_again_or(self, task: _Task, ending: Ending) -> None:
        if task.retries > 0 and task.slot is None:
            self._run_again(task)
        else:
            self._settle(task, ending)

    def _run_again(self, task: _Task) -> None:
        task.retries -= 1
        task.where = None
        if not self._settle_dropped(task):
            self._again.append(task)

    def _settle_dropped(self, task: _Task) -> bool:
        """Cancels items whose feed has been dropped while they were in a run; tells whether it was."""
        if task.feed is None or task.feed.number in self._feeds:
            return False
        self._settle(task, Ending.CANCELLED)
        return True

    def _learn(self, slot: _Slot, seconds: float) -> None:
        """Chooses the size of a feed's next chunk by the time that the items of the last one took."""
        feed = slot.run_feed
        ended = slot.run_of - (0 if slot.task is None else len(slot.task.numbers))
        if feed is None or feed.chunk is not None or ended == 0:
            return
        each = seconds / ended
        fitting = LARGEST if each <= 0 else round(self._target / each)
        # From one chunk to the next it grows by two at most: one quick item says little of the others.
        feed.size = max(1, min(fitting, 2 * ended, LARGEST))

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
            task, feed = self._choose(slot)
            if task is not None:
                slot.state = State.BUSY
                slot.task, task.where = task, slot
                slot.run_at = slot.begun_at = self._now
                slot.run_of = len(task.numbers)
                slot.run_feed = feed
                # A time limit needs to know which item runs.
                is_exact = feed is None or feed.timeout is not None
                slot.together = 1 if is_exact else max(1, slot.run_of // _PARTS)
                # A chunk of a size that the user has chosen runs to its end.
                is_chosen_here = feed is not None and feed.chunk is None
                self._steps.append(
                    Run(
                        slot.number,
                        slot.incarnation,
                        task.numbers,
                        is_chunk=feed is not None,
                        together=slot.together,
                        patience=PATIENCE * self._target if is_chosen_here else math.inf,
                    )
                )

    def _choose(self, slot: _Slot) -> tuple[_Task | None, _Feed | None]:
        """Takes out what an idle worker runs next, and its feed if it is the next chunk of that."""
        for line in (slot.pinned, self._again):
            while line:
                task = line.popleft()
                if not task.is_settled:
                    return task, None
        for _ in range(len(self._turns)):
            feed = self._turns[0]
            self._turns.rotate(-1)
            if feed is None:
                while self._singles:
                    task = self._singles.popleft()
                    if not task.is_settled:
                        return task, None
            elif (chunk := self._chunk(feed)) is not None:
                return chunk, feed
        return None, None

    def _chunk(self, feed: _Feed) -> _Task | None:
        if not feed.buffer:
            return None
        first = feed.buffer[0]
        count = min(feed.size, len(first.numbers))
        if feed.has_ended and feed.chunk is None:
            # Towards the end the chunks become smaller, so that all workers end at about the same time.
            workers = sum(slot.state in {State.IDLE, State.BUSY} for slot in self._slots)
            left = sum(len(task.numbers) for task in feed.buffer)
            count = min(count, math.ceil(left / (2 * workers)))
        return feed.buffer.popleft() if count == len(first.numbers) else first.split_off(count)
