"""How an exception travels: described in plain values, and made again on the other side.

What is described is a graph: the exception, its `__cause__`, its `__context__` and, of a group, its members,
theirs too, each of them once. Each is made again as itself where its class is here, without its constructor;
where it is not, a `RemoteError` stands in its place, and the others are what they were. The frames travel too
(`tracebacks.py`). It never fails: an exception that cannot be described is told of as well as it can be.
"""

from __future__ import annotations

from typing import Any, NoReturn

from workerlib._errors import FrameError, RemoteError
from workerlib._native import decode, encode
from workerlib._values.exception_values import fill_exception, make_exception, take_apart_exception
from workerlib._values.tracebacks import describe_frames, make_traceback

# What a generator or asyncio would take for a message of its own if it were raised in the caller; what is
# no `Exception` at all is among that.
_NOT_AS_THEMSELVES = (StopIteration, StopAsyncIteration)

# Groups that stand deeper inside each other arrive as RemoteError.
_GROUP_DEPTH = 100


def describe(error: BaseException) -> list[dict[str, Any]]:
    """Describes an exception in values that can be sent: docs/wire-format.md, section 5.

    What of it cannot be sent is replaced by its `repr()`.
    """
    try:
        return _describe_graph(error)
    except Exception as failure:
        # An exception may override anything; its caller must hear of it all the same.
        text = f"{type(error).__qualname__} was raised and could not be described: {failure!r}"
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
        if isinstance(error, BaseExceptionGroup):
            members = [number_of(member) for member in error.exceptions]
        kind = type(error)
        described.append(
            {
                "type": f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins."),
                "message": _text(error),
                "value": _encode_value(error),
                "notes": [str(note) for note in getattr(error, "__notes__", ())],
                "cause": number_of(error.__cause__),
                "context": number_of(error.__context__),
                "suppress": error.__suppress_context__,
                "members": members,
                "frames": describe_frames(error.__traceback__),
            }
        )
    return described


def _encode_value(error: BaseException) -> bytes | None:
    """Encodes what an exception is made of without its links; None if its class is not found by its name."""
    try:
        arguments, _, _, _, state = take_apart_exception(error)
    except Exception:
        return None
    if isinstance(error, BaseExceptionGroup):
        # Its members are described by themselves.
        arguments = (arguments[0], arguments[-1])
    try:
        return _encode((arguments, state))
    except Exception:
        values = tuple(_sendable(argument) for argument in arguments)
        return _encode((values, {name: _sendable(value) for name, value in state.items()}))


def _encode(value: object) -> bytes:
    # Strictly: what would be converted, an iterator say, would be used up by a trial.
    frame, buffers = encode(value, strict=True)
    if buffers:
        raise ValueError("too large for an exception")
    return frame


def _sendable(value: object) -> object:
    try:
        _encode(value)
    except Exception:
        return _text(value, repr)
    return value


def _text(value: object, to_text: Any = str) -> str:
    try:
        text: str = to_text(value)
    except Exception:
        return f"<{type(value).__name__} whose {to_text.__name__}() failed>"
    return text


def rebuild(description: object) -> BaseException:
    """Makes the exception that `describe` described on the other side.

    Raises:
        FrameError: If it is no description of one.
    """
    try:
        root = _Graph(description).make()
    except FrameError:
        raise
    except Exception as failure:
        raise FrameError(f"no exception (docs/wire-format.md, section 5): {failure}") from failure
    if isinstance(root, Exception) and not isinstance(root, _NOT_AS_THEMSELVES):
        return root
    kind = type(root)
    error = RemoteError(_text(root), f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins."))
    error.__cause__ = root
    return error


def raise_remote(error: BaseException) -> NoReturn:
    """Raises an exception that was made by `rebuild`, as if what raised it had been called here.

    Python's own `raise` would put what is being handled here in the place of what was being handled there.
    """
    context, suppress = error.__context__, error.__suppress_context__
    last = error
    seen = {id(error)}
    while last.__context__ is not None and id(last.__context__) not in seen:
        last = last.__context__
        seen.add(id(last))
    try:
        raise error
    except BaseException:
        if last is not error:
            last.__context__, error.__context__ = error.__context__, context
        error.__suppress_context__ = suppress
        raise
    finally:
        # Its traceback has this frame: they would keep each other alive.
        del error, last, context


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
            error.__cause__ = self._linked(one["cause"])
            error.__context__ = self._linked(one["context"])
            error.__suppress_context__ = one["suppress"] is True
            error.__traceback__ = make_traceback(one["frames"])
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
            if isinstance(error, BaseExceptionGroup) != (members is not None):
                return None
        except Exception:
            # Its class is not here, or another one; or something in it is not.
            return None
        return error
