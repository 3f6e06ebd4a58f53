"""The page's side of the fault suite: gets a worker of each kind, has a fault injected, and counts what is left."""

import asyncio
import gc
import itertools
import time
from collections import Counter
from pathlib import Path

import injecting
import js
import pyodide_js
import workerlib
from pyodide.ffi import create_once_callable

_fresh = itertools.count(1)
_module = pyodide_js._module


def _proxies():
    """Counts the proxies of this Python's objects that JavaScript has, since counting began."""
    gc.collect()
    return _module.pyproxy_alloc_map.size


async def _counted(injected):
    """Adds to a record how many proxies an injection has left behind."""
    record = await injected
    # A proxy that may be what was calling is destroyed a little later.
    for _ in range(50):
        record["proxies"] = _proxies()
        if record["proxies"] <= record["before"]:
            break
        await asyncio.sleep(0.02)
    record["proxies"] -= record.pop("before")
    return record


async def spawned(fault, export):
    """A fault in a worker of `spawn()`."""

    async def injected():
        before = _proxies()
        worker = await workerlib.spawn("/faults/worker.py", name="mortal")
        return {**await injecting.inject(worker, worker[export](fault)), "before": before}

    return await _counted(injected())


async def warm_up():
    """Starts a worker so that the next ones start from a snapshot, and begins to count."""
    (await workerlib.spawn("/faults/worker.py")).close()
    _module.enable_pyproxy_allocation_tracing()


async def under_pyscript(fault, export, tags):
    """A fault in a worker of PyScript's."""
    name = f"mortal {next(_fresh)}"
    tags.worker(name, src="/faults/worker.py")

    async def injected():
        worker = await workerlib.connect(name)
        before = _proxies()
        return {**await injecting.inject(worker, worker[export](fault)), "before": before}

    return await _counted(injected())


async def standing(export, heartbeat):
    """A worker whose event loop stands, without a call in flight."""
    worker = await workerlib.spawn("/faults/worker.py", name="standing", heartbeat=heartbeat)
    await worker[export]()
    return await _until_closed(worker)


async def computing(heartbeat, in_calls):
    """A worker that computes for longer than it may be silent."""
    worker = await workerlib.spawn(
        "/faults/worker.py", name="computing", heartbeat=heartbeat, heartbeat_in_calls=in_calls
    )
    start = time.monotonic()
    try:
        return [repr(await worker.compute((30 if in_calls else 3) * heartbeat)), time.monotonic() - start]
    except workerlib.WorkerDiedError as error:
        return [str(error), time.monotonic() - start]
    finally:
        worker.close()


async def _until_closed(worker):
    start = time.monotonic()
    reason = await asyncio.wait_for(worker._connection.closed, 60)
    return [reason, time.monotonic() - start]


async def starting(script, host, tags=None, limit=30, terminate_at=None):
    """A worker that dies before its handshake.

    Args:
        script: Its script's text.
        host: "spawned", or "under_pyscript".
        tags: Makes a tag.
        limit: After how many seconds `connect()` or `spawn()` would give up.
        terminate_at: At which stage to terminate the worker, by the prototype's method.

    Returns:
        The error's class and text, and how many seconds after the worker's death it came, or after the call.
    """
    name = f"mortal {next(_fresh)}"
    start = time.monotonic()

    def on_progress(step):
        nonlocal start
        if step.stage == terminate_at:
            start = time.monotonic()
            js.Worker.prototype.terminate.call(js.lastWorker)

    if host == "spawned":
        path = Path(f"{name}.py")
        path.write_text(script)
        connecting = workerlib.spawn(path, timeout=limit, on_progress=on_progress)
    else:
        tags.worker(name, script)
        connecting = workerlib.connect(name, timeout=limit, on_progress=on_progress)
    try:
        worker = await connecting
    except workerlib.WorkerlibError as error:
        return [type(error).__name__, str(error), time.monotonic() - start]
    worker.close()
    return ["connected", "", time.monotonic() - start]


