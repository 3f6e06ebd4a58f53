"""Takes apart and builds exceptions: those among values, and the parts of those that a call raises.

The wire format is docs/wire-format.md, section 4.6. `exceptions.py` describes an exception that a call
raised.
"""

from __future__ import annotations

import builtins
from typing import Any
from weakref import WeakKeyDictionary

from workerlib._values import user_classes
from workerlib._values.row import Filled, Parts


def take_apart_exception(value: BaseException) -> Parts:
    """Gives its arguments and, last, its class; its cause and context; its attributes.

    Args:
        value: The exception.

    Raises:
        RefusedError: If its class is not found by its name, or an attribute has a name of Python's own.
    """
    kind = class_of(value)
    # By the builtin class's own attributes: the user's class may call something else so.
    arguments: Any = BaseException.args.__get__(value)  # type: ignore[attr-defined]
    if isinstance(value, BaseExceptionGroup):
        group: Any = BaseExceptionGroup
        arguments = (group.message.__get__(value), list(group.exceptions.__get__(value)))
    state = user_classes.attributes(value)
    for name, slot in _builtin_slots(kind).items():
        # Some keep a part of what they are in slots of their builtin class.
        content = _slot_content(value, slot)
        if name not in state and content is not None:
            state[name] = content
    links = (value.__cause__, value.__context__, value.__suppress_context__)
    name = kind.__name__
    if kind.__module__ != "builtins":
        user_classes.check_sendable(kind)
        name = user_classes.key_of(kind)
    return ((*arguments, name), *links, state)


_SLOTS = (
    *("errno", "strerror", "filename", "filename2", "characters_written"),
    *("name", "path", "name_from"),
    *("msg", "lineno", "offset", "text", "end_lineno", "end_offset", "print_file_and_line"),
    *("encoding", "object", "start", "end", "reason"),
    *("value", "code"),
)


_slots_of: WeakKeyDictionary[type, dict[str, Any]] = WeakKeyDictionary()


def _builtin_slots(kind: type) -> dict[str, Any]:
    """Gives the slots of an exception's builtin classes by name: a subclass may call other things so."""
    slots = _slots_of.get(kind)
    if slots is None:
        builtin = [vars(base) for base in kind.__mro__ if base.__module__ == "builtins"]
        slots = _slots_of[kind] = {name: own[name] for own in builtin for name in _SLOTS if name in own}
    return slots


def _slot_content(error: BaseException, slot: Any) -> object:
    try:
        return slot.__get__(error)
    except AttributeError:
        # As characters_written is where nothing was written.
        return None


class _Saying:
    """Comes before the class of an exception that could not say by itself what its sender's said.

    Of that class no code runs when the subclass of both is made.
    """

    __slots__ = ()

    def __init_subclass__(cls) -> None:
        """Does nothing: the other class's own method is not called."""


def class_of(error: BaseException) -> type:
    """Gives the class of an exception, whatever was put before it so that it says what its sender's said."""
    cls = type(error)
    return cls.__mro__[2] if issubclass(cls, _Saying) else cls


def _saying(cls: Any, text: str) -> Any:
    """Makes a subclass whose instances say that text, and look like instances of the class otherwise."""
    namespace = {
        "__slots__": (),
        "__module__": cls.__module__,
        "__qualname__": cls.__qualname__,
        "__doc__": cls.__doc__,
        "__str__": lambda self: text,
    }
    # Not by the metaclass's own method: it may be anybody's code.
    return type.__new__(type(cls), cls.__name__, (_Saying, cls), namespace)


def make_exception(first: object, text: str | None = None) -> BaseException:
    """Makes an exception of its arguments and its class, without a constructor of a user's.

    Args:
        first: The arguments and, last, the name of the class, or whatever stands in their place.
        text: The exception's text, where it could not give that by itself.

    Raises:
        ValueError: If this side has no such class.
    """
    # The name stands last, so that an argument has the index in a path that it has in `args`.
    arguments, name = (first[:-1], first[-1]) if isinstance(first, tuple) and first else ((), None)
    if isinstance(name, str) and ":" in name:
        own: Any = user_classes.find_class(name, "exception")
        builtin: Any = own
        own = own if text is None else _saying(own, text)
        while builtin.__module__ != "builtins":
            builtin = builtin.__base__
        # A group wants its members when it is made; others take whatever `args` is.
        made: BaseException = builtin.__new__(own, *arguments)
        BaseException.args.__set__(made, arguments)  # type: ignore[attr-defined]
        return made
    kind = getattr(builtins, name, None) if isinstance(name, str) else None
    if not (isinstance(kind, type) and issubclass(kind, BaseException)):
        raise ValueError("the class has to be a builtin exception")
    kind = kind if text is None else _saying(kind, text)
    if issubclass(kind, BaseExceptionGroup):
        return kind(*arguments)
    try:
        error = kind(*arguments)
    except Exception:
        # Its constructor may want more than `args` keeps; the rest follows as attributes.
        error = kind.__new__(kind)
    error.args = arguments
    return error


def fill_exception(error: BaseException, values: list[Any]) -> None:
    """Gives it what else `take_apart_exception` gave."""
    cause, context, suppress, state = values
    error.__cause__ = cause
    error.__context__ = context
    error.__suppress_context__ = bool(suppress)
    if type(state) is not dict:
        raise ValueError("the attributes of an exception have to be a dict")
    if state:
        user_classes.set_attributes(error, state, _SLOTS)
    check_positions(error)


def twin_of(error: BaseException) -> BaseException:
    """Makes an exception that says the same, with the same traceback, to be raised another time.

    Args:
        error: The exception, which has not been raised here.

    Returns:
        Another exception of its class; the exception itself if its class does not allow that.
    """
    try:
        cls: Any = type(error)
        builtin = next(base for base in cls.__mro__ if base.__module__ == "builtins")
        arguments: Any = BaseException.args.__get__(error)  # type: ignore[attr-defined]
        if issubclass(cls, BaseExceptionGroup):
            group: Any = BaseExceptionGroup
            arguments = (group.message.__get__(error), list(group.exceptions.__get__(error)))
        twin: BaseException = builtin.__new__(cls, *arguments)
        BaseException.args.__set__(twin, arguments)  # type: ignore[attr-defined]
        state = user_classes.attributes(error)
        for name, slot in _builtin_slots(cls).items():
            if name not in state and (content := _slot_content(error, slot)) is not None:
                state[name] = content
        user_classes.set_attributes(twin, state, _SLOTS)
        for link in ("__cause__", "__context__", "__suppress_context__", "__traceback__"):
            descriptor: Any = vars(BaseException)[link]
            descriptor.__set__(twin, descriptor.__get__(error))
    except Exception:
        return error
    return twin


def check_positions(error: BaseException) -> None:
    """Checks what CPython believes when it makes the text of a UnicodeError: it would read any address.

    Raises:
        ValueError: If the error's position lies outside of what could not be converted.
    """
    if isinstance(error, UnicodeDecodeError | UnicodeEncodeError | UnicodeTranslateError):
        kind = bytes if isinstance(error, UnicodeDecodeError) else str
        if type(error.object) is not kind or error.start < 0:
            raise ValueError("a UnicodeError has to have its object, and a position from 0 on")


ROW = Filled(24, "builtins.BaseException", take_apart_exception, make_exception, fill_exception)
"""The row of every exception class, users' own ones included."""
