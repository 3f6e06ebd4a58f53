"""The pool's schedule: what holds whatever happens in whichever order. It has no I/O and no clock, so a test is both."""

from __future__ import annotations

import math
import sys
from typing import Any

import pytest
import workerlib
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from workerlib._pool.restarts import Policy, Restarts, policy
from workerlib._pool.schedule import GRACE, Schedule
from workerlib._pool.slots import State
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
    feed_of,
    items_of,
)

AHEAD = 3
SIZE = 3
MOST = 2


class World(RuleBasedStateMachine):
    """Callers, feeds and workers that do to a schedule what can be done, and check what it answers."""

    def __init__(self) -> None:
        super().__init__()
        self.schedule = Schedule(SIZE, Policy(MOST, 0.1, 5.0), poison_after=2)
        self.now = 0.0
        self.count = 0
        self.tasks: set[int] = set()
        self.for_one: set[int] = set()
        self.endings: dict[int, list[Ending]] = {}
        self.feeds: dict[int, dict[str, Any]] = {}
        # Of each slot: the incarnation of its worker, and the tasks that the worker has.
        self.starting: dict[int, int] = {}
        self.up: dict[int, int] = {}
        self.running: dict[int, list[int]] = {}
        self.together: dict[int, int] = {}
        self.patience: dict[int, float] = {}
        # Of each slot: the chunk that it has in advance.
        self.next: dict[int, Run] = {}
        self.interrupted: set[int] = set()
        self.terminated: set[int] = set()
        self.starts: dict[int, list[float]] = {slot: [] for slot in range(SIZE)}
        self.free_starts: dict[int, int] = dict.fromkeys(range(SIZE), 0)
        self.deaths_of: dict[int, int] = {}
        self.is_broken = False
        self.pump()

    def pump(self) -> None:
        self.schedule.handle_time(self.now)
        while (step := self.schedule.poll()) is not None:
            self.carry_out(step)

    def carry_out(self, step: Step) -> None:
        match step:
            case Settle(tasks, ending):
                assert tasks
                for task in tasks:
                    assert task in self.tasks
                    self.endings.setdefault(task, []).append(ending)
                    for feed in self.feeds.values():
                        if task in feed["read"]:
                            feed["settled"].append(task)
            case Start(slot, incarnation):
                assert slot not in self.up
                assert not self.starting
                self.starting[slot] = incarnation
                self.starts[slot].append(self.now)
            case Run(slot, incarnation, tasks, is_chunk, together, _, follows):
                assert together == 1 or (is_chunk and together <= len(tasks) / 16)
                # Nothing reaches a condemned worker, and no worker has more than one run beside that which runs.
                assert self.up[slot] == incarnation
                assert slot not in self.interrupted | self.terminated
                assert tasks
                assert not any(task in self.endings for task in tasks)
                if follows:
                    assert is_chunk
                    assert slot in self.running
                    assert slot not in self.next
                    self.next[slot] = step
                else:
                    assert slot not in self.running
                    self.begin(step)
            case Interrupt(slot, incarnation):
                assert self.up[slot] == incarnation
                self.interrupted.add(slot)
            case Terminate(slot, incarnation):
                assert self.up[slot] == incarnation
                self.terminated.add(slot)
            case Read(number, most):
                feed = self.feeds[number]
                assert not feed["ended"]
                tasks = items_of(number, len(feed["read"]), min(most, feed["left"]))
                self.tasks.update(tasks)
                feed["left"] -= len(tasks)
                feed["read"].update(tasks)
                self.schedule.supply(number, tasks)
                if not feed["left"]:
                    feed["ended"] = True
                    self.schedule.end_feed(number)
            case Break():
                self.is_broken = True

    def begin(self, run: Run) -> None:
        self.running[run.slot] = list(run.tasks)
        self.together[run.slot], self.patience[run.slot] = run.together, run.patience

    def end(self, slot: int, is_complete: bool, seconds: float | None = None) -> None:
        """A worker ends what it runs, and begins or gives back what follows."""
        del self.running[slot]
        self.interrupted.discard(slot)
        following = self.next.pop(slot, None)
        if following is not None and is_complete:
            self.begin(following)
            # The first outcome of the next run may be heard before the end of the one before it is known.
            if self.count % 2:
                self.outcome(slot, 1, False)
        self.schedule.handle_ended(slot, self.up[slot], seconds)
        if following is not None and not is_complete:
            self.schedule.handle_ended(slot, self.up[slot])
        if following is not None and is_complete and not self.running[slot]:
            self.end(slot, True)

    def outcome(self, slot: int, count: int, was_interrupted: bool) -> None:
        task = self.running[slot][0]
        del self.running[slot][:count]
        assert self.schedule.handle_outcome(slot, self.up[slot], task, was_interrupted, count)

    def new_task(self) -> int:
        self.count += 1
        self.tasks.add(self.count)
        return self.count

    @rule(timeout=st.sampled_from([None, 1.0]), retries=st.integers(0, 2))
    def submit(self, timeout: float | None, retries: int) -> None:
        self.schedule.submit(self.new_task(), timeout, retries)
        self.pump()

    @rule(slot=st.integers(0, SIZE - 1))
    def submit_for_one(self, slot: int) -> None:
        task = self.new_task()
        self.for_one.add(task)
        self.schedule.submit(task, slot=slot)
        self.pump()

    @rule(
        items=st.integers(0, 200),
        chunk=st.sampled_from([None, 1, 4, 64]),
        timeout=st.sampled_from([None, 1.0]),
        retries=st.integers(0, 1),
    )
    def open_feed(self, items: int, chunk: int | None, timeout: float | None, retries: int) -> None:
        self.count += 1
        self.feeds[self.count] = {
            "left": items,
            "read": set(),
            "settled": [],
            "taken": 0,
            "ended": False,
            "chunk": chunk,
        }
        self.schedule.open_feed(self.count, AHEAD, chunk, timeout, retries)
        self.pump()

    @rule(data=st.data())
    def take(self, data: st.DataObject) -> None:
        ready = [number for number, feed in self.feeds.items() if feed["taken"] < len(feed["settled"])]
        if ready:
            number = data.draw(st.sampled_from(ready))
            self.feeds[number]["taken"] += 1
            self.schedule.take(number)
            self.pump()

    @rule(data=st.data())
    def close_feed(self, data: st.DataObject) -> None:
        if self.feeds:
            number = data.draw(st.sampled_from(sorted(self.feeds)))
            read = self.feeds[number]["read"]
            self.schedule.close_feed(number)
            self.pump()
            del self.feeds[number]
            first = {tasks[0] for tasks in self.running.values() if tasks}
            # Each task that does not run has ended.
            assert all(task in self.endings or task in first for task in read)

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        open_tasks = sorted(task for task in self.tasks - self.endings.keys() if not feed_of(task))
        if open_tasks:
            self.schedule.cancel(data.draw(st.sampled_from(open_tasks)))
            self.pump()

    @rule(data=st.data(), works=st.sampled_from(["yes", "yes", "no", "never"]))
    def start_ends(self, data: st.DataObject, works: str) -> None:
        for slot, incarnation in list(self.starting.items()):
            del self.starting[slot]
            if works == "yes":
                self.up[slot] = incarnation
                self.schedule.handle_started(slot, incarnation)
            else:
                self.schedule.handle_start_failed(slot, incarnation, works == "never")
            self.pump()

    @rule(data=st.data())
    def task_ends(self, data: st.DataObject) -> None:
        slots = sorted(slot for slot, tasks in self.running.items() if tasks and slot not in self.terminated)
        if not slots:
            return
        slot = data.draw(st.sampled_from(slots))
        was_interrupted = slot in self.interrupted and data.draw(st.booleans())
        most = 1 if was_interrupted else min(self.together[slot], len(self.running[slot]))
        count = data.draw(st.integers(1, most))
        was_condemned = slot in self.interrupted
        self.outcome(slot, count, was_interrupted)
        if was_interrupted or not self.running[slot]:
            self.end(slot, is_complete=not was_condemned, seconds=data.draw(st.sampled_from([None, 0.001])))
        self.pump()

    @rule(data=st.data())
    def chunk_takes_long(self, data: st.DataObject) -> None:
        """A worker gives back the items that have not begun."""
        slots = sorted(
            slot
            for slot, tasks in self.running.items()
            if tasks and self.patience[slot] < math.inf and slot not in self.terminated | self.interrupted
        )
        if slots:
            slot = data.draw(st.sampled_from(slots))
            self.outcome(slot, 1, False)
            self.end(slot, is_complete=False, seconds=data.draw(st.sampled_from([0.0, 0.5])))
            self.pump()

    @rule(data=st.data())
    def worker_dies(self, data: st.DataObject) -> None:
        if not self.up:
            return
        slot = data.draw(st.sampled_from(sorted(self.up)))
        incarnation = self.up.pop(slot)
        tasks = self.running.pop(slot, [])
        self.next.pop(slot, None)
        if slot in self.terminated:
            self.free_starts[slot] += 1
        else:
            for task in tasks[: self.together.get(slot, 1)]:
                self.deaths_of[task] = self.deaths_of.get(task, 0) + 1
        self.terminated.discard(slot)
        self.interrupted.discard(slot)
        self.schedule.handle_died(slot, incarnation)
        self.pump()
        # An answer that arrives from the dead counts for nothing.
        if tasks:
            assert not self.schedule.handle_outcome(slot, incarnation, tasks[0])

    @rule(data=st.data())
    def recycle(self, data: st.DataObject) -> None:
        if self.up:
            slot = data.draw(st.sampled_from(sorted(self.up)))
            self.schedule.recycle(slot, self.up[slot])
            self.pump()

    @rule(seconds=st.sampled_from([0.0, 0.05, 0.2, 1.0, 5.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.pump()
        deadline = self.schedule.deadline()
        assert deadline > self.now, "a deadline that has passed would have the driver turn for ever"

    @invariant()
    def each_task_settles_once(self) -> None:
        assert all(len(endings) == 1 for endings in self.endings.values())

    @invariant()
    def no_more_is_read_than_may_be(self) -> None:
        for feed in self.feeds.values():
            # The schedule makes chunks of one item here, and of two at most if they take no time.
            largest = feed["chunk"] or 1024
            assert len(feed["read"]) - feed["taken"] <= AHEAD * largest

    @invariant()
    def no_item_is_poison_too_late(self) -> None:
        assert all(deaths <= 2 for deaths in self.deaths_of.values())

    @invariant()
    def restarts_are_bounded(self) -> None:
        for slot, starts in self.starts.items():
            recent = [start for start in starts if start > self.now - 60]
            # The first start is none of the restarts, and a worker that the pool ended itself counts for nothing.
            assert len(recent) <= 1 + MOST + self.free_starts[slot]

    @invariant()
    def an_idle_worker_leaves_no_task_waiting(self) -> None:
        states = [state for state, _ in self.schedule.states()]
        if State.IDLE in states and not self.is_broken:
            started = {task for tasks in self.running.values() for task in tasks}
            started |= {task for run in self.next.values() for task in run.tasks}
            assert not self.tasks - self.endings.keys() - started - self.for_one

    def teardown(self) -> None:
        """All tasks that are left end when the pool closes."""
        self.schedule.close()
        self.pump()
        assert self.tasks == self.endings.keys()


World.TestCase.settings = settings(
    max_examples=150, stateful_step_count=60, deadline=None, suppress_health_check=list(HealthCheck)
)
TestWorld = World.TestCase
TestWorld.__doc__ = (
    "Callers, feeds, deaths, timeouts and cancels in random order break none of the invariants."
)
if sys.platform == "emscripten":
    # A schedule is Python alone, without a clock: it decides the same natively.
    pytest.mark.repeated(TestWorld)


def started(size: int = 1, **options: Any) -> tuple[Schedule, list[Step]]:
    """Gives a schedule whose workers run."""
    schedule = Schedule(size, **options)
    for slot in range(size):
        assert schedule.poll() == Start(slot, 1)
        schedule.handle_started(slot, 1)
    return schedule, steps(schedule)


def steps(schedule: Schedule) -> list[Step]:
    """Takes out all that is to be done."""
    taken = []
    while (step := schedule.poll()) is not None:
        taken.append(step)
    return taken


def with_a_run_in_advance() -> tuple[Schedule, range, list[range]]:
    """Gives a schedule whose one worker has ended its first item, the sixteen items, and the tasks of the runs that it has got."""
    schedule, _ = started()
    schedule.open_feed(100, ahead=8)
    steps(schedule)
    items = items_of(100, 0, 16)
    schedule.supply(100, items)
    steps(schedule)
    schedule.handle_outcome(0, 1, items[0])
    schedule.handle_ended(0, 1, 0.0)
    return schedule, items, [step.tasks for step in steps(schedule) if isinstance(step, Run)]


def test_a_death_costs_the_running_task_alone() -> None:
    """The first task of a chunk is the suspect; the others move to the next worker in their order."""
    schedule, _ = started()
    schedule.open_feed(100, ahead=1, chunk=4)
    assert steps(schedule) == [Read(100, 4)]
    items = items_of(100, 0, 4)
    schedule.supply(100, items)
    assert steps(schedule) == [Run(0, 1, items, is_chunk=True)]
    schedule.handle_outcome(0, 1, items[0])
    schedule.handle_died(0, 1)
    assert steps(schedule) == [Settle(items[:1], Ending.ANSWERED), Settle(items[1:2], Ending.DIED)]
    schedule.handle_time(0.1)
    assert steps(schedule) == [Start(0, 2)]
    schedule.handle_started(0, 2)
    assert steps(schedule) == [Run(0, 2, items[2:], is_chunk=True)]


def large_run(retries: float) -> tuple[Schedule, range]:
    """Gives a schedule whose worker runs a chunk of 64 items, of which 4 may share a message."""
    schedule, _ = started()
    schedule.open_feed(100, ahead=1, chunk=64, retries=retries)
    items = items_of(100, 0, 64)
    assert steps(schedule) == [Read(100, 64)]
    schedule.supply(100, items)
    assert steps(schedule) == [Run(0, 1, items, is_chunk=True, together=4)]
    return schedule, items


def test_a_death_in_a_large_chunk_costs_what_shares_a_message() -> None:
    """A large chunk loses those items whose outcomes may have been about to be sent, and no other."""
    schedule, items = large_run(retries=0)
    assert schedule.handle_outcome(0, 1, items[0], count=3)
    schedule.handle_died(0, 1)
    assert steps(schedule) == [
        Settle(items[:3], Ending.ANSWERED),
        *(Settle(items[index : index + 1], Ending.LOST) for index in range(3, 7)),
    ]
    schedule.handle_time(0.1)
    schedule.handle_started(*steps(schedule)[0])
    assert steps(schedule) == [Run(0, 2, items[7:], is_chunk=True, together=3)]


def test_items_that_may_have_killed_a_worker_run_alone() -> None:
    """Each of them runs alone, so that the one that kills is found, and is poison after the second death."""
    schedule, items = large_run(retries=9)
    schedule.handle_died(0, 1)
    schedule.handle_time(0.1)
    schedule.handle_started(*steps(schedule)[0])
    for index in range(2):
        assert steps(schedule)[-1] == Run(0, 2, items[index : index + 1])
        assert schedule.handle_outcome(0, 2, items[index])
        schedule.handle_ended(0, 2)
    assert steps(schedule)[-1] == Run(0, 2, items[2:3])
    schedule.handle_died(0, 2)
    assert steps(schedule) == [Settle(items[2:3], Ending.POISONED)]


def test_items_that_wait_behind_a_slow_one_move() -> None:
    """A worker gives back the rest of a chunk that takes long, and others take it in chunks that fit its time."""
    schedule, _ = started(2)
    schedule.open_feed(100, ahead=64)
    assert steps(schedule) == [Read(100, 64)]
    items = items_of(100, 0, 64)
    schedule.supply(100, items)
    schedule.end_feed(100)

    def run(slot: int, tasks: range, follows: bool = False) -> Run:
        return Run(slot, 1, tasks, is_chunk=True, patience=0.04, follows=follows)

    assert steps(schedule) == [run(0, items[:1]), run(1, items[1:2])]
    # The item of the second worker takes long already, so that it gets nothing in advance.
    schedule.handle_time(0.05)
    assert schedule.handle_outcome(0, 1, items[0])
    schedule.handle_ended(0, 1, 0.0)
    assert steps(schedule)[1:] == [run(0, items[2:4]), run(0, items[4:6], follows=True)]
    assert schedule.handle_outcome(0, 1, items[2], count=2)
    # The end of a run is heard behind the first outcome of the next one.
    assert schedule.handle_outcome(0, 1, items[4])
    schedule.handle_ended(0, 1, 0.0)
    assert steps(schedule)[2:] == [run(0, items[6:10], follows=True)]
    # Both runs give back what they have not begun.
    schedule.handle_ended(0, 1, 0.5)
    schedule.handle_ended(0, 1, 0.0)
    assert steps(schedule) == [run(0, items[5:6])]
    assert schedule.handle_outcome(1, 1, items[1])
    schedule.handle_ended(1, 1, 0.5)
    assert steps(schedule)[1:] == [run(1, items[6:7])]


def test_a_worker_gets_its_next_chunk_in_advance() -> None:
    """A worker does not wait for the page between two chunks, unless its items take long or the end is near."""
    schedule, _ = started()
    schedule.open_feed(100, ahead=8)
    steps(schedule)
    items = items_of(100, 0, 64)
    schedule.supply(100, items)
    assert [step.follows for step in steps(schedule) if isinstance(step, Run)] == [False]
    schedule.handle_outcome(0, 1, items[0])
    schedule.handle_ended(0, 1, 0.01)
    taken = [step for step in steps(schedule) if isinstance(step, Run)]
    assert [(step.tasks, step.follows) for step in taken] == [(items[1:3], False), (items[3:5], True)]
    # A task that waits for a worker is not to wait for two chunks.
    schedule.submit(1)
    schedule.handle_outcome(0, 1, items[1], count=2)
    schedule.handle_ended(0, 1, 0.02)
    assert not [step for step in steps(schedule) if isinstance(step, Run)]
    schedule.handle_outcome(0, 1, items[3], count=2)
    schedule.handle_ended(0, 1, 0.02)
    assert steps(schedule)[-1] == Run(0, 1, range(1, 2))
    schedule.handle_outcome(0, 1, 1)
    schedule.handle_ended(0, 1)
    # The items take long: what a worker has been given would wait for them.
    assert [step.follows for step in steps(schedule) if isinstance(step, Run)] == [False, True]
    schedule.handle_outcome(0, 1, items[5], count=2)
    schedule.handle_ended(0, 1, 0.1)
    assert not [step for step in steps(schedule) if isinstance(step, Run)]


def test_a_death_costs_nothing_of_the_chunk_in_advance() -> None:
    """The item that ran is the suspect; when all items of the first chunk have an outcome, it is one of the next."""
    for ended in (1, 2):
        schedule, items, runs = with_a_run_in_advance()
        assert runs == [items[1:3], items[3:5]]
        schedule.handle_outcome(0, 1, items[1], count=ended)
        schedule.handle_died(0, 1)
        assert [step for step in steps(schedule) if isinstance(step, Settle)][1:] == [
            Settle(items[1 + ended : 2 + ended], Ending.DIED)
        ]
        schedule.handle_time(0.1)
        schedule.handle_started(*steps(schedule)[0])
        following = [step.tasks for step in steps(schedule) if isinstance(step, Run)]
        assert following[0].start == items[2 + ended]


def test_a_dropped_map_takes_back_what_was_given_in_advance() -> None:
    """The item that runs is interrupted; the worker takes other tasks when both chunks have ended."""
    schedule, items, runs = with_a_run_in_advance()
    assert runs == [items[1:3], items[3:5]]
    schedule.submit(1)
    schedule.close_feed(100)
    taken = steps(schedule)
    assert Interrupt(0, 1) in taken
    settled = [task for step in taken if isinstance(step, Settle) for task in step.tasks]
    assert sorted(settled) == [*items[2:]]
    schedule.handle_outcome(0, 1, items[1], was_interrupted=True)
    schedule.handle_ended(0, 1)
    assert steps(schedule) == [Settle(items[1:2], Ending.CANCELLED)]
    schedule.handle_ended(0, 1)
    assert steps(schedule) == [Run(0, 1, range(1, 2))]


def test_a_worker_that_is_too_large_gets_nothing_in_advance() -> None:
    """A worker that always had a next chunk would never be idle, and so never be replaced."""
    schedule, items, runs = with_a_run_in_advance()
    assert runs == [items[1:3], items[3:5]]
    schedule.recycle(0, 1)
    for tasks in runs:
        schedule.handle_outcome(0, 1, tasks[0], count=2)
        schedule.handle_ended(0, 1, 0.0)
    assert Terminate(0, 1) in steps(schedule)
    schedule.handle_died(0, 1)
    assert Start(0, 2) in steps(schedule)


def test_a_time_limit_needs_an_outcome_of_each_item() -> None:
    """With a time limit no outcome waits for another: the schedule has to know which item runs, and since when."""
    schedule, _ = started()
    schedule.open_feed(100, ahead=1, chunk=64, timeout=1.0)
    steps(schedule)
    schedule.supply(100, items_of(100, 0, 64))
    assert steps(schedule) == [Run(0, 1, items_of(100, 0, 64), is_chunk=True, together=1)]


def test_an_item_of_a_dropped_map_runs_no_more() -> None:
    """The item after an interrupted one has not begun when its map is dropped; it is cancelled and waits nowhere."""
    schedule, _ = started()
    schedule.open_feed(100, ahead=1, chunk=2, timeout=1.0)
    steps(schedule)
    items = items_of(100, 0, 2)
    schedule.supply(100, items)
    assert steps(schedule) == [Run(0, 1, items, is_chunk=True)]
    schedule.handle_time(1.0)
    assert steps(schedule) == [Interrupt(0, 1)]
    assert schedule.handle_outcome(0, 1, items[0])
    schedule.close_feed(100)
    schedule.handle_ended(0, 1)
    assert steps(schedule) == [Settle(items[:1], Ending.ANSWERED), Settle(items[1:], Ending.CANCELLED)]
    assert schedule.waiting() == 0


def test_two_deaths_make_a_poison() -> None:
    """An item that kills its workers is not tried for ever, whatever its retries are; the numbers are the defaults."""
    schedule, _ = started()
    schedule.submit(1, retries=math.inf)
    assert steps(schedule) == [Run(0, 1, range(1, 2))]
    schedule.handle_died(0, 1)
    schedule.handle_time(0.1)
    assert steps(schedule) == [Start(0, 2)]
    schedule.handle_started(0, 2)
    assert steps(schedule) == [Run(0, 2, range(1, 2))]
    schedule.handle_died(0, 2)
    assert steps(schedule) == [Settle(range(1, 2), Ending.POISONED)]


def test_a_task_that_ends_too_late_is_terminated() -> None:
    """An interrupted worker has two seconds; then it is replaced at once, which is not a death of its slot's."""
    schedule, _ = started()
    schedule.submit(1, timeout=1.0)
    steps(schedule)
    assert schedule.deadline() == 1.0
    schedule.handle_time(1.0)
    assert steps(schedule) == [Interrupt(0, 1)]
    assert schedule.deadline() == 1.0 + GRACE
    schedule.handle_time(1.0 + GRACE)
    assert steps(schedule) == [Terminate(0, 1)]
    schedule.handle_died(0, 1)
    assert steps(schedule) == [Settle(range(1, 2), Ending.TIMED_OUT), Start(0, 2)]


def test_parked_slots_and_a_broken_pool() -> None:
    """More than three deaths in a minute park a slot; when all are parked, whatever waits is told so."""
    schedule, _ = started()
    now = 0.0
    for incarnation in range(1, 5):
        schedule.handle_died(0, incarnation)
        now = schedule.deadline()
        if incarnation < 4:
            schedule.handle_time(now)
            assert steps(schedule) == [Start(0, incarnation + 1)]
            schedule.handle_started(0, incarnation + 1)
    assert now == math.inf
    assert steps(schedule) == [Break()]
    assert schedule.is_broken
    schedule.submit(1)
    assert steps(schedule) == [Settle(range(1, 2), Ending.BROKEN)]


def test_a_first_worker_that_cannot_be_started() -> None:
    """It ends the pool, since each other worker would fail likewise; a later one stays down alone."""
    schedule = Schedule(3)
    assert steps(schedule) == [Start(0, 1)]
    schedule.submit(1)
    schedule.handle_start_failed(0, 1, is_final=True)
    assert steps(schedule) == [Break(), Settle(range(1, 2), Ending.BROKEN)]
    assert schedule.deadline() == math.inf
    schedule, _ = started(2)
    schedule.handle_died(1, 1)
    schedule.handle_time(0.1)
    assert steps(schedule) == [Start(1, 2)]
    schedule.handle_start_failed(1, 2, is_final=True)
    assert steps(schedule) == []
    assert not schedule.is_broken


def test_chunks_grow_and_shrink() -> None:
    """A chunk at most doubles, takes about 20 ms, and towards the end all workers get a part."""
    schedule, _ = started(2)
    schedule.open_feed(1000, ahead=4)
    now, number, sizes = 0.0, 0, []
    running: dict[int, list[range]] = {0: [], 1: []}
    left = 200
    for _ in range(1000):
        for step in steps(schedule):
            if isinstance(step, Read):
                count = min(step.most, left)
                left -= count
                schedule.supply(1000, items_of(1000, number, count))
                number += count
                if not left:
                    schedule.end_feed(1000)
            elif isinstance(step, Run):
                running[step.slot].append(step.tasks)
                sizes.append(len(step.tasks))
        if not any(running.values()):
            if left:
                continue
            break
        slot = min(running, key=lambda slot: (not running[slot], slot))
        tasks = running[slot].pop(0)
        for task in tasks:
            now += 0.001
            schedule.handle_time(now)
            schedule.handle_outcome(slot, 1, task)
        schedule.handle_ended(slot, 1)
        schedule.take(1000, len(tasks))
    assert sum(sizes) == 200
    assert sizes[:2] == [1, 1]
    assert all(later <= 2 * max(sizes[:index]) for index, later in enumerate(sizes) if index)
    assert 10 <= max(sizes) <= 20
    assert sizes[-1] == 1


def test_a_policy_is_read_from_its_arguments() -> None:
    """Numbers that make no sense are refused with what to write."""
    assert policy(3, (0.1, 5.0)) == Policy()
    assert policy(None, None) == Policy(math.inf, 0.0, 0.0)
    assert policy(1, 2.0) == Policy(1, 2.0, 2.0)
    for max_restarts, backoff in ((-1, None), (1, -1.0), (1, (5.0, 0.1))):
        with pytest.raises(ValueError, match="write "):
            policy(max_restarts, backoff)


def test_a_feed_without_items_runs_nothing() -> None:
    """No worker is busy with a chunk of no items."""
    schedule = Schedule(1, Policy(), 2)
    schedule.handle_time(0.0)
    assert schedule.poll() == Start(0, 1)
    schedule.handle_started(0, 1)
    schedule.open_feed(1, 2, None, None, 0)
    assert schedule.poll() == Read(1, 2)
    schedule.supply(1, range(0))
    schedule.end_feed(1)
    assert schedule.poll() is None


def test_the_delay_doubles_and_is_bounded() -> None:
    """0.1 s before the first restart, at most 5 s, and deaths of more than a minute ago are forgotten."""
    restarts = Restarts(Policy(math.inf, 0.1, 5.0))
    delays = [restarts.delay_after_death(0.0) for _ in range(8)]
    assert delays == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0])
    assert restarts.delay_after_death(61.0) == pytest.approx(0.1)


def test_names_of_internal_functions_cannot_be_exported() -> None:
    """A worker has functions of workerlib's own beside its exports; a user's function must not take their place."""
    with pytest.raises(ValueError, match="reserved for workerlib"):
        workerlib.export(name="workerlib:chunk")(math.sqrt)
