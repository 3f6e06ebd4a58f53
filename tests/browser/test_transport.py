"""How messages travel between page and worker: order, memory, wake-ups; in every engine."""

from __future__ import annotations

from typing import Any

import pytest

from in_page import in_page

pytestmark = pytest.mark.every_engine


@in_page(page="swift")
async def test_order_is_kept_whatever_the_size(worker: Any) -> None:
    """Calls are answered in the order in which they were made, though some travel in pieces and some do not."""
    import asyncio

    sizes = [0, 5_000_000, 10, 20_000, 3_000_000, 1, 100_000, 2_500_000] * 3
    ended: list[int] = []

    async def call(number: int, size: int) -> None:
        (back, _), _ = await worker.echo(bytes([number]) * size, number)
        assert back == bytes([number]) * size
        ended.append(number)

    await asyncio.gather(*(call(number, size) for number, size in enumerate(sizes)))
    assert ended == list(range(len(sizes)))


@in_page(page="swift")
async def test_buffers_are_used_again_and_nothing_is_mixed_up(worker: Any) -> None:
    """Buffers of many concurrent calls keep their content, of bytes, bytearrays and views."""
    import asyncio
    import random

    source = random.Random(7)

    async def call(number: int) -> None:
        size = source.choice([100, 9_000, 40_000, 70_000, 1_500_000, 2_200_000])
        content = bytes([number % 251, number // 251]) * (size // 2)
        (one, (two,), three), _ = await worker.echo(content, (bytearray(content),), memoryview(content))
        assert one == content and two == content and three == content, number

    for start in range(0, 120, 24):
        await asyncio.gather(*(call(number) for number in range(start, start + 24)))


@in_page(page="swift")
async def test_memory_may_grow_during_a_call(worker: Any) -> None:
    """Both heaps grow, and so move, while buffers are on their way."""
    import asyncio

    import pyodide_js

    before = pyodide_js._module.HEAPU8.byteLength
    kept: list[Any] = []
    size = 24 << 20
    while pyodide_js._module.HEAPU8.byteLength == before:
        calls = [worker.echo(bytes([number]) * size) for number in range(3)]
        for number, ((back,), _) in enumerate(await asyncio.gather(*calls)):
            assert len(back) == size and back[:100] == back[-100:] == bytes([number]) * 100
            kept.append(back)
        assert len(kept) < 60, "the heap did not grow"


@in_page(page="swift")
async def test_what_changes_after_the_call_is_not_sent(worker: Any) -> None:
    """A buffer is copied in one go, when the call is sent."""
    import asyncio

    data = bytearray(b"a" * 4_000_000)
    view = memoryview(bytearray(b"b" * 4_000_000))
    call = asyncio.ensure_future(worker.echo(data, view))
    await asyncio.sleep(0)
    data[:] = b"x" * len(data)
    view[:] = b"x" * len(view)
    (one, two), _ = await call
    assert set(one) == {ord("a")} and set(bytes(two)) == {ord("b")}


@in_page(page="swift")
async def test_a_thousand_in_flight(worker: Any) -> None:
    """A thousand calls at a time get their own answers, some with buffers."""
    import asyncio

    async def call(number: int) -> None:
        content = bytes(20_000) if number % 50 == 0 else b""
        assert (await worker.echo(number, content))[0] == (number, content)

    await asyncio.gather(*(call(number) for number in range(1000)))


@in_page(page="swift")
async def test_waiting_in_every_way(worker: Any, raises: Any, pace: Any) -> None:
    """Each of asyncio's ways to wait sees the answer of a call, also where it comes too late."""
    import asyncio

    assert await asyncio.wait_for(worker.add(1, 2), 60 * pace.PACE) == 3
    async with asyncio.timeout(60 * pace.PACE):
        assert await worker.add(1, 3) == 4
    assert await asyncio.shield(worker.add(1, 4)) == 5
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(worker.add(number, 1)) for number in range(20)]
    assert [task.result() for task in tasks] == [number + 1 for number in range(20)]
    done, pending = await asyncio.wait([asyncio.ensure_future(worker.add(2, 2))])
    assert [task.result() for task in done] == [4] and not pending
    assert [await call for call in asyncio.as_completed([worker.add(3, 3)])] == [6]
    with raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await worker.hold("waiting in every way")
    await worker.release("waiting in every way")
    assert await worker.add(5, 5) == 10


@in_page(page="swift")
async def test_contexts_and_tasks_are_the_callers(worker: Any) -> None:
    """Code that is woken by an answer runs in its own task and context, and may start others."""
    import asyncio
    import contextvars

    variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable")

    async def call(number: int) -> None:
        variable.set(number)
        task = asyncio.current_task()
        for _ in range(5):
            assert await worker.add(number, 1) == number + 1
            assert variable.get() == number
            assert asyncio.current_task() is task
        assert await asyncio.create_task(worker.add(number, 2)) == number + 2

    await asyncio.gather(*(call(number) for number in range(30)))


@in_page(page="swift")
async def test_an_error_in_a_callback_is_the_loops(worker: Any) -> None:
    """A callback of a finished call that raises disturbs nobody else; asyncio's handler hears of it."""
    import asyncio

    loop = asyncio.get_running_loop()
    heard: list[Any] = []
    loop.set_exception_handler(lambda _loop, context: heard.append(context["exception"]))
    try:
        task = asyncio.ensure_future(worker.add(1, 2))

        def fail(_task: Any) -> None:
            raise ZeroDivisionError("from a callback")

        task.add_done_callback(fail)
        assert await task == 3
        await asyncio.sleep(0.01)
    finally:
        loop.set_exception_handler(None)
    assert [type(error) for error in heard] == [ZeroDivisionError]
    assert await worker.add(1, 2) == 3


@in_page(page="swift")
async def test_the_end_of_a_task_by_systemexit_disturbs_nobody(worker: Any) -> None:
    """The loop hears of it, who awaits other answers goes on, and the connection lives."""
    import asyncio

    async def leave(number: int) -> None:
        assert await worker.add(number, 1) == number + 1
        raise SystemExit(number)

    loop: Any = asyncio.get_running_loop()
    heard: list[int] = []
    real, loop._system_exit_handler = loop._system_exit_handler, heard.append
    try:
        leaving = [asyncio.ensure_future(leave(number)) for number in range(3)]
        assert await asyncio.gather(*(worker.add(number, 2) for number in range(20))) == list(range(2, 22))
        await asyncio.wait(leaving)
        await asyncio.sleep(0.01)
    finally:
        loop._system_exit_handler = real
    assert sorted(heard) == [0, 1, 2]
    assert not worker.closed
    assert [task.exception().code for task in leaving] == [0, 1, 2]


@in_page(page="swift")
async def test_calls_that_become_tasks_start_as_tasks_do(worker: Any, raises: Any) -> None:
    """Not before their maker goes on, in their own context, by their name; one that is cancelled before sends nothing."""
    import asyncio
    import contextvars

    import workerlib

    content = [1]
    task = asyncio.create_task(worker.echo(content), name="mine")
    content.append(2)
    assert task.get_name() == "mine"
    assert (await task)[0] == ([1, 2],)
    variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable", default=1)
    # Not by `context.run`: of code that imports asyncio, `.run` may be `asyncio.run`, which blocks.
    token = variable.set(2)
    context = contextvars.copy_context()
    variable.reset(token)
    seen: list[int] = []
    task = asyncio.get_running_loop().create_task(worker.add(1, 2), context=context)
    task.add_done_callback(lambda _: seen.append(variable.get()), context=context)
    assert await task == 3
    await asyncio.sleep(0)
    assert seen == [2]
    task = asyncio.create_task(worker.add(asyncio.Event(), 2))
    with raises(workerlib.UnsendableError, "cannot be sent"):
        await task
    tasks = [asyncio.create_task(worker.note("as tasks do", number)) for number in range(40)]
    for early in tasks[::2]:
        early.cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes[::2])
    assert await worker.noted("as tasks do") == list(range(1, 40, 2))


