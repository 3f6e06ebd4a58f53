"""Provides the channel of `message_port.js` in Python, for pages whose policy (CSP) forbids `eval`.

`message_port.py` uses it in place of the script's Channel, whose methods it has. It reads whatever the script
sends, and sends in the simplest way: nothing in pieces, no memory that is used again. Each step is a call of
JavaScript, so it is slower than the script. It believes nothing that the other side posts, by the same rules
(docs/wire-format.md, section 2).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import js
import pyodide_js
from pyodide.ffi import JsException, JsProxy, create_proxy, jsnull, to_js

from workerlib._channels import fatal_errors
from workerlib._channels.proxies import destroy_later

# The numbers of `message_port.js`, which says what they are.
_TRANSFERRED = 8 << 10
_IN_PIECES = 2 << 20
_PIECE = 1 << 20
_BELIEVED = 16 << 20
_TIMES_BELIEVED = 4
_MOST_PARTS = 1 << 17
_TOGETHER = 8 << 10
_LONGEST_REASON = 1000


class _Room:
    """The place of a buffer that comes in pieces."""

    def __init__(self, length: int, largest: int) -> None:
        """Checks how many bytes are announced; `largest` is the length of the largest that has come whole."""
        if type(length) is not int or not _IN_PIECES <= length < 1 << 53:
            raise ValueError(f"pieces of {length} bytes in all")
        self.length = length
        self._largest = largest
        self.arrived = 0
        """The number of bytes that have come."""
        self.held: list[Any] = []
        """The pieces that have come and are not copied yet."""
        self.address: int | None = None
        """The address to which the next piece is copied, once there is room."""

    @property
    def is_believed(self) -> bool:
        """Whether enough has come to make room for the rest."""
        return self.length <= max(_BELIEVED, self._largest, _TIMES_BELIEVED * self.arrived)

    def add(self, piece: Any) -> None:
        """Takes in the piece that comes next.

        Raises:
            ValueError: If it has another length than it must have.
        """
        expected = min(_PIECE, self.length - self.arrived)
        if piece.byteLength != expected:
            raise ValueError(f"a piece of {piece.byteLength} bytes, where {expected} follow")
        self.held.append(piece)
        self.arrived += expected


def _is(value: Any, kind: str) -> bool:
    """Tells whether a value is a JavaScript object of a kind, such as "Uint8Array"."""
    return isinstance(value, JsProxy) and js.Object.prototype.toString.call(value) == f"[object {kind}]"


def _is_own(buffer: Any) -> bool:
    """Tells whether a value is an ArrayBuffer of this side's own, whose length stays what it is."""
    return _is(buffer, "ArrayBuffer") and getattr(buffer, "resizable", False) is not True


def _bytes_of(part: Any, what: str) -> Any:
    """Returns a part of a message if it has bytes that stay what they are until they have been copied.

    Raises:
        ValueError: If it has none.
    """
    if not (_is(part, "Uint8Array") and _is_own(part.buffer)):
        raise ValueError(f"{what} that has no bytes of its own")
    return part


def _is_object(part: Any) -> bool:
    """Tells whether a part of a message is an object of the user's, in its wrapping."""
    return _is(part, "Object") and (
        hasattr(part, "object") or isinstance(getattr(part, "refused", None), str)
    )


