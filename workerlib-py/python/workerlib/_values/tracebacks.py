"""Tracebacks that travel: frames as plain values, and traceback objects made of them on the other side.

A traceback object that is made here stands on frames that never ran: they have the name, the file, the line
and the columns of the other side's, and nothing else. No locals travel. The source lines travel with them
and are left with `linecache`, where whatever prints a traceback looks for them.
"""

from __future__ import annotations

import functools
import itertools
import linecache
import os
import sys
from collections.abc import Callable, Generator, Iterator
from types import CodeType, FrameType, FunctionType, GeneratorType, TracebackType
from typing import Any, cast

# The folder of the package's code as frames name it, whichever of its folders this module is in.
PACKAGE = os.path.dirname(os.path.dirname(sys._getframe().f_code.co_filename)) + os.sep

# The prefix of the names of the other side's files.
_PREFIX = "worker:"

# Of a deeper traceback the middle is left out.
_MOST_FRAMES = 1000
# An expression that takes more lines is shown in part.
_MOST_LINES_OF_FRAME = 40
# Lines that stand further down in a file are not shown.
_MOST_LINES_OF_FILE = 20_000
_MOST_FILES = 100
# Of all files together, in characters.
_MOST_TEXT = 4 << 20
# A line counts for so many characters more, for its place: an empty one takes memory too.
_PLACE = 64

Frame = tuple[str, str, int, int | None, int | None, int | None, str]
"""Function, file, line; last line, first and last column, where they are known; source lines."""


def describe_frames(frames: TracebackType | None) -> list[Frame]:
    """Describes the frames of a traceback, the outermost first, without those that run the script or call."""
    walked = list(_walk(without_own_frames(frames)))
    if len(walked) > _MOST_FRAMES:
        half = _MOST_FRAMES // 2
        walked[half:-half] = []
    return [_describe(frame) for frame in walked]


def without_own_frames(frames: TracebackType | None) -> TracebackType | None:
    """Returns what of a traceback is below the frames that run the script or call."""
    while frames is not None and _is_around(frames.tb_frame.f_code.co_filename):
        frames = frames.tb_next
    return frames


def _is_around(file: str) -> bool:
    return file.startswith(PACKAGE) or "/_pyodide/" in file


def know_source(script: CodeType, source: str) -> None:
    """Remembers the source of a script, which `linecache` is not told, for its functions too."""
    lines = source.splitlines(keepends=True)
    codes = [script]
    # It grows while it is walked.
    for code in codes:
        _sources[code] = lines
        codes += [constant for constant in code.co_consts if isinstance(constant, CodeType)]


_sources: dict[CodeType, list[str]] = {}


def _walk(frames: TracebackType | None) -> Iterator[TracebackType]:
    while frames is not None:
        yield frames
        frames = frames.tb_next


