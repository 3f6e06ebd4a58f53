"""dask's graphs on spawned workers, in a page whose Pyodide has dask and its packages in its lock file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from engines import AnyBrowser
from in_page import in_page
from pyscript_page import PyScriptPage

START = """
import pyodide_js
import workerlib

kept = None
packages = ["dask", "cloudpickle"]


async def pool():
    '''Returns the pool of two workers that all tests share.'''
    global kept
    if kept is None:
        await pyodide_js.loadPackage(packages, messageCallback=lambda _: None)
        kept = await workerlib.pool("/shared/pool_worker.py", 2, packages=packages)
        while kept.stats().starting:
            await kept.wait(0.01)
    return kept


async def left(pool):
    '''Tells how many results the workers keep.'''
    return sum([await place.member.free([]) for place in pool._driver._places if place.member is not None])
"""


@pytest.fixture(scope="module")
def dask_page(browser: AnyBrowser, site: str) -> Iterator[PyScriptPage]:
    """The page without PyScript, with a module that starts the pool of these tests."""
    with PyScriptPage(browser, site, "spawn.html", has_snapshot=True) as page:
        page.page.evaluate("([name, source]) => window.harness.add_module(name, source)", ["dasks", START])
        yield page


@in_page(page="dask_page")
async def test_delayed() -> None:
    """Tasks run in both workers and not in the page; results stand where the collections stood, and none is left."""
    import dasks

    pool = await dasks.pool()
    import dask

    def place(*_inputs: Any) -> str:
        import js

        # A page has a document, a worker has none, and each Python has objects at its own places.
        return f"{hasattr(js, 'document')} {js.performance.timeOrigin}"

    @dask.delayed
    def add(left: Any, right: Any = 1) -> Any:
        return left + right

    places = [dask.delayed(place)(number) for number in range(16)]
    tree = [add(number) for number in range(16)]
    while len(tree) > 1:
        tree = [add(left, right) for left, right in zip(tree[::2], tree[1::2], strict=True)]
    total, where, plain = await pool.compute(tree[0], {"places": places}, 7)
    assert total == sum(range(1, 17))
    assert plain == 7
    ran = set(where["places"])
    assert place() not in ran
    assert place().startswith("True ")
    assert all(one.startswith("False ") for one in ran), ran
    assert len(ran) == 2, ran
    assert await dasks.left(pool) == 0


@in_page(page="dask_page")
async def test_bags(workerlib: Any, raises: Any) -> None:
    """Bags compute; a group by files, which would be wrong without a word, is refused with the remedy, by tasks it is right."""
    import dasks

    pool = await dasks.pool()
    import dask.bag

    bag = dask.bag.from_sequence(range(100), npartitions=6)
    total, evens = await pool.compute(bag.map(lambda x: x * x).sum(), bag.filter(lambda x: x % 2 == 0))
    assert total == sum(x * x for x in range(100))
    assert evens == list(range(0, 100, 2))
    counts = dict((await pool.compute(dask.bag.from_sequence("abracadabra").frequencies()))[0])
    assert counts == {"a": 5, "b": 2, "r": 2, "c": 1, "d": 1}
    for unsafe in (bag.groupby(lambda x: x % 3), bag.groupby(lambda x: x % 3, shuffle="disk")):
        with raises(workerlib.NotSupportedError, 'shuffle="tasks"'):
            await pool.compute(unsafe)
    (groups,) = await pool.compute(bag.groupby(lambda x: x % 3, shuffle="tasks"))
    assert {key: sorted(group) for key, group in groups} == {
        rest: [x for x in range(100) if x % 3 == rest] for rest in range(3)
    }
    assert await dasks.left(pool) == 0


@in_page(page="dask_page")
async def test_graphs_and_errors(raises: Any) -> None:
    """`get` takes a graph of tuples; a task's exception arrives as itself, and the pool goes on."""
    import operator

    import dasks

    pool = await dasks.pool()
    import dask

    graph = {"x": 1, "y": (operator.add, "x", 10), "z": (sum, ["x", "y", (operator.neg, 2)])}
    assert await pool.get(graph, ["x", ["z", "y"]]) == [1, [10, 11]]
    with raises(ZeroDivisionError):
        await pool.compute(dask.delayed(operator.truediv)(1, 0))
    assert await pool.compute(dask.delayed(operator.truediv)(1, 2)) == (0.5,)
    assert await dasks.left(pool) == 0


@in_page(page="dask_page")
async def test_functions_that_the_script_does_not_export(raises: Any) -> None:
    """`run` sends a function by its module's name, or by its code; a closure without a name says which way is left."""
    import statistics

    import dasks

    pool = await dasks.pool()
    offset = 30
    assert await pool.run(statistics.fmean, [1, 2, 6]) == 3.0
    assert await pool.run(lambda number: number + offset, 12, by="cloudpickle") == 42
    with raises(TypeError, 'by="cloudpickle"'):
        await pool.run(lambda: offset)
