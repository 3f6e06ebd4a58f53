"""Streams, whatever carries them: each cell of the table in docs/two-way.md that is about them."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any

import workerlib
from workerlib import ConnectionClosedError, UnsendableError, Worker

from expecting import raises
from pace import PACE

Connect = Callable[..., AbstractAsyncContextManager[Worker]]


async def until(condition: Callable[[], Any], text: str) -> None:
    """Waits until something is so that follows in later turns of the loop."""
    async with asyncio.timeout(20 * PACE):
        while not condition():
            await asyncio.sleep(0.002)
    assert condition(), text


async def noted(worker: Worker, key: str, count: int = 1) -> list[Any]:
    """Waits for so many notes of the worker's."""
    async with asyncio.timeout(20 * PACE):
        while len(notes := await worker.noted(key)) < count:
            await asyncio.sleep(0.002)
    return notes  # type: ignore[no-any-return]


async def pending(stream: Any) -> asyncio.Task[Any]:
    """Takes a step that has to wait: its task has begun, also where an answer overtakes the first step of a task."""
    step = asyncio.ensure_future(anext(stream))
    await until(lambda: stream._inbox is not None and stream._inbox.step is not None, "it waits")
    return step


async def open_streams(worker: Worker) -> tuple[int, int]:
    """Returns how many streams this side produces and consumes, once nothing is under way."""
    session = worker._connection._session
    for _ in range(2_000):
        if session.streams == (0, 0):
            break
        await asyncio.sleep(0.002)
    return session.streams


async def test_items_come_in_order(worker: Worker) -> None:
    """Sync and async generators give all of their items, as they were produced, whatever their number."""
    for rows in (worker.count_up, worker.count_up_async, worker.count_up_slowly):
        for count in (0, 1, 2, 700):
            if count < 100 or rows is not worker.count_up_slowly:
                assert [row async for row in rows(count)] == list(range(count))
    assert await open_streams(worker) == (0, 0)


async def test_items_of_every_kind(worker: Worker) -> None:
    """An item is a value like a result: scalars, containers, large buffers and objects of adapters, in any order."""
    items = [
        *(1, "a", None, 2.5, True, 1 << 80, b"bytes", [1, [2]], {"k": (1, 2)}, {3}, "x" * 50_000),
        *(b"y" * 100_000, bytearray(b"z" * 20_000), "", (), 1j),
    ]
    received = [item async for item in worker.each_of(items)]
    assert received == items
    assert [type(item) for item in received] == [type(item) for item in items]


async def test_items_that_python_would_take_for_something_else(worker: Worker) -> None:
    """A step ends by an exception that has the item: tuples are not its arguments, and exceptions are not itself."""
    items = [(1, 2), (), ((3,),), None, ValueError(4), StopIteration(5), StopIteration((6, 7)), LookupError()]
    received = [item async for item in worker.each_of(items)]
    assert [(type(item), getattr(item, "args", item)) for item in received] == [
        (type(item), getattr(item, "args", item)) for item in items
    ]
    stream = worker.each_of(items)
    assert await anext(stream) == (1, 2)
    await until(lambda: len(stream.queue) == len(items) - 1, "the others have arrived")
    steps = aiter(stream)
    for item in items[1:]:
        with raises(StopIteration) as end:
            steps.__anext__().send(None)
        assert type(end.value.value) is type(item)
    assert [item async for item in steps] == []


async def test_an_item_is_what_it_was_when_it_was_produced(worker: Worker) -> None:
    """A generator may change an object after its `yield`, and yield it again: no earlier item changes."""
    rows = [row async for row in worker.growing(5)]
    assert rows == [[0], [0, 1], [0, 1, 2], [0, 1, 2, 3], [0, 1, 2, 3, 4]]
    assert len({id(row) for row in rows}) == 5


async def test_a_stream_starts_at_its_first_step(worker: Worker) -> None:
    """A stream that is only made calls nothing; arguments are checked at once, as those of a call."""
    stream = worker.noting("first step", 1)
    await worker.add(1, 2)
    assert await worker.noted("first step") == []
    assert [row async for row in stream] == [0]
    assert (await worker.noted("first step"))[0] == "begun"
    with raises(TypeError, "count_up"):
        worker.count_up()
    # Of one that never starts nothing is left.
    await worker.noting("never", 1).aclose()
    assert await worker.noted("never") == []


