"""The plan of a graph: what holds whatever happens in whichever order. It has no I/O and no clock, so a test is both."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from workerlib._pool.graph_plan import Batch, Entry, Node, Place, Plan

SLOTS = 3


def graphs() -> st.SearchStrategy[dict[int, Entry]]:
    """Graphs without circles: the tasks need some of those before them."""

    def with_needs(draws: list[tuple[list[int], int]]) -> dict[int, Entry]:
        return {
            key: Entry({key - 1 - back for back in needs if back < key}, key, kind)
            for key, (needs, kind) in enumerate(draws)
        }

    # Most needs are of the tasks just before, so that chains and trees come up besides what is tangled.
    needs = st.lists(st.one_of(st.integers(0, 1), st.integers(0, 12)), max_size=3)
    return st.lists(st.tuples(needs, st.integers(0, 2)), min_size=1, max_size=40).map(with_needs)


class World:
    """Workers that do what a plan says, and die; each knows what it keeps."""

    def __init__(self, entries: dict[int, Entry], wanted: list[int]) -> None:
        self.plan = Plan(entries, wanted)
        self.kept: dict[Place, set[int]] = {Place(slot, 1): set() for slot in range(SLOTS)}
        self.running: dict[Place, Batch] = {}
        self.delivered: set[int] = set()
        self.poison: Node | None = None

    def assign(self, place: Place) -> bool:
        """Gives an idle worker a batch."""
        idle = {one.slot for one in self.kept if one not in self.running}
        batch = self.plan.next_batch(place, idle, len(self.kept))
        if batch is None:
            return False
        inside: set[Node] = set()
        for node in batch.nodes:
            for needed in node.needs:
                assert needed in inside or needed in batch.inputs
            inside.add(node)
        for node in batch.inputs:
            assert node.place is not None
            assert node.number in self.kept[node.place]
        assert len(batch.nodes) == 1 or not any(node.deaths for node in batch.nodes)
        for other in self.running.values():
            assert not inside.intersection(other.nodes)
        self.running[place] = batch
        return True

    def end(self, place: Place, seconds: float) -> None:
        """Has a worker end its batch, and tells the caller its results."""
        batch = self.running.pop(place)
        here = self.kept[place]
        here.difference_update(self.plan.garbage(place))
        for node, drops in zip(batch.nodes, batch.drops, strict=True):
            for needed in node.needs:
                assert needed.number in here or (needed in batch.inputs and needed.place != place)
            here.add(node.number)
            here.difference_update(one.number for one in drops)
        kept = [node for node in batch.nodes if node.number in here]
        self.plan.handle_ended(batch, [len(node.needs) for node in kept], [seconds] * len(batch.nodes))
        for node in batch.nodes:
            if self.plan.is_undelivered(node):
                assert node.number in here
                self.delivered.add(node.number)
                self.plan.handle_delivered(node)

    def die(self, place: Place, is_suspect: bool) -> None:
        """Has a worker die and be replaced."""
        del self.kept[place]
        batch = self.running.pop(place, None)
        self.kept[Place(place.slot, place.incarnation + 1)] = set()
        self.plan.handle_gone(lambda one: one in self.kept)
        if batch is not None:
            deaths = [node.deaths for node in batch.nodes]
            self.poison = self.plan.handle_failed(batch, is_suspect)
            assert (self.poison is not None) == (is_suspect and deaths == [1])
        # The batches that miss an input now are taken back, as the run does before it sends them.
        for other, running in list(self.running.items()):
            if any(node.place is None for node in running.inputs):
                del self.running[other]
                self.plan.handle_failed(running, is_death=False)


EVENTS = st.tuples(
    st.integers(0, SLOTS - 1),
    st.sampled_from(["assign", "end", "die", "vanish"]),
    st.sampled_from([0.0001, 0.003, 0.1]),
)


@given(graphs(), st.sets(st.integers(0, 39), min_size=1), st.lists(EVENTS, max_size=60))
def test_whatever_happens(
    entries: dict[int, Entry], wanted: set[int], events: list[tuple[int, str, float]]
) -> None:
    """Every wanted result is delivered, inputs are there, and nothing is left in a worker, though workers die."""
    wanted = {key % len(entries) for key in wanted}
    world = World(entries, sorted(wanted))
    for slot, event, seconds in events:
        place = next(one for one in world.kept if one.slot == slot)
        if event in {"die", "vanish"}:
            world.die(place, event == "die")
            if world.poison is not None:
                return
        elif event == "assign" and place not in world.running:
            world.assign(place)
        elif event == "end" and place in world.running:
            world.end(place, seconds)
    while not world.plan.is_done:
        for place in [one for one in world.kept if one not in world.running]:
            world.assign(place)
        assert world.running, "nobody has anything to do"
        world.end(next(iter(world.running)), 0.001)
    for place in list(world.running):
        world.end(place, 0.001)
    assert world.delivered == {world.plan.nodes[key].number for key in wanted}
    for place, numbers in world.plan.end().items():
        world.kept[place].difference_update(numbers)
    assert not any(world.kept.values()), "a worker keeps a result that nobody needs"


def chain(start: int, length: int) -> dict[int, Entry]:
    return {
        start + index: Entry([start + index - 1] * (index > 0), start + index, index)
        for index in range(length)
    }


def test_a_chain_is_one_batch() -> None:
    """Tasks that can only follow each other travel together, and only the last result is kept."""
    plan = Plan(chain(0, 10), [9])
    batch = plan.next_batch(Place(0, 1), {0, 1}, 2)
    assert batch is not None
    assert [node.key for node in batch.nodes] == list(range(10))
    assert [node.key for node in batch.dropped()] and len(batch.dropped()) == 9
    assert plan.next_batch(Place(1, 1), {1}, 2) is None


def test_a_tree_is_shared_by_whole_branches() -> None:
    """When the times are known, a worker gets leaves and the sums of just these; few results leave their workers."""
    entries: dict[int, Entry] = {}

    def grow(depth: int) -> int:
        needs = [grow(depth - 1), grow(depth - 1)] if depth else []
        entries[len(entries)] = Entry(needs, len(entries), depth > 0)
        return len(entries) - 1

    root = grow(8)
    plan = Plan(entries, [root])
    moved = batches = 0
    while not plan.is_done:
        running = [batch for slot in range(2) if (batch := plan.next_batch(Place(slot, 1), {0, 1}, 2))]
        assert running
        for batch in running:
            batches += 1
            moved += sum(node.place != batch.place for node in batch.inputs)
            kept = [node for node in batch.nodes if node not in batch.dropped()]
            plan.handle_ended(batch, [100 for _ in kept], [0.0005 for _ in batch.nodes])
            if plan.nodes[root] in batch.nodes:
                plan.handle_delivered(plan.nodes[root])
    assert batches < len(entries) / 8
    assert moved < len(entries) / 8


def test_tasks_that_use_one_result_are_shared_by_all_workers() -> None:
    """A batch does not grow beyond its time by tasks that could follow elsewhere."""
    entries = {0: Entry([], 0, "root"), **{key: Entry([0], key, "leaf") for key in range(1, 101)}}
    plan = Plan(entries, range(1, 101))
    batch = plan.next_batch(Place(0, 1), {0, 1}, 2)
    assert batch is not None
    assert [node.key for node in batch.nodes] == [0]
    plan.handle_ended(batch, [8], [0.0001])
    first = plan.next_batch(Place(0, 1), {0, 1}, 2)
    second = plan.next_batch(Place(1, 1), {1}, 2)
    assert first is not None
    assert second is not None
    assert len(first.nodes) == len(second.nodes) == 1, "nothing is known of how long a leaf takes"
