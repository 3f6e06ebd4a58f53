"""The protocol of a channel that carries the frames of a connection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

from workerlib._exports import Function
from workerlib._native import Session


class OnDeath(Protocol):
    """Hears that the other side has died: `Connection.die`."""

    def __call__(self, reason: str, cause: BaseException | None = None, /) -> None:
        """Takes the reason, and the error by which the other side ended, where one is known."""


class Endpoint(Protocol):
    """One end of a channel that carries frames in order, such as a MessagePort."""

    def starts_at_once(self, name: str, function: Function | None, has_callback: bool) -> bool:
        """Tells whether a call may start while a message is handled: not if its function may block there.

        Args:
            name: The exported name.
            function: The function; None if there is none of that name.
            has_callback: Whether a function of the other side's is among the arguments.
        """

    def listen(
        self,
        on_message: Callable[[bytes, list[Any]], None],
        on_broken: Callable[[str], None],
        on_death: OnDeath | None = None,
    ) -> None:
        """Starts to deliver.

        Args:
            on_message: Called with each frame and its buffers.
            on_broken: Called with the reason if no more can come.
            on_death: Called with the reason if the other side says that it has failed fatally.
        """

    def post(self, frame: bytes, buffers: list[Any]) -> None:
        """Sends a frame and its buffers, whose content is copied before this returns."""

    def post_all(self, messages: list[tuple[bytes, list[Any]]]) -> None:
        """Sends several, in their order."""

    def close(self) -> None:
        """Frees the channel, after what was posted has been sent."""


@runtime_checkable
class BlockingEndpoint(Endpoint, Protocol):
    """An endpoint at which a thread can wait for messages while the event loop stands."""

    @property
    def can_block(self) -> bool:
        """Whether it can, as this host and its peer are."""

    def sleep(self, seconds: float) -> None:
        """Sleeps until something may have arrived, or so many seconds; an interrupt may be raised here."""

    def take_in(self) -> None:
        """Delivers what has arrived, to what `listen` was given."""


class ShortEndpoint(Endpoint, Protocol):
    """An endpoint past which small frames can go: between JavaScript and the session."""

    def shorten(self, session: Session, connection: Any) -> tuple[int, int] | None:
        """Has small frames go past this endpoint from now on.

        Args:
            session: Takes them in.
            connection: The connection, which does what the session leaves to it.

        Returns:
            The place of a function in WebAssembly's table that sends a frame, and what it knows this channel
            by. None if there is no such function.
        """
