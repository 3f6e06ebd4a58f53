"""Decides which worker runs which task, and what becomes of tasks and workers.

`Schedule` is a state machine without I/O and without a clock: the driver (`_pool/driver.py`) tells it what
has happened and when, and carries out the steps that `poll()` returns. Tasks are numbers here; the driver
keeps their functions, arguments and results. The items of a feed are ranges of numbers (`items_of`): a chunk
of items costs here as much as one of them.

It holds these invariants, whatever happens in whichever order:

- Each task settles once.
- A condemned worker (one that is being interrupted, has died or is parked) gets no task.
- Each worker runs one task at a time. It has at most one chunk beside the one that it runs, of the same
  feed. A death has one suspect, or so many as outcomes may travel together (`Run.together`): nothing tells
  which of these the worker ran.
- Of each feed at most `ahead` chunks of items have been read and not been taken by their consumer.
- A worker is started again at most `max_restarts` times in a minute.
"""

from __future__ import annotations

import math
from bisect import bisect
from collections import deque
from collections.abc import Container

from workerlib._pool.restarts import Policy, Restarts
from workerlib._pool.slots import Feed, Given, Slot, State, Task
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

TARGET = 0.02
"""The time in seconds that a chunk of items should take."""
PATIENCE = 2
"""After how many times `target` a worker gives back the items of such a chunk that have not begun."""
LARGEST = 1024
"""The largest number of items of a chunk whose size the schedule chooses."""
GRACE = 2.0
"""The time in seconds that an interrupted worker has to become idle before it is terminated."""
_PARTS = 16
"""In how many parts the outcomes of a chunk travel at least."""


