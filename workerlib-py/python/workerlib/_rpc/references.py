"""Keeps the references of a connection: what this side has given, and what it holds of the other's.

The session counts (`workerlib-core/src/references.rs`); this module has the objects that the numbers stand
for, sends invocations, and runs those of the other side. A reference ends when nobody on the other side holds
it, when the call that it was passed to is cancelled or given up, or with the connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import inspect
import threading
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from workerlib._errors import BackPressureError, CannotBlockError, ConnectionClosedError
from workerlib._rpc.callbacks import Callback
from workerlib._rpc.described_classes import DescribedClasses
from workerlib._rpc.incoming_call import Served, current_call
from workerlib._rpc.interruptible import STEPPING
from workerlib._rpc.invocations import Invocation
from workerlib._rpc.remote_functions import OnReport
from workerlib._rpc.remote_objects import (
    STREAM_OF,
    RemoteObject,
    close,
    closed_handle,
    described,
    hold,
    let_go,
)
from workerlib._rpc.reply import Reply, ReplyState, UntakenReply, Watcher
from workerlib._rpc.waiting import wait
from workerlib._values.references import Parts, Remote
from workerlib._values.row import RefusedError
from workerlib._values.safe_text import text_of
from workerlib._values.streams import is_awaitable, is_stream, stream, to_stream

_FUNCTION, _OBJECT = "function", "object"


class Reference(NamedTuple):
    """A function or an object of one side of a connection that the other side calls."""

    owner: str
    """`"here"` or `"there"`: where the function is."""
    name: str
    """Its name."""
    calls: int
    """The number of its calls that have no answer yet."""


class Given:
    """A function or an object of this side that the other side may call."""

    __slots__ = ("context", "function", "name")

    is_function = True
    """Whether it is called itself, and has no methods."""

    def __init__(self, function: Callable[..., Any], name: str) -> None:
        """Captures the context in which the function is passed."""
        self.function = function
        self.name = name
        self.context = contextvars.copy_context()

    def find(self, member: str) -> Callable[..., Any]:
        """Finds the function that an invocation names.

        Args:
            member: The name of a method; empty for the thing itself.
        """
        if member:
            raise AttributeError(f"the callback {self.name} has no method {member!r}")
        return self.function


class GivenObject(Given):
    """An object of this side's whose methods the other side may call."""

    __slots__ = ("closes", "methods")

    is_function = False

    def __init__(self, thing: Any, name: str, methods: frozenset[str], closes: bool) -> None:
        """Captures the context, and notes which methods may be called.

        Args:
            thing: The object.
            name: The name of its class.
            methods: The names of its public methods.
            closes: Whether it is closed when nobody holds it any more.
        """
        super().__init__(thing, name)
        self.methods = methods
        self.closes = closes

    def find(self, member: str) -> Callable[..., Any]:
        """Finds a method."""
        name = member.removeprefix(STREAM_OF)
        if name not in self.methods:
            raise AttributeError(f"{self.name} has no public method {name!r}")
        method = getattr(self.function, name)
        if name != member:
            return partial(_streamed, f"{self.name}.{name}", method)
        if inspect.isgeneratorfunction(method):
            return lambda *args, **kwargs: stream(method(*args, **kwargs))
        found: Callable[..., Any] = method
        return found


