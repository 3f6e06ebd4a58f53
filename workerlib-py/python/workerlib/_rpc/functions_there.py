"""Provides the functions of the other side by their names, and checks how that side describes them.

A connection has one such mapping, which `remote_functions.py` fills. A function is made when it is first
asked for: most programs call a few of a worker's functions, and connecting should not wait for the others. It
makes no functions itself.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from keyword import iskeyword
from typing import Any
from weakref import WeakValueDictionary

from workerlib._errors import ProtocolError

Parameters = list[tuple[str, int, str | None, str | None]]
_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


class FunctionsThere(Mapping[str, Any]):
    """The functions that the other side exports, by name."""

    def __init__(self) -> None:
        """Starts with none."""
        self._makers: dict[str, Callable[[], Any]] = {}
        self._made: dict[str, Any] = {}
        self._members: dict[str, list[str]] = {}

    def add(self, name: str, make: Callable[[], Any]) -> None:
        """Notes an export, in place of an earlier one of that name.

        Args:
            name: The exported name.
            make: Makes the function that calls it.
        """
        self._makers[name] = make
        self._made.pop(name, None)
        owner, _, member = name.rpartition(".")
        if owner:
            self._members.setdefault(owner, []).append(member)
            self._made.pop(owner, None)

    def members(self, name: str) -> dict[str, Any]:
        """Returns the functions that can be called on an exported class, by their names there."""
        return {member: self.get(f"{name}.{member}") for member in self._members.get(name, ())}

    def let_go(self) -> bool:
        """Forgets the functions that nobody else holds; returns whether any is left."""
        held: WeakValueDictionary[str, Any] = WeakValueDictionary(self._made)
        self._made.clear()
        self._made.update(held)
        return bool(self._made)

    def get(self, name: str, default: Any = None) -> Any:
        """Returns the function of that name."""
        function = self._made.get(name)
        if function is None:
            make = self._makers.get(name)
            if make is None:
                return default
            function = self._made[name] = make()
        return function

    def __getitem__(self, name: str) -> Any:
        function = self.get(name)
        if function is None:
            raise KeyError(name)
        return function

    def __contains__(self, name: object) -> bool:
        return name in self._makers

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)


class _Default:
    """The default of a remote parameter: this side knows its `repr()` only."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def signature_of(parameters: Parameters, returns: str | None) -> inspect.Signature:
    """Makes the signature that the other side describes.

    Args:
        parameters: The parameters as the other side describes them.
        returns: The text of the return annotation, if there is one.

    Raises:
        ValueError: If no function has such parameters.
        TypeError: Likewise.
    """
    empty = inspect.Parameter.empty
    return inspect.Signature(
        [
            inspect.Parameter(
                name,
                inspect._ParameterKind(kind),
                default=empty if default is None else _Default(default),
                annotation=empty if annotation is None else annotation,
            )
            for name, kind, default, annotation in parameters
        ],
        return_annotation=empty if returns is None else returns,
    )


def check_parameters(title: str, name: str, parameters: Parameters | None) -> None:
    """Checks that a function can have the parameters that the other side describes.

    Args:
        title: The other side's title in messages: "the page".
        name: The name of the function.
        parameters: The parameters; None if they are not known.

    Raises:
        ProtocolError: If no function has such parameters.
    """
    if parameters is None or is_plain(parameters):
        return
    try:
        signature_of(parameters, None)
    except (ValueError, TypeError) as error:
        raise ProtocolError(
            f"{title} describes its export {name!r} as no function can be: {error}"
        ) from error


def is_plain(parameters: Parameters) -> bool:
    """Tells whether a function can have these parameters, where that is seen at a glance.

    `inspect.Signature` decides about all others. It takes ten times as long.

    Args:
        parameters: The parameters as the other side describes them.
    """
    last, has_default = 0, False
    for name, kind, default, _annotation in parameters:
        if not last <= kind <= inspect.Parameter.VAR_KEYWORD or not name.isidentifier() or iskeyword(name):
            return False
        if kind in _VARIADIC and (default is not None or kind == last):
            return False
        if kind < inspect.Parameter.VAR_POSITIONAL:
            if default is None and has_default:
                return False
            has_default = default is not None
        last = kind
    return len({parameter[0] for parameter in parameters}) == len(parameters)
