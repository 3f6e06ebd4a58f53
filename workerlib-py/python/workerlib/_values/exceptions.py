"""Describes exceptions in plain values, and makes them again on the other side.

The connection uses it for what functions raise, the hosts for what scripts raise. A description is a graph:
the exception, its `__cause__`, its `__context__` and, of a group, its members, theirs too, each of them
once. Each is made again as itself where its class is here, without its constructor; where its class is not,
a `RemoteError` takes its place, and the others are unchanged. The frames travel too (`tracebacks`). To
describe never fails, whatever the exception's class does: what cannot be had is left out, and the rest is
told.
"""

from __future__ import annotations

from typing import Any, NoReturn

from workerlib._errors import FrameError, RemoteError
from workerlib._native import decode, encode
from workerlib._values.exception_values import fill_exception, make_exception, take_apart_exception
from workerlib._values.safe_text import class_name, notes_of, text_of
from workerlib._values.tracebacks import Frame, describe_frames, make_traceback

# What a generator or asyncio would take for a message of its own if it were raised in the caller; what is
# no `Exception` at all is among that.
_NOT_AS_THEMSELVES = (StopIteration, StopAsyncIteration)

# A user's class may have something else of these names, which may raise.
_CAUSE: Any = vars(BaseException)["__cause__"]
_CONTEXT: Any = vars(BaseException)["__context__"]
_SUPPRESS: Any = vars(BaseException)["__suppress_context__"]
_TRACEBACK: Any = vars(BaseException)["__traceback__"]
_MEMBERS: Any = vars(BaseExceptionGroup)["exceptions"]

# Groups that stand deeper inside each other arrive as RemoteError.
_GROUP_DEPTH = 100


def describe(error: BaseException) -> list[dict[str, Any]]:
    """Describes an exception in values that can be sent: docs/wire-format.md, section 5.

    What of it cannot be sent is replaced by its `repr()`.
    """
    try:
        return _describe_graph(error)
    # KeyboardInterrupt too: code of the user's raises it here, and nobody else.
    except BaseException as failure:
        name = class_name(type(error))
        text = f"{name} was raised and could not be described: {text_of(failure, repr)}"
        return _describe_graph(RuntimeError(text))


def _describe_graph(root: BaseException) -> list[dict[str, Any]]:
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
        described.append(
            {
                "type": class_name(type(error)),
                "message": text_of(error),
                "value": _encode_value(error),
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


def _encode_value(error: BaseException) -> bytes | None:
    """Encodes what an exception is made of without its links; None if its class is not found by its name."""
    try:
        arguments, _, _, _, state = take_apart_exception(error)
    except BaseException:
        return None
    if _is_group(error):
        # Its members are described by themselves.
        arguments = (arguments[0], arguments[-1])
    try:
        return _encode((arguments, state))
    except BaseException:
        values = tuple(_sendable(argument) for argument in arguments)
    try:
        return _encode((values, {name: _sendable(value) for name, value in state.items()}))
    except BaseException:
        return None


def _encode(value: object) -> bytes:
    # Strictly: what would be converted, an iterator say, would be used up by a trial.
    frame, buffers = encode(value, strict=True)
    if buffers:
        raise ValueError("too large for an exception")
    return frame


def _sendable(value: object) -> object:
    try:
        _encode(value)
    except BaseException:
        return text_of(value, repr)
    return value


def rebuild(description: object) -> BaseException:
    """Makes the exception that `describe` described on the other side.

    Raises:
        FrameError: If it is no description of one.
    """
    try:
        root = _Graph(description).make()
    except FrameError:
        raise
    except BaseException as failure:
        text = f"no exception (docs/wire-format.md, section 5): {text_of(failure)}"
        # What is no Exception, asyncio would take for its own, as a cause too.
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

    def __init__(self, description: object) -> None:
        if type(description) is not list or not all(type(one) is dict for one in description):
            raise ValueError("it should be a list of dicts")
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
        value, members = one["value"], one["members"]
        if value is None or depth > _GROUP_DEPTH:
            return None
        try:
            arguments, state = decode(value, [])
            if members is not None:
                message, name = arguments
                arguments = (message, [self._error(member, depth + 1) for member in members], name)
            error = make_exception(arguments)
            fill_exception(error, [None, None, False, state])
            if _is_group(error) != (members is not None):
                return None
        except BaseException:
            # Its class is not here, or another one; or something in it is not.
            return None
        return error
