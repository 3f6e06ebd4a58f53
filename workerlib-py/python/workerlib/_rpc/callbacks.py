"""Provides callbacks: what stands here for a function of the other side's, and `callback()`.

`_rpc/references.py` sends the calls and keeps count of the callbacks. This module has no state.
"""

from __future__ import annotations

from typing import Any, TypeVar

from workerlib._rpc.reply import Reply
from workerlib._values.references import Marked, Remote

_F = TypeVar("_F")


def callback(function: _F) -> _F:
    """Marks a function as one that is to be called where it is, though it is sent to the other side.

    Functions among arguments and results become callbacks without it. A connection with `strict=True` asks
    for it, and so does a function that is exported or registered, which arrives as itself otherwise.

    Args:
        function: The function, sync or async, or anything else that can be called.

    Returns:
        An object that can be called here as the function can, and arrives as a callback.

    Raises:
        TypeError: If the argument cannot be called.
    """
    if not callable(function):
        raise TypeError(f"callback() takes what can be called, not {type(function).__qualname__}")
    return Marked(function)  # type: ignore[return-value]


class Callback(Remote):
    """A function of the other side's. Calling it sends the call at once and returns a `Reply`.

    It can be called as long as the connection is open, also after the end of the call that it was passed to.
    If that call is cancelled, the function is not called any more, and the `Reply` raises.
    """

    __slots__ = ("__weakref__", "_held")

    def __init__(self, held: Any) -> None:
        """Wraps a reference that this side holds, a `Held`. Users get callbacks as arguments and results."""
        self._held = held

    @classmethod
    def of(cls, held: Any) -> Callback:
        """Makes what stands for a function, of which a frame says its name.

        Raises:
            ValueError: If the frame says something else.
        """
        if type(held.description) is not str:
            raise ValueError("a function has to be described by its name")
        return cls(held)

    def __call__(self, *args: Any, **kwargs: Any) -> Reply[Any]:
        """Calls the function.

        Returns:
            The answer: `await` it, take its `result()`, or drop it.

        Raises:
            UnsendableError: If an argument cannot be sent; nothing was sent then.
            BackPressureError: If 4,096 calls have no answer, and sync code cannot wait here.
            ConnectionClosedError: If the connection is closed.
            WorkerDiedError: If it is because the other side is gone.
        """
        held = self._held
        reply: Reply[Any] = held.references.invoke(held, "", args, kwargs)
        return reply

    @property
    def __name__(self) -> str:
        """The name of the function."""
        return str(self._held.name)

    def __repr__(self) -> str:
        """Tells of which function it is."""
        return f"<callback {self._held.name}>"

    def __del__(self) -> None:
        held = getattr(self, "_held", None)
        if held is not None:
            held.references.drop(held)
