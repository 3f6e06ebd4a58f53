"""Regular expressions: what they are made of, and a bound on the time that compiling them takes.

Python compiles a pattern when it arrives, and a few characters may take it milliseconds: it goes through the
characters of a range one by one. So each pattern has a weight, which bounds its time, and those of one frame
have a limit together, the same when it is written and when it is read (docs/wire-format.md, section 4.6).
Imported when the first pattern is met.
"""

from __future__ import annotations

import re
import warnings

from workerlib._values.row import RefusedError

LONGEST = 10_000
"""The most characters of one pattern."""

HEAVIEST = 250_000
"""The most that the patterns of one frame may weigh together."""

# By measurement, in units of up to three microseconds: what a pattern and a set of characters take at least,
# and how many characters of a range take one.
_EACH = 32
_EACH_SET = 64
_PER_CHARACTER_OF_RANGE = 16
# Larger ranges are judged by their ends.
_LARGEST_RANGE = 65_536

_CHARACTER = r"\\x[0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\U[0-9a-fA-F]{8}|\\N\{[^}]{0,99}\}|\\[0-7]{1,3}|\\.|."
_RANGE = re.compile(f"(?=({_CHARACTER})-({_CHARACTER}))", re.DOTALL)


def take_apart_pattern(value: re.Pattern[str] | re.Pattern[bytes]) -> tuple[str | bytes, int]:
    """Gives the pattern and its flags, without `re.DEBUG`: it asks to print where the pattern is compiled."""
    if len(value.pattern) > LONGEST:
        raise RefusedError(f"its pattern is longer than {LONGEST:,} characters")
    return (value.pattern, value.flags & ~int(re.DEBUG))


def build_pattern(pattern: object, flags: object) -> object:
    """Compiles a pattern, which `weigh` has let pass."""
    if not isinstance(pattern, str | bytes) or not isinstance(flags, int) or len(pattern) > LONGEST:
        raise ValueError(f"a pattern has to be a str or bytes of at most {LONGEST:,} characters, with flags")
    with warnings.catch_warnings():
        # The author of the pattern was warned where it was compiled first.
        warnings.simplefilter("ignore")
        # Nothing is printed here, whatever the frame says.
        return re.compile(pattern, flags & ~int(re.DEBUG))


def weigh(so_far: int, pattern: object) -> int:
    """Adds the weight of a pattern to that of those before it in the frame.

    Raises:
        RefusedError: If that is too much.
    """
    if not isinstance(pattern, str | bytes) or len(pattern) > LONGEST:
        # Another check refuses it.
        return so_far
    weight = so_far + _weight(pattern if isinstance(pattern, str) else pattern.decode("latin-1"))
    if weight > HEAVIEST:
        raise RefusedError(
            f"to compile the patterns of one call would take too long: they weigh more than {HEAVIEST:,}"
            " (docs/wire-format.md, section 4.6); send their sources, or fewer of them"
        )
    return weight


def _weight(pattern: str) -> int:
    # Text that looks like a range and stands in no set counts too: only a parser could know better.
    ranges: dict[int, int] = {}
    for found in _RANGE.finditer(pattern):
        first, last = _code(found[1], 0), _code(found[2], _LARGEST_RANGE)
        # The last digit of an escape looks like a beginning of its own.
        ranges[found.end(1)] = max(ranges.get(found.end(1), 0), min(last, _LARGEST_RANGE) - first)
    # A group of single characters, (?:a|b), becomes a set.
    sets = pattern.count("[") + min(pattern.count("("), pattern.count("|"))
    return _EACH + len(pattern) + _EACH_SET * sets + sum(ranges.values()) // _PER_CHARACTER_OF_RANGE


def _code(character: str, unknown: int) -> int:
    """Tells the number of a character that may be escaped, or which one to take where that is not plain."""
    if len(character) == 1:
        return ord(character)
    if character[1] in "xuU" and len(character) > 2:
        return int(character[2:], 16)
    if character[1] in "N01234567":
        return unknown
    # A backslash and a letter of one of the 128: a class such as \w begins and ends no range.
    return ord(character[1])
