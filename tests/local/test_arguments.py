"""Options that cannot be meant: each is refused where it is given, by an error with its name and what to write."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import workerlib
from workerlib import Pool, Worker

import pools

SCRIPT = Path(pools.__file__).with_name("pool_worker.py")
NAN = float("nan")

SECONDS = "write a number of seconds"
COUNT = "write a whole number from 1 on"
FLAG = "write True or False"

IN_MODULES_LOOP = pytest.mark.asyncio(loop_scope="module")
"""The mark of tests that share a worker or a pool: what is refused leaves both as they were."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def worker() -> AsyncIterator[Worker]:
    """A worker that tests share."""
    async with workerlib.connect(SCRIPT) as worker:
        yield worker


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pool() -> AsyncIterator[Pool]:
    """A pool that tests share."""
    async with workerlib.pool(SCRIPT, size=1) as pool:
        yield pool


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
        ("client", 5, TypeError, "write a distributed.Client"),
        ("packages", "numpy", TypeError, r"write a list of strs, such as \['numpy'\]"),
        ("index_urls", [5], TypeError, "write a list of strs"),
        ("sizes", 2, TypeError, "pool.. got an unexpected keyword argument 'sizes'"),
    ],
)
async def test_options_of_pools(option: str, value: Any, kind: type[Exception], remedy: str) -> None:
    """Wrong options of pool() are refused before a worker starts."""
    with pytest.raises(kind, match=remedy) as told:
        await workerlib.pool(SCRIPT, **{option: value})
    assert option in str(told.value)


@pytest.mark.parametrize(
    ("option", "value", "kind", "remedy"),
    [
        ("timeout", "5", TypeError, SECONDS),
        ("timeout", NAN, ValueError, SECONDS),
        ("timeout", -1, ValueError, "from 0 on, or None for no limit"),
        ("heartbeat", "5", TypeError, SECONDS),
        ("heartbeat", 0, ValueError, "a number of seconds above 0, or None"),
        ("heartbeat_in_calls", "no", TypeError, FLAG),
        ("on_progress", 5, TypeError, "write a function"),
        ("on_output", 5, TypeError, "write a function"),
        ("interface", "Stats", TypeError, "write a Protocol, another class or a module"),
        ("interface", len, TypeError, "write a Protocol, another class or a module"),
        ("strict", "no", TypeError, FLAG),
        ("restart", 0, TypeError, FLAG),
        ("max_in_flight", 1.5, TypeError, COUNT),
        ("max_in_flight", 0, ValueError, COUNT),
        ("config", ["worker.toml"], TypeError, "write the path of a TOML or JSON file, its text, or a dict"),
    ],
)
async def test_options_of_connections(option: str, value: Any, kind: type[Exception], remedy: str) -> None:
    """Wrong options of connect() are refused before a process starts."""
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
@IN_MODULES_LOOP
async def test_options_of_functions(
    worker: Worker, pool: Pool, option: str, value: Any, kind: type[Exception], remedy: str
) -> None:
    """They are refused when the function is made, by those of single workers and of pools."""
    for function in (worker.double, pool.double):
        with pytest.raises(kind, match=remedy) as told:
            function.options(**{option: value})
        assert option in str(told.value)


@IN_MODULES_LOOP
async def test_how_far_a_stream_may_be_ahead(worker: Worker) -> None:
    """It is a number of items that the wire format can tell."""
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
        ({"ordered": "no"}, TypeError, FLAG),
    ],
)
@IN_MODULES_LOOP
async def test_options_of_maps(
    pool: Pool, options: dict[str, Any], kind: type[Exception], remedy: str
) -> None:
    """They are refused before an item is read."""
    with pytest.raises(kind, match=remedy) as told:
        pool.map(pool.double, iter([1]), **options)
    assert next(iter(options)) in str(told.value)


@IN_MODULES_LOOP
async def test_what_a_pool_runs(pool: Pool) -> None:
    """Functions of somebody else, and several iterables as `map()` takes them, are refused with the remedy."""
    with pytest.raises(TypeError, match=r"not a function of this pool: write pool.submit\(pool.f"):
        pool.submit(len, [])
    with pytest.raises(TypeError, match=r"write pool.map\(pool.f, …\) with an export"):
        pool.map(len, [])
    with pytest.raises(TypeError, match=r"takes one iterable of items, and 2 were given.*zip"):
        pool.map(pool.double, [1], [2])
    with pytest.raises(TypeError, match="items=5: write an iterable"):
        pool.map(pool.double, 5)
    for function in (5, "statistics.fmean"):
        with pytest.raises(TypeError, match=r"is not a function: write pool.run\(f, …\)"):
            await pool.run(function)
    with pytest.raises(TypeError, match=r"not a graph of dask's: write a dict, or pool.compute"):
        await pool.get(5, "x")


@IN_MODULES_LOOP
async def test_the_wrong_keyword(pool: Pool) -> None:
    """`with`, `for` and `await` in the wrong place say which one is right."""
    with pytest.raises(TypeError, match="write `async with`"), workerlib.connect(SCRIPT):
        pass
    with pytest.raises(TypeError, match="write `async for result in"):
        list(pool.map(pool.double, [1]))
    with pytest.raises(TypeError, match="write `async for result in"):
        await pool.map(pool.double, [1])


@pytest.mark.parametrize("script", ["", ".", "a worker"])
async def test_scripts_that_cannot_be_meant(script: str) -> None:
    """A name that no file and no module can have is told before a process starts."""
    with pytest.raises(workerlib.NoSuchWorkerError, match=r"neither the name of a file, such as 'worker.py'"):
        await workerlib.connect(script)


@pytest.mark.parametrize(
    ("mistake", "remedy"),
    [
        (lambda: workerlib.export("mean"), r"write export\(f\), or @export\(name="),
        (lambda: workerlib.export(name=5)(len), "name=5: write a str"),
        (lambda: workerlib.export(name="")(len), "name='': write a str"),
        (lambda: workerlib.export(idempotent="no")(len), "idempotent='no': write True or False"),
        (lambda: workerlib.export(blocking="no")(len), "blocking='no': write True or False"),
        (lambda: workerlib.stream(5), "takes a generator or another iterable, not 5"),
        (lambda: workerlib.stream(len), r"is a function: call it"),
        (lambda: workerlib.register(lambda: 1), "write a `def` at the top level of a module"),
        (lambda: workerlib.adapter_for(5), r"takes a class, not 5"),
        (lambda: workerlib.url(5), 'write a str, such as "./data.csv"'),
    ],
)
def test_arguments_of_functions(mistake: Any, remedy: str) -> None:
    """Each error says what to write."""
    with pytest.raises(TypeError, match=remedy):
        mistake()


@IN_MODULES_LOOP
async def test_a_worker_among_the_arguments(worker: Worker) -> None:
    """A Worker is not a value, nor an instance of the user's class; the error says what can be sent instead."""
    with pytest.raises(workerlib.UnsendableError, match=r"args\[0\].*send its functions, such as worker.f"):
        await worker.double(worker)


def test_a_name_with_a_slip() -> None:
    """Python proposes the name that was meant: it takes both from the error."""
    with pytest.raises(AttributeError) as told:
        workerlib.conect  # noqa: B018
    assert (told.value.name, told.value.obj) == ("conect", workerlib)
