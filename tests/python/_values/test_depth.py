"""The depth to which arriving values may be nested: as deep as this Python can free, or as `max_depth` says."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest
import workerlib
from workerlib._native import Session

from sessions import connected
from values import dismantle, nested_dicts, nested_lists, nested_tuples

DEFAULT = 1_000 if sys.platform == "emscripten" else 1_000_000
BUILDERS = [nested_lists, nested_tuples, nested_dicts]


def arrival(depth: int | None, value: object) -> tuple[str, object]:
    """Sends a value to a side that has that setting; gives what it is told, and the value or the error."""
    page, worker = connected(Session.connect("1"), Session.listen("1", [], max_depth=depth))
    identifier, _ = page.begin(False)
    page.send(identifier, "f", (value,), {}, False)
    frame = page.poll_transmit()
    assert frame is not None
    worker.handle(frame[0], frame[1])
    step = worker.poll(True)
    assert step is not None
    name, parts = step
    return name, parts[2]


@pytest.mark.parametrize("build", BUILDERS)
@pytest.mark.parametrize("depth", [None, 300])
def test_as_many_levels_as_may_arrive(build: Callable[[int], object], depth: int | None) -> None:
    """The tuple of the arguments is one of them; one more is refused, and the error names the setting."""
    most = depth or DEFAULT
    box = [build(most - 1)]
    name, arrived = arrival(depth, box[0])
    assert name == "call"
    assert isinstance(arrived, list)
    dismantle(arrived)
    dismantle(box)
    box = [build(most)]
    if most == 1_000_000:
        # Natively nothing deeper can be sent either.
        with pytest.raises(workerlib.UnsendableError, match="more than 1000000 levels"):
            arrival(depth, box[0])
    else:
        name, error = arrival(depth, box[0])
        assert name == "bad_call"
        assert isinstance(error, workerlib.FrameError)
        for words in (
            f"more than {most} levels of containers",
            "max_depth",
            "[workerlib]",
            "take such a value apart",
        ):
            assert words in str(error)
    dismantle(box)


@pytest.mark.parametrize("build", BUILDERS)
def test_a_side_that_wants_deep_values_gets_them(build: Callable[[int], object]) -> None:
    """`max_depth` raises the limit, in Pyodide too: what arrives is to be taken apart then."""
    # In Pyodide as many levels as Python frees well: the test drops them as users do.
    levels = 1_500 if sys.platform == "emscripten" else 100_000
    box = [build(levels)]
    name, arrived = arrival(2 * levels, box[0])
    assert name == "call"
    assert isinstance(arrived, list)
    dismantle(arrived)
    dismantle(box)


def test_keys_have_a_limit_of_their_own() -> None:
    """200 levels in a key, whatever the setting: the error does not send people to it."""
    with pytest.raises(workerlib.UnsendableError, match="more than 200 levels") as caught:
        arrival(None, {nested_tuples(201): 1})
    assert "max_depth" not in str(caught.value)
