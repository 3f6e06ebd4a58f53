"""Objects that stay where they are mean what docs/two-way.md says, whatever carries their handles."""

from __future__ import annotations

import asyncio
import copy
import gc
import inspect
import pickle
from collections.abc import Callable
from typing import Any

import workerlib
from workerlib import Worker

from expecting import raises
from pace import seconds


async def _until(is_so: Callable[[], Any]) -> None:
    """Waits until something is so; the limit only ends a test that hangs."""
    async with asyncio.timeout(seconds(20)):
        while not await is_so():
            await asyncio.sleep(0.005)


async def test_an_exported_class(worker: Worker) -> None:
    """Calling it makes an object in the worker and gives a handle, whose methods are the object's."""
    table = await worker.Table("first")
    assert isinstance(table, workerlib.RemoteObject)
    assert await table.query() == [1, 2, 3]
    assert await table.query(factor=2) == [2, 4, 6]
    assert await table.query_slowly(3) == [3, 6, 9]
    assert {"query", "rows", "close"} <= set(dir(table))
    with raises(LookupError, "nothing in first"):
        await table.fail()
    with raises(TypeError):
        await table.query(1, 2)


async def test_only_public_methods_are_called(worker: Worker) -> None:
    """Attributes and private methods are not there, and the error lists the methods."""
    table = await worker.Table("private")
    for name in ("_private", "name", "rows_there", "missing", "__dict__x"):
        with raises(AttributeError, name.strip("_")):
            getattr(table, name)
    references = worker._connection.references
    for name in ("_private", "name", "__init__", "missing"):
        with raises(AttributeError, "no public method"):
            await references.call(table._held, name, (), {})


async def test_methods_of_a_class(worker: Worker) -> None:
    """Class methods and static methods are called on the class; what they return is as of any function."""
    table = await worker.Table.make("made", 2)
    assert isinstance(table, workerlib.RemoteObject)
    assert await table.query() == [1, 2]
    assert await (await worker.Table.make_slowly("made slowly")).query() == [1, 2, 3]
    assert await worker.Table.plus(1, right=2) == 3
    assert [number async for number in worker.Table.numbers(3)] == [0, 1, 2]
    assert [number async for number in worker.Table.numbers.options(ahead=1)(3)] == [0, 1, 2]
    assert await worker.Table.make.options(timeout=seconds(20))("with options") is not table
    assert str(inspect.signature(worker.Table.make)) == "(name: 'str', rows: 'int' = 3) -> 'Table'"
    assert worker.Table.make.__doc__ == "Makes a table with so many rows."
    assert str(inspect.signature(worker.Table)) == "(name: 'str') -> 'Table'"
    with raises(TypeError, "Table.make\\(\\) missing a required argument: 'name'"):
        worker.Table.make()
    assert "Table.make" in worker and worker["Table.make"] is worker.Table.make
    narrow = await worker.NarrowTable.make("narrow", 1)
    assert repr(narrow) == "<remote Narrow>"
    assert await worker.NarrowTable.plus(1, 2) == 103


async def test_a_class_of_the_other_side(worker: Worker) -> None:
    """It is called, has options, is a value, and says what it does not have."""
    table = await worker.Table.options(timeout=seconds(20))("with options")
    assert await table.query() == [1, 2, 3]
    assert worker.Table.options(timeout=1).make.__name__ == "Table.make"
    with raises(AttributeError, "no exported class method or static method 'query'.*`await handle.query"):
        worker.Table.query("not on a handle")
    with raises(AttributeError, "'_hidden'|_hidden"):
        worker.Table._hidden()
    assert callable(worker.Table) and copy.deepcopy(worker.Table) is worker.Table
    assert await worker.is_table(worker.Table)
    assert await worker.is_table(worker.Table.make, "make")
    assert repr(worker.Table) == "<remote class Table>"


