"""The time of encoding grows with the size of the value, and not with its square."""

from __future__ import annotations

import collections
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import workerlib
from workerlib._native import encode

from pace import IN_PYODIDE

FEW = 1_000 if IN_PYODIDE else 3_000
TIMES = 16
"""The number of elements of the larger value, as a multiple of the smaller's; a square would be 256."""
MOST = 150
"""The factor by which it may take longer: memory outside of caches is slower, and other programs run too."""


class Converted(dict[str, int]):
    """Arrives as a dict."""


class Pairs(collections.abc.Mapping[str, int]):
    """Arrives as a dict, by its own methods."""

    def __getitem__(self, key: str) -> int:
        return 1

    def __iter__(self) -> Iterator[str]:
        return iter("a")

    def __len__(self) -> int:
        return 1


Fields = collections.namedtuple("Fields", "a b")


def taken(value: object) -> float:
    """Tells how long it takes to encode a value: the best of a few times."""
    times = []
    for _ in range(3):
        start = time.perf_counter()
        encode(value)
        times.append(time.perf_counter() - start)
    return min(times)


def compare(make: Callable[[int], Any]) -> None:
    """Checks that many values take in proportion as long as few."""
    few, many = taken(make(FEW)), taken(make(FEW * TIMES))
    assert many < few * MOST, f"{many / few:.0f} times as long"


@pytest.mark.filterwarnings("ignore::workerlib.ConversionWarning")
@pytest.mark.parametrize("cls", [Converted, Pairs])
def test_a_dict_of_values_that_are_converted(cls: type) -> None:
    """The place of each of them was looked for from the dict's beginning: 16,000 took three seconds."""
    compare(lambda count: {f"key {number}": cls() for number in range(count)})
    compare(lambda count: {number: cls() for number in range(count)})


@pytest.mark.filterwarnings("ignore::workerlib.ConversionWarning")
def test_converted_values_at_every_depth() -> None:
    """The way to a value has its ends only, however deep it stands."""

    def nested(count: int) -> Any:
        value: Any = []
        for _ in range(count // 4):
            value = [value, Pairs()]
        return value

    compare(nested)


def test_an_adapter_for_a_builtin_type() -> None:
    """Nodes of the format itself are not for adapters: once, each was searched for among all earlier nodes."""
    workerlib.register_adapter(
        complex, lambda number: [number.real, number.imag], lambda data: complex(*data)
    )
    compare(lambda count: [Fields(number, 1j) for number in range(count // 4)])
    compare(lambda count: [ValueError(number) for number in range(count // 4)])


def test_the_warning_names_the_first_of_a_class() -> None:
    """Each class is told of once, by the place of its first object, in dicts that are walked in any way."""

    class First(dict[str, int]):
        pass

    class Second(list[int]):
        pass

    value = {"plain": 1, "a": First(), ("no", "str"): [First(), {"b": Second()}], "last": Second()}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        encode({"outer": value})
    texts = [str(warning.message).partition(": ")[0] for warning in caught]
    assert texts == ["value['outer']['a']", "value['outer'][('no', 'str')][1]['b']"]