class Channel:
    """One end of a channel."""

    def __init__(self, port: Any, handlers: Mapping[str, Any]) -> None:
        """Takes over the port; the handlers are those of `message_port.js`, by their names."""
        self._port = port
        self._handlers = handlers
        self._arrived: dict[int, Any] = {}
        self._next = 0
        self._inbox = (0, 0)
        # The message whose pieces are coming: frame, lengths, number of its first buffer; and where they go.
        self._coming: tuple[Any, list[int], int] | None = None
        self._places: list[_Room] = []
        # The length of the largest buffer that has come in pieces.
        self._largest = 0
        # Whether the other side has broken the rules, or this side has closed: nothing more is read.
        self._is_over = False
        self._proxies = [create_proxy(self._receive), create_proxy(self._unreadable)]
        self._stop_watching = fatal_errors.tell_by_port(port)

    def listen(self, inbox: int, size: int) -> None:
        """Starts to deliver; small frames are put at the address `inbox`."""
        self._inbox = (inbox, size)
        for event, proxy in zip(("message", "messageerror"), self._proxies, strict=True):
            self._port.addEventListener(event, proxy)
        self._port.start()

    def send(self, address: int, length: int) -> None:
        """Sends a frame without buffers."""
        self.sendAll(address, length, 0)

    def hold(self, address: int, length: int) -> None:
        """Sends a frame without buffers, which the script would send together with others of the event."""
        self.send(address, length)

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
        moved = [
            getattr(part.object, "buffer", part.object)
            for part in objects
            # Which the browser clones.
            if not (_is(part.object, "Blob") or _is(part.object, "File"))
        ]
        try:
            self._port.postMessage(parts, transfer.concat(to_js(moved)))
        except JsException as error:
            if not objects:
                raise
            for part in objects:
                part.object = None
                part.refused = f"the sender could not transfer it: {error}"
            self._port.postMessage(parts, transfer)

    def beat(self, beat: int) -> None:
        """Asks for a sign of life (1), or gives one (2)."""
        self._port.postMessage(to_js([beat]))

    def take(self, number: int, address: int) -> None:
        """Copies a buffer that arrived to an address, and forgets it; negative for nowhere."""
        if address < 0:
            self._arrived.pop(number, None)
            return
        buffer = self._arrived.pop(number)
        if _is_object(buffer):
            raise ValueError(f"buffer {number} is an object")
        pyodide_js._module.HEAPU8.set(buffer, address)

    def takeObject(self, number: int) -> Any:  # noqa: N802 - the script's name
        """Takes out an object that arrived."""
        part = self._arrived.pop(number)
        if not _is_object(part):
            raise ValueError(f"buffer {number} is not an object")
        if isinstance(refused := getattr(part, "refused", None), str):
            raise ValueError(refused)
        return part.object

    def close(self) -> None:
        """Closes the port; JavaScript delivers what was posted before."""
        self._end()
        self._stop_watching()
        for event, proxy in zip(("message", "messageerror"), self._proxies, strict=False):
            self._port.removeEventListener(event, proxy)
        self._port.close()
        proxies, self._proxies = self._proxies, []
        destroy_later(proxies)
        # They hold the endpoint, which holds this channel: both would wait for the garbage collector.
        self._handlers = {}

    def _end(self) -> None:
        self._is_over = True
        self._coming = None
        self._places = []

    def _receive(self, event: Any) -> None:
        if self._is_over:
            return
        try:
            self._take_in(event.data)
        except Exception as error:
            self._fail(f"a message could not be taken in: {error!r}")

    def _take_in(self, message: Any) -> None:
        if _is(message, "Uint8Array"):
            self._require_no_pieces()
            self._deliver(_bytes_of(message, "a frame"), self._next, [])
            return
        if not _is(message, "Array") or not 1 <= message.length <= _MOST_PARTS:
            raise ValueError("neither a frame nor parts")
        parts = list(message)
        if parts[0] is jsnull:
            self._fill(parts[1] if len(parts) > 1 else None)
            return
        self._require_no_pieces()
        if parts[0] is False:
            # Memory that is given back, of which this side has no use.
            return
        if type(parts[0]) is int:
            self._handlers["beat"](parts[0])
        elif parts[0] is True:
            self._hear_death(parts[1:])
        elif _is(parts[0], "Array"):
            self._deliver_all(parts[0], parts[1] if len(parts) > 1 else None)
        else:
            self._begin(parts)

    def _hear_death(self, told: list[Any]) -> None:
        """Tells of the other side's end: why, and the name and text of its error, if it has told one."""
        if not told or any(type(text) is not str for text in told):
            raise ValueError("a death without a reason")
        self._end()
        self._handlers["died"](*(text[:_LONGEST_REASON] for text in told[:3]))

    def _require_no_pieces(self) -> None:
        if self._coming is not None:
            raise ValueError("a message before the last piece of another one")

    def _unreadable(self, _event: Any) -> None:
        self._fail("a message could not be read by the browser (messageerror)")

    def _fail(self, reason: str) -> None:
        if not self._is_over:
            self._end()
            self._handlers["broken"](reason)

    def _begin(self, parts: list[Any]) -> None:
        """Takes in a message with parts, all of which is checked before anything is kept."""
        frame = _bytes_of(parts[0], "a frame")
        memory = {frame.buffer.js_id}
        arrived: list[Any] = []
        lengths: list[int] = []
        places: list[_Room] = []
        for part in parts[1:]:
            if isinstance(part, (int, float)) and not isinstance(part, bool):
                places.append(_Room(int(part) if part == part // 1 else -1, self._largest))
                lengths.append(-places[-1].length)
                continue
            if _is_object(part):
                arrived.append(part)
                lengths.append(0)
                continue
            is_returned = _is_own(part)
            buffer = part if is_returned else _bytes_of(part, "a part").buffer
            if buffer.js_id in memory:
                raise ValueError("two parts that have the same memory")
            memory.add(buffer.js_id)
            if not is_returned:
                arrived.append(part)
                lengths.append(part.byteLength)
        first = self._next
        self._arrived.update(enumerate(arrived, first))
        self._next += len(arrived)
        if places:
            self._coming, self._places = (frame, lengths, first), places
        else:
            self._deliver(frame, first, lengths)

    def _fill(self, part: Any) -> None:
        if self._coming is None:
            raise ValueError("a piece of no message")
        place = self._places[0]
        place.add(_bytes_of(part, "a piece"))
        if place.is_believed:
            if place.address is None:
                place.address = self._handlers["room"](place.length)
            for piece in place.held:
                pyodide_js._module.HEAPU8.set(piece, place.address)
                place.address += piece.byteLength
            place.held.clear()
        if place.arrived == place.length:
            self._largest = max(self._largest, place.length)
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

    def _deliver_all(self, sizes: Any, part: Any) -> None:
        frames = _bytes_of(part, "frames")
        most = min(_TOGETHER, self._inbox[1])
        told = list(sizes) if sizes.length <= most else []
        are_sizes = all(type(size) is int and size > 0 for size in told)
        if not are_sizes or not frames.byteLength == sum(told) <= most:
            raise ValueError("frames of other sizes than they should have")
        pyodide_js._module.HEAPU8.set(frames, self._inbox[0])
        self._handlers["deliverAll"](*told)