async def dead_before(script, marks, tags, limit=30):
    """A worker of PyScript's that is dead before anybody connects.

    Args:
        script: Its script's text. It holds a lock until the worker ends.
        marks: The name of that lock.
        tags: Makes a tag.
        limit: After how many seconds `connect()` would give up.

    Returns:
        The error's class and text, and how many seconds after the call of `connect()` it came.
    """
    name = f"mortal {next(_fresh)}"
    tags.worker(name, script)
    while not any(lock.name == marks for lock in (await js.navigator.locks.query()).held):
        await asyncio.sleep(0.02)
    # The script ends its worker when it sees this request, which is granted when the worker is gone.
    await js.navigator.locks.request(marks, create_once_callable(lambda _lock: None))
    start = time.monotonic()
    try:
        await workerlib.connect(name, timeout=limit)
    except workerlib.WorkerlibError as error:
        return [type(error).__name__, str(error), time.monotonic() - start]
    return ["connected", "", time.monotonic() - start]


async def note_workers():
    """Keeps the Worker that was made last as `lastWorker`."""
    js.eval("""
        (() => {
          const Made = Worker;
          globalThis.Worker = class Worker extends Made {
            constructor(...all) {
              super(...all);
              globalThis.lastWorker = this;
            }
          };
        })()
    """)


TERMINATIONS = {
    "worker.terminate()": lambda worker: worker.terminate(),
    "worker.worker.terminate()": lambda worker: worker.worker.terminate(),
    "Worker.prototype.terminate": lambda worker: js.eval(
        "(worker) => Worker.prototype.terminate.call(worker)"
    )(worker.worker),
    "another realm's terminate()": lambda worker: js.eval("""
        (worker) => {
          const frame = document.createElement("iframe");
          document.body.append(frame);
          frame.contentWindow.Worker.prototype.terminate.call(worker);
          frame.remove();
        }
    """)(worker.worker),
}


async def terminated(how, during):
    """A worker of `spawn()` that is terminated while calls of one kind are under way."""

    async def injected():
        before = _proxies()
        worker = await workerlib.spawn("/faults/worker.py", name="mortal")
        large = bytes(64 << 20)
        begun, ended = asyncio.Event(), []

        async def callback(_number):
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.append("callback")

        async def hold():
            nonlocal counter
            counter = await worker.Counter()
            assert await counter.next() == 1
            begun.set()
            await counter.wait()

        async def consume():
            async for item in worker.count_for_ever():
                if item == 20:
                    begun.set()

        async def produce():
            item = 0
            try:
                while True:
                    yield item
                    item += 1
                    if item == 20:
                        begun.set()
                    await asyncio.sleep(0)
            finally:
                ended.append("generator")

        counter = None
        calls = {
            "nothing": lambda: worker.wait(),
            "a function that computes": lambda: worker.compute(60),
            "64 MB to the worker": lambda: worker.echo(large),
            "64 MB from the worker": lambda: worker.make(64 << 20),
            "a stream from the worker": consume,
            "a stream to the worker": lambda: worker.total(produce()),
            "a callback that runs on the page": lambda: worker.use(callback, 1),
            "callbacks without an answer": lambda: worker.use_at_once(callback, 1000),
            "an object of the worker's that the page holds": hold,
        }

        def end():
            TERMINATIONS[how](worker)

        under_way = asyncio.ensure_future(calls[during]())
        under_way.add_done_callback(lambda task: task.cancelled() or task.exception())
        if during.startswith(("a stream", "a callback", "callbacks", "an object")):
            await asyncio.wait_for(begun.wait(), 60)
        else:
            await asyncio.sleep(0.02)
        record = await injecting.inject(worker, end, small=5, ready=during != "a function that computes")
        try:
            # Not the value itself: 64 MB of bytes have a repr of 256 MB, at which the browser's driver breaks.
            record["under way"] = f"returned a value of {type(await asyncio.wait_for(under_way, 30))}"
        except TimeoutError:
            record["under way"] = injecting.UNSETTLED
            record["unsettled"].append("the call under way")
        except workerlib.WorkerlibError as error:
            record["under way"] = type(error).__name__
        record["calls"] += 1
        if counter is not None:
            try:
                await asyncio.wait_for(counter.next(), 30)
            except workerlib.WorkerlibError as error:
                ended.append(type(error).__name__)
        # Callbacks and generators are cancelled in a later iteration of the loop.
        for _ in range(100):
            if ended or during not in ENDS_ON_THE_PAGE:
                break
            await asyncio.sleep(0.02)
        record["ended"] = sorted(set(ended))
        return {**record, "before": before}

    return await _counted(injected())


