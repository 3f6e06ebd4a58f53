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

from pace import PACE

SPAWN, PYSCRIPT = "spawn()", "PyScript"
_fresh = itertools.count(1)
_module = pyodide_js._module


def _proxies():
    """Counts the proxies of this Python's objects that JavaScript has, since counting began."""
    gc.collect()
    return _module.pyproxy_alloc_map.size


async def _counted(injected):
    """Adds to a record how many proxies an injection has left behind."""
    record = await injected
    # A proxy that may be what was calling is destroyed a little later, and what makes a snapshot has some until it has ended,
    # which takes seconds on a busy machine. One that leaks stays.
    for _ in range(1000):
        record["proxies"] = _proxies()
        if record["proxies"] <= record["before"]:
            break
        await asyncio.sleep(0.02)
    record["proxies"] -= record.pop("before")
    return record


async def warm_up():
    """Starts a worker so that the next ones start from a snapshot, and begins to count."""
    (await workerlib.spawn("/faults/worker.py")).close()
    _module.enable_pyproxy_allocation_tracing()


async def _worker_of(host, tags, name="mortal", **options):
    """Connects to a fresh worker.

    Args:
        host: `SPAWN` for one of `spawn()`, or `PYSCRIPT` for one of PyScript's.
        tags: Makes a tag of PyScript's.
        name: Its name, or the beginning of it: no two tags have the same.
        options: Options of `spawn()` and `connect()`.
    """
    if host == SPAWN:
        return await workerlib.spawn("/faults/worker.py", name=name, **options)
    name = f"{name} {next(_fresh)}"
    tags.worker(name, src="/faults/worker.py")
    return await workerlib.connect(name, **options)


async def _lasting_worker(tags):
    """Connects to the worker of PyScript's whose faults do not end it: such a worker takes seconds to start."""
    if "lasting" not in kept:
        tags.worker("lasting", src="/faults/worker.py")
        # Else it would end with this call of the page.
        kept["lasting"] = tags.elements.pop()
    return await workerlib.connect("lasting")


async def of_function(host, fault, export, dies, tags):
    """A fault of an exported function, in a worker of a host. A worker of PyScript's has a second connection meanwhile."""

    async def injected():
        before = _proxies()
        if host == SPAWN:
            worker = await _worker_of(host, tags)
            return {**await injecting.inject(worker, worker[export](fault)), "before": before}
        worker = await (_worker_of(host, tags) if dies else _lasting_worker(tags))
        # A tag's worker has proxies of PyScript's.
        before = _proxies()
        other = await workerlib.connect(worker.name)
        elsewhere = asyncio.ensure_future(other.wait())
        record = await injecting.inject(worker, worker[export](fault))
        if not dies:
            assert await other.add(20, 22) == 42
            await other.close()
        await asyncio.wait([elsewhere], timeout=30 * PACE)
        if elsewhere.done():
            record["waiting"] = sorted({*record["waiting"], type(elsewhere.exception()).__name__})
        else:
            record["unsettled"].append("the call of the other connection")
        return {**record, "calls": record["calls"] + 2, "before": before}

    return await _counted(injected())


async def standing(host, export, heartbeat, tags):
    """A worker whose event loop stands, without a call in flight."""
    worker = await _worker_of(host, tags, "standing", heartbeat=heartbeat)
    await worker[export]()
    return await _until_closed(worker)


async def computing(host, heartbeat, in_calls, tags):
    """A worker that computes for longer than it may be silent."""
    options = {"heartbeat": heartbeat, "heartbeat_in_calls": in_calls}
    worker = await _worker_of(host, tags, "computing", **options)
    start = time.monotonic()
    try:
        return [repr(await worker.compute((30 if in_calls else 3) * heartbeat)), time.monotonic() - start]
    except workerlib.WorkerDiedError as error:
        return [str(error), time.monotonic() - start]
    finally:
        worker.close()


async def _until_closed(worker):
    start = time.monotonic()
    reason = await asyncio.wait_for(worker._connection.closed, 60 * PACE)
    return [reason, time.monotonic() - start]


async def starting(script, host, tags, limit=30, terminate_at=None, of_frame=False):
    """A worker that dies before its handshake.

    Args:
        script: Its script's text.
        host: `SPAWN`, or `PYSCRIPT`.
        tags: Makes a tag.
        limit: After how many seconds `connect()` or `spawn()` would give up.
        terminate_at: At which stage to terminate the worker, by the prototype's method; a tag's worker as soon as PyScript
            has made it.
        of_frame: Whether the method is that of another realm.

    Returns:
        The error's class and text, and how many seconds after the worker's death it came, or after the call.
    """
    name = f"mortal {next(_fresh)}"
    start = time.monotonic()

    def terminate(worker):
        nonlocal start
        start = time.monotonic()
        TERMINATIONS["another realm's terminate()" if of_frame else "Worker.prototype.terminate"](worker)

    def on_progress(step):
        nonlocal terminating
        if step.stage == terminate_at and host == SPAWN:
            terminate(js.lastWorker)
        elif step.stage == terminate_at:
            terminating = asyncio.ensure_future(terminate_when_made())

    async def terminate_when_made():
        while not getattr(tag, "xworker", None):
            await asyncio.sleep(0.01)
        terminate(tag.xworker)

    terminating = None
    if host == SPAWN:
        path = Path(f"{name}.py")
        path.write_text(script)
        connecting = workerlib.spawn(path, timeout=limit, on_progress=on_progress)
    else:
        tag = tags.worker(name, script)
        connecting = workerlib.connect(name, timeout=limit, on_progress=on_progress)
    try:
        worker = await connecting
    except workerlib.WorkerlibError as error:
        return [type(error).__name__, str(error), time.monotonic() - start]
    finally:
        if terminating is not None:
            terminating.cancel()
    worker.close()
    return ["connected", "", time.monotonic() - start]


