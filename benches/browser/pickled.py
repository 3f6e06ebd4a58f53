"""Calls as a clever user would write them: pickle 5 over PyScript's own calls, and over a port of one's own.

Each is as short as it can be and as fast as that allows; nothing is checked, and errors are lost.
"""

import asyncio
import pickle

import js
from pyodide.ffi import create_proxy, to_js


def pack(value):
    """Makes JavaScript's bytes and buffers of a value; each is copied once."""
    buffers = []
    frame = pickle.dumps(value, protocol=5, buffer_callback=buffers.append)
    return to_js([frame, *(buffer.raw() for buffer in buffers)])


def unpack(parts):
    """Makes the value again; each buffer is copied once."""
    frame, *buffers = parts
    return pickle.loads(frame.to_bytes(), buffers=[buffer.to_bytes() for buffer in buffers])


class Port:
    """Calls over a MessagePort: [id, frame, buffers …] there and back."""

    def __init__(self, port, serve=None):
        self.port, self.serve, self.waiting, self.last = port, serve, {}, 0
        port.onmessage = create_proxy(self.receive)

    def post(self, number, value):
        parts = pack(value)
        transfer = js.Array.new(*(part.buffer for part in parts))
        parts.unshift(number)
        self.port.postMessage(parts, transfer)

    def receive(self, event):
        number, *parts = event.data
        value = unpack(parts)
        if self.serve is not None:
            self.post(number, self.serve(value))
        else:
            self.waiting.pop(number).set_result(value)

    async def call(self, value):
        self.last += 1
        future = self.waiting[self.last] = asyncio.get_running_loop().create_future()
        self.post(self.last, value)
        return await future
