"""Makes the functions of the other side callable: each returns a coroutine that makes the call, or a stream.

`Worker` and `Page` (`_api`) show these functions to users, and the connection finds them when a function of
the other side arrives among values. The calls themselves are made by the connection (`_rpc/connection.py`).
"""

from __future__ import annotations

import functools
import inspect
import math
import sys
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any, Protocol, Self, cast

from workerlib._errors import NotExportedError, ProtocolError
from workerlib._exports import ExportDescription
from workerlib._result_kinds import DECORATED, EITHER, STREAM
from workerlib._rpc import starts
from workerlib._rpc.any_call import NAME as ANY_CALL
from workerlib._rpc.any_call import AnyCall
from workerlib._rpc.call_log import CallLog
from workerlib._rpc.calls_or_streams import CallOrStream
from workerlib._rpc.functions_there import FunctionsThere, check_parameters, signature_of
from workerlib._rpc.streams_consumed import AHEAD, Stream
from workerlib._users.options import require_callable, require_count, require_seconds
from workerlib._values.functions import CalledThere, mark_remote
from workerlib._values.references import References

_MOST_EXPORTS = 10_000
"""The most functions that the other side may export: one message may describe as many."""

OnReport = Callable[..., object]
"""Is called with what a function reports: `CallOptions.on_report`."""


class Caller(Protocol):
    """The connection that makes the calls."""

    functions: Mapping[str, Any]
    functions_there: FunctionsThere
    streams: Any
    log: CallLog

    @property
    def references(self) -> References:
        """The functions and objects that stay where they are and are called there."""

    def call(
        self,
        function: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        timeout: float | None = None,
        on_report: OnReport | None = None,
        *,
        stream: Stream[Any] | None = None,
    ) -> Coroutine[Any, Any, Any]:
        """Calls a function of the other side."""


class RemoteFunction(Protocol):
    """A function of the other side: the result of a call is a coroutine, or a stream."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Makes a call, which starts when it is awaited or becomes a task.

        Returns:
            A coroutine. Of a function with a `yield`, a `Stream`, which starts at its first step. Of one that
            may return a generator, a `CallOrStream`, which is awaited or iterated over.
        """

    def options(
        self, *, timeout: float | None = None, on_report: OnReport | None = None, ahead: int | None = None
    ) -> RemoteFunction:
        """Returns the function with other options: `await worker.f.options(timeout=5)(1, x=2)`.

        Args:
            timeout: The number of seconds that a call may run on the other side; None for any. A call that
                runs for longer is cancelled, and raises TimeoutError. Time in the queue does not count. Of a
                stream, the number of seconds that each step may take.
            on_report: A function that is called with the arguments of each `workerlib.report(...)` of the
                running call, before the call returns. An exception that it raises ends the call, and is
                raised by it.
            ahead: The number of items that a stream may be ahead of the loop over it; by default 1,024.

        Returns:
            The same function with these options.

        Raises:
            ValueError: If the timeout is not positive, or `ahead` is less than 1.
            TypeError: If `ahead` is given for a function without a `yield`.
        """


def learn(connection: Caller, name: str, title: str, exports: list[ExportDescription]) -> None:
    """Puts the functions of exports among the connection's `functions_there`.

    Args:
        connection: Makes the calls.
        name: The name of the other side, for the names of its functions.
        title: The other side's title in messages: "the page".
        exports: The descriptions, as the other side has sent them.

    Raises:
        ProtocolError: If a description is one that no function has, or there are too many.
    """
    functions = connection.functions_there
    for export in exports:
        if len(functions) == _MOST_EXPORTS and export[0] not in functions:
            raise ProtocolError(f"{title} exports more than {_MOST_EXPORTS:,} functions")
        check_parameters(title, export[0], export[2])
        functions.add(export[0], partial(_remote_function, connection, name, export))


def not_exported(name: str, exported: Mapping[str, object], other: str = "the worker") -> NotExportedError:
    """Makes the error for a name that is not exported, which lists the names that are.

    Args:
        name: The name.
        exported: The exports, by name.
        other: The side that does not export it.
    """
    listed = ", ".join(exported) or "nothing"
    return NotExportedError(f"{other} does not export {name!r}; it exports {listed}", name=name)