async def causes():
    """For starts that fail, and for a death: the errors and their causes, each with its name and text."""
    nowhere = str(js.URL.new("/nowhere/", js.location.href).href)
    package = {"packages": ["nobodys-package"], "index_urls": [nowhere]}
    worker = await workerlib.spawn("/faults/worker.py", name="mortal")
    failing = {
        "a package": lambda: workerlib.spawn("/faults/worker.py", **package),
        "a death": lambda: worker.harm("read_badly"),
        "a later call": lambda: worker.add(1, 2),
    }
    told = {}
    for what, begin in failing.items():
        try:
            await begin()
        except workerlib.WorkerlibError as caught:
            error, told[what] = caught, []
            while error is not None:
                told[what].append([type(error).__name__, str(error)])
                error = error.__cause__
    return told


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
    )(worker),
    "another realm's terminate()": lambda worker: js.eval("""
        (worker) => {
          const frame = document.createElement("iframe");
          document.body.append(frame);
          frame.contentWindow.Worker.prototype.terminate.call(worker);
          frame.remove();
        }
    """)(worker),
}


OF_THE_HANDLE = ("worker.terminate()", "worker.worker.terminate()")
"""The ways that take workerlib's own object; the others take the browser's."""


async def terminated(host, how, during, tags):
    """A worker that is terminated while calls of one kind are under way."""

    async def injected():
        before = _proxies()
        worker = await _worker_of(host, tags)
        if host == PYSCRIPT:
            before = _proxies()
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
            if how in OF_THE_HANDLE:
                TERMINATIONS[how](worker)
            elif host == SPAWN:
                TERMINATIONS[how](worker.worker)
            else:
                # `worker.worker` is PyScript's own object there; the tag has the browser's Worker.
                TERMINATIONS[how](js.document.querySelector(f"script[name='{worker.name}']").xworker)

        under_way = asyncio.ensure_future(calls[during]())
        under_way.add_done_callback(lambda task: task.cancelled() or task.exception())
        if during.startswith(("a stream", "a callback", "callbacks", "an object")):
            await asyncio.wait_for(begun.wait(), 60 * PACE)
        else:
            await asyncio.sleep(0.02)
        # An answer to another call would come when the large value has.
        ready = during != "a function that computes" and not during.startswith("64 MB")
        record = await injecting.inject(worker, end, small=5, ready=ready)
        try:
            # Not the value itself: 64 MB of bytes have a repr of 256 MB, at which the browser's driver breaks.
            record["under way"] = f"returned a value of {type(await asyncio.wait_for(under_way, 30 * PACE))}"
        except TimeoutError:
            record["under way"] = injecting.UNSETTLED
            record["unsettled"].append("the call under way")
        except workerlib.WorkerlibError as error:
            record["under way"] = type(error).__name__
        record["calls"] += 1
        if counter is not None:
            try:
                await asyncio.wait_for(counter.next(), 30 * PACE)
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
    """Connects and closes again and again.

    Returns:
        How many objects, proxies and locks that leaves on the page, how many ports have not been closed, and the classes of
        which there are more objects.
    """
    js.eval("""
        globalThis.closedPorts = new Set();
        const { close } = MessagePort.prototype;
        MessagePort.prototype.close = function () { closedPorts.add(this); close.call(this); };
    """)

    async def connect():
        worker = await workerlib.connect("bench")
        await worker.add(1, 2)
        await worker.close()

    async def counted():
        for _ in range(10):
            await asyncio.sleep(0.02)
        gc.collect()
        return Counter(type(one).__qualname__ for one in gc.get_objects()), _proxies(), await locks()

    _module.enable_pyproxy_allocation_tracing()
    for _ in range(10):
        await connect()
    objects, proxies, held = await counted()
    js.closedPorts.clear()
    for _ in range(count):
        await connect()
    more_objects, more_proxies, more_held = await counted()
    return {
        "objects": more_objects.total() - objects.total(),
        "proxies": more_proxies - proxies,
        "locks": more_held - held,
        "ports": count - js.closedPorts.size,
        "grown": (more_objects - objects).most_common(8),
    }


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
        reason = await asyncio.wait_for(connection.closed, 20 * PACE)
    return [
        was_open,
        reason,
        [str(warning.message) for warning in caught if warning.category is ResourceWarning],
    ]


async def one_liner():
    """A call of a Worker that nobody holds."""
    return await (await workerlib.spawn("/faults/worker.py")).add(20, 22)


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
        return ["answers", await asyncio.wait_for(kept[name].add(20, 22), 30 * PACE)]
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
        return await worker.add_slowly.options(timeout=120 * PACE)(1, 2)

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
    results = await asyncio.wait_for(asyncio.gather(*kept.pop("tasks")), 120 * PACE)
    await asyncio.sleep(idle)
    answer = await asyncio.wait_for(kept["idle"].add(20, 22), 60 * PACE)
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
