"""The value of a builtin base class in an object of a subclass, without a method of the subclass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

BASES: dict[type, Callable[[Any], Any]] = {
    # The base's own methods: those of a subclass may do anything.
    int: int.__index__,
    float: float.__float__,
    complex: complex.__complex__,
    str: str.__str__,
    bytes: bytes.__bytes__,
    bytearray: bytearray,
    tuple: lambda value: tuple.__getitem__(value, slice(None)),
    list: lambda value: list.__getitem__(value, slice(None)),
    dict: dict.copy,
    set: lambda value: set(set.__iter__(value)),
    frozenset: lambda value: frozenset(frozenset.__iter__(value)),
}
"""Functions that make the plain value of a builtin base of an instance of a subclass."""
