"""An adapter: how objects of one class are sent and made again. `adapters.py` has the registry of them."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, final

from workerlib._values.bases import BASES

Encode = Callable[[Any], Any]
Decode = Callable[..., Any]

ADAPTED: Final = 82
"""The extension type of an object that passed through an adapter: docs/wire-format.md, section 4.7."""

AdapterDescription = tuple[str, str | None, bool]
"""Key, entry of the configuration if it stands in one, whether the decoder is async."""


@final
class All:
    """Stands in a configuration for everything: `"workerlib" = ["All", "pickle", "pickle"]`.

    Each argument and each result passes through that adapter as a whole.
    """


@dataclass(frozen=True)
class Adapter:
    """How instances of one class are sent and made again."""

    key: str
    """Its name on both sides."""
    cls: type
    """The class; `object` for all that nothing else is for."""
    encode: Encode | None
    """Makes what is sent; None for an enum's value, or the builtin base's value."""
    decode: Decode
    """Makes an instance of what was sent."""
    takes_name: bool
    """Whether the decoder gets the name of the object's own class too."""
    is_async: bool
    """Whether the decoder is known to be async."""
    entry: str | None = None
    """The entry in the configuration, for messages; None if it was registered by Python code."""

    def encodes(self, cls: type) -> bool:
        """Returns whether instances of a class pass through this adapter on their way out."""
        if not _is_subclass(cls, self.cls):
            return False
        return self.encode is not None or _finds_value(cls) is not None


class AdapterFailure(Exception):
    """Carries what a decoder raised past those who take any error for one of the frame."""

    def __init__(self, error: BaseException, key: str) -> None:
        super().__init__(error, key)
        self.error = error
        self.key = key


class Whole:
    """An argument or a result that passes through the adapter for everything."""

    __slots__ = ("value",)

    def __init__(self, value: object) -> None:
        """Wraps it."""
        self.value = value


def key_of(cls: type) -> str:
    """Names an adapter by its class."""
    return f"{getattr(cls, '__module__', '?')}:{getattr(cls, '__qualname__', cls)}"


def class_name_of(value: object) -> str:
    """Names the class of an object for decoders: `module.Class`, but `int`."""
    cls = type(value.value if type(value) is Whole else value)
    return cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"


def encode(adapter: Adapter, value: Any) -> Any:
    """Calls the encoder, or finds what is sent where there is none."""
    if type(value) is Whole:
        value = value.value
    if adapter.encode is not None:
        return adapter.encode(value)
    find = _finds_value(type(value))
    assert find is not None
    return find(value)


def _finds_value(cls: type) -> Callable[[Any], Any] | None:
    if issubclass(cls, enum.Enum):
        # The sunder name: a member or a property may be called `value`.
        return lambda value: value._value_
    return next((find for base, find in BASES.items() if issubclass(cls, base) and cls is not base), None)


def _is_subclass(cls: type, of: type) -> bool:
    try:
        return issubclass(cls, of)
    except TypeError:
        # A class may answer in any way, or not at all.
        return False
