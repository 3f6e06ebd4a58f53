"""Provides remote objects: handles of objects that stay on the other side, and `remote()`, which sends one.

An instance of an exported class stays where it is, and so does an object that `remote()` marks. The other
side gets a handle whose methods are the public methods of the object. `_rpc/references.py` sends their calls
and counts the handles.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Coroutine, Mapping
from functools import partial
from types import TracebackType
from typing import Any, Self, cast

from workerlib._rpc.calls_or_streams import CallOrStream
from workerlib._rpc.described_classes import (
    ClassDescription,
    Methods,
    MethodThere,
    described_class,
    kind_of_method,
    methods_of,
)
from workerlib._rpc.remote_functions import OnReport, RemoteFunction, check_options
from workerlib._rpc.streams_consumed import AHEAD, Stream
from workerlib._values.references import Kept, Remote

STREAM_OF = "stream:"
"""The prefix of a method's name in a call that asks for a stream, where only the call tells."""


def remote(thing: Any) -> Any:
    """Has an object stay where it is: the other side gets a handle, whose methods call the object's.

    Instances of exported classes stay without it.

    Args:
        thing: The object.

    Returns:
        A value to send in its place. The same object arrives as the same handle each time.
    """
    return thing if isinstance(thing, Kept | RemoteObject) else Kept(thing)


