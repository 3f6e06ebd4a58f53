"""The page's side of `cargo xtask soak`: calls, streams, cancels, restarts and faults at random, and what they leave."""

import asyncio
import gc
import random
import time

import js
import pyodide_js
import workerlib
from workerlib._rpc.timers import TimeLimit

from pace import PACE

FAULTS = ("read_badly", "repr_deep", "recurse", "exit_at_once", "close_itself")
LIMIT = 60 * PACE
"""The seconds within which each call has to settle."""

RECORDS = [{"id": n, "name": f"number {n}", "value": n / 3} for n in range(500)]

_chance = random.Random()
_module = pyodide_js._module
_KINDS = ("calls", "streams", "callbacks", "objects", "cancels", "restarts", "faults", "unsettled")
_counts = dict.fromkeys(_KINDS, 0)
_slowest = 0.0
_worker = None


async def begin(seed):
    """Starts the worker, and counts proxies and ports from now on."""
    _chance.seed(seed)
    _module.enable_pyproxy_allocation_tracing()
    js.eval("""
        globalThis.openPorts = 0;
        const Made = MessageChannel;
        globalThis.MessageChannel = class MessageChannel extends Made {
          constructor() { super(); globalThis.openPorts += 1; }
        };
        const { close } = MessagePort.prototype;
        MessagePort.prototype.close = function () { globalThis.openPorts -= 1; close.call(this); };
    """)
    await _restart()


async def _restart():
    global _worker
    if _worker is not None:
        await _worker.close()
        _counts["restarts"] += 1
    _worker = await workerlib.spawn("/faults/worker.py", name="soaked")


async def _settled(calls):
    """Waits for calls that may fail by the death of their worker, and for nothing else."""
    tasks = [asyncio.ensure_future(call) for call in calls]
    _counts["calls"] += len(tasks)
    try:
        # Pyodide's loop keeps the timers of `asyncio.wait()` for their minute: this soak would soak itself.
        async with TimeLimit(LIMIT):
            await asyncio.wait(tasks)
    except TimeoutError:
        for task in tasks:
            _counts["unsettled"] += not task.done()
            task.cancel()
    return await asyncio.gather(*tasks, return_exceptions=True)


async def _small():
    results = await _settled(_worker.add(n, 1) for n in range(200))
    assert results == list(range(1, 201))


async def _records():
    assert await _settled([_worker.echo(RECORDS)]) == [RECORDS]


async def _bytes():
    data = bytes(_chance.choice((1 << 10, 1 << 16, 1 << 20, 4 << 20)))
    assert await _settled([_worker.echo(data)]) == [data]


async def _stream():
    _counts["streams"] += 1
    number = _chance.randrange(1, 500)
    if _chance.random() < 0.5:
        assert [item async for item in _worker.count(number)] == list(range(number))
        return
    stream = _worker.count(number)
    async for _ in stream:
        break
    await stream.aclose()


async def _stream_to_the_worker():
    _counts["streams"] += 1
    number = _chance.randrange(1, 500)

    async def items():
        for item in range(number):
            yield item

    assert await _settled([_worker.total(items())]) == [sum(range(number))]


async def _callback():
    number = _chance.randrange(1, 50)
    _counts["callbacks"] += number

    async def one(item):
        return item

    use = _worker.use if _chance.random() < 0.5 else _worker.use_at_once
    assert await _settled([use(one, number)]) == [sum(range(number))]


async def _object():
    _counts["objects"] += 1
    async with await _worker.Counter() as counter:
        assert [await counter.next() for _ in range(5)] == [1, 2, 3, 4, 5]


async def _cancel():
    _counts["cancels"] += 1
    task = asyncio.ensure_future(_worker.wait())
    await asyncio.sleep(0)
    task.cancel()
    try:
        async with TimeLimit(LIMIT):
            await asyncio.wait([task])
    except TimeoutError:
        _counts["unsettled"] += 1


async def _fault():
    global _slowest
    _counts["faults"] += 1
    start = time.monotonic()
    kind = _chance.choice((*FAULTS, "terminate"))
    calls = [_worker.wait() for _ in range(20)]
    if kind == "terminate":
        js.setTimeout(_worker.worker.terminate.bind(_worker.worker), 5)
    else:
        calls.append(_worker[_chance.choice(("harm", "harm_later", "harm_in_a_task"))](kind))
    errors = await _settled(calls)
    assert {type(error) for error in errors} == {workerlib.WorkerDiedError}, errors
    _slowest = max(_slowest, time.monotonic() - start)
    await _restart()


STEPS = [
    (_small, 40),
    (_records, 20),
    (_bytes, 20),
    (_stream, 20),
    (_stream_to_the_worker, 10),
    (_callback, 10),
    (_object, 10),
    (_cancel, 10),
    (_restart, 2),
    (_fault, 3),
]


async def soak(seconds):
    """Takes random steps for so long, and returns what is there afterwards."""
    end = time.monotonic() + seconds
    steps, weights = zip(*STEPS, strict=True)
    while time.monotonic() < end:
        await _chance.choices(steps, weights)[0]()
    # Tasks that end a little later have ended then.
    await asyncio.sleep(0.3)
    gc.collect()
    memory = getattr(js.performance, "memory", None)
    return {
        **_counts,
        "slowest settling of a death, s": _slowest,
        "page's heap, MB": len(_module.HEAPU8) / 1e6,
        "worker's heap, MB": await _worker.heap() / 1e6,
        "JavaScript's heap, MB": memory.usedJSHeapSize / 1e6 if memory is not None else 0,
        "PyProxies": _module.pyproxy_alloc_map.size,
        "objects of Python": len(gc.get_objects()),
        "open ports": js.openPorts,
    }
