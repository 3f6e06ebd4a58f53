"""The driver of a session: it carries out what `workerlib._native.Session` decides.

It holds the futures of the calls that this side made and the tasks of those that it serves, by id, and
nothing else about the state of the connection. It knows no host: bytes go through an `Endpoint`.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from workerlib._errors import (
    ConnectionClosedError,
    FrameError,
    NotExportedError,
    ProtocolError,
    describe,
    rebuild,
)
from workerlib._exports import ExportDescription, Function
from workerlib._native import Session, dismantle


class Endpoint(Protocol):
    """One end of a channel that carries frames in order, such as a MessagePort."""

    def listen(
        self, on_message: Callable[[bytes, list[Any]], None], on_broken: Callable[[str], None]
    ) -> None:
        """Has `on_message` called with each frame and its buffers, `on_broken` if no more can come."""

    def post(self, frame: bytes, buffers: list[Any]) -> None:
        """Sends a frame and its buffers, whose content is copied before this returns."""

    def close(self) -> None:
        """Frees the channel, after what was posted has been sent."""


class Connection:
    """One side of a connection, either side."""

    def __init__(self, session: Session, endpoint: Endpoint, functions: Mapping[str, Function]) -> None:
        """Starts the session.

        Args:
            session: A new session.
            endpoint: The channel, which this connection closes when it ends.
            functions: What the other side may call, by name; looked up at each call.
        """
        self._loop = asyncio.get_running_loop()
        self._session = session
        self._endpoint = endpoint
        self._functions = functions
        # A result travels in a list, out of which it is taken: the future would keep it alive otherwise
        # until the loop's next turn, and with it memory, or a depth that its user is about to dismantle.
        self._calls: dict[int, asyncio.Future[list[Any]]] = {}
        self._served: dict[int, asyncio.Task[None]] = {}
        self.opened: asyncio.Future[list[ExportDescription]] = self._loop.create_future()
        """Done when the handshake has ended: with what the other side exports, or with an error."""
        self.closed: asyncio.Future[str] = self._loop.create_future()
        """Done when the connection has ended: with the reason."""
        # Nobody has to ask for the outcome of the handshake.
        self.opened.add_done_callback(lambda future: future.cancelled() or future.exception())
        endpoint.listen(self._receive, self.close)
        self._carry_out()

    async def call(self, function: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Calls a function of the other side and returns its result.

        Args:
            function: The exported name.
            args: The positional arguments; their content is what it is now.
            kwargs: The keyword arguments, likewise.

        Raises:
            UnsendableError: If an argument cannot be sent; nothing was sent then.
            ConnectionClosedError: If the connection is closed, or closes before the answer.
            BaseException: What the function raised: see `_errors.rebuild`.
        """
        call = self._session.call(function, args, kwargs)
        future = self._calls[call] = self._loop.create_future()
        self._carry_out()
        try:
            return (await future).pop()
        finally:
            del self._calls[call]
            if self._session.cancel(call):
                self._carry_out()

    def close(self, reason: str = "closed by its user") -> None:
        """Ends the connection; calls without an answer raise ConnectionClosedError."""
        self._session.close(reason)
        self._carry_out()

    def _receive(self, frame: bytes, buffers: list[Any]) -> None:
        self._session.handle(frame, buffers)
        self._carry_out()

    def _carry_out(self) -> None:
        """Sends what the session wants sent and does what its events say."""
        while (transmit := self._session.poll_transmit()) is not None:
            try:
                self._endpoint.post(*transmit)
            except Exception as error:
                self._session.close(f"the channel failed: {error}")
        while (event := self._session.poll_event()) is not None:
            getattr(self, f"_on_{event[0]}")(*event[1:])

    def _on_opened(self, _version: str, exports: list[ExportDescription]) -> None:
        if not self.opened.done():
            self.opened.set_result(exports)

    def _on_call(
        self, call: int, function: str, args: tuple[Any, ...], kwargs: dict[str, Any], is_deep: bool
    ) -> None:
        serving = self._serve(call, function, [args, kwargs], is_deep)
        self._served[call] = self._loop.create_task(serving, name=f"workerlib: {function}")

    def _on_bad_call(self, call: int, function: str, error: FrameError) -> None:
        error.add_note(f"The arguments of {function}() could not be read in the worker.")
        self._answer_error(call, error)

    def _on_cancel(self, call: int) -> None:
        if task := self._served.get(call):
            task.cancel()

    def _on_return(self, call: int, result: list[Any], is_deep: bool) -> None:
        future = self._calls[call]
        if not future.done():
            future.set_result(result)
        elif is_deep:
            # Its caller was cancelled in this turn of the loop.
            dismantle(result)

    def _on_raise(self, call: int, description: object) -> None:
        try:
            error = rebuild(description)
        except FrameError as unreadable:
            error = unreadable
        self._on_bad_answer(call, error)

    def _on_bad_answer(self, call: int, error: BaseException) -> None:
        future = self._calls[call]
        if not future.done():
            future.set_exception(error)

    def _on_closed(self, kind: str, reason: str, lost: list[int]) -> None:
        for call in lost:
            # One error for each: two waiters must not share a traceback.
            self._on_bad_answer(
                call, ConnectionClosedError(f"the connection was closed before the answer: {reason}")
            )
        if not self.opened.done():
            self.opened.set_exception(
                ProtocolError(reason) if kind == "protocol" else ConnectionClosedError(reason)
            )
        for task in self._served.values():
            task.cancel()
        self._endpoint.close()
        self.closed.set_result(reason)

    async def _serve(self, call: int, name: str, arguments: list[Any], is_deep: bool) -> None:
        """Runs a call of the other side and answers it.

        Args:
            call: Names the call.
            name: The exported name.
            arguments: The positional and the keyword arguments, to which nothing else refers.
            is_deep: Whether Python would overflow the stack if it freed them.
        """
        result: list[Any] = []
        try:
            function = self._functions.get(name)
            if function is None:
                raise not_exported(name, self._functions)
            result.append(function(*arguments[0], **arguments[1]))
            if inspect.isawaitable(result[0]):
                result[0] = await result[0]
            if self._session.return_value(call, result[0]):
                dismantle(result)
            self._carry_out()
        # KeyboardInterrupt and SystemExit are the function's outcome too: they must not end the worker.
        except BaseException as error:
            self._answer_error(call, error)
        finally:
            del self._served[call]
            if is_deep:
                dismantle(arguments)

    def _answer_error(self, call: int, error: BaseException) -> None:
        try:
            self._session.raise_error(call, describe(error))
        except Exception as failure:
            # Whatever it is, the caller must not wait for ever.
            text = f"{type(error).__qualname__} was raised and could not be sent: {failure!r}"
            self._session.raise_error(call, describe(RuntimeError(text)))
        self._carry_out()


def not_exported(name: str, exported: Mapping[str, object]) -> NotExportedError:
    """Makes the error for a name that is not exported, which lists those that are."""
    listed = ", ".join(exported) or "nothing"
    return NotExportedError(f"the worker does not export {name!r}; it exports {listed}", name=name)
