"""Callbacks mean what docs/two-way.md says, whatever carries them: order, errors, cancel, lifetime, back-pressure."""

from __future__ import annotations

import asyncio
import collections
import contextvars
import functools
import gc
import types
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import workerlib
from workerlib import UnsendableError, Worker

from expecting import raises
from pace import seconds

_variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


async def _until(is_so: Callable[[], bool]) -> None:
    """Waits until something is so; the limit only ends a test that hangs."""
    async with asyncio.timeout(seconds(20)):
        while not is_so():
            await asyncio.sleep(0.005)


def unanswered() -> tuple[Callable[[], Awaitable[None]], asyncio.Event, list[str]]:
    """Makes an async callback that never answers; gives also the event of its start, and a list that notes its cancel."""
    asked = asyncio.Event()
    ended: list[str] = []

    async def never() -> None:
        asked.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    return never, asked, ended


async def test_progress_from_a_sync_function(worker: Worker) -> None:
    """A sync function calls its callback, which is heard in order, and before the call returns."""
    heard: list[float] = []
    assert await worker.train(10, heard.append) == 10
    assert heard == [step / 10 for step in range(10)]


async def test_progress_arrives_while_the_function_computes(worker: Worker) -> None:
    """A report is sent at once: the page hears the first long before a busy function ends."""
    # A busy machine may keep the report from a function that computes for a moment only.
    for steps in (200, 2_000, 4_000):
        heard: list[float] = []
        call = asyncio.ensure_future(worker.train(steps, heard.append))
        await _until(lambda heard=heard: bool(heard))
        came_early = not call.done()
        await call
        assert len(heard) == steps
        if came_early:
            return
    raise AssertionError("the report came when the function had ended")


async def test_progress_from_an_async_function(worker: Worker) -> None:
    """An async function reports its progress by a callback."""
    heard: list[int] = []
    assert await worker.train_slowly(10, heard.append) == 10
    assert heard == list(range(10))


async def test_each_kind_of_function(worker: Worker) -> None:
    """Functions, lambdas, bound methods, async functions and builtins become callbacks."""

    class Bar:
        def set(self, value: int) -> str:
            return f"set {value}"

        async def set_later(self, value: int) -> str:
            await asyncio.sleep(0)
            return f"set {value} later"

    async def twice(value: int) -> int:
        await asyncio.sleep(0)
        return 2 * value

    def thrice(value: int, *, plus: int = 0) -> int:
        return 3 * value + plus

    @functools.lru_cache
    def cached(value: int) -> int:
        return value + 10

    bar = Bar()
    assert await worker.ask(cached, 1) == 11
    assert await worker.ask(str.upper, "text") == "TEXT"
    assert await worker.ask((1).__add__, 2) == 3
    assert await worker.ask(functools.partial(thrice, plus=1), 1) == 4
    assert await worker.ask(functools.partial(functools.partial(twice), 1)) == 2
    assert await worker.ask(functools.partial(issubclass, Bar), object) is True, "its own objects stay here"
    assert await worker.is_callback(functools.partial(thrice, 1))
    assert await worker.ask(lambda value: value + 1, 1) == 2
    assert await worker.ask(bar.set, 1) == "set 1"
    assert await worker.ask(bar.set_later, 1) == "set 1 later"
    assert await worker.ask(twice, 1) == 2
    assert await worker.ask(thrice, 1, plus=4) == 7
    assert await worker.ask([3, 2].index, 2) == 1
    assert await worker.ask(workerlib.callback(thrice), 2) == 6
    assert await worker.is_callback(thrice)


async def test_what_is_exported_stays_what_it_is(worker: Worker) -> None:
    """A function of the worker's arrives there as itself; marked as a callback, it is called from here."""
    assert not await worker.is_callback(worker.add)
    assert await worker.is_callback(workerlib.callback(worker.add))
    assert await worker.ask(workerlib.callback(worker.add), 1, 2) == 3
    partial = functools.partial(int, base=2)
    ((known, same),), _ = await worker.echo([partial, partial])
    assert (type(known), known.func, known.keywords, known is same) == (
        functools.partial,
        int,
        {"base": 2},
        True,
    )
    assert not await worker.is_callback(functools.partial(worker.add, 1))
    with raises(workerlib.UnsendableError, r"does not know its default_factory.*send dict\(…\)"):
        await worker.echo(collections.defaultdict(lambda: 0))


