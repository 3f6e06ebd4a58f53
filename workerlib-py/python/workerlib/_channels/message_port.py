"""A MessagePort of JavaScript's as an endpoint: where frames leave this Python's memory.

A frame and each buffer are copied once, into an ArrayBuffer that is transferred and comes back to be used
again; the other side copies once more, into the object that its user sees. Two copies are the least there
can be: the memory of WebAssembly can be neither shared nor transferred. The copying is done by
`_channels/message_port.js`, or where the page forbids scripts that are evaluated by
`_channels/message_port_without_eval.py`; here is what it calls, and what it is called with: addresses and
lengths.

A message is handled as soon as it arrives, and so are the callbacks that it makes ready
(`_channels/loop_shortcuts.py`).
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, Protocol

import js
import pyodide_js
from pyodide.ffi import JsException, JsProxy, create_proxy, to_js

from workerlib._channels import fatal_errors, loop_shortcuts
from workerlib._errors import CannotBlockError, RemoteError
from workerlib._exports import Function
from workerlib._location.package_files import text_of
from workerlib._native import Inlet, Session, region, room
from workerlib._rpc.connection import Connection
from workerlib._rpc.endpoint import OnDeath
from workerlib._values.transfer import Transfer

# The number of bytes that the size of a frame takes in front of it.
_HEAD = 4
# Frames up to this size arrive where they can be read without making room for them first.
_INBOX = 64 << 10

# Asks for a sign of life, and gives one.
_QUESTION, _ANSWER = 1, 2

_scripts: dict[str, Any] = {}
_channels: Any = None
"""The value of `message_port.js`, which is called once: its class and its pool are those of all channels."""

_Handlers = Mapping[str, Callable[..., Any]]
_handlers: dict[str, dict[int, Callable[..., Any]]] = {
    name: {} for name in ("deliver", "deliverAll", "room", "broken", "died", "beat")
}
"""The functions that JavaScript calls, by their names and then by the number of the channel."""
_numbers = itertools.count(1)


def _script(name: str) -> Any:
    """Evaluates a script of this folder, once.

    Args:
        name: The file's name.

    Returns:
        The script's value; False where the page does not let a script be evaluated.
    """
    if name not in _scripts:
        try:
            _scripts[name] = js.eval(text_of("_channels", name))
        except JsException:
            _scripts[name] = False
    return _scripts[name]


def _open(port: Any, handlers: _Handlers, number: int) -> Any:
    """Opens an end of a channel: by `_channels/message_port.js` where that can be had.

    Args:
        port: The MessagePort, or what stands for one.
        handlers: The functions that the channel calls, by their names in `message_port.js`.
        number: The number of the channel in this Python, for `_forget`.
    """
    script = _script("message_port.js")
    if script is False:
        # Few pages have such a policy.
        from workerlib._channels.message_port_without_eval import Channel

        return Channel(port, handlers)
    global _channels
    if _channels is None:
        parts = ("buffer_pool.js", "wakefulness.js", "arriving_parts.js", "frame_inlet.js")
        # A proxy takes as long to make as half a call: these are those of all channels.
        hearing = {name: create_proxy(partial(_hear, functions)) for name, functions in _handlers.items()}
        _channels = script(*map(_script, parts), to_js(hearing, dict_converter=js.Object.fromEntries))
    for name, handler in handlers.items():
        _handlers[name][number] = handler
    return _channels.openNumbered(pyodide_js._module, port, number, fatal_errors.watch())


def _hear(functions: dict[int, Callable[..., Any]], number: int, *arguments: Any) -> Any:
    """Calls a function of the channel that has the number; a closed channel has none."""
    function = functions.get(number)
    return None if function is None else function(*arguments)


def _forget(number: int) -> None:
    """Lets go of the functions of a channel that is closed."""
    for functions in _handlers.values():
        functions.pop(number, None)


def own_channel(worker: Any, mark: str) -> Any:
    """Gives the part of a Worker's own channel that a connection can use like a port of its own.

    Args:
        worker: The Worker, or in it its global object.
        mark: A text that no other connection has.

    Returns:
        A channel for a `PortEndpoint`; None where a MessagePort is as good, or the only way.
    """
    script = _script("own_channel.js")
    return None if script is False else script(worker, mark)


def new_port(worker: Any, mark: str, may_own: bool = True) -> tuple[Any, list[Any]]:
    """Makes a channel between a Worker and its page.

    Args:
        worker: As for `own_channel`.
        mark: Likewise.
        may_own: Whether the other side, too, can use the Worker's own channel.

    Returns:
        This side's end, and a list of what has to be transferred to the other side: a port, or nothing where
        `own_channel` gives that side its end.
    """
    own = own_channel(worker, mark) if may_own else None
    if own is not None:
        return own, []
    channel = js.MessageChannel.new()
    return channel.port1, [channel.port2]


class _Arrived:
    """A buffer that lies in JavaScript's memory until it is copied, as pyodide.ffi.JsBuffer has it."""

    __slots__ = ("_channel", "_number", "byteLength")

    def __init__(self, channel: Any, number: int, length: int) -> None:
        self._channel = channel
        self._number = number
        self.byteLength = length

    def take_object(self) -> Any:
        """Takes out an object that is not a buffer.

        Raises:
            ValueError: If it is a buffer, or the sender could not transfer it.
        """
        channel, self._channel = self._channel, None
        try:
            return channel.takeObject(self._number)
        except JsException as error:
            raise ValueError(str(error)) from None

    def assign_to(self, view: memoryview) -> None:
        """Copies the content, once."""
        channel, self._channel = self._channel, None
        channel.take(self._number, region(view)[0])

    def __del__(self) -> None:
        if self._channel is not None:
            self._channel.take(self._number, -1)


