"""The garbage collector and values that have just been decoded."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import pytest
from workerlib._native import decode, encode

USUAL = 1000
MANY = 20_000


@pytest.fixture
def collections() -> Iterator[list[int]]:
    """Gives the generations of the collections so far, in a program whose threshold is `USUAL`."""
    gc.collect()
    before, started = gc.get_threshold(), []

    def note(phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            started.append(info["generation"])

    gc.set_threshold(USUAL)
    gc.callbacks.append(note)
    yield started
    gc.callbacks.remove(note)
    gc.set_threshold(*before)
    gc.collect()


def many() -> tuple[bytes, list[Any]]:
    """Encodes a list of many lists."""
    return encode([[number] for number in range(MANY)])


def test_a_value_is_not_collected_when_it_is_built(collections: list[int]) -> None:
    """Protects the time of large answers: Python would look at every container of theirs before the caller has them."""
    frame = many()
    gc.collect()
    collections.clear()
    value = decode(*frame)
    kept = [[] for _ in range(USUAL // 2)]
    assert collections == []
    assert len(value) + len(kept) == MANY + USUAL // 2


def test_the_program_is_collected_as_before(collections: list[int]) -> None:
    """Protects programs whose own containers are garbage: they do not wait longer, and the threshold is theirs again."""
    frame = many()
    gc.collect()
    collections.clear()
    value = decode(*frame)
    kept = [[] for _ in range(USUAL + 100)]
    assert len(collections) > 0
    assert gc.get_threshold()[0] == USUAL
    assert len(value) + len(kept) == MANY + USUAL + 100


def test_values_that_are_dropped_leave_the_threshold(collections: list[int]) -> None:
    """Protects workers that answer for days: the threshold does not grow with each call."""
    frame = many()
    for _ in range(5):
        decode(*frame)
    assert gc.get_threshold()[0] <= USUAL + MANY + 10
    gc.collect()
    assert gc.get_threshold()[0] == USUAL


def test_a_small_value_behind_a_large_one(collections: list[int]) -> None:
    """Protects the large value: what is spared of it is not counted again because a smaller one follows."""
    large, small = many(), encode([[number] for number in range(USUAL - 100)])
    gc.collect()
    collections.clear()
    value = [decode(*large), decode(*small)]
    assert collections == []
    del value[0]
    value.append(decode(*small))
    # Nothing of the large one is left to be spared.
    assert gc.get_threshold()[0] < 3 * USUAL


def test_values_that_are_kept_are_collected(collections: list[int]) -> None:
    """Protects programs that keep what they get: Python still looks at it, though not after each value."""
    frame = many()
    gc.collect()
    collections.clear()
    kept = [decode(*frame) for _ in range(6)]
    again = [[] for _ in range(USUAL // 2)]
    assert 1 <= len(collections) <= 6
    assert len(kept) + len(again) == 6 + USUAL // 2


def test_the_program_sets_the_threshold(collections: list[int]) -> None:
    """Protects programs that set the threshold themselves: nobody sets theirs back."""
    frame = many()
    value = decode(*frame)
    gc.set_threshold(USUAL * 3)
    gc.collect()
    assert gc.get_threshold()[0] == USUAL * 3
    gc.set_threshold(0)
    assert len(decode(*frame)) == len(value)
    assert gc.get_threshold()[0] == 0
    gc.collect()
    assert gc.get_threshold()[0] == 0


def test_a_collector_that_is_off_stays_so(collections: list[int]) -> None:
    """Protects programs that have turned the collector off."""
    frame = many()
    gc.disable()
    try:
        value = decode(*frame)
        assert not gc.isenabled()
        assert gc.get_threshold()[0] == USUAL
    finally:
        gc.enable()
    assert len(value) == MANY
