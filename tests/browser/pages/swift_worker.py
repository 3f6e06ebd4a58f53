"""The worker of swift.html: the functions of tests/shared/worker.py, and what the tests of the transport ask for."""

import pyodide_js
import shared_worker  # noqa: F401 - importing it exports its functions
import workerlib


@workerlib.export
def heap_size():
    return pyodide_js._module.HEAPU8.byteLength


@workerlib.export
def blocks():
    """Whether this worker is taken for one that blocks."""
    from workerlib._channels import loop_shortcuts

    return loop_shortcuts._blocks


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
            while time.perf_counter() < end:
                pass
        except KeyboardInterrupt:
            pass
    return bytearray(1 << 20)
