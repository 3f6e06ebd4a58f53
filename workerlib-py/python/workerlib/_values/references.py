"""References as values: what is called where it is, since it cannot travel. docs/wire-format.md, section 4.9.

This module knows how a reference stands in a frame. The references of a connection keep count of them
(`_rpc/references.py`), and `_rpc/callbacks.py` has what the receiver gets.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn, Protocol, Self, SupportsIndex

from workerlib._values.row import Built, RefusedError

Parts = tuple[str, int, "str | None", Any]
"""Whose it is (`"sender"` or `"receiver"`), its number, its kind, and its description."""


class References(Protocol):
    """The part of a connection that deals with references in values."""

    def give_function(self, function: Callable[..., Any]) -> Parts:
        """Gives a function to the other side, and says how it stands in a frame."""

    def give_object(self, thing: Any, closes: bool) -> Parts:
        """Gives an object to the other side, and says how it stands in a frame."""

    def carry(self, remote: Remote) -> Parts | None:
        """Says how something of the other side's stands in a frame; None if it is of another connection.

        Raises:
            RefusedError: If it is a handle that has been closed.
        """

    def receive(self, owner: object, number: object, kind: object, description: object) -> Any:
        """Makes what a reference in a frame means."""


class Remote:
    """The base of what stands for something on the other side.

    A copy is the same object, as that of a function is: the reference ends with the last one that has it.
    """

    __slots__ = ()

    _has_methods = False
    """Whether it stands for an object, whose methods are called, and not for a function."""

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        raise TypeError(
            f"{self!r} cannot be pickled, since it belongs to a connection: pass it to a function of a"
            " worker as it is"
        )


class Marked:
    """A function of this side that its user sends as a callback on purpose."""

    __slots__ = ("__wrapped__",)

    def __init__(self, function: Callable[..., Any]) -> None:
        """Wraps a function."""
        self.__wrapped__ = function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Calls the function here."""
        return self.__wrapped__(*args, **kwargs)

    def __repr__(self) -> str:
        """Tells of which function it is."""
        return f"workerlib.callback({self.__wrapped__!r})"


class Kept:
    """An object of this side that its user sends as a handle."""

    __slots__ = ("__wrapped__",)

    def __init__(self, thing: Any) -> None:
        """Wraps an object."""
        self.__wrapped__ = thing

    def __repr__(self) -> str:
        """Tells of which object it is."""
        return f"workerlib.remote({self.__wrapped__!r})"


def take_apart_object(references: References | None, value: Any) -> Parts:
    """Says how an object that stays where it is stands in a frame.

    Args:
        references: Those of the connection that the values are of, if they are of one.
        value: A `Kept` object, or an instance of an exported class.
    """
    if references is None:
        raise RefusedError("a handle can only be sent over a connection, and there is none here")
    if type(value) is Kept:
        return references.give_object(value.__wrapped__, False)
    return references.give_object(value, True)


def take_apart_reference(references: References | None, value: Any) -> Parts:
    """Says how a callback, or what stands for something of the other side's, stands in a frame.

    Args:
        references: Those of the connection that the values are of, if they are of one.
        value: A function, a `Marked` one, or a `Remote`.
    """
    if references is None:
        raise RefusedError("a callback can only be sent over a connection, and there is none here")
    if isinstance(value, Remote):
        parts = references.carry(value)
        if parts is not None:
            return parts
        if value._has_methods:
            # The other side calls the methods by way of this one.
            return references.give_object(value, False)
    return references.give_function(value.__wrapped__ if type(value) is Marked else value)


def build_reference(references: References | None, *values: Any) -> Any:
    """Makes what a reference in a frame means."""
    if references is None:
        raise ValueError("a reference needs a connection, and there is none here")
    if len(values) != 4:
        raise ValueError("a reference has four values: owner, number, kind and description")
    return references.receive(*values)


KIND = 97
"""The extension type of references."""


def row(take_apart: Callable[[Any], Parts], build: Callable[..., Any]) -> Built:
    """Makes the row of references."""
    return Built(KIND, "reference", take_apart, build)