def _remote_function(connection: Caller, other: str, export: ExportDescription) -> RemoteFunction:
    name, doc, parameters, returns, kind = export
    is_stream, is_either = bool(kind & STREAM), bool(kind & EITHER)
    signature = None if parameters is None else signature_of(parameters, returns)
    # What a decorated function takes is known there only.
    bound = None if kind & DECORATED else signature
    least, most = (0, math.inf) if bound is None else _positional(bound)

    def with_options(
        *, timeout: float | None = None, on_report: OnReport | None = None, ahead: int | None = None
    ) -> RemoteFunction:
        check_options(name, is_stream or is_either, timeout, on_report, ahead)

        def open_stream(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Stream[Any]:
            def open_(stream: Stream[Any]) -> Coroutine[Any, Any, Any]:
                return connection.call(name, args, kwargs, timeout, on_report, stream=stream)

            if is_either:
                call = partial(make_call, args, kwargs)
                return CallOrStream(name, open_, call, timeout=timeout, ahead=ahead or AHEAD)
            return Stream(name, open_, timeout=timeout, ahead=ahead or AHEAD)

        def make_call(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Coroutine[Any, Any, Any]:
            call: Any = connection.call(name, args, kwargs, timeout, on_report)
            if connection.log.is_on:
                call = connection.log.waiting(name, call)
            # Python's warning for a coroutine that was never awaited shows this name.
            call.__qualname__ = called
            return call  # type: ignore[no-any-return]

        def function(*args: Any, **kwargs: Any) -> Any:
            if starts.on_new_caller is not None:
                try:
                    caller = sys._getframe(1)
                except ValueError:
                    # JavaScript and Rust have no frame, and nothing of theirs can block.
                    pass
                else:
                    if id(caller.f_code) not in starts.known_callers:
                        starts.on_new_caller(caller)
            # Binding takes as long as the rest of a small call. Most calls have positional arguments only.
            if bound is not None and (kwargs or not least <= len(args) <= most):
                try:
                    bound.bind(*args, **kwargs)
                except TypeError as error:
                    # `inspect` leaves the verb out of these two texts.
                    text = f"got {error}" if str(error).startswith(("too many", "multiple")) else str(error)
                    raise TypeError(f"{name}() {text}; its signature is {name}{bound}") from None
            if is_stream or is_either:
                return open_stream(args, kwargs)
            # As `make_call` does it.
            call: Any = connection.call(name, args, kwargs, timeout, on_report)
            if connection.log.is_on:
                call = connection.log.waiting(name, call)
            call.__qualname__ = called
            return call

        called = function.__qualname__ = f"{other}.{name}"
        # Python's errors about its arguments show it.
        with_options.__qualname__ = f"{called}.options"
        function.__name__ = name
        function.__module__ = __name__
        function.__doc__ = doc
        function.options = with_options  # type: ignore[attr-defined]
        mark_remote(function, connection, name)
        if signature is not None:
            function.__signature__ = signature  # type: ignore[attr-defined]
        # Python 3.12 can mark a function as a coroutine function although it is not `async def`.
        mark = getattr(inspect, "markcoroutinefunction", None)
        return cast("RemoteFunction", function if mark is None or is_stream else mark(function))

    made = with_options()
    if name == ANY_CALL:
        return cast("RemoteFunction", AnyCall(made))
    members = connection.functions_there.members(name)
    # A function of the same name as the class that it returns would only get another error for attributes.
    is_class = returns is not None and returns == name.rpartition(".")[2]
    return RemoteClass(made, members) if members or is_class else made


class RemoteClass(CalledThere):
    """A class of the other side: it is called as a function, and has class methods and static methods."""

    def __init__(self, function: RemoteFunction, members: Mapping[str, Any]) -> None:
        """Makes one; users get them as `worker.Table`.

        Args:
            function: Makes an instance there.
            members: The functions that can be called on the class, by their names.
        """
        self._function = function
        self._members = members
        # The name, the docstring, the signature, and what says whose function it is.
        functools.update_wrapper(self, function)
        for own in ("__wrapped__", "options"):
            del self.__dict__[own]
        for name, member in members.items():
            # `options` is the class's own: `worker["Table.options"]` is the other one.
            if name != "options":
                self.__dict__[name] = member

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Makes an instance there."""
        return self._function(*args, **kwargs)

    def options(
        self, *, timeout: float | None = None, on_report: OnReport | None = None, ahead: int | None = None
    ) -> RemoteFunction:
        """Returns the class with other options for the call that makes an instance."""
        return RemoteClass(
            self._function.options(timeout=timeout, on_report=on_report, ahead=ahead), self._members
        )

    def __getattr__(self, name: str) -> RemoteFunction:
        # Protocols of Python's own (copy, inspect …) ask for these.
        if name.startswith("_"):
            raise AttributeError(name)
        cls = self.__name__
        listed = ", ".join(self._members) or "none"
        raise AttributeError(
            f"{cls} has no exported class method or static method {name!r}; it has: {listed}. The methods of"
            f" its instances are called on a handle: `handle = await worker.{cls}(…)`, then"
            f" `await handle.{name}(…)`",
            name=name,
        )

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        # As a function.
        return self

    def __repr__(self) -> str:
        """Tells which class it is."""
        return f"<remote class {self.__name__}>"


def check_options(
    name: str, is_stream: bool, timeout: float | None, on_report: OnReport | None, ahead: int | None
) -> None:
    """Checks the options of a call.

    Args:
        name: The name of the function.
        is_stream: Whether it gives a stream.
        timeout: See `RemoteFunction.options`.
        on_report: Likewise.
        ahead: Likewise.

    Raises:
        ValueError: If a number is out of its range.
        TypeError: If an option is of another type, or is not for this function.
    """
    if timeout is not None and require_seconds("timeout", timeout) <= 0:
        raise ValueError(f"a timeout of {timeout} seconds is over before {name}() can run")
    if ahead is not None and not is_stream:
        raise TypeError(f"{name}() is not a stream: ahead= is for functions with a `yield`")
    if ahead is not None and require_count("ahead", ahead, 1) >= 1 << 32:
        raise ValueError(f"ahead={ahead!r}: write a number below 2**32")
    require_callable("on_report", on_report)


def _positional(signature: inspect.Signature) -> tuple[float, float]:
    """Counts the positional arguments, at least and at most, of a call without keyword arguments."""
    least, most = 0.0, 0.0
    for parameter in signature.parameters.values():
        is_required = parameter.default is parameter.empty
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            least += is_required
            most += 1
        elif parameter.kind is parameter.VAR_POSITIONAL:
            most = math.inf
        elif parameter.kind is parameter.KEYWORD_ONLY and is_required:
            least = math.inf
    return least, most
