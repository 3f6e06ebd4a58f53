"""Describes a raised exception in plain values, and makes it again on the other side.

A connection calls it for each call that raises. The description is a graph: the exception, its `__cause__`,
its `__context__` and the members of a group, each of them once. The receiver makes each exception as itself
where it has the class, without the constructor; where it has not, a `RemoteError` stands in its place. The
text is the sender's in any case. The frames travel too (`tracebacks.py`).

To describe never fails: a part that cannot be sent is replaced by its `repr()`, and only that part.
"""

from __future__ import annotations

from typing import Any, NoReturn

from workerlib._errors import FrameError, RemoteError
from workerlib._native import decode, encode
from workerlib._values import table as table_of_types
from workerlib._values.exception_values import class_of, fill_exception, make_exception, take_apart_exception
from workerlib._values.named_types import NAMED, build_named
from workerlib._values.safe_text import class_name, notes_of, text_of
from workerlib._values.sending import DEFAULT, SendingTable
from workerlib._values.tracebacks import Frame, describe_frames, make_traceback

# A generator or asyncio would take these for messages of its own if they were raised in the caller, and
# likewise every exception that is not an `Exception`.
_NOT_AS_THEMSELVES = (StopIteration, StopAsyncIteration)

# A user's class may have something else of these names, which may raise.
_CAUSE: Any = vars(BaseException)["__cause__"]
_CONTEXT: Any = vars(BaseException)["__context__"]
_SUPPRESS: Any = vars(BaseException)["__suppress_context__"]
_TRACEBACK: Any = vars(BaseException)["__traceback__"]
_MEMBERS: Any = vars(BaseExceptionGroup)["exceptions"]

# Groups that stand deeper inside each other arrive as RemoteError.
_GROUP_DEPTH = 100


def describe(error: BaseException, table: SendingTable = DEFAULT) -> list[dict[str, Any]]:
    """Describes an exception in values that can be sent: docs/wire-format.md, section 5.

    Args:
        error: The exception.
        table: How values are sent over the connection.
    """
    lenient = table.for_exceptions()
    try:
        return _describe_graph(error, lenient)
    # KeyboardInterrupt too: code of the user's raises it here, and nobody else.
    except BaseException as failure:
        name = class_name(class_of(error))
        text = f"{name} was raised and could not be described: {text_of(failure, repr)}"
        return _describe_graph(RuntimeError(text), lenient)


def _describe_graph(root: BaseException, table: SendingTable) -> list[dict[str, Any]]:
    numbers = {id(root): 0}
    errors = [root]
    described = []

    def number_of(error: BaseException | None) -> int | None:
        if error is None:
            return None
        if id(error) not in numbers:
            numbers[id(error)] = len(errors)
            errors.append(error)
        return numbers[id(error)]

    # It grows while it is walked.
    for error in errors:
        members = None
        if _is_group(error):
            members = [number_of(member) for member in _MEMBERS.__get__(error)]
        value, buffers = _encode_value(error, table)
        described.append(
            {
                "type": class_name(class_of(error)),
                "message": text_of(error),
                "value": value,
                # Most exceptions have none, and a frame is shorter without.
                **({"buffers": buffers} if buffers else {}),
                "notes": notes_of(error),
                "cause": number_of(_CAUSE.__get__(error)),
                "context": number_of(_CONTEXT.__get__(error)),
                "suppress": _SUPPRESS.__get__(error),
                "members": members,
                "frames": _frames(error),
            }
        )
    return described


def _is_group(error: BaseException) -> bool:
    # `isinstance` would ask the object for its `__class__`.
    return issubclass(type(error), BaseExceptionGroup)


def _frames(error: BaseException) -> list[Frame]:
    try:
        return describe_frames(_TRACEBACK.__get__(error))
    except BaseException:
        # The lines of a module's source come from its own loader.
        return []


def _encode_value(error: BaseException, table: SendingTable) -> tuple[bytes | None, list[bytes]]:
    """Encodes what an exception is made of without its links, and the buffers beside that.

    Returns:
        The frame, or None if the class is not found by its name; the buffers.
    """
    try:
        value = _parts(error)
    except BaseException:
        return None, []
    try:
        return _encode(value, table)
    except BaseException:
        # A part is too deep, say, or changes while it is read: each of them by itself then.
        parts = tuple(_each_by_itself(part, table) for part in value)
    try:
        return _encode(parts, table)
    except BaseException:
        return None, []


def _parts(error: BaseException) -> tuple[Any, ...]:
    """Gives arguments with the class, and attributes; or, of a class that a frame names, its values."""
    row = table_of_types.find_row(type(error))
    if row is not None and row.kind == NAMED:
        # Its links come first, and are described by themselves.
        name, _, _, _, *values = row.take_apart(error)
        return (name, None, None, False, *values)
    arguments, _, _, _, state = take_apart_exception(error)
    if _is_group(error):
        # Its members are described by themselves.
        arguments = (arguments[0], arguments[-1])
    return (arguments, state)


def _encode(value: object, table: SendingTable) -> tuple[bytes, list[bytes]]:
    frame, buffers = encode(value, table=table)
    return frame, [bytes(memoryview(buffer)) for buffer in buffers]


