"""What `message_port.js` does, in Python: for pages whose policy (CSP) does not let a script be evaluated.

It has the methods of the script's Channel and understands all that one sends, but sends in the simplest
way: nothing in pieces, no memory that is used again. Each step is a call of JavaScript, so it is slower.
"""

from __future__ import annotations

from typing import Any

import js
import pyodide_js
from pyodide.ffi import JsException, create_proxy, to_js

# From how many bytes on a part is transferred, as in `_channels/message_port.js`.
_TRANSFERRED = 8 << 10


class Channel:
    """One end of a channel."""

    def __init__(self, port: Any, handlers: dict[str, Any]) -> None:
        """Takes over the port; the handlers are Python's functions deliver, room and broken."""
        self._port = port
        self._handlers = handlers
        self._arrived: dict[int, Any] = {}
        self._next = 0
        self._inbox = (0, 0)
        # The message whose pieces are coming: frame, lengths, number of its first buffer; and where they go.
        self._coming: tuple[Any, list[int], int] | None = None
        self._places: list[list[int]] = []
        self._proxies = [create_proxy(self._receive), create_proxy(self._unreadable)]

    def listen(self, inbox: int, size: int) -> None:
        """Starts to deliver; small frames are put at the address `inbox`."""
        self._inbox = (inbox, size)
        for event, proxy in zip(("message", "messageerror"), self._proxies, strict=True):
            self._port.addEventListener(event, proxy)
        self._port.start()

    def send(self, address: int, length: int) -> None:
        """Sends a frame without buffers."""
        self.sendAll(address, length, 0)

    def sendTogether(self, *regions: int) -> None:  # noqa: N802 - the script's name
        """Sends frames without buffers: address and length of each."""
        for address, length in zip(regions[::2], regions[1::2], strict=True):
            self.send(address, length)

    def sendAll(self, *regions: int) -> None:  # noqa: N802 - the script's name
        """Sends a frame and its buffers: address, length, and a number that is of no use here, of each."""
        heap = pyodide_js._module.HEAPU8
        parts, transfer, objects = js.Array.new(), js.Array.new(), []
        for address, length in zip(regions[::3], regions[1::3], strict=True):
            if length < 0:
                part = js.Object.new()
                part.object = address
                parts.push(part)
                objects.append(part)
                continue
            part = heap.slice(address, address + length)
            parts.push(part)
            if length >= _TRANSFERRED:
                transfer.push(part.buffer)
        moved = [getattr(part.object, "buffer", part.object) for part in objects]
        try:
            self._port.postMessage(parts, transfer.concat(to_js(moved)))
        except JsException as error:
            if not objects:
                raise
            for part in objects:
                part.object = None
                part.refused = f"the sender could not transfer it: {error}"
            self._port.postMessage(parts, transfer)

    def take(self, number: int, address: int) -> None:
        """Copies a buffer that arrived to an address, and forgets it; negative for nowhere."""
        if address < 0:
            self._arrived.pop(number, None)
            return
        buffer = self._arrived.pop(number)
        if not hasattr(buffer, "byteLength"):
            raise ValueError(f"buffer {number} is an object")
        pyodide_js._module.HEAPU8.set(buffer, address)

    def takeObject(self, number: int) -> Any:  # noqa: N802 - the script's name
        """Takes out an object that arrived."""
        part = self._arrived.pop(number)
        if getattr(part, "refused", None):
            raise ValueError(part.refused)
        if hasattr(part, "byteLength"):
            raise ValueError(f"buffer {number} is no object")
        return part.object

    def close(self) -> None:
        """Closes the port; JavaScript delivers what was posted before."""
        for event, proxy in zip(("message", "messageerror"), self._proxies, strict=True):
            self._port.removeEventListener(event, proxy)
        self._port.close()

    def _receive(self, event: Any) -> None:
        try:
            message = event.data
            if not js.Array.isArray(message):
                self._deliver(message, self._next, [])
            elif js.Array.isArray(message[0]):
                pyodide_js._module.HEAPU8.set(message[1], self._inbox[0])
                self._handlers["deliverAll"](*message[0])
            elif message[0] is False:
                # Memory that is given back.
                return
            elif message[0] is None or not hasattr(message[0], "byteLength"):
                self._fill(message[1])
            else:
                self._begin(message)
        except Exception as error:
            self._handlers["broken"](f"a message could not be taken in: {error!r}")

    def _unreadable(self, _event: Any) -> None:
        self._handlers["broken"]("a message could not be read by the browser (messageerror)")

    def _begin(self, message: Any) -> None:
        frame, *parts = message
        first, lengths = self._next, []
        for part in parts:
            if isinstance(part, (int, float)):
                self._places.append([self._handlers["room"](int(part)), int(part)])
                lengths.append(-int(part))
            elif hasattr(part, "object") or hasattr(part, "refused"):
                self._arrived[self._next] = part
                self._next += 1
                lengths.append(0)
            elif hasattr(part, "length"):
                self._arrived[self._next] = part
                self._next += 1
                lengths.append(part.byteLength)
            # Anything else is memory that is given back.
        if self._places:
            self._coming = (frame, lengths, first)
        else:
            self._deliver(frame, first, lengths)

    def _fill(self, piece: Any) -> None:
        if self._coming is None:
            raise ValueError("a piece of no message")
        place, size = self._places[0], piece.byteLength
        if size > place[1]:
            raise ValueError("a piece too many")
        pyodide_js._module.HEAPU8.set(piece, place[0])
        place[0] += size
        place[1] -= size
        if place[1] == 0:
            self._places.pop(0)
        if not self._places:
            (frame, lengths, first), self._coming = self._coming, None
            self._deliver(frame, first, lengths)

    def _deliver(self, frame: Any, first: int, lengths: list[int]) -> None:
        size = frame.byteLength
        inbox, inbox_size = self._inbox
        address = inbox if size <= inbox_size else self._handlers["room"](size)
        pyodide_js._module.HEAPU8.set(frame, address)
        self._handlers["deliver"](size, first, *lengths)