@in_page(page="swift")
async def test_the_workers_own_channel_where_it_is_faster(worker: Any) -> None:
    """No call goes over a port in Firefox and WebKit, each does in Chromium; PyScript's own calls go on beside them."""
    import asyncio

    import js
    from pyodide.code import run_js

    run_js("""
        globalThis.postsOnPorts = 0;
        globalThis.portPost = MessagePort.prototype.postMessage;
        MessagePort.prototype.postMessage = function (...args) {
          globalThis.postsOnPorts += 1;
          return globalThis.portPost.apply(this, args);
        };
    """)
    try:
        for number in range(10):
            assert await worker.add(number, 1) == number + 1
        assert js.postsOnPorts == (10 if "Chrome" in js.navigator.userAgent else 0)
    finally:
        js.MessagePort.prototype.postMessage = js.portPost
    calls = [(worker if number % 2 else worker.worker).add(number, 1) for number in range(40)]
    assert await asyncio.gather(*calls) == list(range(1, 41))


@in_page(page="swift")
async def test_calls_that_start_together_keep_their_order(worker: Any) -> None:
    """Small ones that go in one message, others with buffers between them, and one that is awaited behind them."""
    import asyncio

    calls = [worker.note("together", number) for number in range(100)]
    calls[50:50] = [worker.note("together", bytes(20_000))]
    tasks = [asyncio.create_task(call) for call in calls]
    await worker.note("together", "last")
    await asyncio.gather(*tasks)
    noted = await worker.noted("together")
    assert noted == ["last", *range(50), bytes(20_000), *range(50, 100)]


