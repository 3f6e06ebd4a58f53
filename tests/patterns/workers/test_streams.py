"""Streams of the ES module: `for await` over a function with a `yield`, and async iterables of the page as arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Page


@pytest.mark.every_engine
@pytest.mark.isolation("chromium")
def test_items_come_one_by_one(page: Page) -> None:
    """Sync and async generators, thousands of items, values as results have them, and an end without items."""
    numbers, names, total, none = page.run("""
        const worker = await sharedWorker();
        const numbers = [], names = [], none = [];
        for await (const number of worker.rows_async(5)) numbers.push(number);
        let total = 0;
        for await (const row of worker.rows(5_000)) {
          total += row.number;
          if (row.number < 2) names.push(row.name);
        }
        for await (const row of worker.rows(0)) none.push(row);
        await worker.noted();
        return [numbers, names, total, none];
    """)
    assert numbers == [0, 1, 2, 3, 4]
    assert names == ["row 0", "row 1"]
    assert total == 4_999 * 2_500
    assert none == []


def test_generators_behind_decorators(page: Page) -> None:
    """The result decides: what a decorator passes on is a stream, also of a class method and a static method."""
    items, error, refused = page.run("""
        const worker = await sharedWorker();
        const items = [];
        const streams = ["rows_behind", "rows_behind_async", "Source.rows", "Source.cached"];
        for (const name of streams) for await (const number of worker[name](2)) items.push(number);
        const error = await failure((async () => { for await (const _ of worker.managed()); })());
        return [items, error, await failure(worker.mean([1])[Symbol.asyncIterator]().next())];
    """)
    assert items == [0, 1] * 4
    assert error["name"] == "UnsendableError"
    assert "_GeneratorContextManager cannot be sent" in error["message"]
    assert refused["message"].startswith("mean() returned no stream")


@pytest.mark.every_engine
def test_break_closes_the_generator(page: Page) -> None:
    """`finally` has run when the loop is left, for sync and async generators; nothing more is produced then."""
    produced, ends = page.run("""
        const worker = await sharedWorker();
        await worker.noted();
        for await (const row of worker.rows(1_000_000)) if (row.number === 3) break;
        const produced = await worker.noted();
        for await (const number of worker.rows_async(1_000_000)) if (number === 3) break;
        return [produced, await worker.noted()];
    """)
    assert produced[-1] == "closed"
    # Batches of 1 and 4 items. A busy machine cuts batches short, and each may be four times as large as the one before all
    # the same: three of 1, and one of 64.
    assert 4 <= len(produced) - 1 <= 67
    assert ends == ["GeneratorExit", "closed"]


def test_nothing_is_produced_before_it_is_asked_for(page: Page) -> None:
    """A call alone steps nothing, and a page that waits between two items has no more produced."""
    before, after = page.run("""
        const worker = await sharedWorker();
        await worker.noted();
        const stream = await worker.rows(1_000_000);
        const before = await worker.noted();
        await stream.next();
        await new Promise((done) => setTimeout(done, 50));
        const after = await worker.noted();
        await stream.return();
        await worker.noted();
        return [before, after];
    """)
    assert before == []
    assert after == [0]


@pytest.mark.every_engine
def test_an_error_comes_in_its_place(page: Page) -> None:
    """The items before it are there; it is the exception with its traceback, and the stream has ended."""
    items, error, end = page.run("""
        const worker = await sharedWorker();
        const stream = await worker.rows_that_fail(10);
        const items = [];
        const error = await failure((async () => { for await (const item of stream) items.push(item); })());
        return [items, error, await stream.next()];
    """)
    assert items == list(range(10))
    assert (error["name"], error["message"]) == ("LookupError", "no more rows")
    assert 'File "functions.py"' in error["traceback"]
    assert "_rpc" not in error["traceback"]
    assert end["done"] is True


def test_an_item_that_cannot_be_sent(page: Page) -> None:
    """It is an UnsendableError in its place, which names the item, and the generator is closed."""
    items, error, notes = page.run("""
        const worker = await sharedWorker();
        await worker.noted();
        const items = [];
        const error = await failure((async () => {
          for await (const item of worker.unsendable_rows()) items.push(item);
        })());
        return [items, error, await worker.noted()];
    """)
    assert items == [1]
    assert error["name"] == "UnsendableError"
    assert "items[1]['cell'][0]" in error["message"]
    assert notes == ["closed"]


def test_items_are_what_they_were_at_their_yield(page: Page) -> None:
    """A generator may change an object afterwards; buffers move, each in its item."""
    rows, sizes = page.run("""
        const worker = await sharedWorker();
        const rows = [], sizes = [];
        for await (const row of worker.changing()) rows.push(row);
        for await (const block of worker.blocks(6, 1_000_000)) sizes.push([block[0], block.length]);
        return [rows, sizes];
    """)
    assert rows == [[0], [0, 1], [0, 1, 2]]
    assert sizes == [[number, 1_000_000] for number in range(6)]


def test_an_error_of_the_clean_up(page: Page) -> None:
    """`return()` rejects with it, and so does a loop that is left by `break`."""
    error, left = page.run("""
        const worker = await sharedWorker();
        const stream = await worker.fails_to_close();
        await stream.next();
        const error = await failure(stream.return());
        const left = await failure((async () => { for await (const _ of worker.fails_to_close()) break; })());
        return [error, left];
    """)
    assert (error["name"], error["message"]) == ("ValueError", "cannot clean up")
    assert left["name"] == "ValueError"


@pytest.mark.every_engine
def test_a_step_has_a_time_limit(page: Page) -> None:
    """`timeout` is the time of one step; a late one rejects, and the generator is cancelled and closed."""
    items, error, end, notes = page.run("""
        const worker = await sharedWorker();
        await worker.noted();
        const slow = await worker.with({ timeout: 1500 }).one_then_wait();
        const items = [(await slow.next()).value];
        const error = await failure(slow.next());
        const notes = [];
        while (notes.length < 2) notes.push(...await worker.noted());
        return [items, error, await slow.next(), notes];
    """)
    assert items == [1]
    assert (error["name"], error["message"]) == (
        "TimeoutError",
        "a step of one_then_wait() did not end within 1500 ms",
    )
    assert end["done"] is True
    assert notes == ["CancelledError", "closed"]


def test_a_signal_ends_a_step(page: Page) -> None:
    """A step that waits rejects with the signal's reason. A signal that comes between two steps closes the generator too."""
    pending, between, notes = page.run("""
        const worker = await sharedWorker();
        await worker.noted();
        const notes = [];
        const first = new AbortController();
        const waiting = await worker.with({ signal: first.signal }).one_then_wait();
        await waiting.next();
        const pending = failure(waiting.next());
        first.abort(new RangeError("enough"));
        await pending;
        while (notes.length < 2) notes.push(...await worker.noted());
        const second = new AbortController();
        const stream = await worker.with({ signal: second.signal }).rows(1_000);
        await stream.next();
        second.abort(new RangeError("enough"));
        const between = await failure(stream.next());
        while (notes.length < 4) notes.push(...await worker.noted());
        return [await pending, between, notes];
    """)
    assert pending["message"] == between["message"] == "enough"
    assert notes == ["CancelledError", "closed", 0, "closed"]