def _describe(entry: TracebackType) -> Frame:
    code, line = entry.tb_frame.f_code, entry.tb_lineno
    last, first_column, last_column = None, None, None
    if entry.tb_lasti >= 0:
        positions = next(itertools.islice(code.co_positions(), entry.tb_lasti // 2, None), None)
        if positions is not None and positions[0] == line:
            _, last, first_column, last_column = positions
    end = min(last or line, line + _MOST_LINES_OF_FRAME - 1)
    if code in _sources:
        lines = _sources[code][line - 1 : end]
    else:
        linecache.checkcache(code.co_filename)
        # The globals of the frame know a loader, for files that are in an archive.
        known = entry.tb_frame.f_globals
        lines = [linecache.getline(code.co_filename, number, known) for number in range(line, end + 1)]
    return code.co_name, code.co_filename, line, last, first_column, last_column, "".join(lines)


def make_traceback(frames: list[Any]) -> TracebackType | None:
    """Makes a traceback object of described frames.

    Raises:
        ValueError: If these are not stack frames.
    """
    made: TracebackType | None = None
    for entry in reversed(frames):
        name, file, line, last, first_column, last_column, source = _checked(entry)
        file = _PREFIX + file
        _leave_source(file, line, source)
        frame = _make_frame(name, file, line, _location(last and last - line, first_column, last_column))
        # Each instruction has the same position.
        made = TracebackType(made, frame, 0, line)
    return made


def _checked(entry: Any) -> Frame:
    if type(entry) is tuple and len(entry) == 7:
        name, file, line, *positions, source = entry
        is_text = all(type(text) is str for text in (name, file, source))
        numbers = [line, *(number for number in positions if number is not None)]
        is_known = all(type(number) is int and 0 <= number < 1 << 30 for number in numbers)
        if is_text and is_known and (positions[0] is None or positions[0] >= line):
            return entry
    raise ValueError("a stack frame has to have names, lines and columns")


def _make_frame(name: str, file: str, line: int, location: bytes) -> FrameType:
    code: CodeType = _never_starts.__code__
    units = len(code.co_code) // 2
    # One entry for eight units; the line is told once, and then no longer changes.
    table = b""
    for start in range(0, units, 8):
        length = min(8, units - start)
        table += bytes([0x80 | _LONG_FORM << 3 | length - 1, 0]) + location
    code = code.replace(
        co_filename=file, co_name=name, co_qualname=name, co_firstlineno=line, co_linetable=table
    )
    function: Callable[[], GeneratorType[None, None, None]] = FunctionType(code, {"__name__": name})
    # A generator has a frame until it ends.
    return cast("FrameType", function().gi_frame)


def _never_starts() -> Generator[None, None, None]:
    """Gives frames that no other frame has called.

    The frame of a function that runs refers to its callers, and these to what they hold when they end: the
    exception of which the frame becomes a part, and the message that brought it.
    """
    yield


# Entries of a code object's table of positions: CPython's InternalDocs/code_objects.md.
_LONG_FORM = 14


def _location(lines: int | None, first_column: int | None, last_column: int | None) -> bytes:
    """Encodes how many lines follow the first one, and the columns; a column is one more, 0 if not known."""
    columns = ((-1 if column is None else column) + 1 for column in (first_column, last_column))
    return b"".join(map(_varint, (lines or 0, *columns)))


def _varint(number: int) -> bytes:
    """Encodes a number in pieces of six bits, the lowest first."""
    encoded = bytearray()
    while number >= 0x40:
        encoded.append(0x40 | number & 0x3F)
        number >>= 6
    encoded.append(number)
    return bytes(encoded)


_files: dict[str, dict[int, str]] = {}
"""Lines of files that are not here, by the files' names and the lines' numbers."""
_characters = 0
"""The characters of all of them together, with their places."""


def _leave_source(file: str, line: int, source: str) -> None:
    """Has `linecache` know lines of a file that is not here.

    The other side chooses the number of the line, and the time is in proportion to the source alone:
    `linecache` gets a function, which makes the text of the file when somebody wants to see it.
    """
    global _characters
    wanted = source.splitlines()
    if not wanted or line < 1 or line - 1 + len(wanted) > _MOST_LINES_OF_FILE:
        return
    lines = _files.setdefault(file, {})
    for number, text in enumerate(wanted, line):
        _characters += len(text) - len(lines[number]) if number in lines else len(text) + _PLACE
        lines[number] = text
    while len(_files) > _MOST_FILES or _characters > _MOST_TEXT:
        oldest = next(iter(_files))
        _characters -= sum(len(text) + _PLACE for text in _files.pop(oldest).values())
        linecache.cache.pop(oldest, None)
    if file in _files:
        # The form of `linecache.lazycache`. It has no time of change, so it is never taken for outdated.
        linecache.cache[file] = (functools.partial(_text_of, lines),)


def _text_of(lines: dict[int, str]) -> str:
    return "\n".join(lines.get(number, "") for number in range(1, max(lines) + 1))