async def test_methods_tell_what_they_say(worker: Worker) -> None:
    """A method has the name, the docstring and the signature of the object's, of classes without an export too."""
    table, model = await worker.Table("described"), await worker.load_model()
    assert str(inspect.signature(table.query)) == "(factor: 'int' = 1) -> 'list[int]'"
    assert table.query.__doc__ == "Returns the rows.\n\nEach is multiplied."
    assert (table.query.__name__, table.query.__qualname__) == ("query", "Table.query")
    assert str(inspect.signature(table.rows)) == "() -> 'Iterator[int]'"
    assert table.rows.__doc__ == "Yields the rows."
    assert table.close.__doc__ is None
    assert str(inspect.signature(model.ask)) == "(question: 'str') -> 'str'"
    assert model.ask.__doc__ == "Answers a question."
    assert await model.has_methods() == "a method of the user's"
    # Descriptions are not exports.
    assert not [name for name in worker if name.startswith("workerlib:")]


async def test_a_handle_of_a_third_side_tells_what_its_methods_say(worker: Worker, connect: Any) -> None:
    """The page hands on what it knows of the methods of an object that is another worker's."""
    table = await worker.Table("third")
    async with connect() as other:
        told = await other.signature_of(table, "query"), await other.signature_of(table, "rows")
    assert told == (
        ("(factor: 'int' = 1) -> 'list[int]'", "Returns the rows.\n\nEach is multiplied."),
        ("() -> 'Iterator[int]'", "Yields the rows."),
    )


async def test_the_timeout_of_a_method(worker: Worker) -> None:
    """A method that takes longer is cancelled; one that is quick enough leaves no timer that could end others."""
    table = await worker.Table("timeout")
    with raises(TimeoutError, "Table.wait\\(\\) was still running after 0.05 seconds"):
        await table.wait.options(timeout=0.05)("timeout")
    assert await worker.noted("timeout") == ["cancelled"]
    assert await table.query_slowly.options(timeout=seconds(20))(2) == [2, 4, 6]
    patient = table.wait.options(timeout=seconds(20))
    with raises(TimeoutError, "0.01 seconds"):
        await patient.options(timeout=0.01)("timeout again")
    with raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await patient("timeout outside")
    assert await table.query() == [1, 2, 3]


async def test_reports_of_a_method(worker: Worker) -> None:
    """`on_report` hears what a method reports before the call returns, and ends it by an exception."""
    table = await worker.Table("reports")
    heard: list[tuple[str, int]] = []
    assert await table.report_rows.options(on_report=lambda *values: heard.append(values))() == 3
    assert heard == [("row", 1), ("row", 2), ("row", 3)]
    # Nobody listens.
    assert await table.report_rows() == 3

    def fail(*_values: object) -> None:
        raise KeyError("of the report")

    with raises(KeyError, "of the report"):
        await table.report_rows.options(on_report=fail)()


async def test_options_of_a_stream_of_a_method(worker: Worker) -> None:
    """`ahead` limits how far the generator is ahead of the loop, and `timeout` is that of a step."""
    table = await worker.Table("ahead")
    rows = table.rows_for_ever.options(ahead=2)("ahead of the loop")
    assert [await anext(rows) for _ in range(3)] == [1, 2, 3]
    assert (await worker.noted("ahead of the loop")).count("step") <= 6
    await rows.aclose()
    assert [row async for row in table.rows.options(timeout=seconds(20), ahead=1)()] == [1, 2, 3]
    late = table.rows_after.options(timeout=0.05)("late rows")
    with raises(TimeoutError, "Table.rows_after\\(\\)"):
        await anext(late)


async def test_options_that_a_method_does_not_have(worker: Worker) -> None:
    """They are refused where they are given, by the method's name."""
    table = await worker.Table("options")
    with raises(ValueError, "Table.query"):
        table.query.options(timeout=-1)
    with raises(TypeError, "Table.query\\(\\) is not a stream"):
        table.query.options(ahead=1)
    with raises(ValueError, "ahead"):
        table.rows.options(ahead=0)
    with raises(TypeError, "Table.query.options\\(\\) got an unexpected keyword argument 'retries'"):
        table.query.options(retries=1)


async def test_a_method_keeps_its_object(worker: Worker) -> None:
    """A method, and a call that has not been awaited, hold the object, as a bound method does."""
    query = (await worker.Table("held by a method")).query
    call = (await worker.Table("held by a call")).query()
    task = asyncio.create_task((await worker.Table("held by a task")).query_slowly())
    gc.collect()
    await asyncio.sleep(0.02)
    assert await query() == [1, 2, 3]
    assert await call == [1, 2, 3]
    assert await task == [1, 2, 3]
    del query, call, task
    for name in ("held by a method", "held by a call", "held by a task"):
        await _until(lambda name=name: _has_closed(worker, name))