class RemoteObject(Remote):
    """A handle of an object of the other side. Its methods are async: they call the object's public methods.

    `await table.query("…")` calls the method there. `async with table:` lets the object go at the end of the
    block, and so does the end of the last reference to the handle. A handle that is sent back arrives as the
    object itself.
    """

    __slots__ = ("__weakref__", "_held", "_methods", "_number")

    _has_methods = True

    def __init__(self, held: Any, methods: Methods, number: int | None = None) -> None:
        """Wraps a reference that this side holds, a `Held`. Users get handles as results and arguments.

        Args:
            held: The reference.
            methods: The methods.
            number: The number by which the other side has described its class, if it has.
        """
        self._held = held
        self._methods = methods
        self._number = number

    @classmethod
    def _of(cls, held: Any) -> RemoteObject:
        """Makes what stands for an object, of which a frame says its class and its methods.

        Raises:
            ValueError: If the frame says something else.
        """
        description = held.description
        if type(description) is tuple and len(description) in (2, 3) and type(description[0]) is str:
            _, methods, *number = description
            if (
                type(methods) is tuple
                and all(_is_method(one) for one in methods)
                and all(type(one) is int and 0 <= one < 1 << 32 for one in number)
            ):
                held.name = description[0]
                return cls(held, dict(methods), *number)
        raise ValueError("an object has to be described by the name of its class, its methods, and a number")

    def __getattr__(self, name: str) -> RemoteFunction:
        # Protocols of Python's own (copy, pickle …) ask for these.
        if name.startswith("_"):
            raise AttributeError(name)
        gives_stream = self._methods.get(name)
        if gives_stream is None and name not in self._methods:
            listed = ", ".join(self._methods) or "none"
            raise AttributeError(
                f"{self._held.name} has no public method {name!r}; its methods are: {listed}", name=name
            )
        return _method(self, name, gives_stream, self._known.get(name))

    @property
    def _known(self) -> Mapping[str, MethodThere]:
        """What the other side has told of the methods."""
        if self._number is None:
            return {}
        known: Mapping[str, MethodThere] = self._held.references.classes.heard(self._number)
        return known

    def __dir__(self) -> list[str]:
        """Lists the methods."""
        return sorted({*super().__dir__(), *self._methods})

    async def __aenter__(self) -> Self:
        """Returns the handle."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None
    ) -> None:
        """Lets the object go: this side does not hold it any more."""
        self._held.references.release(self._held)

    def __repr__(self) -> str:
        """Tells of which class the object is, and whether the handle has been closed."""
        return f"<remote {self._held.name}{', closed' if self._held.is_released else ''}>"

    def __del__(self) -> None:
        held = getattr(self, "_held", None)
        if held is not None:
            held.references.drop(held)


def _method(  # noqa: PLR0917 - the options are those of a method
    handle: RemoteObject,
    name: str,
    gives_stream: bool | None,
    known: MethodThere | None,
    timeout: float | None = None,
    on_report: OnReport | None = None,
    ahead: int | None = None,
) -> RemoteFunction:
    """Makes a method of a handle, with its options.

    It has the handle, as a bound method has its object. `gives_stream` is None if only a call tells.
    """
    held, may_stream = handle._held, gives_stream is not False
    called = f"{held.name}.{name}"

    def method(*args: Any, **kwargs: Any) -> Any:
        if held.is_released:
            raise closed_handle(called)
        call: Any = held.references.call(held, name, args, kwargs, timeout, on_report, handle)
        # Python's warning for a coroutine that was never awaited shows this name.
        call.__qualname__ = called
        return call

    def stream(*args: Any, **kwargs: Any) -> Any:
        if held.is_released:
            raise closed_handle(called)
        member = name if gives_stream else STREAM_OF + name

        def open_(it: Stream[Any]) -> Coroutine[Any, Any, Any]:
            return _open(it, held.references.call(held, member, args, kwargs, timeout, on_report))

        made: Stream[Any]
        if gives_stream:
            made = Stream(called, open_, timeout=timeout, ahead=ahead or AHEAD)
        else:
            call = partial(method, *args, **kwargs)
            made = CallOrStream(called, open_, call, timeout=timeout, ahead=ahead or AHEAD)
        # The object is closed when its last handle is gone, so the items need one.
        made.keeps = handle
        return made

    def options(
        *, timeout: float | None = None, on_report: OnReport | None = None, ahead: int | None = None
    ) -> RemoteFunction:
        check_options(called, may_stream, timeout, on_report, ahead)
        return _method(handle, name, gives_stream, known, timeout, on_report, ahead)

    function: Any = stream if may_stream else method
    function.__name__, function.__qualname__ = name, called
    # Python's errors about its arguments show it.
    options.__qualname__ = f"{called}.options"
    function.options = options
    if known is not None:
        function.__doc__ = known.doc
        if (signature := known.signature) is not None:
            function.__signature__ = signature
    mark = getattr(inspect, "markcoroutinefunction", None)
    return cast("RemoteFunction", function if mark is None or gives_stream else mark(function))


def closed_handle(called: str) -> ValueError:
    """Makes the error of a call of a method whose handle has been closed."""
    return ValueError(f"{called}() is called on a handle that has been closed")


async def _open(stream: Stream[Any], call: Coroutine[Any, Any, Any]) -> Any:
    """Makes the call of a method that gives a stream, and returns where its items arrive."""
    stream.opening = asyncio.ensure_future(call)
    arrived = await stream.opening
    if type(arrived) is not Stream:
        return arrived
    inbox = arrived.inbox
    assert inbox is not None
    inbox.name = stream.name
    inbox.ask(stream.ahead)
    return inbox


def described(thing: Any) -> ClassDescription:
    """Describes the class of an object; of a handle that of its object."""
    if not isinstance(thing, RemoteObject):
        return described_class(type(thing))
    known = thing._known
    exports = [
        known[name].export if name in known else (name, None, None, None, kind_of_method(gives_stream))
        for name, gives_stream in thing._methods.items()
    ]
    return ClassDescription(thing._held.name, thing._methods, exports)


def _is_method(one: object) -> bool:
    if type(one) is not tuple or len(one) != 2:
        return False
    name, gives_stream = one
    return type(name) is str and (gives_stream is None or type(gives_stream) is bool)


_holders: dict[int, tuple[Any, int]] = {}
"""The objects that connections have given, and how many connections have."""


def hold(thing: Any) -> None:
    """Notes that one more connection has given an object."""
    _, count = _holders.get(id(thing), (thing, 0))
    _holders[id(thing)] = thing, count + 1


def let_go(thing: Any) -> bool:
    """Notes that one connection less has given an object; returns whether it was the last one."""
    _, count = _holders[id(thing)]
    if count > 1:
        _holders[id(thing)] = thing, count - 1
        return False
    del _holders[id(thing)]
    return True


def close(thing: Any, loop: asyncio.AbstractEventLoop) -> None:
    """Calls the method `close()` of an object that nobody holds any more, if it has one.

    Args:
        thing: The object.
        loop: Runs `close()` if it is async, and hears what it raises.
    """
    if "close" not in methods_of(type(thing)):
        return
    try:
        closing = thing.close()
        if inspect.iscoroutine(closing):
            _closing.add(task := loop.create_task(closing))
            task.add_done_callback(_closing.discard)
    except Exception as error:
        message = f"close() of a {type(thing).__qualname__} that nobody holds any more raised"
        loop.call_exception_handler({"message": message, "exception": error})


_closing: set[asyncio.Task[Any]] = set()
"""The tasks that close objects: a loop alone does not keep them."""