@pytest.mark.isolation("chromium")
def test_a_generator_that_computes_is_interrupted(page: Page) -> None:
    """On an isolated page a late step interrupts it; elsewhere its item is dropped when it is there."""
    error, notes, is_isolated = page.run("""
        const worker = await sharedWorker();
        await worker.noted();
        const stream = await worker.with({ timeout: 1000 }).compute_rows(crossOriginIsolated ? 3600 : 2);
        await stream.next();
        const error = await failure(stream.next());
        return [error, await worker.noted(), crossOriginIsolated];
    """)
    assert error["name"] == "TimeoutError"
    assert notes == (["interrupted"] if is_isolated else [])


@pytest.mark.every_engine
def test_a_worker_that_dies(page: Page) -> None:
    """A pending step rejects with WorkerDiedError, and so does the next one of a stream between two steps."""
    errors = page.run("""
        const worker = await spawn({ script: "./functions.py" });
        const waiting = await worker.rows_async(3, 3600);
        const other = await worker.rows(1_000_000);
        await other.next();
        const pending = failure(waiting.next());
        worker.terminate();
        return [await pending, await failure(other.next())];
    """)
    assert [error["name"] for error in errors] == ["WorkerDiedError"] * 2


def test_steps_that_are_not_awaited(page: Page) -> None:
    """Steps that were begun together are taken one after the other, so no item is lost."""
    values = page.run("""
        const worker = await sharedWorker();
        const stream = await worker.rows_async(40);
        const steps = await Promise.all(Array.from({ length: 42 }, () => stream.next()));
        await worker.noted();
        return steps.map((step) => step.done ? "end" : step.value);
    """)
    assert values == [*range(40), "end", "end"]


