"""The pool's schedule: what holds whatever happens in whichever order. It has no I/O and no clock, so a test is both."""

from __future__ import annotations

import math
from typing import Any

import pytest
import workerlib
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from workerlib._pool.restarts import Policy, Restarts, policy
from workerlib._pool.schedule import GRACE, Schedule, State
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
            case Run(slot, incarnation, tasks, is_chunk, together, patience):
                assert together == 1 or (is_chunk and together <= len(tasks) / 16)
                self.together[slot], self.patience[slot] = together, patience
                # Nothing reaches a condemned worker, and no worker has two runs.
                assert self.up[slot] == incarnation
                assert slot not in self.running
                assert slot not in self.interrupted | self.terminated
                assert tasks
                assert not any(task in self.endings for task in tasks)
                self.running[slot] = list(tasks)
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
        task = self.running[slot][0]
        del self.running[slot][:count]
        assert self.schedule.handle_outcome(slot, self.up[slot], task, was_interrupted, count)
        if was_interrupted or not self.running[slot]:
            del self.running[slot]
            self.interrupted.discard(slot)
            self.schedule.handle_ended(slot, self.up[slot])
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
            assert self.schedule.handle_outcome(slot, self.up[slot], self.running.pop(slot)[0])
            self.schedule.handle_ended(slot, self.up[slot], data.draw(st.sampled_from([0.0, 0.5])))
            self.pump()

    @rule(data=st.data())
    def worker_dies(self, data: st.DataObject) -> None:
        if not self.up:
            return
        slot = data.draw(st.sampled_from(sorted(self.up)))
        incarnation = self.up.pop(slot)
        tasks = self.running.pop(slot, [])
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

    def run(slot: int, tasks: range) -> Run:
        return Run(slot, 1, tasks, is_chunk=True, patience=0.02)

    assert steps(schedule) == [run(0, items[:1]), run(1, items[1:2])]
    assert schedule.handle_outcome(0, 1, items[0])
    schedule.handle_ended(0, 1, 0.0)
    assert steps(schedule)[1:] == [run(0, items[2:4])]
    assert schedule.handle_outcome(0, 1, items[2], count=2)
    schedule.handle_ended(0, 1, 0.0)
    assert steps(schedule)[1:] == [run(0, items[4:8])]
    assert schedule.handle_outcome(0, 1, items[4])
    schedule.handle_ended(0, 1, 0.5)
    assert steps(schedule)[1:] == [run(0, items[5:6])]
    assert schedule.handle_outcome(1, 1, items[1])
    schedule.handle_ended(1, 1, 0.5)
    assert steps(schedule)[1:] == [run(1, items[6:7])]


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
    """An interrupted worker has two seconds; then it is replaced at once, which is no death of its slot's."""
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


def test_chunks_grow_and_shrink() -> None:
    """A chunk at most doubles, takes about ten milliseconds, and towards the end all workers get a part."""
    schedule, _ = started(2)
    schedule.open_feed(1000, ahead=4)
    now, number, sizes = 0.0, 0, []
    running: dict[int, range] = {}
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
                running[step.slot] = step.tasks
                sizes.append(len(step.tasks))
        if not running:
            if left:
                continue
            break
        slot, tasks = min(running.items())
        del running[slot]
        for task in tasks:
            now += 0.001
            schedule.handle_time(now)
            schedule.handle_outcome(slot, 1, task)
        schedule.handle_ended(slot, 1)
        schedule.take(1000, len(tasks))
    assert sum(sizes) == 200
    assert sizes[:2] == [1, 1]
    assert all(later <= 2 * max(sizes[:index]) for index, later in enumerate(sizes) if index)
    assert 5 <= max(sizes) <= 10
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
    with pytest.raises(ValueError, match="for workerlib itself"):
        workerlib.export(name="workerlib:chunk")(math.sqrt)