async def test_a_stream_is_not_awaited(worker: Worker) -> None:
    """Nor is it iterated over without `async`. The error says what to write instead."""
    with raises(TypeError, "async for"):
        await worker.count_up(1)
    for use in (list, sum, enumerate, lambda stream: [*stream]):
        with raises(TypeError, r"is a stream, .* `async for item in …`"):
            use(worker.count_up(1))


async def test_one_task_takes_all_steps(worker: Worker) -> None:
    """Context variables, timeouts and other scopes hold from the first step to the `finally`, also after a `break`."""
    async for _ in worker.in_one_task("whole", 3):
        pass
    assert await worker.noted("whole") == ["same"] * 5
    async for number in worker.in_one_task("broken", 100_000):
        if number == 1:
            break
    assert await open_streams(worker) == (0, 0)
    assert set(await worker.noted("broken")) == {"same"}
    async with worker.in_one_task("closed", 100_000) as rows:
        await anext(rows)
    assert set(await worker.noted("closed")) == {"same"}


async def test_break_closes(worker: Worker) -> None:
    """The generator is closed when nobody has the stream any more, and runs its `finally`; sync ones too."""
    for rows, key in ((worker.noting, "break"), (worker.noting_async, "break, async")):
        async for row in rows(key, 1_000_000):
            if row == 3:
                break
        assert await noted(worker, key, 3) == ["begun", "GeneratorExit", "finally"]
    assert await open_streams(worker) == (0, 0)


async def test_aclose_waits_for_the_clean_up(worker: Worker) -> None:
    """`aclose()` and `async with` return when the generator has run its `finally`; it may await there."""
    async with worker.noting_async("async with", 1_000_000) as rows:
        assert [await anext(rows) for _ in range(3)] == [0, 1, 2]
    assert await worker.noted("async with") == ["begun", "GeneratorExit", "finally"]
    stream = worker.noting("aclose", 1_000_000)
    assert await anext(stream) == 0
    await stream.aclose()
    assert (await worker.noted("aclose"))[-1] == "finally"
    await stream.aclose()
    with raises(StopAsyncIteration):
        await anext(stream)
    assert await open_streams(worker) == (0, 0)


async def test_what_a_clean_up_raises(worker: Worker) -> None:
    """It is raised by `aclose()`, as locally."""
    stream = worker.fail_at_the_end(1_000)
    assert await anext(stream) == 0
    with raises(LookupError, "while it cleaned up"):
        await stream.aclose()


async def test_aclose_ends_a_step_of_another_task(worker: Worker) -> None:
    """The loop of the other task ends as at the end of the stream."""
    stream = worker.items_then_wait("closed by another", 2)
    rows: list[int] = []

    async def loop() -> None:
        async for row in stream:
            rows.append(row)

    task = asyncio.ensure_future(loop())
    await until(lambda: len(rows) == 2, "both have come")
    await stream.aclose()
    await task
    assert rows == [0, 1]
    assert await noted(worker, "closed by another") == ["CancelledError"]
    with raises(StopAsyncIteration):
        await anext(stream)


async def test_errors_come_in_their_place(worker: Worker) -> None:
    """After the items that were produced before, as themselves, with the worker's frames; nothing follows."""
    for rows in (worker.fail_after, worker.fail_after_async):
        received = []
        stream = rows(300)
        with raises(LookupError, "after 300") as raised:
            async for row in stream:
                received.append(row)
        assert received == list(range(300))
        names = []
        frames = raised.value.__traceback__
        while frames is not None:
            names.append(frames.tb_frame.f_code.co_name)
            frames = frames.tb_next
        assert rows.__name__ in names
        with raises(StopAsyncIteration):
            await anext(stream)
    with raises(ValueError, "no stream"):
        await anext(worker.fail_after(-1))
    assert await open_streams(worker) == (0, 0)


async def test_an_item_that_cannot_be_sent(worker: Worker) -> None:
    """It is an error in its place, that names it; the generator is closed."""
    received = []
    with raises(UnsendableError, r"item\['thing'\]"):
        async for row in worker.yield_a_thing("unsendable", 2):
            received.append(row)
    assert received == [0, 1]
    assert await noted(worker, "unsendable") == ["GeneratorExit"]