def test_two_streams_and_calls_at_once(page: Page) -> None:
    """Two loops over one worker do not wait for each other, and the worker answers calls meanwhile."""
    first, second, mean = page.run("""
        const worker = await sharedWorker();
        const take = async (stream) => { const all = []; for await (const item of stream) all.push(item); return all; };
        const taken = [take(worker.rows_async(500)), take(worker.doubled(worker.rows_async(300)))];
        const mean = await worker.mean([1, 2]);
        const [first, second] = await Promise.all(taken);
        await worker.noted();
        return [first, second, mean];
    """)
    assert first == list(range(500))
    assert second == [number * 2 for number in range(300)]
    assert mean == 1.5


def test_a_stream_of_other_calls(page: Page) -> None:
    """runPython and `call` stream too, a generator among results as well; the page's functions can be called meanwhile."""
    texts, keyword, generated, asked = page.run("""
        const worker = await sharedWorker();
        const take = async (stream) => { const all = []; for await (const item of stream) all.push(item); return all; };
        const texts = await take(await worker.runPython("(letter for letter in 'abc')"));
        const keyword = await take(worker.call("rows_async", [], { count: 2 }));
        const generated = await take(worker.generator_object(3));
        const other = await spawn({ script: "./functions.py", exports: { twice: (number) => number * 2 } });
        const asked = await take(other.ask_for_rows());
        other.terminate();
        await worker.noted();
        return [texts, keyword, generated, asked];
    """)
    assert texts == ["a", "b", "c"]
    assert keyword == [0, 1]
    assert generated == [0, 1, 2]
    assert asked == [0, 2]


def test_a_call_that_returns_no_stream(page: Page) -> None:
    """A loop over it rejects with the remedy, and one over a call that fails with the call's error."""
    no_stream, failed = page.run("""
        const worker = await sharedWorker();
        const loop = async (stream) => { for await (const _ of stream); };
        return [await failure(loop(worker.mean([1]))), await failure(loop(worker.fail("KeyError", "x")))];
    """)
    assert no_stream["name"] == "TypeError"
    assert "mean() returned no stream" in no_stream["message"]
    assert failed["name"] == "KeyError"


def test_streams_with_comlink_alone(page: Page) -> None:
    """A page without spawn() takes steps by `next()` and ends by `return()`."""
    items, notes = page.run("""
        const address = "/workerlib/worker.js?indexURL=/pyodide/";
        const raw = new Worker(address, { type: "module" });
        const python = Comlink.wrap(raw);
        await python.runScript(new URL("./functions.py", location.href).href).catch(() => {});
        await python.init();
        await python.runScript(new URL("./functions.py", location.href).href);
        const stream = await python.rows(1_000_000);
        const items = [];
        for (let at = 0; at < 5; at += 1) items.push((await stream.next()).value.number);
        await stream.return();
        const notes = await python.noted();
        raw.terminate();
        return [items, notes];
    """)
    assert items == [0, 1, 2, 3, 4]
    assert notes[-1] == "closed"