def _each_by_itself(part: Any, table: SendingTable) -> Any:
    """Replaces each argument of a tuple, and each attribute of a dict, that cannot be sent even by itself."""

    def sendable(value: object) -> object:
        try:
            _encode(value, table)
        except BaseException:
            return text_of(value, repr)
        return value

    if type(part) is tuple:
        return tuple(sendable(one) for one in part)
    if type(part) is dict:
        return {name: sendable(one) for name, one in part.items()}
    return sendable(part)


def rebuild(description: object, table: SendingTable = DEFAULT) -> BaseException:
    """Makes the exception that `describe` described on the other side.

    Args:
        description: The value of a Raise, which may be anything.
        table: How values are sent over the connection.

    Raises:
        FrameError: If it is not a description of one.
    """
    try:
        root = _Graph(description, table).make()
    except FrameError:
        raise
    except BaseException as failure:
        text = f"no exception (docs/wire-format.md, section 5): {text_of(failure)}"
        # An exception that is not an `Exception` asyncio would take for its own, as a cause too.
        raise FrameError(text) from (failure if issubclass(type(failure), Exception) else None)
    kind = type(root)
    if issubclass(kind, Exception) and not issubclass(kind, _NOT_AS_THEMSELVES):
        return root
    error = RemoteError(text_of(root), class_name(kind))
    error.__cause__ = root
    return error


def raise_remote(error: BaseException) -> NoReturn:
    """Raises an exception that was made by `rebuild`, as if what raised it had been called here.

    Python's own `raise` would put what is being handled here in the place of what was being handled there.
    """
    context, suppress = _CONTEXT.__get__(error), _SUPPRESS.__get__(error)
    last = error
    seen = {id(error)}
    while (next := _CONTEXT.__get__(last)) is not None and id(next) not in seen:
        last = next
        seen.add(id(last))
    try:
        raise error
    except BaseException:
        if last is not error:
            _CONTEXT.__set__(last, _CONTEXT.__get__(error))
            _CONTEXT.__set__(error, context)
        _SUPPRESS.__set__(error, suppress)
        raise
    finally:
        # Its traceback has this frame: they would keep each other alive.
        del error, last, context, next


class _Graph:
    """The exceptions of one description, each made once."""

    def __init__(self, description: object, table: SendingTable) -> None:
        if type(description) is not list or not all(type(one) is dict for one in description):
            raise ValueError("an exception has to be described by a list of dicts")
        self._table = table
        self._described: list[dict[str, Any]] = description
        self._made: dict[int, BaseException] = {}
        self._under_way: set[int] = set()

    def make(self) -> BaseException:
        """Makes all of them and returns the first."""
        for number in range(len(self._described)):
            self._error(number, 0)
        for number, error in self._made.items():
            one = self._described[number]
            _CAUSE.__set__(error, self._linked(one["cause"]))
            _CONTEXT.__set__(error, self._linked(one["context"]))
            _SUPPRESS.__set__(error, one["suppress"] is True)
            _TRACEBACK.__set__(error, make_traceback(one["frames"]))
        return self._made[0]

    def _linked(self, number: Any) -> BaseException | None:
        return None if number is None else self._made[number]

    def _error(self, number: Any, depth: int) -> BaseException:
        if type(number) is not int or not 0 <= number < len(self._described) or number in self._under_way:
            raise ValueError(f"there is no exception {number!r}")
        if number not in self._made:
            one = self._described[number]
            self._under_way.add(number)
            error = self._as_itself(one, depth)
            self._under_way.remove(number)
            if error is None:
                error = RemoteError(str(one["message"]), str(one["type"]))
                for note in one["notes"]:
                    error.add_note(str(note))
            self._made[number] = error
        return self._made[number]

    def _as_itself(self, one: dict[str, Any], depth: int) -> BaseException | None:
        """Makes an exception of its own class; None if that cannot be done here."""
        value, members, text = one["value"], one["members"], str(one["message"])
        if value is None or depth > _GROUP_DEPTH:
            return None
        try:
            parts = decode(value, list(one.get("buffers", ())), table=self._table)
            if isinstance(parts[0], str):
                return _of_library(parts, text) if members is None else None
            arguments, state = parts
            error: BaseException
            if members is not None:
                message, name = arguments
                arguments = (message, [self._error(member, depth + 1) for member in members], name)
            error = _made(arguments, state)
            if _is_group(error) != (members is not None):
                return None
            if text_of(error) != text:
                # It needs what did not travel to say the same.
                error = _made(arguments, state, text)
        except BaseException:
            # Its class is not here, or another one; or something in it is not.
            return None
        return error


def _of_library(parts: tuple[Any, ...], text: str) -> BaseException | None:
    """Makes an exception of a type that a frame names; such a class is nobody's base."""
    error = build_named(*parts)
    if not isinstance(error, BaseException):
        return None
    if text_of(error) != text:
        error.add_note(f"In the worker it says: {text}")
    return error


def _made(arguments: Any, state: Any, text: str | None = None) -> BaseException:
    error = make_exception(arguments, text)
    fill_exception(error, [None, None, False, state])
    return error