async def test_a_cancelled_step(worker: Worker) -> None:
    """The generator gets CancelledError where it awaits, and cleans up before the caller goes on."""
    stream = worker.items_then_wait("cancelled step", 1)
    assert await anext(stream) == 0
    step = await pending(stream)
    while "cancelled step" not in await worker.held():
        pass
    step.cancel()
    with raises(asyncio.CancelledError):
        await step
    assert await worker.noted("cancelled step") == ["CancelledError"]
    with raises(StopAsyncIteration):
        await anext(stream)
    # A timeout around the loop is a cancel of the step, too.
    with raises(TimeoutError):
        async with asyncio.timeout(None) as limit:
            async for row in worker.items_then_wait("timed out loop", 3):
                if row == 2:
                    limit.reschedule(asyncio.get_running_loop().time() + 0.05)
    assert await noted(worker, "timed out loop") == ["CancelledError"]
    assert await open_streams(worker) == (0, 0)


async def test_a_first_step_that_is_cancelled(worker: Worker) -> None:
    """Before anything has come: whether the call, or the generator is told, nothing is left."""
    step = asyncio.ensure_future(anext(worker.items_then_wait("cancelled first", 0)))
    while "cancelled first" not in await worker.held():
        pass
    step.cancel()
    with raises(asyncio.CancelledError):
        await step
    at_once = asyncio.ensure_future(anext(worker.count_up(5)))
    at_once.cancel()
    with raises(asyncio.CancelledError):
        await at_once
    assert await open_streams(worker) == (0, 0)


async def test_a_generator_that_survives_a_cancel(worker: Worker) -> None:
    """What comes of a cancel is the outcome: the end, or an exception."""
    stream = worker.survive("returns")
    step = asyncio.ensure_future(anext(stream))
    while "returns" not in await worker.held():
        pass
    step.cancel()
    with raises(StopAsyncIteration):
        await step
    stream = worker.survive("raises")
    step = asyncio.ensure_future(anext(stream))
    while "raises" not in await worker.held():
        pass
    step.cancel()
    with raises(LookupError, "instead"):
        await step
    assert await open_streams(worker) == (0, 0)


async def test_a_timeout_for_each_step(worker: Worker) -> None:
    """It counts for a step, not for the stream."""
    stream = worker.count_up_slowly.options(timeout=20 * PACE)(5)
    assert [row async for row in stream] == [0, 1, 2, 3, 4]
    # A step that gives an item may take a busy machine longer than a short limit.
    for seconds in (0.05, 0.5, 5 * PACE):
        key, received = f"slow step of {seconds}", []
        with raises(TimeoutError, r"items_then_wait\(\)"):
            async for row in worker.items_then_wait.options(timeout=seconds)(key, 3):
                received.append(row)
        if received == [0, 1, 2]:
            break
    assert received == [0, 1, 2]
    assert await noted(worker, key) == ["CancelledError"]


async def test_a_slow_consumer(worker: Worker) -> None:
    """No more items are produced than were taken and `ahead`, however slow the consumer is."""
    for rows in (worker.noting_numbers, worker.noting_numbers_async, worker.noting_numbers_slowly):
        key = f"slow {rows.__name__}"
        async with rows.options(ahead=8)(key, 1_000_000) as stream:
            for taken in range(1, 60):
                assert await anext(stream) == taken - 1
                if taken % 20 == 0:
                    await asyncio.sleep(0.02)
                    produced = (await worker.noted(key))[-1]
                    assert produced <= taken + 8
    with raises(ValueError, "ahead|at least 1"):
        worker.count_up.options(ahead=0)
    with raises(TypeError, "yield"):
        worker.add.options(ahead=5)