async def test_references_count_the_calls_of_each_object(worker: Worker, connect: Any) -> None:
    """Two objects of a class have calls of their own in `worker.references()`."""
    async with connect() as other:
        first, second = await other.Table("first"), await other.Table("second")
        call = asyncio.ensure_future(first.wait("counted"))
        while "counted" not in await other.held():
            pass
        assert [(one.name, one.calls) for one in other.references()] == [("Table", 1), ("Table", 0)]
        call.cancel()
        await asyncio.wait([call])
        del second


async def test_calls_start_in_order(worker: Worker) -> None:
    """A hundred calls as tasks are made in the order in which they began."""
    table = await worker.Table("order")
    await asyncio.gather(*[asyncio.create_task(table.add(number)) for number in range(100)])
    assert await table.query() == [1, 2, 3, *range(100)]


async def test_streams_of_an_object(worker: Worker) -> None:
    """A method that yields is a stream, sync or async."""
    table = await worker.Table("streams")
    assert [row async for row in table.rows()] == [1, 2, 3]
    assert [row async for row in table.rows_async()] == [1, 2, 3]
    async for row in table.rows():
        assert row == 1
        break
    async with table.rows() as rows:
        assert [row async for row in rows] == [1, 2, 3]
    with raises(TypeError, "is a stream: write `async for"):
        await table.rows()
    items = []
    with raises(LookupError, "no more rows in streams"):
        async for row in table.rows_that_fail():
            items.append(row)
    assert items == [1]
    with raises(TypeError, "argument"):
        await anext(table.rows(1))


async def test_a_stream_keeps_its_object(worker: Worker) -> None:
    """The object is not closed while a stream of one of its methods goes on, though nobody has its handle else."""
    # The first step is taken later, when the handle would be gone.
    rows = (await worker.Table("kept")).rows_for_ever("kept")
    await asyncio.sleep(0.02)
    assert [await anext(rows), await anext(rows)] == [1, 2]
    assert not await _has_closed(worker, "kept")
    await rows.aclose()
    assert (await worker.noted("kept"))[-1] == "3 rows"
    del rows
    await _until(lambda: _has_closed(worker, "kept"))


async def _has_closed(worker: Worker, table: str) -> bool:
    gc.collect()
    return table in await worker.noted("closed tables")


async def test_a_step_of_an_object_is_cancelled(worker: Worker) -> None:
    """A cancelled step cancels the method, and `break` closes it, as those of an exported generator."""
    table = await worker.Table("steps")
    async for row in table.rows_for_ever("broken rows"):
        if row == 3:
            break
    await _until(lambda: _has_ended(worker, "broken rows"))
    assert (await worker.noted("broken rows"))[-2] in ("GeneratorExit", "CancelledError")
    rows = table.rows_for_ever("closed rows")
    first = await anext(rows)
    assert first == 1
    await rows.aclose()
    with raises(StopAsyncIteration):
        await anext(rows)
    assert (await worker.noted("closed rows"))[-1] == "3 rows"


async def _has_ended(worker: Worker, key: str) -> bool:
    return bool((await worker.noted(key))[-1:] == ["3 rows"])


async def test_a_handle_comes_back_as_the_object(worker: Worker) -> None:
    """The worker gets its own object, and a handle of it is the same handle each time."""
    table = await worker.Table("itself")
    assert await worker.name_of(table) == "Table itself"
    assert await table.add(4) is table
    model = await worker.load_model()
    assert await worker.is_the_model(model)
    assert await worker.load_model() is model
    assert await model.ask("why") != await model.ask("why")


async def test_a_handle_goes_to_a_third_side(worker: Worker, connect: Any) -> None:
    """Another connection's worker calls the object's methods by way of the page, also those that are streams."""
    table = await worker.Table("third")
    async with connect() as other:
        assert await other.ask_object(table, "query", 2) == [2, 4, 6]
        assert await other.ask_object(table, "query_slowly") == [1, 2, 3]
        assert await other.rows_of_object(table) == [1, 2, 3]
        assert await other.ask_object(table, "add", 4) is table
        with raises(LookupError, "nothing in third"):
            await other.ask_object(table, "fail")
        with raises(AttributeError, "Table has no public method 'missing'"):
            await other.ask_object(table, "missing")
    assert await table.query() == [1, 2, 3, 4]