ENDS_ON_THE_PAGE = {
    "a stream to the worker",
    "a callback that runs on the page",
    "callbacks without an answer",
}


async def many_in_flight(count):
    """A worker that dies with thousands of calls in flight: how long it takes to tell all of them."""
    worker = await workerlib.spawn("/faults/worker.py", max_in_flight=count)
    calls = [asyncio.ensure_future(worker.wait()) for _ in range(count)]
    assert await worker.add(1, 2) == 3
    futures = [asyncio.get_running_loop().create_future() for _ in range(count)]
    plain = [asyncio.ensure_future(_await(future)) for future in futures]
    await asyncio.sleep(0)
    start = time.monotonic()
    for future in futures:
        future.set_result(None)
    await asyncio.gather(*plain)
    of_futures = time.monotonic() - start
    start = time.monotonic()
    js.Worker.prototype.terminate.call(worker.worker)
    errors = await asyncio.gather(*calls, return_exceptions=True)
    seconds = time.monotonic() - start
    return [sorted({type(error).__name__ for error in errors}), len(errors), seconds, of_futures]


async def _await(future):
    await future


async def flooded(count, at_once):
    """A flood of small calls."""
    worker = await workerlib.spawn("/faults/worker.py")
    start = time.monotonic()
    done = 0
    while done < count:
        results = await asyncio.gather(*(worker.add(n, 1) for n in range(at_once)))
        assert results == list(range(1, at_once + 1))
        done += at_once
    seconds = time.monotonic() - start
    worker.close()
    return [done, seconds, len(_module.HEAPU8)]


async def flooded_by(kind, count):
    """A flood of one kind: what arrives, and the heap of this page afterwards."""
    worker = await workerlib.spawn("/faults/worker.py")

    async def items():
        for item in range(count):
            yield item

    async def one(number):
        return number

    if kind == "items from the worker":
        result = sum([item async for item in worker.count(count)])
    elif kind == "items to the worker":
        result = await worker.total(items())
    elif kind == "items of a slow producer":
        result = sum([item async for item in worker.count_slowly(count)])
    elif kind == "items to a slow consumer":
        result = await worker.total_slowly(items())
    elif kind == "callbacks one by one":
        result = await worker.use(one, count)
    elif kind == "callbacks at once":
        result = await worker.use_at_once(one, count)
    else:
        # All calls are made before the worker has answered the first.
        results = await asyncio.gather(*(worker.add_slowly(n, 0) for n in range(count)))
        assert results == list(range(count))
        result = sum(results)
    await worker.close()
    return [result, len(_module.HEAPU8)]


async def connect_cycles(count):
    """Connects and closes again and again: how many objects and proxies that leaves on the page."""

    async def connect():
        worker = await workerlib.connect("bench")
        await worker.add(1, 2)
        await worker.close()

    async def counted():
        for _ in range(10):
            await asyncio.sleep(0.02)
        gc.collect()
        return Counter(type(one).__qualname__ for one in gc.get_objects()), _proxies()

    _module.enable_pyproxy_allocation_tracing()
    for _ in range(10):
        await connect()
    objects, proxies = await counted()
    for _ in range(count):
        await connect()
    more_objects, more_proxies = await counted()
    grown = (more_objects - objects).most_common(8)
    return [more_objects.total() - objects.total(), more_proxies - proxies, grown]


