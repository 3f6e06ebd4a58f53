"""The worker of the fault suite: each of its exports harms its own Python, at once, after an await, or in a task."""

import asyncio
import os
import sys

import workerlib


def read_badly():
    import ctypes

    # Near the end of what WebAssembly can address, and no page of a process.
    ctypes.string_at(0xFFFFFFF0, 64)


def repr_deep():
    items = []
    for _ in range(100_000):
        items = [items]
    repr(items)


def free_deep():
    items = []
    for _ in range(1_000_000):
        items = [items]
    del items


def recurse():
    sys.setrecursionlimit(10**8)

    class Endless:
        def __repr__(self):
            return f"{self!r}"

    repr(Endless())


def recurse_plainly():
    sys.setrecursionlimit(10**8)

    def endless(depth):
        return endless(depth + 1)

    endless(0)


def compile_sum():
    compile("+".join(["1"] * 50_000), "a long sum", "eval")


def exit_at_once():
    os._exit(3)


def abort():
    os.abort()


def exit_politely():
    sys.exit(3)


def exit_in_a_callback():
    asyncio.get_running_loop().call_soon(sys.exit, 3)


def exhaust_memory():
    if sys.platform != "emscripten":
        import resource

        # Else it would take the machine's.
        resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
    held = []
    try:
        while True:
            held.append(bytearray(64 << 20))
    finally:
        held.clear()


def close_itself():
    import js

    js.close()


def interrupt_itself():
    raise KeyboardInterrupt


FAULTS = {
    function.__name__: function
    for function in (
        read_badly,
        repr_deep,
        free_deep,
        recurse,
        recurse_plainly,
        compile_sum,
        exit_at_once,
        abort,
        exit_politely,
        exit_in_a_callback,
        exhaust_memory,
        close_itself,
        interrupt_itself,
    )
}


@workerlib.export
def harm(fault):
    """In the function itself."""
    FAULTS[fault]()


@workerlib.export
async def harm_later(fault):
    """After an await."""
    await asyncio.sleep(0.001)
    FAULTS[fault]()


@workerlib.export
async def harm_in_a_task(fault):
    """In a task that the function awaits."""
    await asyncio.create_task(harm_later(fault))


@workerlib.export
async def harm_behind(fault):
    """In a callback, after the function has returned."""
    asyncio.get_running_loop().call_later(0.1, FAULTS[fault])


@workerlib.export
def stand_behind():
    """After the answer, computes for ever."""

    def spin():
        while True:
            pass

    asyncio.get_running_loop().call_later(0.1, spin)


@workerlib.export
def stop_the_loop():
    """After the answer, no task and no callback runs any more, though messages still arrive."""
    loop = asyncio.get_running_loop()

    def stop():
        loop.call_later = loop.call_soon = loop.call_at = lambda *_, **__: asyncio.Handle(print, (), loop)

    loop.call_later(0.1, stop)


def _odd_messages():
    """Posts garbage on the worker's own channel, also messages that look like workerlib's own."""
    import js

    return js.JSON.parse("""[
        null, 0, "x", [], {}, [null], [true], [true, "gone"], [false, 1], [1], [[5, 3], "x"],
        ["ready"], ["locked"], ["failed", "no", null], ["failed"], ["died"], ["progress"], ["progress", 1, 2, 3, 4],
        ["no_snapshot"], {"mark": "workerlib_connect:1"}, {"mark": "workerlib_running", "lifeline": 5},
        {"workerlib": "nobody", "data": [true, "gone"]}, {"workerlib_died": 7}, {"id": 1, "type": "RAW"}
    ]""")


@workerlib.export
def post_garbage(broadcast):
    """Posts odd messages on the worker's own channel, and on a BroadcastChannel of this name."""
    import js

    channel = js.BroadcastChannel.new(broadcast)
    for message in _odd_messages():
        js.self.postMessage(message)
        channel.postMessage(message)
    channel.close()
    return len(_odd_messages())


@workerlib.export
def post_on_channel(message):
    """Posts a message, given as JavaScript, on the channel of the connection that calls this."""
    import js

    workerlib.page()._connection.endpoint._channel.port.postMessage(js.eval(f"({message})"))


@workerlib.export
async def wait():
    """Never returns."""
    await asyncio.Event().wait()


_held = []
_noted = []


@workerlib.export
async def hold():
    """Waits until `release` is called."""
    _held.append(asyncio.get_running_loop().create_future())
    await _held[-1]


@workerlib.export
def release():
    """Lets the calls of `hold` go on, and returns how many there are."""
    for future in _held:
        future.set_result(None)
    return len(_held)


@workerlib.export
def noted(word):
    """Notes a word, and returns all that were noted."""
    _noted.append(word)
    return list(_noted)


@workerlib.export
def add(left, right):
    return left + right


@workerlib.export
def echo(value):
    return value


@workerlib.export
def length(value):
    return len(value)


@workerlib.export
def make(size):
    return bytes(size)


@workerlib.export
async def count(number):
    """A stream."""
    for item in range(number):
        yield item


@workerlib.export
async def count_for_ever():
    """A stream that does not end."""
    item = 0
    while True:
        yield item
        item += 1
        await asyncio.sleep(0)


@workerlib.export
async def count_slowly(number):
    """A stream whose producer is slower than its consumer."""
    for item in range(number):
        await asyncio.sleep(0.002)
        yield item


@workerlib.export
async def total(items):
    """Consumes a stream."""
    return sum([item async for item in items])


@workerlib.export
async def total_slowly(items):
    """Consumes a stream more slowly than it is produced."""
    result = 0
    async for item in items:
        await asyncio.sleep(0.002)
        result += item
    return result


@workerlib.export
def add_slowly(left, right):
    """Computes for two milliseconds: a worker that is slower than its callers."""
    compute(0.002)
    return left + right


@workerlib.export
async def use(function, times):
    """Calls a callback again and again, and returns the sum of its answers."""
    result = 0
    for number in range(times):
        result += await function(number)
    return result


@workerlib.export
async def use_at_once(function, times):
    """Calls a callback many times and awaits all answers."""
    return sum(await asyncio.gather(*(function(number) for number in range(times))))


@workerlib.export
class Counter:
    """An object that stays in the worker."""

    def __init__(self):
        self.count = 0

    def next(self):
        self.count += 1
        return self.count

    async def wait(self):
        await asyncio.Event().wait()


@workerlib.export
def heap():
    """How many bytes of memory this Python has."""
    import pyodide_js

    return len(pyodide_js._module.HEAPU8)


@workerlib.export
def compute(seconds):
    """Does not let the loop run for so long."""
    from time import monotonic

    end = monotonic() + seconds
    while monotonic() < end:
        pass
