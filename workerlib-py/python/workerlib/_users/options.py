"""Checks of options that users give: each error names the option, what was given, and what to write instead.

Python itself would raise far from the call, or not at all: a text has no `<`, a NaN is never too late.
"""

from __future__ import annotations

import math
import operator
import os
from collections.abc import Iterable
from typing import Any


def require_number(option: str, value: Any, what: str) -> float:
    """Returns a number; infinity is one.

    Args:
        option: The name of the option, for the error.
        value: The value that the user gave.
        what: The rest of "a number", such as "of seconds".

    Raises:
        TypeError: If it is not a number.
        ValueError: If it is not a number, as IEEE 754 has it.
    """
    # `float()` reads texts, and False would be no time at all.
    if not isinstance(value, str | bytes | bytearray | bool):
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            pass
        else:
            if math.isnan(number):
                raise ValueError(f"{option}={value!r}: write a number {what}")
            return number
    raise TypeError(f"{option}={value!r}: write a number {what}")


def require_seconds(option: str, value: Any) -> float:
    """Returns a number of seconds: see `require_number()`."""
    return require_number(option, value, "of seconds")


def require_count(option: str, value: Any, least: int) -> int:
    """Returns a whole number that is not too small.

    Args:
        option: The name of the option, for the error.
        value: The value that the user gave.
        least: The smallest number that makes sense.

    Raises:
        TypeError: If it is no whole number.
        ValueError: If it is smaller.
    """
    text = f"{option}={value!r}: write a whole number from {least} on"
    if isinstance(value, bool):
        raise TypeError(text)
    try:
        count = operator.index(value)
    except TypeError:
        raise TypeError(text) from None
    if count < least:
        raise ValueError(text)
    return count


def require_flag(option: str, value: Any) -> None:
    """Checks that an option is True, False, or None for its default.

    Python takes any text for True, `"no"` too.

    Args:
        option: The name of the option, for the error.
        value: The value that the user gave.

    Raises:
        TypeError: If it is something else.
    """
    if value is not None and not isinstance(value, bool):
        raise TypeError(f"{option}={value!r}: write True or False")


def require_texts(option: str, value: Any, example: str) -> list[str]:
    """Returns a list of strs. Refuses a single str, although its letters are strs.

    Args:
        option: The name of the option, for the error.
        value: The value that the user gave.
        example: A text that makes sense, for the error.

    Raises:
        TypeError: If it is something else.
    """
    if not isinstance(value, str | bytes) and isinstance(value, Iterable):
        texts = [*value]
        if all(isinstance(text, str) for text in texts):
            return texts
    raise TypeError(f"{option}={value!r}: write a list of strs, such as [{example!r}]")


def require_config(value: Any) -> None:
    """Checks that a configuration that is not a dict can be read: that it is a path, or the text of a file.

    Args:
        value: The value of `config=`.

    Raises:
        TypeError: If it is something else.
    """
    if not isinstance(value, str | os.PathLike):
        raise TypeError(f"config={value!r}: write the path of a TOML or JSON file, its text, or a dict")


def require_callable(option: str, value: Any) -> None:
    """Checks that an option is something to be called, or None.

    Args:
        option: The name of the option, for the error.
        value: The value that the user gave.

    Raises:
        TypeError: If it is neither.
    """
    if value is not None and not callable(value):
        raise TypeError(f"{option}={value!r}: write a function")
