"""The worker of swift.html: the functions of tests/shared/worker.py, and what the tests of the transport ask for."""

import pyodide_js
import shared_worker  # noqa: F401 - importing it exports its functions
import workerlib


@workerlib.export
def heap_size():
    return pyodide_js._module.HEAPU8.byteLength


@workerlib.export
def starts_by_loop(name):
    """Whether a call of that export would be started by the event loop."""
    from workerlib._channels.loop_shortcuts import starts_at_once
    from workerlib._exports import functions

    return not starts_at_once(name, functions[name])


@workerlib.export
async def neighbours():
    """Uses time.time beside asyncio.sleep: neither blocks."""
    import asyncio
    import time

    await asyncio.sleep(0)
    return time.time()


@workerlib.export
def import_and_wait(seconds):
    """Waits by a helper in a module that the call itself imports, if it is to wait at all."""
    if seconds:
        import sleepy

        return sleepy.wait(seconds)
    return "did not wait"


@workerlib.export
def write_sleepy_module():
    """Writes the module that `import_and_wait` imports."""
    from pathlib import Path

    Path("sleepy.py").write_text(
        "import asyncio\n"
        "def wait(seconds):\n"
        "    from pyodide.ffi import run_sync\n"
        "    run_sync(asyncio.sleep(seconds))\n"
        "    return 'waited'\n"
    )


@workerlib.export(blocking=True)
def wait_by_computed_name(module, name, seconds):
    """Blocks as no search could know: the worker's script has said it."""
    import asyncio
    import sys

    sys.modules[module].__dict__[name](asyncio.sleep(seconds))
    return "waited"


@workerlib.export
def wakeful_turns():
    """Counts the tasks that keep this worker awake, from the first time it is asked; None if there are none here."""
    from pyodide.code import run_js

    return run_js("""
        (() => {
          if (!globalThis.scheduler?.postTask || navigator.hardwareConcurrency < 2) return;
          if (scheduler.turns === undefined) {
            scheduler.turns = 0;
            const { postTask } = Scheduler.prototype;
            Scheduler.prototype.postTask = function (...args) {
              scheduler.turns += 1;
              return postTask.apply(this, args);
            };
          }
          return scheduler.turns;
        })()
    """)


@workerlib.export
def look_at(thing):
    """Tells what arrived: its class, how long it is in bytes, and its first number."""
    import js

    buffer = getattr(thing, "buffer", thing)
    array = thing if hasattr(thing, "buffer") else js.Uint8Array.new(buffer)
    return (thing.constructor.name, thing.byteLength, array[0])


@workerlib.export
def echo_kind(thing):
    return thing.constructor.name


@workerlib.export
def make_buffer(size):
    import js

    return workerlib.transfer(js.ArrayBuffer.new(size))


@workerlib.export
def look_within(value):
    one, other = value["ports"]
    return (one is other, len(value["data"]), one.constructor.name)


@workerlib.export
def answer_at(port):
    """Answers each number that comes to a port with the next one."""
    from pyodide.ffi import create_proxy

    port.onmessage = create_proxy(lambda event: port.postMessage(event.data + 1))


@workerlib.export
def draw(canvas):
    context = canvas.getContext("2d")
    context.fillRect(0, 0, 10, 10)
    return workerlib.transfer(canvas.transferToImageBitmap())


@workerlib.export
async def read_all(stream):
    import js

    return await js.Response.new(stream).text()


@workerlib.export
async def export_one_that_blocks():
    """Exports, late, a function that blocks by a helper of its module."""
    import types

    module = types.ModuleType("blocker")
    exec(  # noqa: S102 - a module without a file
        "import time\ndef helper():\n    time.sleep(0.001)\n    return 'slept'\ndef nap():\n    return helper()\n",
        module.__dict__,
    )
    workerlib.export(module.nap)


@workerlib.export
def compute_in_spite_of_all(seconds):
    """Returns a buffer after that time, whoever interrupts it."""
    import time

    import js

    # A message that leaves a worker though it computes.
    js.BroadcastChannel.new("words of workers").postMessage("begun")
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        try:
            _compute_until(end)
        except KeyboardInterrupt:
            pass
    return bytearray(1 << 20)


def _compute_until(end):
    """Computes. Python 3.13 does not count the jump of a loop, at which it looks for interrupts, to the `try` around the loop."""
    import time

    while time.perf_counter() < end:
        pass