async def dropped():
    """Drops a Worker without closing it: the warning, and the connection's end; a function keeps it open."""
    import warnings

    worker = await workerlib.spawn("/faults/worker.py", name="dropped")
    connection, add = worker._connection, worker.add
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        # A call that is made of a temporary Worker is answered.
        assert await worker.add(1, 2) == 3
        del worker
        gc.collect()
        await asyncio.sleep(0.5)
        was_open = not connection.closed.done()
        assert await add(20, 22) == 42
        del add
        gc.collect()
        reason = await asyncio.wait_for(connection.closed, 20)
    return [
        was_open,
        reason,
        [str(warning.message) for warning in caught if warning.category is ResourceWarning],
    ]


async def one_liner():
    """A call of a Worker that nobody holds."""
    return await (await workerlib.spawn("/faults/worker.py")).add(20, 22)


async def between_garbage():
    """Odd messages on every channel, both ways, while calls are under way: how many calls were answered as they should."""
    worker = await workerlib.spawn("/faults/worker.py", name="noisy")
    answered = 0
    frame = js.document.createElement("iframe")
    js.document.body.append(frame)
    odd = js.JSON.parse(
        """[null, 0, "x", [], {}, [true, "gone"], {"makeSnapshot": true}, {"files": []}, {"files": 1}, "ping",
            {"mark": "workerlib_connect:1"}, {"workerlib": "x", "data": 1}, {"workerlib_died": "gone"}]"""
    )
    for _ in range(5):
        calls = [asyncio.ensure_future(worker.add(n, 1)) for n in range(20)]
        for message in odd:
            worker.worker.postMessage(message)
            # From another frame, and to this page itself.
            frame.contentWindow.eval("(message) => parent.postMessage(message, '*')")(message)
            js.window.postMessage(message, "*")
        await worker.post_garbage()
        answered += sum(result == n + 1 for n, result in enumerate(await asyncio.gather(*calls)))
    frame.remove()
    is_open = not worker.closed
    await worker.close()
    return [answered, is_open]


async def forged_handshakes(tags):
    """Marks of handshakes that were never asked for, and one that is replayed: what a later connection does."""
    name = f"forging {next(_fresh)}"
    tags.worker(name, FORGING)
    worker = await workerlib.connect(name)
    # The worker repeats the message of this handshake, with a port of its own, and posts those of handshakes to come.
    await worker.forge()
    again = await workerlib.connect(name)
    sums = [await worker.add(1, 2), await again.add(3, 4)]
    await worker.close()
    await again.close()
    return sums


FORGING = """
import js
import workerlib
from pyodide.ffi import to_js
from polyscript import xworker

marks = []
post = xworker.postMessage


@workerlib.export
def add(left, right):
    return left + right


@workerlib.export
def forge():
    for number in range(1, 50):
        channel = js.MessageChannel.new()
        link = {"mark": f"workerlib_connect:{number}", "lifeline": "", "memory": None}
        # Nobody asks yet: such a message belongs to no handshake, or to one that is over.
        post(to_js(link, dict_converter=js.Object.fromEntries), to_js([channel.port2]))
"""


async def second_handshake():
    """Frames of a handshake on a connection that is open: what ends, and what goes on."""
    one = await workerlib.connect("bench")
    other = await workerlib.connect("bench")
    send = one._connection.endpoint.post
    from workerlib._native import Session

    session = Session.connect("forged")
    kind, (frame, buffers) = session.poll(False)
    assert kind == "transmit", kind
    waiting = asyncio.ensure_future(one.hold("a second handshake"))
    await asyncio.sleep(0.05)
    send(frame, buffers)
    try:
        await asyncio.wait_for(waiting, 20)
        ended = "returned"
    except workerlib.WorkerlibError as error:
        ended = f"{type(error).__name__}: {error}"
    goes_on = await other.add(1, 2)
    await other.close()
    return [ended, goes_on]


kept = {}