async def test_a_copy_of_a_handle_is_the_handle(worker: Worker) -> None:
    """The end of a copy does not let the object go, and a handle that cannot be sent any more says why."""
    table = await worker.Table("copied")
    callback = await worker.make_adder(1)
    for one in (table, callback):
        assert copy.copy(one) is one
        assert copy.deepcopy([one])[0] is one
        with raises(TypeError, "cannot be pickled, since it belongs to a connection"):
            pickle.dumps(one)
    gc.collect()
    await asyncio.sleep(0)
    assert await table.query() == [1, 2, 3]
    assert await callback(1) == 2
    assert await worker.name_of(workerlib.remote(table)) == "Table copied"
    async with table:
        pass
    with raises(workerlib.UnsendableError, "its handle has been closed"):
        await worker.name_of(table)


async def test_a_handle_that_is_dropped_at_once_arrives(worker: Worker) -> None:
    """The object lives until the call that carries it has been read, though the handle is gone."""
    calls = [asyncio.ensure_future(worker.busy(0.02)) for _ in range(3)]
    assert await worker.name_of(await worker.Table("on its way")) == "Table on its way"
    await asyncio.gather(*calls)


async def test_the_last_handle_closes(worker: Worker) -> None:
    """`async with` lets an object go, and so does the end of the last reference; then `close()` runs, once."""
    async with await worker.Table("with") as table:
        assert await table.query() == [1, 2, 3]

    async def is_closed(name: str) -> bool:
        gc.collect()
        return (await worker.noted("closed tables")).count(name) == 1

    await _until(lambda: is_closed("with"))
    with raises(ValueError, "closed"):
        await table.query()
    table = await worker.Table("dropped")
    assert await table.query() == [1, 2, 3]
    again = await table.add(4)
    del table
    assert await again.query() == [1, 2, 3, 4]
    assert not await is_closed("dropped")
    del again
    await _until(lambda: is_closed("dropped"))


async def test_the_end_of_the_connection_closes(worker: Worker, connect: Any) -> None:
    """The objects that a connection held are closed with it, where the worker goes on; their methods raise then."""
    async with connect() as other:
        table = await other.Table("left")
        model = await other.load_model()
        assert await model.ask("what") != ""
    with raises(workerlib.ConnectionClosedError):
        await table.query()
    assert await worker.add(1, 2) == 3


async def test_a_method_can_be_cancelled(worker: Worker) -> None:
    """A cancel is passed on, as that of a call; to drop a handle cancels nothing."""
    table = await worker.Table("cancelled")
    call = asyncio.ensure_future(table.wait("object"))
    while "object" not in await worker.held():
        pass
    call.cancel()
    with raises(asyncio.CancelledError):
        await call
    assert await worker.noted("object") == ["cancelled"]
    call = asyncio.ensure_future(table.query_slowly())
    await asyncio.sleep(0)
    del table
    gc.collect()
    assert await call == [1, 2, 3]


async def test_a_method_takes_callbacks(worker: Worker) -> None:
    """A function among the arguments of a method is called from there."""
    heard: list[int] = []
    table = await worker.Table("callbacks")
    await table.each(heard.append)
    assert heard == [1, 2, 3]


async def test_an_object_of_the_page(worker: Worker) -> None:
    """The page sends an object by `workerlib.remote`, and the worker calls its methods."""

    class Counter:
        def __init__(self) -> None:
            self.count = 0

        def add(self, by: int) -> int:
            self.count += by
            return self.count

    counter = Counter()
    assert await worker.ask_object(workerlib.remote(counter), "add", 2) == 2
    assert await worker.ask_object(workerlib.remote(counter), "add", 3) == 5
    with raises(workerlib.UnsendableError):
        await worker.ask_object(counter, "add", 1)


async def test_nothing_is_left_of_objects(connect: Any) -> None:
    """After a hundred objects, dropped or closed, no side holds anything of the other's."""
    async with connect() as worker:
        for number in range(50):
            async with await worker.Table(f"with {number}"):
                pass
            await (await worker.Table(f"dropped {number}")).query()

        async def is_left() -> bool:
            gc.collect()
            return not worker.references()

        await _until(is_left)