@pytest.mark.every_engine
@pytest.mark.isolation("chromium")
def test_async_iterables_as_arguments(page: Page) -> None:
    """An async generator of the page, a stream of a worker, and an object with an async iterator arrive as async iterables."""
    total, doubled, own, empty = page.run("""
        const worker = await sharedWorker();
        const numbers = async function* (count) { for (let at = 0; at < count; at += 1) yield at; };
        const total = await worker.sum_of(numbers(3_000));
        const doubled = [];
        for await (const number of worker.doubled(numbers(5))) doubled.push(number);
        const own = { [Symbol.asyncIterator]: () => ({ left: 2, next() {
          this.left -= 1; return Promise.resolve(this.left < 0 ? { done: true } : { done: false, value: "own" }); } }) };
        return [total, doubled, await worker.all_of(own), await worker.all_of(numbers(0))];
    """)
    assert total == 2_999 * 1_500
    assert doubled == [0, 2, 4, 6, 8]
    assert own == ["own", "own"]
    assert empty == []


@pytest.mark.every_engine
def test_python_closes_the_pages_iterator(page: Page) -> None:
    """`break` in Python, and aclose(), run the `finally` of the page's generator, and no more than some items were taken ahead."""
    broken, closed, at_most = page.run("""
        const worker = await sharedWorker();
        let taken = 0, hasClosed;
        const closing = new Promise((resolve) => { hasClosed = resolve; });
        const numbers = async function* () { try { while (true) yield (taken += 1); } finally { hasClosed("closed"); } };
        await worker.sum_of(numbers(), 5);
        const broken = await closing;
        let end = 0;
        const other = async function* () { try { while (true) yield 1; } finally { end += 1; } };
        const closed = await worker.close_all(other());
        return [broken, [closed, end], taken];
    """)
    assert broken == "closed"
    assert closed == ["closed", 1]
    assert at_most <= 1 + 2 + 4 + 8


def test_an_iterator_of_a_call_that_does_not_run_is_closed(page: Page) -> None:
    """A ReadableStream would stay open and locked if the call of a function that is not exported forgot its iterator."""
    error, closed = page.run("""
        const worker = await sharedWorker();
        let hasClosed;
        const closing = new Promise((resolve) => { hasClosed = resolve; });
        const stream = new ReadableStream({ cancel: () => hasClosed("closed") });
        const error = await failure(worker.call("nobodys_function", [stream.values()]));
        return [error, await closing];
    """)
    assert error["name"] == "NotExportedError"
    assert closed == "closed"


def test_an_iterator_of_the_page_that_throws(page: Page) -> None:
    """The items before it come first, then the error is raised in Python. An item that cannot be cloned is such an error."""
    thrown, unsendable = page.run("""
        const worker = await sharedWorker();
        const failing = async function* () { yield 1; yield 2; throw new RangeError("not further"); };
        const odd = async function* () { yield 1; yield Symbol("odd"); };
        return [await worker.all_of(failing()), await worker.all_of(odd())];
    """)
    assert thrown[:2] == [1, 2]
    assert "not further" in thrown[2]
    assert unsendable[0] == 1
    assert len(unsendable) == 2


def test_items_become_what_annotations_say(page: Page) -> None:
    """The items of an `AsyncIterator[Dot]` are dataclasses; an array is taken for a stream of its items."""
    streamed, listed = page.run("""
        const worker = await sharedWorker();
        const dots = [{ at: [1, 2], colour: "red" }, { at: [3, 4], colour: "red" }];
        const stream = async function* () { yield* dots; };
        return [await worker.colours_of(stream()), await worker.colours_of(dots)];
    """)
    assert streamed == listed == ["red", "red"]


def test_iterables_that_cannot_be_sent(page: Page) -> None:
    """Each is told with its place and a remedy."""
    inside, generator, returned = page.run("""
        const worker = await sharedWorker();
        const numbers = async function* () { yield 1; };
        const other = await spawn({ script: "./functions.py", exports: { numbers } });
        const told = [
          await failure(worker.echo({ rows: numbers() })),
          await failure(worker.echo([1, 2].values())),
          await failure(other.ask_page("numbers")),
        ];
        other.terminate();
        return told.map(({ message }) => message);
    """)
    assert inside == (
        "echo(): args[0].rows is an async iterable, which can be sent only as an argument of its own"
    )
    assert "echo(): args[0] is of the class" in generator
    assert "make an array of it" in generator
    assert "numbers() of the page returned an async iterable" in returned