async def test_large_items(worker: Worker) -> None:
    """Some that are larger together than a stream may be ahead, and one that is larger alone."""
    total = 0
    async for block in worker.blocks(12, 1_000_000):
        assert type(block) is bytes
        assert block == bytes([block[0]]) * 1_000_000
        total += len(block)
    assert total == 12_000_000
    async for block in worker.blocks(2, 9_000_000):
        total += len(block)
    assert total == 30_000_000
    # A consumer that is slower than a producer that awaits: no item is lost where the bytes are used up.
    sizes = []
    async for block in worker.blocks_slowly(5, 3_000_000):
        await asyncio.sleep(0.02)
        sizes.append((block[0], len(block)))
    assert sizes == [(number, 3_000_000) for number in range(5)]


async def test_the_worker_answers_between_steps(worker: Worker) -> None:
    """A sync generator without an end leaves the worker to other calls, and to the cancel."""
    async with worker.without_end.options(ahead=1_000_000)() as rows:
        taken = 0
        async for _ in rows:
            taken += 1
            if taken % 1_000 == 0:
                assert await worker.add(taken, 1) == taken + 1
            if taken == 5_000:
                break
    assert await open_streams(worker) == (0, 0)


async def test_two_tasks_step_one_after_the_other(worker: Worker) -> None:
    """Two steps at the same time are an error, as of an async generator."""
    stream = worker.items_then_wait("two tasks", 1)
    assert await anext(stream) == 0
    # Gathered before it fails: Pyodide tells the console of a task that fails while nobody waits for it.
    step = asyncio.gather(await pending(stream), return_exceptions=True)
    with raises(RuntimeError, "another task"):
        await anext(stream)
    await stream.aclose()
    assert [type(error) for error in await step] == [StopAsyncIteration]


async def test_async_iterables_are_arguments(worker: Worker) -> None:
    """Async generators, other async iterables, and generators that `stream()` marks, anywhere among arguments."""

    async def lines(count: int) -> AsyncIterator[str]:
        for number in range(count):
            if number % 3 == 0:
                await asyncio.sleep(0)
            yield "x" * number

    class Lines:
        def __aiter__(self) -> AsyncIterator[str]:
            return lines(5)

    def plain() -> Iterator[str]:
        yield from ("a", "bb", "ccc")

    assert await worker.total(lines(10)) == 45
    assert await worker.total(Lines()) == 10
    assert await worker.total(workerlib.stream(plain())) == 6
    assert await worker.total(workerlib.stream(["a", "b"])) == 2
    assert await worker.total(workerlib.stream(lines(3))) == await worker.total(lines(3))
    assert await worker.totals({"first": lines(4), "second": [workerlib.stream(plain()), Lines()]}) == [
        6,
        6,
        10,
    ]
    assert await open_streams(worker) == (0, 0)


async def test_streams_are_results_and_items(worker: Worker) -> None:
    """A function may return an async iterable, alone or among other values, or yield some."""
    assert [row async for row in await worker.give_rows(3)] == [0, 1, 2]
    both = await worker.give_both(3)
    assert [row async for row in both["second"]] == [0, 1, 2]
    assert [row async for row in both["first"]] == [0, 1, 2]
    assert [[row async for row in rows] async for rows in worker.streams_of(3)] == [[], [0], [0, 1]]
    assert await open_streams(worker) == (0, 0)


async def test_a_stream_can_be_passed_on(worker: Worker) -> None:
    """A stream of the worker goes back to it item by item, as an argument and as the result of a callback."""
    assert await worker.total(worker.texts(5)) == 10
    assert await worker.take_items(lambda count: worker.count_up(2 * count)) == [0, 1, 2, 3, 4, 5]
    stream = worker.count_up(3)
    with raises(TypeError, "cannot be copied or pickled"):
        copy.copy(stream)
    assert [row async for row in stream] == [0, 1, 2]


async def test_a_stream_that_nobody_iterates_over(worker: Worker) -> None:
    """Dropped before its first step, on either side, it is closed: its generator never ran."""
    closed = []

    async def rows() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            closed.append(1)

    assert await worker.ignore(rows()) == 1
    await worker.give_rows(3)
    assert await open_streams(worker) == (0, 0)
    assert closed == []


async def test_a_consumer_in_the_worker_stops(worker: Worker) -> None:
    """The generator on this side is closed when the function has had enough, and its `finally` runs here."""
    ends = []

    async def numbers() -> AsyncIterator[int]:
        try:
            for number in range(1_000_000):
                yield number
        except GeneratorExit:
            ends.append("GeneratorExit")
            raise
        finally:
            ends.append("finally")

    assert await worker.take(numbers(), 3) == [0, 1, 2]
    await until(lambda: len(ends) == 2, "it was closed")
    assert ends == ["GeneratorExit", "finally"]