@in_page(page="swift")
async def test_both_channels_understand_frames_that_come_together(worker: Any) -> None:
    """The script's and that of pages on which no script can be evaluated, each as sender and as receiver."""
    import asyncio

    import js
    from workerlib._channels import message_port
    from workerlib._channels.message_port_without_eval import Channel
    from workerlib._native import region

    frames = [b"one", b"2", b"three" * 1000, b"four" * 1500, b"5"]
    for is_script in (True, False):
        ports = js.MessageChannel.new()
        inbox = bytearray(65536)
        arrived: list[bytes] = []
        broken: list[str] = []

        def deliver_all(*sizes: int, inbox: Any = inbox, arrived: Any = arrived) -> None:
            start = 0
            for size in sizes:
                arrived.append(bytes(inbox[start : start + size]))
                start += size

        handlers = {"deliver": lambda size, _, all=deliver_all: all(size), "deliverAll": deliver_all}
        handlers |= {"room": lambda size: 0, "broken": broken.append}
        ends = [message_port._open(ports.port1, handlers, 0), Channel(ports.port2, handlers)]
        sender, receiver = ends if is_script else ends[::-1]
        receiver.listen(region(inbox)[0], len(inbox))
        sender.sendTogether(*(number for frame in frames for number in region(frame)))
        while len(arrived) < len(frames) and not broken:
            await asyncio.sleep(0.02)
        assert (arrived, broken) == (frames, []), is_script
        for end in ends:
            end.close()


@in_page(page="swift", limit=170)
async def test_many_large_calls_leave_the_heaps_as_they_were(worker: Any) -> None:
    """After many calls with a megabyte each the heaps of both sides are as large as they were after a few."""
    import pyodide_js

    content = bytes(1 << 20)

    async def heaps() -> tuple[int, int]:
        return pyodide_js._module.HEAPU8.byteLength, await worker.heap_size()

    async def calls(count: int) -> None:
        for _ in range(count):
            (back,), _ = await worker.echo(content)
            assert len(back) == len(content)

    await calls(100)
    before = await heaps()
    await calls(1000)
    for old, new in zip(before, await heaps(), strict=True):
        assert new <= old * 1.05, (old, new)


