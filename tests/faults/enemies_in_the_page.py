"""The page's side of tests of enemies: posts messages as a worker, another frame or a script of the page may."""

import asyncio
import contextlib
import itertools

import js
import pyodide_js
import workerlib
from pyodide.ffi import to_js

from pace import PACE

LIMIT = 20 * PACE
BROADCAST = "words of nobody"
GARBAGE = (
    "null",
    "0.5e400",
    "'x'",
    "{}",
    "[]",
    "[undefined]",
    "['x', new Uint8Array(5)]",
    "new Uint8Array(0)",
    "new Uint8Array([0x96, 0x00, 0x01])",
    "new ArrayBuffer(8)",
    "new Float64Array(3)",
    "[new Uint8Array([0xc1]), new Uint8Array(5)]",
    "[new Uint8Array(9), -2000000]",
    "[null, new Uint8Array(5)]",
    "[[3, 4, 5], new Uint8Array(11)]",
    "[[-5, 10], new Uint8Array(5)]",
    "[false, new Uint8Array(5)]",
    "Object.assign([new Uint8Array(9)], {length: 2 ** 32 - 1})",
)
"""Messages that no peer posts, as JavaScript."""

DESCRIPTIONS = {
    "a million exports": """(() => {
        const count = 1_000_000, size = 12, frame = new Uint8Array(7 + count * size);
        frame.set([0x92, 0x0f, 0xdd, 0x00, 0x0f, 0x42, 0x40]);
        for (let number = 0; number < count; number += 1) {
            const at = 7 + number * size;
            frame.set([0x94, 0xa7], at);
            let rest = number;
            for (let digit = at + 8; digit > at + 1; digit -= 1) {
                frame[digit] = 48 + (rest % 10);
                rest = Math.floor(rest / 10);
            }
            frame.set([0xc0, 0xc0, 0xc0], at + 9);
        }
        return frame;
    })()""",
    "a docstring of 100 MB": """(() => {
        const frame = new Uint8Array(100_000_013).fill(120);
        frame.set([0x92, 0x0f, 0x91, 0x94, 0xa1, 0x66, 0xdb, 0x05, 0xf5, 0xe1, 0x00]);
        frame.set([0xc0, 0xc0], frame.length - 2);
        return frame;
    })()""",
}
"""Frames of a worker's that describe exports, as JavaScript (docs/wire-format.md, section 3)."""

_fresh = itertools.count(1)


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
    stray, broadcast = js.MessageChannel.new(), js.BroadcastChannel.new(BROADCAST)
    worker.worker.postMessage(None, to_js([stray.port2]))
    for _ in range(5):
        calls = [asyncio.ensure_future(worker.add(n, 1)) for n in range(20)]
        for message in odd:
            worker.worker.postMessage(message)
            # From another frame, and to this page itself.
            frame.contentWindow.eval("(message) => parent.postMessage(message, '*')")(message)
            js.window.postMessage(message, "*")
            stray.port1.postMessage(message)
            broadcast.postMessage(message)
        await worker.post_garbage(BROADCAST)
        answered += sum(result == n + 1 for n, result in enumerate(await asyncio.gather(*calls)))
    frame.remove()
    broadcast.close()
    stray.port1.close()
    is_open = not worker.closed
    await worker.close()
    return [answered, is_open]


async def forged_handshakes(tags):
    """Marks of handshakes that were never asked for, and one that is replayed.

    Returns:
        What a call of the connection before and one of a later connection return, and how many messages came by the ports that
        the worker had posted with those marks.
    """
    name = f"forging {next(_fresh)}"
    tags.worker(name, FORGING)
    worker = await workerlib.connect(name)
    # The worker repeats the message of this handshake, with a port of its own, and posts those of handshakes to come.
    await worker.forge()
    again = await workerlib.connect(name)
    answers = [await worker.add(1, 2), await again.add(3, 4), await again.heard()]
    await worker.close()
    await again.close()
    return answers


FORGING = """
import js
import pyodide_js
import workerlib
from pyodide.ffi import create_proxy, to_js
from polyscript import xworker

post = xworker.postMessage
ports, messages = [], []
listener = create_proxy(lambda event: messages.append(event.data))


@workerlib.export
def add(left, right):
    return left + right


@workerlib.export
def forge():
    for number in range(1, 50):
        channel = js.MessageChannel.new()
        ports.append(channel.port1)
        channel.port1.onmessage = listener
        link = {"mark": f"workerlib_connect:{number}", "lifeline": "", "memory": None}
        # Nobody asks yet: such a message belongs to no handshake, or to one that is over.
        post(to_js(link, dict_converter=js.Object.fromEntries), to_js([channel.port2]))


@workerlib.export
def heard():
    return len(messages)
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
        await asyncio.wait_for(waiting, LIMIT)
        ended = "returned"
    except workerlib.WorkerlibError as error:
        ended = f"{type(error).__name__}: {error}"
    goes_on = await other.add(1, 2)
    await other.close()
    return [ended, goes_on]


async def own_garbage(tags):
    """Messages that break the rules on a connection's own channel, in each direction, while another connection is open.

    Returns:
        For each message and direction: the message, the direction, what became of a call of that connection, and what a call of
        the other connection returned.
    """
    name = f"odd {next(_fresh)}"
    tags.worker(name, src="/faults/worker.py")
    other = await workerlib.connect(name)
    outcomes = []
    for message in GARBAGE:
        for direction in ("to the worker", "to the page"):
            worker = await workerlib.connect(name)
            waiting = asyncio.ensure_future(worker.wait())
            assert await worker.add(1, 2) == 3
            if direction == "to the worker":
                worker._connection.endpoint._channel.port.postMessage(js.eval(f"({message})"))
            else:
                # Its answer comes behind the end of the connection.
                with contextlib.suppress(workerlib.ConnectionClosedError):
                    await worker.post_on_channel(message)
            done, _ = await asyncio.wait([waiting], timeout=LIMIT)
            ended = (
                f"{type(waiting.exception()).__name__}: {waiting.exception()}" if done else "does not settle"
            )
            outcomes.append([message, direction, ended, await asyncio.wait_for(other.add(20, 22), LIMIT)])
            await worker.close()
    await other.close()
    return outcomes


async def described(what):
    """A worker that describes its exports at great length.

    Returns:
        What a call under way raises, and by how many bytes the page's memory has grown.
    """
    worker = await workerlib.spawn("/faults/worker.py", name="talkative")
    waiting = asyncio.ensure_future(worker.wait())
    assert await worker.add(1, 2) == 3
    before = len(pyodide_js._module.HEAPU8)
    # Its answer comes behind the end of the connection.
    telling = asyncio.ensure_future(worker.post_on_channel(DESCRIPTIONS[what]))
    await asyncio.wait([waiting, telling])
    assert isinstance(telling.exception(), workerlib.ConnectionClosedError)
    await worker.close()
    return [str(waiting.exception()), len(pyodide_js._module.HEAPU8) - before]