def _streamed(name: str, method: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """Calls a method for a caller who asks for a stream."""
    result = method(*args, **kwargs)
    if is_awaitable(result) and not is_stream(type(result)):
        return _streamed_later(name, result)
    return stream(to_stream(name, result))


async def _streamed_later(name: str, result: Any) -> Any:
    return stream(to_stream(name, await result))


STEPPING.update((_streamed.__code__, _streamed_later.__code__))


class Held:
    """A function or an object of the other side that this side may call."""

    __slots__ = (
        "calls",
        "count",
        "description",
        "is_released",
        "kind",
        "name",
        "number",
        "proxy",
        "references",
    )

    def __init__(self, references: References, number: int, kind: object, description: Any) -> None:
        """Notes what a frame says of it."""
        self.references = references
        self.number = number
        self.kind = kind
        self.description = description
        self.name = description if isinstance(description, str) else ""
        """The name of the function, or of the object's class."""
        self.is_released = False
        self.count = 0
        """The number of times that it came while this side held it."""
        self.calls: list[Served] = []
        """The running calls that it was passed to."""
        self.proxy: weakref.ref[Any] | None = None
        """The object that stands for it here."""


_make = object.__new__


class References:
    """The references of one connection."""

    def __init__(self, connection: Any, session: Any, loop: asyncio.AbstractEventLoop) -> None:
        """Starts without any.

        Args:
            connection: The `Connection`.
            session: Its session.
            loop: Its event loop.
        """
        # They must not keep each other alive: a callback that is kept somewhere outlives its connection.
        self.connection = weakref.ref(connection)
        """The connection, if it is still there."""
        self._session = session
        self._loop = loop
        self._wraps = connection._table.adapters.find_total() is not None
        self._thread = threading.get_ident()
        self.classes = DescribedClasses(session)
        """The classes of the objects, as the two sides have described them."""
        self.given: dict[int, Given] = {}
        """The functions and objects that the other side may call, by number. `Direct` has the same dict."""
        self._objects: dict[int, int] = {}
        """The numbers of the objects that were given, by their ids."""
        self._held: dict[int, Held] = {}
        self.replies: dict[int, ReplyState] = {}
        """The answers that have not been taken in, by invocation."""
        self._line = asyncio.Lock()
        """The calls of methods that wait until the other side takes another invocation, in their order."""
        self.room: asyncio.Future[None] | None = None
        """What the first of them waits for."""
        self._dropped: list[Held] = []
        self._end: Callable[[str], Exception] = lambda name: ConnectionClosedError(
            f"{name}() is called after the end of its connection"
        )
        self.brought: list[Held] = []
        """The references in the values that were read last, until their call is known."""

    # As values.

    def give_function(self, function: Callable[..., Any]) -> Parts:
        """Gives a function to the other side, and says how it stands in a frame."""
        name = getattr(function, "__qualname__", None) or getattr(function, "__name__", None)
        name = str.__str__(name) if isinstance(name, str) else text_of(function, repr)
        number = self._session.give(True)
        self.given[number] = Given(function, name)
        return ("sender", number, _FUNCTION, name)

    def give_object(self, thing: Any, closes: bool) -> Parts:
        """Gives an object to the other side, and says how it stands in a frame: each time as the same one."""
        cls = described(thing)
        description = self.classes.tell(cls)
        number = self._objects.get(id(thing))
        if number is None or not self._session.give_again(number):
            number = self._session.give(False)
            self.given[number] = GivenObject(thing, cls.name, cls.names, closes)
            self._objects[id(thing)] = number
            hold(thing)
        return ("sender", number, _OBJECT, description)

    def carry(self, remote: Remote) -> Parts | None:
        """Says how something of the other side's stands in a frame; None if it is of another connection."""
        held: Held = remote._held  # type: ignore[attr-defined]
        if held.is_released:
            raise RefusedError("its handle has been closed by the end of `async with`: send it before that")
        if held.references is not self:
            return None
        self._session.carry(held.number)
        return ("receiver", held.number, None, None)

    def receive(self, owner: object, number: object, kind: object, description: object) -> Any:
        """Finds or makes the object that a reference in a frame means."""
        if type(number) is not int or not 0 <= number < 1 << 32:
            raise ValueError("the number of a reference has to have 32 bits")
        if owner == "receiver":
            given = self.given.get(number)
            if given is None:
                raise ValueError(f"reference {number} is not known here any more")
            return given.function
        make = _PROXIES.get((owner, kind))
        if make is None:
            raise ValueError("the kind of a reference is unknown to this version")
        held = self._held.get(number)
        proxy = held and held.proxy and held.proxy()
        if held is None or proxy is None:
            held = Held(self, number, kind, description)
            proxy = make(held)
            held.proxy = weakref.ref(proxy)
            self._held[number] = held
        self._session.hold(number)
        held.count += 1
        self.brought.append(held)
        return proxy

    def adopt(self, served: Served) -> None:
        """Notes what the arguments of a call brought."""
        served.brought, served.replies = self.brought.copy(), {}
        self.brought.clear()
        for held in served.brought:
            held.calls.append(served)

    def leave(self, served: Served) -> None:
        """Notes that a call has ended."""
        for held in served.brought or ():
            if served in held.calls:
                held.calls.remove(served)
        served.brought = None

    # Invocations of the other side's.

    def invoke(self, held: Held, member: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Reply[Any]:
        """Sends an invocation, at once."""
        connection = self.connection()
        if connection is None or threading.get_ident() != self._thread:
            raise self._no_invocation(held)
        session = self._session
        if not session.may_invoke and session.is_open:
            self._wait_for_room(held)
        # An invocation has time for few steps in Python: parts that most callbacks do not need are asked for
        # here, and objects are made without their `__init__`.
        if self._wraps:
            args, kwargs = connection._table.adapters.wrap_arguments(args, kwargs)
        number = session.invoke(held.number, member, args, kwargs, False)
        origin = held.calls[0] if len(held.calls) == 1 else _origin(held)
        state = _make(ReplyState)
        state.references, state.id, state.held, state.origin = self, number, held.number, origin
        state.name = f"{held.name}.{member.removeprefix(STREAM_OF)}" if member else held.name
        if origin is not None and origin.replies is not None:
            origin.replies[number] = state
        reply: Reply[Any] = _make(UntakenReply)
        reply._state = state
        # Before it is sent: a channel that fails settles it in no time.
        self.replies[number] = connection._calls[number] = state
        if not session.transmit(connection):
            connection._transmit()
        return reply

    def _no_invocation(self, held: Held) -> Exception:
        if threading.get_ident() != self._thread:
            return RuntimeError(
                f"{held.name}() was called in another thread than its connection's: call it there, by"
                " loop.call_soon_threadsafe(…)"
            )
        return self._end(held.name)

    async def call(  # noqa: PLR0917 - the options are those of a method
        self,
        held: Held,
        member: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        timeout: float | None = None,
        on_report: OnReport | None = None,
        handle: object = None,
    ) -> Any:
        """Calls a method and returns its result; waits until the other side takes another invocation.

        Args:
            held: The reference to the object.
            member: The name of the method.
            args: The positional arguments.
            kwargs: The keyword arguments.
            timeout: How many seconds it may take from now.
            on_report: Is called with what the method reports while it runs.
            handle: What holds the object until the call has been sent.

        Raises:
            TimeoutError: If it took longer.
            BaseException: Any exception of the method.
        """
        if not self._session.may_invoke or self._line.locked():
            # One waits for room and the others for their turn: all of them would look for it at each answer.
            async with self._line:
                while not self._session.may_invoke and self._session.is_open:
                    await self._wait_for_answer()
                reply = self._begin(held, member, args, kwargs)
        else:
            reply = self._begin(held, member, args, kwargs)
        # An object lives as long as a call of it runs.
        del handle
        if timeout is not None or on_report is not None:
            reply._state.expect(timeout, on_report)
        return await reply

    async def _wait_for_answer(self) -> None:
        """Waits until any of the answers is there that are missing, or the connection has ended."""
        room = self.room = self._loop.create_future()
        try:
            await room
        finally:
            self.room = None

    def note_room(self) -> None:
        """Has a call that waits look for room: there is an answer, if only to a call that was given up."""
        if self.room is not None and not self.room.done():
            self.room.set_result(None)

    def _begin(self, held: Held, member: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Reply[Any]:
        if held.is_released:
            # It was closed between the call and its first step.
            raise closed_handle(f"{held.name}.{member.removeprefix(STREAM_OF)}")
        return self.invoke(held, member, args, kwargs)

    def _wait_for_room(self, held: Held) -> None:
        """Waits until the other side takes another invocation, where that is possible."""
        with contextlib.suppress(CannotBlockError):
            while not self._session.may_invoke and (latest := self._latest()) is not None:
                wait(Watcher(latest))
            if self._session.may_invoke:
                return
        raise BackPressureError(
            f"{held.name}() was called {len(self.replies)} times without an answer yet, and sync code"
            " cannot wait here: await some of the answers, or call it less often"
        )

    def _latest(self) -> ReplyState | None:
        """Finds the answer that is to be waited for so that there is room for further invocations.

        It is the latest of those that nobody takes, such as those of progress: when it is there, so are the
        ones before it. The answer of a question may take its time.
        """
        states = self.replies.values()
        first = next(iter(states), None)
        return next((state for state in reversed(states) if state.is_abandoned), first)

    def report(self, state: ReplyState, error: BaseException) -> None:
        """Tells of an error that nobody takes: it ends the call that the callback was passed to."""
        if state.is_reported or isinstance(error, ConnectionClosedError):
            return
        state.is_reported = True
        if state.origin is not None and not state.origin.has_ended:
            state.origin.fail(error)
        elif not self._loop.is_closed():
            self._loop.call_exception_handler(
                {
                    "message": f"the callback {state.name}() raised, and nobody took its answer",
                    "exception": error,
                }
            )

    def unheard(self, served: Served) -> list[int] | None:
        """Names the invocations of a call that returns whose answers are not there, and will not be taken."""
        if served.failure is not None:
            raise served.failure
        states = [state for state in (served.replies or {}).values() if state.is_abandoned]
        for state in states:
            # The other side raises their errors.
            state.is_reported = True
        return [state.id for state in states] or None

    # The end of references.

    def drop(self, held: Held) -> None:
        """Notes that this side does not hold something any more; the loop's next turn says so.

        It is called by the garbage collector, at any place and in any thread.
        """
        self._dropped.append(held)
        if len(self._dropped) == 1:
            # The loop may have been closed.
            with contextlib.suppress(RuntimeError):
                if threading.get_ident() == self._thread:
                    self._loop.call_soon(self._release)
                else:
                    self._loop.call_soon_threadsafe(self._release)

    def _release(self) -> None:
        dropped, self._dropped = self._dropped, []
        for held in dropped:
            if not held.is_released:
                self._session.release(held.number, held.count)
            if self._held.get(held.number) is held:
                del self._held[held.number]
        connection = self.connection()
        if connection is not None:
            connection._carry_out()

    def release(self, held: Held) -> None:
        """Says at once that this side does not hold something any more."""
        if self._held.get(held.number) is held:
            del self._held[held.number]
            held.is_released = True
            self._session.release(held.number, held.count)
            connection = self.connection()
            if connection is not None:
                connection._carry_out()

    def forget(self, number: int) -> None:
        """Forgets something that the other side cannot call any more; closes it if nobody else holds it."""
        given = self.given.pop(number, None)
        if isinstance(given, GivenObject):
            if self._objects.get(id(given.function)) == number:
                del self._objects[id(given.function)]
            self._let_go(given)

    def _let_go(self, given: GivenObject) -> None:
        if let_go(given.function) and given.closes:
            given.context.copy().run(close, given.function, self._loop)

    def clear(self, end: Callable[[str], Exception]) -> None:
        """Forgets everything: the connection has ended.

        Args:
            end: Makes the error of a call after that, from the name of what is called.
        """
        self._end = end
        given = [*self.given.values()]
        self.given.clear()
        self._objects.clear()
        for one in given:
            if isinstance(one, GivenObject):
                self._let_go(one)
        self._held.clear()
        self.brought.clear()
        self.note_room()

    def list(self) -> list[Reference]:
        """Lists what this side has given and holds."""
        connection = self.connection()
        served = () if connection is None else connection._served.values()
        running = [one.number for one in served if isinstance(one, Invocation)]
        here = [Reference("here", given.name, running.count(number)) for number, given in self.given.items()]
        asked = [state.held for state in self.replies.values()]
        there = [Reference("there", held.name, asked.count(number)) for number, held in self._held.items()]
        return here + there


_PROXIES: dict[tuple[object, object], Callable[[Held], Any]] = {
    ("sender", _FUNCTION): Callback.of,
    ("sender", _OBJECT): RemoteObject._of,
}
"""Functions that make the object that stands for one of the other side's, by owner and kind."""


def _origin(held: Held) -> Served | None:
    """Finds the call on whose behalf a callback is called: of several calls that have it, the running one."""
    if len(held.calls) > 1 and (current := current_call.get()) in held.calls:
        return current
    return held.calls[-1] if held.calls else None