async def test_callbacks_at_any_depth(worker: Worker) -> None:
    """They stand in lists, dicts, tuples and objects, several times if the function does."""
    heard: list[str] = []
    hear = heard.append
    assert await worker.call_within({"a": [hear, {"b": (hear, 1)}], "c": hear}) == 3
    assert heard == ["called"] * 3


async def test_a_callback_among_the_attributes_of_an_object(worker: Worker) -> None:
    """A callback in an attribute of an object can be called by the worker."""
    heard: list[int] = []
    order = types.SimpleNamespace(rows=3, on_row=heard.append)
    assert await worker.call_order(order) == "Callback"
    assert heard == [0, 1, 2]


async def test_a_function_as_a_result(worker: Worker) -> None:
    """The page calls a function that the worker has returned."""
    add = await worker.make_adder(5)
    assert isinstance(add, workerlib.Callback)
    assert await add(1) == 6
    reply = add(2)
    assert await reply == 7
    assert await reply == 7, "an answer can be taken twice"


async def test_a_callback_comes_back_as_itself(worker: Worker) -> None:
    """The owner gets its own function, not something that stands for it."""

    def mine() -> str:
        return "mine"

    await worker.keep("itself", mine)
    assert await worker.return_kept("itself") is mine
    add = await worker.make_adder(5)
    assert await worker.is_callback(add) is False
    assert await worker.ask_all([mine, mine]) == ["mine", "mine"]
    await worker.drop_kept("itself")


async def test_values_and_exceptions_are_exact(worker: Worker) -> None:
    """Arguments, results and exceptions of callbacks are as exact as those of calls."""
    given = {"a": (1, 2.5, {3}), "b": b"x" * 100_000}
    assert await worker.ask(lambda *args, **kwargs: (args, kwargs), given, key=given) == (
        (given,),
        {"key": given},
    )

    def refuse() -> None:
        raise KeyError("missing")

    with raises(KeyError, "missing"):
        await worker.ask(refuse)


async def test_an_awaited_error_can_be_handled(worker: Worker) -> None:
    """The function that awaits the callback gets the exception, and the call goes on."""

    def refuse() -> None:
        raise ValueError("no")

    assert await worker.catch(refuse) == "caught no"


async def test_an_error_that_nobody_takes_ends_the_call(worker: Worker) -> None:
    """An async function that has dropped the reply is ended, and its caller gets the exception."""

    def refuse() -> None:
        raise ValueError("nobody takes this")

    with raises(ValueError, "nobody takes this"):
        await worker.call_then(refuse, "wait")
    assert await worker.call_then(lambda: None, "turn") == "turn"


async def test_an_error_that_nobody_takes_ends_a_sync_call(worker: Worker) -> None:
    """A sync function returns before it can hear of the exception: its caller gets that all the same."""
    error = ValueError("nobody takes this")

    def refuse() -> None:
        raise error

    with raises(ValueError, "nobody takes this"):
        await worker.call_and_return(refuse)
    calls = []

    def refuse_once(number: float) -> None:
        calls.append(number)
        if len(calls) == 2:
            raise ValueError("the second")

    with raises(ValueError, "the second"):
        await worker.train(3, refuse_once)


async def test_an_error_after_the_call_goes_to_the_loop(worker: Worker) -> None:
    """An async callback that raises after the return is told to the event loop of its own side."""
    told: list[dict[str, Any]] = []
    may_raise = asyncio.Event()
    loop = asyncio.get_running_loop()
    before = loop.get_exception_handler()
    loop.set_exception_handler(lambda _loop, context: told.append(context))

    async def refuse() -> None:
        await may_raise.wait()
        raise ValueError("too late")

    try:
        assert await worker.call_and_return(refuse) == "returned"
        may_raise.set()
        await _until(lambda: bool(told))
    finally:
        loop.set_exception_handler(before)
    assert str(told[0]["exception"]) == "too late"