def _ignore(*_: object) -> None:
    """Stands for the functions of a connection that has ended."""


class Answers(Protocol):
    """Memory that a page shares with its worker (`_hosts/browser/shared_memory_answers.py`)."""

    def sleep(self, seconds: float) -> None:
        """Sleeps until something is written."""

    def read(self) -> list[tuple[bytes, list[Any]]]:
        """Takes out what was written."""


class PortEndpoint:
    """An `Endpoint` over a MessagePort."""

    def __init__(
        self, port: Any, peer: str = "the other side", note_death: Callable[[], object] = lambda: None
    ) -> None:
        """Takes over the port: nobody else may listen to it.

        Args:
            port: The MessagePort, or what stands for one.
            peer: The other side, for messages.
            note_death: Called when the other side says that it has failed fatally.
        """
        self._peer = peer
        self._note_death = note_death
        loop_shortcuts.watch()
        loop = asyncio.get_running_loop()
        loop_shortcuts.start_together(loop, Connection.call.__code__)
        self._turn, self._let_turn_go = loop_shortcuts.turn_of(loop)
        # In front of a frame that goes past this class, JavaScript writes its size.
        self._memory = bytearray(_HEAD + _INBOX)
        self._view = memoryview(self._memory)[_HEAD:]
        self._inlet: Inlet | None = None
        self._rooms: list[bytes] = []
        self.answers: Answers | None = None
        """Where the page writes what this worker waits for while its thread sleeps."""
        self._on_message: Callable[[bytes, list[Any]], None]
        self._on_broken: Callable[[str], None]
        self._on_death: OnDeath | None
        self._on_answer: Callable[[], None] = lambda: None
        handlers: _Handlers = {
            "deliver": self._deliver,
            "deliverAll": self._deliver_all,
            "room": self._room,
            "broken": self._broken,
            "died": self._died,
            "beat": self._beat,
        }
        self._number = next(_numbers)
        self._channel = _open(port, handlers, self._number)
        self._send = self._channel.send

    def starts_at_once(self, name: str, function: Function | None, has_callback: bool) -> bool:
        """Tells whether a call may start while a message is handled: `Endpoint.starts_at_once`."""
        return loop_shortcuts.starts_at_once(name, function, has_callback)

    # For sync code that waits, while the event loop stands.

    @property
    def can_block(self) -> bool:
        """Whether sync code can wait here: in a worker that shares memory with its page."""
        return self.answers is not None

    def sleep(self, seconds: float) -> None:
        """Sleeps until the page has written something into shared memory."""
        assert self.answers is not None
        self.answers.sleep(seconds)

    def take_in(self) -> None:
        """Delivers what the page has written into shared memory."""
        assert self.answers is not None
        for frame, buffers in self.answers.read():
            if not frame:
                raise CannotBlockError(
                    "the answer came long before sync code waits for it, and can only be read when this"
                    " function has ended: wait for it sooner, or make the function async and await it"
                )
            self._on_message(frame, buffers)

    def listen(
        self,
        on_message: Callable[[bytes, list[Any]], None],
        on_broken: Callable[[str], None],
        on_death: OnDeath | None = None,
    ) -> None:
        """Starts to deliver; what arrived before is delivered too."""
        self._on_message, self._on_broken, self._on_death = on_message, on_broken, on_death
        self._channel.listen(region(self._view)[0], _INBOX)

    def shorten(self, session: Session, connection: Any) -> tuple[int, int] | None:
        """Has small frames go between JavaScript and a session directly: `ShortEndpoint.shorten`."""
        if not hasattr(self._channel, "shorten"):
            return None
        self._inlet = Inlet(self._memory, session, connection, self._turn, self._broken)
        poster = self._channel.shorten(id(self._inlet))
        return None if poster is None else (poster[0], poster[1])

    def post(self, frame: bytes, buffers: list[Any]) -> None:
        """Copies and sends; what many calls begin with goes together."""
        if not buffers:
            send = self._channel.hold if loop_shortcuts.is_burst() else self._send
            send(*region(frame))
            return
        regions: list[Any] = [*region(frame), 0]
        for buffer in buffers:
            if type(buffer) is Transfer or isinstance(buffer, JsProxy):
                # A proxy is of an object that the browser clones.
                regions += (buffer.take() if type(buffer) is Transfer else buffer, -1, 0)
                continue
            # The receiver makes a bytes object of a bytes object, which can be filled piece by piece.
            regions += (*region(buffer), int(type(buffer) is bytes))
        self._channel.sendAll(*regions)

    def post_all(self, messages: list[tuple[bytes, list[Any]]]) -> None:
        """Copies and sends: what has no buffers, together."""
        together: list[int] = []
        for frame, buffers in messages:
            if not buffers:
                together += region(frame)
                continue
            if together:
                self._channel.sendTogether(*together)
                together = []
            self.post(frame, buffers)
        if together:
            self._channel.sendTogether(*together)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Has the tasks that become ready in the block go on at its end: `Endpoint.together`."""
        turn, let_go = loop_shortcuts.turn_of(asyncio.get_running_loop())
        turn.begin()
        try:
            yield
        finally:
            turn.end()
            let_go()

    def close(self) -> None:
        """Closes the port; JavaScript delivers what was posted before."""
        self._channel.close()
        self._let_turn_go()
        # It may be running: then Rust holds it.
        self._inlet = None
        self._rooms.clear()
        _forget(self._number)
        # A connection that has ended is freed with its last reference; its inbox, to which JavaScript writes
        # no more, is freed now.
        self._memory = bytearray()
        self._view = memoryview(self._memory)
        self._on_message = self._on_broken = self._on_death = _ignore
        self._on_answer = _ignore

    def _room(self, size: int) -> int:
        made = room(size)
        self._rooms.append(made)
        return region(made)[0]

    def _deliver(self, size: int, first: int, *lengths: int) -> None:
        frame = bytes(self._view[:size]) if size <= _INBOX else self._rooms.pop()
        buffers = self._buffers(first, lengths) if lengths else []
        self._turn.begin()
        try:
            self._on_message(frame, buffers)
        finally:
            self._turn.end()

    def _deliver_all(self, *sizes: int) -> None:
        frames, start = [], 0
        # Before the first is handled, since memory may be moved then, and more may come.
        for size in sizes:
            frames.append(bytes(self._view[start : start + size]))
            start += size
        self._turn.begin()
        try:
            for frame in frames:
                self._on_message(frame, [])
        finally:
            self._turn.end()

    def _buffers(self, first: int, lengths: tuple[int, ...]) -> list[Any]:
        rooms, self._rooms = iter(self._rooms), []
        buffers: list[Any] = []
        for length in lengths:
            if length < 0:
                buffers.append(next(rooms))
            else:
                buffers.append(_Arrived(self._channel, first, length))
                first += 1
        return buffers

    def _broken(self, reason: str) -> None:
        self._on_broken(reason)

    def ask(self, on_answer: Callable[[], None]) -> None:
        """Asks for a sign of life: `BeatingEndpoint.ask`."""
        self._on_answer = on_answer
        self._channel.beat(_QUESTION)

    def _beat(self, beat: int) -> None:
        if beat == _QUESTION:
            # Not at once: the loop itself is to show that it turns.
            asyncio.get_running_loop().call_soon(self._channel.beat, _ANSWER)
        else:
            self._on_answer()

    def _died(self, reason: str, *error: str) -> None:
        self._note_death()
        told = f"{self._peer} is gone: {reason}"
        if self._on_death is None:
            self._on_broken(told)
        else:
            # Its name, and its text.
            self._on_death(told, RemoteError(error[1], error[0]) if len(error) == 2 else None)