async def test_what_an_argument_raises(worker: Worker) -> None:
    """It is raised in the function that iterates, and by that in the caller."""

    async def broken() -> AsyncIterator[str]:
        yield "a"
        raise LookupError("of the page's")

    with raises(LookupError, "of the page's"):
        await worker.total(broken())


async def test_an_argument_is_streamed_once(worker: Worker, connect: Connect) -> None:
    """An iterator that is under way cannot go to a second function; after a call that was not sent it can.

    An iterable that begins anew each time can be streamed several times.
    """

    go_on = asyncio.Event()

    async def lines() -> AsyncIterator[str]:
        yield "abc"
        await go_on.wait()
        yield "de"

    stream = lines()
    with raises(UnsendableError, "object"):
        await worker.total(stream, object())
    total = asyncio.ensure_future(worker.total(stream, [stream]))
    await until(lambda: worker._connection._session.streams[0] == 1, "it was sent")
    with raises(UnsendableError, "streamed already"):
        await worker.total(stream)
    async with connect() as other:
        with raises(UnsendableError, "streamed already"):
            await other.total(stream)
        go_on.set()
        assert await total == 5

        class Lines:
            async def __aiter__(self) -> AsyncIterator[str]:
                yield "abc"

        again = Lines()
        assert await asyncio.gather(worker.total(again), worker.total(again), other.total(again)) == [3, 3, 3]
    assert await open_streams(worker) == (0, 0)


async def test_streams_over_a_strict_connection(connect: Connect) -> None:
    """Async iterables stream; a plain generator is refused, and the error names `stream()`."""
    async with connect(strict=True) as worker:
        assert await worker.total(workerlib.stream(text for text in ("a", "b"))) == 2
        with raises(UnsendableError, r"workerlib\.stream"):
            await worker.total(text for text in ("a", "b"))


async def test_closing_ends_streams(connect: Connect) -> None:
    """The items that have come are there, then the step raises ConnectionClosedError; generators are closed."""
    ends = []

    async def numbers() -> AsyncIterator[int]:
        try:
            while True:
                yield 1
                await asyncio.sleep(0.001)
        finally:
            ends.append("finally")

    async with connect() as worker:
        stream = worker.items_then_wait("closing", 2)
        assert await anext(stream) == 0
        taking = asyncio.ensure_future(worker.take_for_ever(numbers()))
        await until(lambda: worker._connection._session.streams[0] == 1, "it is under way")
        waiting = asyncio.ensure_future(anext(worker.items_then_wait("closing too", 0)))
        while "closing too" not in await worker.held("closing"):
            pass
        both = asyncio.gather(taking, waiting, return_exceptions=True)
        worker.close()
        assert [type(error) for error in await both] == [ConnectionClosedError] * 2
        assert await anext(stream) == 1
        with raises(ConnectionClosedError):
            await anext(stream)
        with raises(StopAsyncIteration):
            await anext(stream)
        with raises(ConnectionClosedError):
            await anext(worker.count_up(1))
        await until(lambda: ends, "the generator of this side is closed")


async def test_sync_code_waits_for_a_step(worker: Worker) -> None:
    """`wait(anext(stream))` gives the item where the event loop goes on, and elsewhere says what to write instead."""
    if not await worker.can_wait():
        with raises(workerlib.CannotBlockError):
            await worker.wait_for_page("page_echo", 1)
        return
    goes_on, told = await worker.wait_for_steps(numbers_for_steps())
    first, whole, generator, number, own = told
    if goes_on:
        assert (first, own) == (7, 1)
    else:
        assert first[0] == "CannotBlockError"
        assert "make the function async and write `async for`" in first[1]
        assert own == 1
    for one in (whole, generator):
        assert one[0] == "TypeError"
        assert "workerlib.wait(anext(items))" in one[1]
    assert number[0] == "TypeError"
    assert "not int" in number[1]


async def numbers_for_steps() -> AsyncIterator[int]:
    yield 7
    yield 8