async def test_the_context_is_that_of_the_passing(worker: Worker) -> None:
    """A callback sees the context variables as they were when it was passed, sync or async."""

    async def see_later() -> str:
        await asyncio.sleep(0)
        return _variable.get()

    token = _variable.set("when it was passed")
    calls = [asyncio.ensure_future(worker.ask(see)) for see in (_variable.get, see_later)]
    await worker.keep("context", _variable.get)
    _variable.reset(token)
    assert await asyncio.gather(*calls) == ["when it was passed"] * 2
    assert await worker.call_kept("context") == "when it was passed"
    await worker.drop_kept("context")
    assert _variable.get() == "unset"


async def test_async_callbacks_run_as_tasks(worker: Worker) -> None:
    """They run side by side: each waits for all the others."""
    everybody: set[int] = set()
    all_there = asyncio.Event()

    def make(number: int) -> Any:
        async def come() -> int:
            everybody.add(number)
            if len(everybody) == 5:
                all_there.set()
            await all_there.wait()
            return number

        return come

    assert await worker.ask_all([make(number) for number in range(5)]) == list(range(5))


async def test_a_callback_can_be_stored(worker: Worker) -> None:
    """It lives as long as the worker holds it, and no longer."""
    heard: list[int] = []

    class Hearer:
        def hear(self, value: int) -> None:
            heard.append(value)

    await worker.keep("stored", Hearer().hear)
    await worker.call_kept("stored", 1)
    await worker.call_kept_unawaited("stored", 2)
    await _until(lambda: heard == [1, 2])
    assert [reference.name for reference in worker.references() if "hear" in reference.name]
    await worker.drop_kept("stored")
    await _until(lambda: not any("hear" in reference.name for reference in worker.references()))


async def test_nothing_is_left_of_callbacks(connect: Any) -> None:
    """After calls with callbacks, with errors and cancels, no side holds anything of the other's."""
    async with connect() as worker:
        for _ in range(20):
            await worker.train(2, lambda _: None)
            with raises(ValueError):
                await worker.call_then(_refuse, "wait")
            call = asyncio.ensure_future(worker.ask(asyncio.Event().wait))
            await asyncio.sleep(0)
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)
            add = await worker.make_adder(1)
            assert await add(1) == 2
            del add
        del call
        while worker.references():
            # Exceptions and their frames refer to each other, on both sides.
            gc.collect()
            await worker.collect_garbage()
            await asyncio.sleep(0.005)


def _refuse() -> None:
    raise ValueError("no")


async def test_a_cancel_revokes_the_callback(worker: Worker) -> None:
    """After the caller has its CancelledError no call of the callback arrives, though the worker has kept it."""
    heard: list[str] = []
    call = asyncio.ensure_future(worker.keep_and_wait("revoked", heard.append))
    async with asyncio.timeout(seconds(20)):
        while not await worker.held("revoked"):
            await asyncio.sleep(0.005)
    call.cancel()
    with raises(asyncio.CancelledError):
        await call
    assert heard == ["cleaning up"]
    with raises(workerlib.RevokedError, "cancelled"):
        await worker.call_kept("revoked", "afterwards")
    await worker.drop_kept("revoked")
    assert heard == ["cleaning up"]


async def test_a_cancel_of_the_call_cancels_the_question(worker: Worker) -> None:
    """The function that awaits the callback hears of the cancel, and so does the async callback."""
    never, asked, ended = unanswered()
    call = asyncio.ensure_future(worker.ask_until_cancelled("question", never))
    await asked.wait()
    call.cancel()
    with raises(asyncio.CancelledError):
        await call
    assert await worker.noted("question") == ["cancelled"]
    await _until(lambda: ended == ["cancelled"])


async def test_a_question_can_be_cancelled(worker: Worker) -> None:
    """The worker cancels the await of a callback, which is cancelled on the page."""
    never, asked, ended = unanswered()
    assert await worker.cancel_a_question(never, asked.wait) == "cancelled"
    assert ended == ["cancelled"]


async def test_back_pressure(worker: Worker) -> None:
    """A function that computes may call a callback 4,096 times without an answer; then it waits, or is told."""
    heard: list[int] = []
    outcome = await worker.flood(10_000, heard.append)
    if await worker.can_wait():
        assert outcome == "all were sent"
        assert heard == list(range(10_000))
    else:
        assert "await some of the answers" in outcome
        assert heard == list(range(4_096))