async def keep_busy(name):
    """Starts a worker of a name and leaves calls under way."""
    kept[name] = worker = await workerlib.spawn("/faults/worker.py", name=name)
    kept[name, "calls"] = [asyncio.ensure_future(worker.wait()) for _ in range(10)]
    assert await worker.add(1, 2) == 3
    return await locks()


async def locks():
    """Tells how many locks of workerlib's are held or asked for in this origin."""
    found = await js.navigator.locks.query()
    return sum(lock.name.startswith("workerlib") for lock in [*found.held, *found.pending])


async def kept_worker(name):
    """A worker that the browser has kept answers after the page has come back, or its calls raise an error."""
    try:
        return ["answers", await asyncio.wait_for(kept[name].add(20, 22), 30)]
    except workerlib.ConnectionClosedError as error:
        return [type(error).__name__, str(error)]


async def say(name, value):
    """Calls the worker of a name."""
    return await kept[name].echo(value)


async def large(size):
    """A call with a large argument: its outcome and its time."""
    worker = await workerlib.spawn("/faults/worker.py")
    start = time.monotonic()
    try:
        outcome = ["returned", str(await worker.length(bytes(size)))]
    except (MemoryError, workerlib.WorkerlibError) as error:
        outcome = [type(error).__name__, str(error)]
    seconds = time.monotonic() - start
    await worker.close()
    return [*outcome, seconds]


async def echoed(size):
    """Whether bytes come back from the worker as they were."""
    worker = await workerlib.spawn("/faults/worker.py")
    sent = bytes(range(256)) * (size // 256)
    came_back = await worker.echo(sent)
    await worker.close()
    return came_back == sent


async def throttle_timers():
    """Has the page's timers run at most once in a second, as browsers do in a hidden page."""
    js.eval("""
        const original = globalThis.setTimeout;
        globalThis.setTimeout = (callback, delay = 0, ...all) =>
          original(callback, 1000 * Math.ceil(Math.max(delay, 1) / 1000), ...all);
    """)


async def stand(seconds):
    """Does not let the page's thread do anything for so long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


async def begin_work(heartbeat):
    """Starts calls of each kind, which stop half way; a heartbeat watches a worker without calls."""
    kept["idle"] = await workerlib.spawn("/faults/worker.py", name="idle", heartbeat=heartbeat)
    kept["busy"] = worker = await workerlib.spawn("/faults/worker.py", name="busy")
    go_on = kept["go on"] = asyncio.Event()

    async def half_way(number, all_of_them):
        if number == all_of_them // 2:
            await go_on.wait()

    async def calls():
        results = []
        for number in range(200):
            await half_way(number, 200)
            results.append(await worker.add(number, 1))
        return results

    async def items():
        taken = []
        async for item in worker.count(2_000):
            await half_way(item, 2_000)
            taken.append(item)
        return taken

    async def callbacks():
        async def one(number):
            await half_way(number, 200)
            return number

        return await worker.use(one, 200)

    async def in_time():
        # The time of a call is no less in a hidden page, only longer.
        return await worker.add_slowly.options(timeout=120)(1, 2)

    async def out_of_time():
        try:
            await worker.wait.options(timeout=0.2)()
        except TimeoutError:
            return "TimeoutError"

    kept["tasks"] = [
        asyncio.ensure_future(kind()) for kind in (calls, items, callbacks, in_time, out_of_time)
    ]


async def end_work(idle):
    """Has that work go on and waits for it, and then for so many seconds: the results, and a call of the watched worker."""
    kept.pop("go on").set()
    results = await asyncio.wait_for(asyncio.gather(*kept.pop("tasks")), 120)
    await asyncio.sleep(idle)
    answer = await asyncio.wait_for(kept["idle"].add(20, 22), 60)
    await kept["idle"].close()
    await kept["busy"].close()
    calls, items, callbacks, in_time, out_of_time = results
    return [
        calls == list(range(1, 201)),
        items == list(range(2_000)),
        callbacks,
        in_time,
        out_of_time,
        answer,
    ]