class Schedule:
    """The state machine of a pool."""

    def __init__(
        self,
        size: int,
        policy: Policy | None = None,
        poison_after: float = 2,
        target: float = TARGET,
        gives_next: bool = True,
    ) -> None:
        """Starts with no worker; the first `poll()` asks for one.

        Args:
            size: The number of workers.
            policy: The limits of the worker's restarts.
            poison_after: The number of workers that may die of a task before it is not tried again.
            target: The time in seconds that a chunk of items should take.
            gives_next: Whether a worker may get its next chunk before it has ended the one that it runs.
        """
        self._target = target
        self._gives_next = gives_next
        policy = policy or Policy()
        self._slots = [Slot(number, Restarts(policy)) for number in range(size)]
        self._poison_after = poison_after
        self._tasks: dict[int, Task] = {}
        """The tasks that were submitted alone and have not settled."""
        self._unsettled = 0
        self._feeds: dict[int, Feed] = {}
        self._again: deque[Task] = deque()
        """Tasks that run alone and before all others: a worker died of them, or a running task needs them."""
        self._singles: deque[Task] = deque()
        self._turns: deque[Feed | None] = deque([None])
        """The order of turns: the feeds, and None for the tasks that are submitted one by one."""
        self._steps: deque[Step] = deque()
        self._now = 0.0
        self._has_started = False
        """Whether a worker has ever started."""
        self.is_broken = False
        """Whether every slot is parked, or the first worker cannot be started."""
        self.is_closed = False
        """Whether the pool is closed: nothing is started any more."""

    # Wishes of the user.

    def submit(
        self,
        task: int,
        timeout: float | None = None,
        retries: float = 0,
        slot: int | None = None,
        is_first: bool = False,
    ) -> None:
        """Adds a task.

        Args:
            task: A number that no other task has, below the numbers of items.
            timeout: The number of seconds that it may run; None for any.
            retries: The number of times that it runs again after the death of its worker.
            slot: The slot for whose worker it is; None for any.
            is_first: Whether it comes before the tasks that wait: a task that runs waits for it.
        """
        made = self._tasks[task] = Task(range(task, task + 1), timeout, retries, slot=slot)
        self._unsettled += 1
        if self.is_broken or self.is_closed:
            self._settle(made, Ending.BROKEN)
        elif slot is None:
            line = self._again if is_first else self._singles
            line.append(made)
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
            ahead: The number of chunks of items that may have been read and not been taken.
            chunk: The number of items of a chunk; None to choose it by the time that items take.
            timeout: The number of seconds that each item may run.
            retries: The number of times that an item runs again after the death of its worker.
        """
        made = self._feeds[feed] = Feed(feed, ahead, chunk, timeout, retries)
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
        task = Task(tasks, known.timeout, known.retries, known)
        if self.is_broken or self.is_closed:
            self._settle(task, Ending.BROKEN)
        else:
            known.buffer.append(task)
            self._join(known.buffer, len(known.buffer) - 2)

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
            current = slot.current
            for run in slot.runs:
                given = run.task
                if given is None or given.feed is not known or given.is_settled:
                    continue
                if run is not current:
                    self._settle(given, Ending.CANCELLED)
                    continue
                first = given.numbers.start
                self._settle_numbers(given, given.numbers[1:], Ending.CANCELLED)
                given.settled_from = min(given.settled_from, first + 1)
                self._interrupt(slot, first, Ending.CANCELLED)

    def recycle(self, slot: int, incarnation: int) -> None:
        """Replaces a worker by a new one when it is idle, which counts as no death."""
        known = self._current(slot, incarnation)
        if known is None or known.state not in {State.IDLE, State.BUSY, State.CONDEMNED}:
            return
        if known.state is State.IDLE:
            self._terminate(known)
        else:
            known.is_too_large = True

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
            self._has_started = True

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
            count: The number of items that have ended, of which this one is the first.

        Returns:
            Whether the answer counts: it does not if the worker has been replaced meanwhile.
        """
        known = self._current(slot, incarnation)
        run = None if known is None else self._run_of(known, task)
        if known is None or run is None or run.task is None:
            return False
        ended = run.task if count == len(run.task.numbers) else run.task.split_off(count)
        if ended is run.task:
            run.task = None
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
        """Notes that a worker has ended the first of its runs: tasks of it without an outcome have not begun.

        Args:
            slot: The worker's slot.
            incarnation: Which of the slot's workers it is.
            seconds: The time that the run took in the worker, if that is known.
        """
        known = self._current(slot, incarnation)
        if known is None or known.state not in {State.BUSY, State.CONDEMNED} or known.is_own_kill:
            return
        if known.runs:
            run = known.runs[0]
            if known.state is State.BUSY:
                self._learn(run, self._now - run.at if seconds is None else seconds)
            if run.task is not None and known.meant == run.task.numbers.start:
                # Interrupted before it had begun.
                self._settle(run.task.split_off(1), known.meaning)
            self._put_back(known, run)
            del known.runs[0]
        if not known.runs:
            known.state = State.IDLE
            known.meant = None
            known.grace_ends = math.inf
            if known.is_too_large:
                self._terminate(known)

    def handle_not_begun(self, slot: int, incarnation: int) -> None:
        """Notes that a worker's first run could not begin, because of one task: each is tried alone."""
        known = self._current(slot, incarnation)
        if known is None or not known.runs:
            return
        self._again.extendleft(reversed(self._singled_out(known.runs[0], math.inf)))

    def handle_lost(self, slot: int, incarnation: int) -> None:
        """Notes that the tasks of a run are lost though their slot has a worker: of a cluster.

        Each of them may have run, since nothing tells how far the worker had come.
        """
        known = self._current(slot, incarnation)
        if known is None or not known.runs:
            return
        for task in self._singled_out(known.runs[0], math.inf):
            if task.numbers.start == known.meant:
                self._settle(task, known.meaning)
            else:
                self._suspect(task, Ending.DIED)

    def handle_died(self, slot: int, incarnation: int, once: Container[int] = ()) -> None:
        """Notes that a worker is gone.

        Args:
            slot: Its slot.
            incarnation: Which of the slot's workers it is.
            once: The tasks that cannot run again, whatever their retries are.
        """
        known = self._current(slot, incarnation)
        if known is None or known.state in {State.WAITING, State.PARKED}:
            return
        is_death = not known.is_own_kill
        current = known.current
        suspects = [] if current is None else self._singled_out(current, current.together)
        for task in suspects:
            if task.numbers.start in once:
                task.retries = 0
            if task.numbers.start == known.meant:
                self._settle(task, known.meaning)
            elif not is_death:
                # Terminated because the task before it could not be interrupted, and it had begun since.
                self._run_again_or(task, Ending.DISTURBED)
            else:
                self._suspect(task, Ending.DIED if len(suspects) == 1 else Ending.LOST)
        for run in reversed(known.runs):
            self._put_back(known, run)
        known.runs.clear()
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
            elif slot.state is State.BUSY and (run := slot.current) is not None and run.task is not None:
                task = run.task
                if task.timeout is not None and slot.begun_at + task.timeout <= now:
                    self._interrupt(slot, task.numbers.start, Ending.TIMED_OUT)

    def deadline(self) -> float:
        """Returns the time of the next `handle_time`; infinity if there is none."""
        times = [math.inf]
        has_ended = self.is_closed or self.is_broken
        is_starting = any(slot.state is State.STARTING for slot in self._slots)
        for slot in self._slots:
            if slot.state is State.WAITING and not is_starting and not has_ended:
                times.append(slot.start_at)
            elif slot.state is State.BUSY and (run := slot.current) is not None and run.task is not None:
                times.append(slot.begun_at + (math.inf if run.task.timeout is None else run.task.timeout))
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
        current = [slot.current for slot in self._slots]
        running = [run.task for run in current if run is not None and run.task is not None]
        return self._unsettled - sum(not task.is_settled for task in running)

    def _current(self, slot: int, incarnation: int) -> Slot | None:
        known = self._slots[slot]
        return known if known.incarnation == incarnation else None

    @staticmethod
    def _run_of(slot: Slot, task: int) -> Given | None:
        """Returns the run whose next outcome is that of a task; None if the slot has none."""
        for run in slot.runs:
            if run.task is not None and run.task.numbers and run.task.numbers.start == task:
                return run
        return None

    def _settle(self, task: Task, ending: Ending) -> None:
        self._settle_numbers(task, task.numbers, ending)
        task.settled_from = -math.inf
        task.where = None
        self._tasks.pop(task.numbers.start, None)

    def _settle_numbers(self, task: Task, numbers: range, ending: Ending) -> None:
        if numbers.stop > task.settled_from:
            numbers = range(numbers.start, int(max(numbers.start, task.settled_from)))
        if numbers:
            self._unsettled -= len(numbers)
            self._steps.append(Settle(numbers, ending))

    def _settle_all(self, ending: Ending) -> None:
        waiting = [*self._tasks.values(), *self._again]
        waiting += [run.task for slot in self._slots for run in slot.runs if run.task is not None]
        waiting += [task for feed in self._feeds.values() for task in feed.buffer]
        for task in waiting:
            self._settle(task, ending)
        for slot in self._slots:
            slot.runs.clear()
            slot.pinned.clear()
        self._again.clear()
        self._singles.clear()
        for feed in self._feeds.values():
            feed.buffer.clear()

    def _singled_out(self, run: Given, count: float) -> list[Task]:
        """Takes the first items of a run out of it, each as a task of its own."""
        singled: list[Task] = []
        while run.task is not None and len(singled) < count:
            task = run.task if len(run.task.numbers) == 1 else run.task.split_off(1)
            if task is run.task:
                run.task = None
            task.where = None
            if task.is_settled:
                break
            singled.append(task)
        return singled

    def _suspect(self, task: Task, ending: Ending) -> None:
        """Notes that the worker died that ran a task, or may have run it."""
        task.deaths += 1
        if task.deaths >= self._poison_after:
            self._settle(task, Ending.POISONED)
        else:
            self._run_again_or(task, ending)

    def _join(self, line: deque[Task], index: int) -> None:
        """Makes one of two neighbours, if items follow each other to which nothing has happened yet."""
        if not 0 <= index < len(line) - 1:
            return
        left, right = line[index], line[index + 1]
        if left.numbers.stop == right.numbers.start and left.retries == right.retries:
            left.numbers = range(left.numbers.start, right.numbers.stop)
            del line[index + 1]

    def _interrupt(self, slot: Slot, task: int, meaning: Ending) -> None:
        if slot.state is not State.BUSY:
            return
        slot.state = State.CONDEMNED
        slot.meant, slot.meaning = task, meaning
        slot.grace_ends = self._now + GRACE
        self._steps.append(Interrupt(slot.number, slot.incarnation))

    def _terminate(self, slot: Slot) -> None:
        slot.state = State.CONDEMNED
        slot.is_own_kill = True
        slot.grace_ends = math.inf
        self._steps.append(Terminate(slot.number, slot.incarnation))

    def _wait(self, slot: Slot, is_death: bool) -> None:
        """Has a slot wait for its next worker, unless it had too many."""
        slot.meant, slot.is_own_kill, slot.is_too_large, slot.grace_ends = None, False, False, math.inf
        delay = slot.restarts.delay_after_death(self._now) if is_death else 0.0
        if delay is None:
            self._park(slot)
        else:
            slot.state = State.WAITING
            slot.start_at = self._now + delay

    def _park(self, slot: Slot) -> None:
        slot.state = State.PARKED
        # A script that has never run would fail as often as there are slots.
        is_hopeless = not self._has_started or all(slot.state is State.PARKED for slot in self._slots)
        if is_hopeless and not self.is_broken:
            self.is_broken = True
            self._steps.append(Break())
            self._settle_all(Ending.BROKEN)

    def _put_back(self, slot: Slot, run: Given) -> None:
        """Puts tasks that a worker has not begun where they were before."""
        task, run.task = run.task, None
        if task is None or task.is_settled:
            return
        task.where = None
        if self._settle_dropped(task):
            return
        if task.slot is not None:
            slot.pinned.appendleft(task)
        elif task.feed is not None and not task.deaths:
            buffer = task.feed.buffer
            index = bisect(buffer, task.numbers.start, key=lambda waiting: waiting.numbers.start)
            buffer.insert(index, task)
            self._join(buffer, index)
            self._join(buffer, index - 1)
        else:
            self._again.appendleft(task)

    def _run_again_or(self, task: Task, ending: Ending) -> None:
        if task.retries > 0 and task.slot is None:
            self._run_again(task)
        else:
            self._settle(task, ending)

    def _run_again(self, task: Task) -> None:
        task.retries -= 1
        task.where = None
        if not self._settle_dropped(task):
            self._again.append(task)

    def _settle_dropped(self, task: Task) -> bool:
        """Cancels items whose feed has been dropped while they were in a run; tells whether it was."""
        if task.feed is None or task.feed.number in self._feeds:
            return False
        self._settle(task, Ending.CANCELLED)
        return True

    def _learn(self, run: Given, seconds: float) -> None:
        """Chooses the size of a feed's next chunk by the time that the items of the last one took."""
        feed = run.feed
        ended = run.count - (0 if run.task is None else len(run.task.numbers))
        if feed is None or feed.chunk is not None or ended == 0:
            return
        each = feed.each = seconds / ended
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
        # Workers start one after the other: each start uses the whole machine, and the first one leaves a
        # snapshot.
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
            if slot.state is State.IDLE:
                task, feed = self._choose(slot)
                if task is not None:
                    slot.state = State.BUSY
                    slot.begun_at = self._now
                    self._give(slot, task, feed)
        for slot in self._slots:
            feed = self._feed_of_next(slot)
            if feed is not None and (chunk := self._chunk(feed)) is not None:
                self._give(slot, chunk, feed)

    def _give(self, slot: Slot, task: Task, feed: Feed | None) -> None:
        """Gives tasks to a worker: it runs them at once, or behind those that it runs."""
        task.where = slot
        count = len(task.numbers)
        # A time limit needs to know which item runs.
        is_exact = feed is None or feed.timeout is not None
        together = 1 if is_exact else max(1, count // _PARTS)
        # A chunk of a size that the user has chosen runs to its end.
        is_chosen_here = feed is not None and feed.chunk is None
        step = Run(
            slot.number,
            slot.incarnation,
            task.numbers,
            is_chunk=feed is not None,
            together=together,
            patience=PATIENCE * self._target if is_chosen_here else math.inf,
            follows=bool(slot.runs),
        )
        slot.runs.append(Given(task, count, feed, self._now, together))
        self._steps.append(step)

    def _feed_of_next(self, slot: Slot) -> Feed | None:
        """Returns the feed of which a busy worker gets its next chunk in advance; None if it gets none.

        The worker need not wait for the page between two chunks then. Only chunks of known and short time are
        given in advance, since nobody can take them back while an item computes. No chunk is given in
        advance towards the end of the feed, or while another task waits for a worker.
        """
        if not self._gives_next or slot.state is not State.BUSY or len(slot.runs) != 1:
            return None
        if slot.pinned or slot.is_too_large or self._now - slot.runs[0].at > PATIENCE * self._target:
            return None
        feed = slot.runs[0].feed
        if feed is None or feed.chunk is not None or feed.timeout is not None or not feed.buffer:
            return None
        if feed.size * feed.each > PATIENCE * self._target or self._again or self._singles:
            return None
        if any(other is not feed and other.buffer for other in self._feeds.values()):
            return None
        if feed.has_ended and self._left(feed) < 2 * feed.size * len(self._slots):
            return None
        return feed

    @staticmethod
    def _left(feed: Feed) -> int:
        return sum(len(task.numbers) for task in feed.buffer)

    def _choose(self, slot: Slot) -> tuple[Task | None, Feed | None]:
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

    def _chunk(self, feed: Feed) -> Task | None:
        if not feed.buffer:
            return None
        first = feed.buffer[0]
        count = min(feed.size, len(first.numbers))
        if feed.has_ended and feed.chunk is None:
            # Towards the end the chunks become smaller, so that all workers end at about the same time.
            workers = sum(slot.state in {State.IDLE, State.BUSY} for slot in self._slots)
            count = min(count, math.ceil(self._left(feed) / (2 * workers)))
        return feed.buffer.popleft() if count == len(first.numbers) else first.split_off(count)