@pytest.mark.isolation("chromium")
@in_page(page="swift")
async def test_nothing_goes_through_the_loop_that_need_not(worker: Any) -> None:
    """A call's function starts, and whoever waits for it goes on, in the event that brings the message."""
    import asyncio

    await worker.add(1, 1)
    assert not await worker.starts_by_loop("add")
    # A connection that is new asks for the worker's lock soon, by a timer that is due before this one.
    await asyncio.sleep(0.1)
    loop = type(asyncio.get_running_loop())
    turns = 0
    real = loop.call_soon

    def call_soon(self: Any, *args: Any, **kwargs: Any) -> Any:
        nonlocal turns
        turns += 1
        return real(self, *args, **kwargs)

    loop.call_soon = call_soon
    try:
        for number in range(20):
            await worker.add(number, 1)
        await asyncio.gather(*(worker.add(number, 1) for number in range(20)))
        async with asyncio.TaskGroup() as group:
            for number in range(20):
                group.create_task(worker.add(number, 1))
        await asyncio.shield(worker.add(1, 1))
        await asyncio.wait([asyncio.ensure_future(worker.add(1, 1))])
        early = turns
        await asyncio.sleep(0)
        await asyncio.ensure_future(asyncio.sleep(0))
    finally:
        loop.call_soon = real
    assert turns > early, "turns are not counted"
    turns = early
    assert turns == 0


@pytest.mark.isolation("chromium")
@in_page(page="swift")
async def test_a_worker_stays_awake_for_a_moment(worker: Any) -> None:
    """Between calls in a row, not for a call that stands alone, and never for long."""
    import asyncio

    await asyncio.sleep(0.1)
    if await worker.wakeful_turns() is None:
        return  # this engine has no tasks with priorities
    await asyncio.sleep(0.1)
    before = await worker.wakeful_turns()
    await asyncio.sleep(0.1)
    assert await worker.wakeful_turns() == before, "nothing followed"
    # On a busy machine not every call follows the last one closely enough.
    while await worker.wakeful_turns() <= before + 50:
        for _ in range(100):
            await worker.add(1, 1)
    # A worker that gets no processor cannot stop either: it may take longer than the pause before it is asked.
    for _ in range(20):
        await asyncio.sleep(0.1)
        after = await worker.wakeful_turns()
        await asyncio.sleep(0.3)
        if await worker.wakeful_turns() == after:
            break
    else:
        raise AssertionError("the worker never stops")


@in_page
async def test_where_somebody_blocks_all_goes_through_the_loop(worker: Any) -> None:
    """A worker that imports run_sync can use it in a function, and a page after a call."""
    import asyncio

    import js

    if not hasattr(js.WebAssembly, "Suspending"):
        return  # this engine has no JSPI
    assert await worker.wait_in_sync_function(0.001) == "waited"
    from pyodide.ffi import run_sync

    await worker.add(1, 2)
    run_sync(asyncio.sleep(0.001))


@in_page(page="swift")
async def test_a_function_that_is_exported_late_may_block(worker: Any) -> None:
    """The new export may block, though nothing in its worker could before, and it does so by a function beside it."""
    import js

    await worker.export_one_that_blocks()
    assert await worker.nap() == "slept"
    assert await worker.starts_by_loop("nap") == hasattr(js.WebAssembly, "Suspending")


@in_page(page="swift")
async def test_each_export_starts_as_its_own_code_needs(worker: Any) -> None:
    """In a worker in which one export blocks, others start at once; names that look alike block nobody."""
    import js

    await worker.neighbours()
    await worker.add(1, 2)
    assert not await worker.starts_by_loop("neighbours")
    assert not await worker.starts_by_loop("add")
    if not hasattr(js.WebAssembly, "Suspending"):
        return  # this engine has no JSPI
    await worker.write_sleepy_module()
    # First without waiting: the module is not loaded, and the call does not show that it blocks.
    assert await worker.import_and_wait(0) == "did not wait"
    assert await worker.import_and_wait(0) == "did not wait"
    assert await worker.import_and_wait(0.001) == "waited"
    assert await worker.import_and_wait(0.001) == "waited"
    assert await worker.starts_by_loop("import_and_wait")
    assert not await worker.starts_by_loop("add")