async def test_an_answer_in_sync_code(worker: Worker) -> None:
    """Sync code takes the answer where it can wait; elsewhere it is told what to change, and the call goes on."""

    async def later(value: int) -> int:
        await asyncio.sleep(0.01)
        return 2 * value

    def refuse() -> None:
        raise KeyError("missing")

    if await worker.can_wait():
        assert await worker.ask_in_sync_code(lambda value: value + 1, 1) == 2
        assert await worker.ask_in_sync_code(later, 4) == 8
        with raises(KeyError, "missing"):
            await worker.ask_in_sync_code(refuse)
    else:
        with raises(workerlib.CannotBlockError, "async"):
            await worker.ask_in_sync_code(later, 4)


async def test_async_code_takes_an_answer_in_a_sync_helper(worker: Worker) -> None:
    """An async function that awaits one answer and takes the next one by `result()` can do both, in each of its calls."""

    async def later(value: int) -> int:
        await asyncio.sleep(0)
        return 2 * value

    for _ in range(3):
        if await worker.can_wait():
            assert await worker.await_and_take(later, 4) == [8, 8]
        else:
            with raises(workerlib.CannotBlockError, "async"):
                await worker.await_and_take(later, 4)


async def test_async_code_awaits_many_answers(worker: Worker) -> None:
    """Its calls start in the event of their message from the second one on, and mean the same."""
    for _ in range(3):
        assert await worker.ask_often(lambda number: 2 * number, 200) == [2 * number for number in range(200)]


async def test_a_reply_is_no_value(worker: Worker) -> None:
    """Each use of a reply as a value raises a TypeError that says what to do."""
    uses = (
        *("truth", "if", "filter", "sorted", "equal", "unequal", "less", "add", "radd", "sum", "iterate"),
        *("unpack", "hash", "index", "item", "format", "call", "max", "in", "copy"),
    )
    for use in uses:
        told = await worker.misuse(lambda value: value, use)
        for remedy in ("await", ".result()", "workerlib.wait"):
            assert remedy in told, (use, told)
    assert await worker.return_a_reply(lambda value: value) == 1, "an export may return what is to be awaited"
    told = await worker.misuse(lambda value: value, "async for")
    assert "async for item in await" in told, told


async def test_a_reply_is_not_sent(worker: Worker) -> None:
    """A list of replies is refused on both sides: no answer is lost, and nothing arrives in its place."""
    for sends in (worker.return_replies, worker.pass_a_reply):
        with raises(UnsendableError, r"Reply cannot be sent: it is an answer .* `await` or its `result\(\)`"):
            await sends(lambda value: value)


async def test_a_callback_that_gives_a_stream(worker: Worker) -> None:
    """The answer of an async generator function is a stream, whose items the worker takes."""

    async def numbers(count: int) -> AsyncIterator[int]:
        for number in range(count):
            yield number

    assert await worker.take_items(numbers) == [0, 1, 2]


async def test_calls_within_callbacks_of_calls(connect: Any) -> None:
    """A callback calls the worker, which calls the callback, at any depth, though one call at a time is allowed."""
    async with connect(max_in_flight=1) as worker:

        async def go_deeper(depth: int) -> Any:
            return await worker.nest_calls(depth, go_deeper)

        assert await worker.nest_calls(20, go_deeper) == 20


async def test_strict_demands_a_mark(connect: Any) -> None:
    """A strict connection refuses a bare function, and names what to send."""
    async with connect(strict=True) as worker:
        with raises(
            workerlib.UnsendableError, r"args\[0\]\[1\].*<lambda> is neither exported.*callback\(…\)"
        ):
            await worker.ask([1, lambda: 1])
        with raises(workerlib.UnsendableError, r"callback\(…\)"):
            await worker.ask(functools.partial(lambda: 1))
        assert await worker.ask(workerlib.callback(lambda: 1)) == 1


async def test_the_end_of_the_connection(connect: Any) -> None:
    """An answer that is not there raises, a later call too, and an async callback is cancelled."""
    never, asked, ended = unanswered()
    async with connect() as worker:
        add = await worker.make_adder(1)
        call = asyncio.ensure_future(worker.ask(never))
        await asked.wait()
    with raises(workerlib.ConnectionClosedError):
        await call
    with raises(workerlib.ConnectionClosedError):
        await add(1)
    await _until(lambda: ended == ["cancelled"])
    assert worker.references() == []
