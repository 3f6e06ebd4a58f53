"""Options that cannot be meant: each is refused where it is given, by an error with its name and what to write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import workerlib

import pools

SCRIPT = Path(pools.__file__).with_name("pool_worker.py")
NAN = float("nan")

SECONDS = "write a number of seconds"
COUNT = "write a whole number from 1 on"


@pytest.mark.parametrize(
    ("option", "value", "kind", "remedy"),
    [
        ("size", 0, ValueError, COUNT),
        ("size", 1.5, TypeError, COUNT),
        ("size", "2", TypeError, COUNT),
        ("size", True, TypeError, COUNT),
        ("max_restarts", -1, ValueError, "write a whole number from 0 on"),
        ("backoff", "soon", TypeError, SECONDS),
        ("backoff", (5, 1), ValueError, "the first and the longest delay"),
        ("backoff", (1, 2, 3), ValueError, "the first and the longest delay"),
        ("poison_after", 0, ValueError, COUNT),
        ("recycle_above", "100 MB", TypeError, "write a number of megabytes"),
        ("recycle_above", 0, ValueError, "more memory than that"),
        ("restart", True, TypeError, "write max_restarts="),
        ("sizes", 2, TypeError, "pool.. got an unexpected keyword argument 'sizes'"),
    ],
)
def test_options_of_pools(option: str, value: Any, kind: type[Exception], remedy: str) -> None:
    """They are refused before a worker starts."""
    with pytest.raises(kind, match=remedy) as told:
        workerlib.pool(SCRIPT, **{option: value})
    assert option in str(told.value)


@pytest.mark.parametrize(
    ("option", "value", "kind", "remedy"),
    [
        ("timeout", "5", TypeError, SECONDS),
        ("timeout", NAN, ValueError, SECONDS),
        ("heartbeat", "5", TypeError, SECONDS),
        ("heartbeat", 0, ValueError, "a number of seconds above 0, or None"),
        ("on_progress", 5, TypeError, "write a function"),
        ("on_output", 5, TypeError, "a function"),
    ],
)
async def test_options_of_connections(option: str, value: Any, kind: type[Exception], remedy: str) -> None:
    """They are refused before a process starts."""
    with pytest.raises(kind, match=remedy) as told:
        async with workerlib.connect(SCRIPT, **{option: value}):
            pass
    assert option in str(told.value)


@pytest.mark.parametrize(
    ("option", "value", "kind", "remedy"),
    [
        ("timeout", "5", TypeError, SECONDS),
        ("timeout", True, TypeError, SECONDS),
        ("timeout", NAN, ValueError, SECONDS),
        ("on_report", 5, TypeError, "write a function"),
        ("timeouts", 5, TypeError, "double.options.. got an unexpected keyword argument"),
    ],
)
async def test_options_of_functions(option: str, value: Any, kind: type[Exception], remedy: str) -> None:
    """They are refused when the function is made, by those of single workers and of pools."""
    async with workerlib.connect(SCRIPT) as worker, workerlib.pool(SCRIPT, size=1) as pool:
        for function in (worker.double, pool.double):
            with pytest.raises(kind, match=remedy) as told:
                function.options(**{option: value})
            assert option in str(told.value)


async def test_how_far_a_stream_may_be_ahead() -> None:
    """It is a number of items that the wire format can tell."""
    async with workerlib.connect(SCRIPT) as worker:
        for value in (0, 1.5, "5", True, 1 << 32):
            with pytest.raises((TypeError, ValueError), match=r"ahead=.*: write a "):
                worker.numbers.options(ahead=value)


@pytest.mark.parametrize(
    ("options", "kind", "remedy"),
    [
        ({"chunk": 2.5}, TypeError, COUNT),
        ({"ahead": "2"}, TypeError, COUNT),
        ({"retries": "2"}, TypeError, "write a whole number from 0 on"),
        ({"timeout": "2"}, TypeError, SECONDS),
        ({"on_progress": 2}, TypeError, "write a function"),
        ({"errors": ["raise"]}, ValueError, 'write "raise" or "yield"'),
    ],
)
async def test_options_of_maps(options: dict[str, Any], kind: type[Exception], remedy: str) -> None:
    """They are refused before an item is read."""
    async with workerlib.pool(SCRIPT, size=1) as pool:
        with pytest.raises(kind, match=remedy) as told:
            pool.map(pool.double, iter([1]), **options)
        assert next(iter(options)) in str(told.value)


async def test_what_a_pool_runs() -> None:
    """Functions of somebody else, and several iterables as `map()` takes them, are refused with the remedy."""
    async with workerlib.pool(SCRIPT, size=1) as pool:
        with pytest.raises(TypeError, match=r"no function of this pool: write pool.submit\(pool.f"):
            pool.submit(len, [])
        with pytest.raises(TypeError, match=r"write pool.map\(pool.f, …\) with an export"):
            pool.map(len, [])
        with pytest.raises(TypeError, match=r"takes one iterable of items, and 2 were given.*zip"):
            pool.map(pool.double, [1], [2])