@in_page(page="swift")
async def test_an_export_that_is_marked_as_blocking_may_block(worker: Any) -> None:
    """`export(blocking=True)`: other calls are served while it waits."""
    import asyncio

    import js

    if not hasattr(js.WebAssembly, "Suspending"):
        return  # this engine has no JSPI
    # On a busy machine a call may take longer than a short wait.
    for seconds in (0.2, 0.2, 2, 20):
        waiting = asyncio.ensure_future(worker.wait_by_computed_name("pyodide.ffi", "run_sync", seconds))
        assert await worker.add(1, 2) == 3
        was_served = not waiting.done()
        assert await waiting == "waited"
        if was_served:
            return
    raise AssertionError("no other call was served while the function waited")


@in_page(page="swift")
async def test_a_page_may_block_in_a_helper_that_it_imports_late(worker: Any) -> None:
    """Code that goes on in the event of an answer could not wait: the page's functions are looked at before."""
    import sys
    import types

    import js

    if not hasattr(js.WebAssembly, "Suspending"):
        return  # this engine has no JSPI
    helper = types.ModuleType("late_helper")
    exec(  # noqa: S102 - a module without a file
        "import asyncio\n"
        "def wait():\n"
        "    from pyodide.ffi import run_sync\n"
        "    run_sync(asyncio.sleep(0.001))\n"
        "    return 'waited'\n"
        "async def call(worker):\n"
        "    await worker.add(1, 2)\n"
        "    return wait()\n",
        helper.__dict__,
    )
    sys.modules["late_helper"] = helper
    assert await helper.call(worker) == "waited"


@pytest.mark.every_engine
@in_page(page="swift")
async def test_a_connection_may_be_closed_within_an_answer(worker: Any, workerlib: Any) -> None:
    """JavaScript is inside the connection's functions then: they are freed later, and the console stays clean."""
    import asyncio

    for _ in range(3):
        other = await workerlib.connect("bench")
        call = asyncio.ensure_future(other.add(1, 2))
        call.add_done_callback(lambda _, other=other: other.close())
        assert await call == 3
        assert other.closed
        await asyncio.sleep(0.02)
    assert await worker.add(1, 2) == 3


@pytest.mark.every_engine
@in_page(page="swift")
async def test_a_worker_that_is_refused_its_lock(workerlib: Any, tags: Any) -> None:
    """In a sandboxed frame no locks are had: the worker serves all the same, and its console stays clean."""
    import asyncio

    tags.worker(
        "lockless",
        """
import js
from pyodide.code import run_js
from pyodide.ffi import create_proxy

unhandled = []
js.addEventListener("unhandledrejection", create_proxy(lambda event: unhandled.append(str(event.reason))))
run_js("LockManager.prototype.request = () => Promise.reject(new DOMException('refused', 'SecurityError'))")
import workerlib

@workerlib.export
def ask():
    return unhandled
""",
    )
    worker = await workerlib.connect("lockless")
    assert await worker.ask() == []
    await asyncio.sleep(0.05)
    assert await worker.ask() == []


@pytest.mark.isolation("chromium")
@in_page(page="swift")
async def test_the_buffers_of_a_late_result_are_used_again(
    worker: Any, words: Any, pace: Any, grace: Any
) -> None:
    """The result of a call that was given up is dropped, and the memory it came in goes back."""
    import asyncio

    async def is_given_up(patience: float) -> bool:
        # It computes for three times as long as its caller waits for a word.
        late = asyncio.ensure_future(worker.compute_in_spite_of_all(3 * patience))
        await words.hear()
        with grace(patience):
            # The caller's patience is taken now.
            late.cancel()
            try:
                await late
            except asyncio.CancelledError:
                return True
        return False

    # A page that gets no processor for so long hears of the result first.
    assert await is_given_up(0.2) or await is_given_up(1) or await is_given_up(pace.PACE)
    # Behind the late result, which comes first.
    assert await worker.add(1, 2) == 3
    channel = worker._connection.endpoint._channel
    assert channel.arrived.size == 0, "nobody holds what came"
    assert [buffer.byteLength >= 1 << 20 for buffer in channel.memory.borrowed] == [True]
    await worker.add(1, 2)
    assert channel.memory.borrowed.length == 0, "it went back with the next call"
