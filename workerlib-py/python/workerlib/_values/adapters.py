"""Provides users' adapters: registers them, and finds the one for a class or for a key in a frame.

An adapter is a class, a function that makes of its instances something that can be sent, and a function
that makes an instance of that again. Both sides have it under one key, `module:ClassName`. Each connection
has an `AdapterSet`: the adapters of its own configuration, then those that Python code has registered for
all connections.

`_config/adapters.py` reads the section `[adapters]` of a configuration; `async_adapters.py` awaits async
adapters.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from workerlib._errors import ConfigError
from workerlib._values.adapter import (
    Adapter,
    AdapterDescription,
    AdapterFailure,
    All,
    Decode,
    Encode,
    Whole,
    key_of,
)

_C = TypeVar("_C", bound=type)

listeners: list[Callable[[], None]] = []
"""Each is called when an adapter was registered."""

_registered: dict[str, Adapter] = {}
"""The adapters that Python code has registered, by their keys: every connection has them."""
_TOTAL = f"workerlib:{All.__qualname__}"


# Functions that users call.


def register_adapter(
    cls: _C, encode: Encode | None = None, decode: Decode | None = None, *, name: str | None = None
) -> _C:
    """Has instances of a class pass through an adapter; to be called on both sides, at any time.

    It stands behind the adapters of the configuration and those that were registered before it. One of the
    same name is replaced.

    Args:
        cls: The class; instances of its subclasses pass through the adapter too, unless one before it is
            for them. `object` is for everything that could not be sent as itself otherwise.
        encode: Takes an instance and returns what is sent in its place: anything that can be sent. It may be
            async. By default an enum's value is sent, or the value of a builtin base class.
        decode: Takes exactly that and returns an instance; async, too. If it has a second parameter, that
            gets the name of the object's own class, `module.Class`. By default the class itself is called.
        name: The name by which the sides know the adapter, by default `module:Class`.

    Returns:
        The class.

    Raises:
        TypeError: If these are not a class and functions with so many parameters.
    """
    try:
        made = make_adapter(name or key_of(cls), cls, encode, decode, None)
    except ConfigError as error:
        raise TypeError(str(error)) from None
    _registered.pop(made.key, None)
    _registered[made.key] = made
    _tell_listeners()
    return cls


def adapter(cls: _C) -> _C:
    """Registers a class that is its own adapter: a decorator.

    `__workerlib_encode__(self)` returns what is sent, and the classmethod `__workerlib_decode__(cls, data)`
    makes an instance of that; without it, the class itself is called. Both may be async.

    Args:
        cls: The class.

    Raises:
        TypeError: If it is not a class, or one without `__workerlib_encode__`.
    """
    if not isinstance(cls, type) or not callable(getattr(cls, "__workerlib_encode__", None)):
        raise TypeError(
            f"@workerlib.adapter is for classes with a method __workerlib_encode__, not for {cls!r}; an"
            " adapter for another class is registered by workerlib.adapter_for() or register_adapter()"
        )

    def encode(value: Any) -> Any:
        # A subclass may have its own.
        return value.__workerlib_encode__()

    return register_adapter(cls, encode, getattr(cls, "__workerlib_decode__", None))


def adapter_for(cls: type, *, name: str | None = None) -> Callable[[_C], _C]:
    """Registers an adapter class for another class: a decorator, for a module that both sides import.

    The decorated class has `encode` and `decode`, which are static or class methods and do what the functions
    that `register_adapter` takes do. It stays what it is.

    Args:
        cls: The class whose instances the adapter is for.
        name: The name by which the sides know the adapter, by default `module:Class`.

    Raises:
        TypeError: As `register_adapter`; or if the decorated class has no `encode`.
    """
    if not isinstance(cls, type):
        raise TypeError(f"@workerlib.adapter_for(…) takes a class, not {cls!r}")

    def register(holder: _C) -> _C:
        encode = getattr(holder, "encode", None)
        if encode is None:
            raise TypeError(f"{holder!r} has no static method `encode`, which an adapter class needs")
        register_adapter(cls, encode, getattr(holder, "decode", None), name=name)
        return holder

    return register


# The adapters of a connection.


class AdapterSet:
    """The adapters of one connection: those of its configuration in their order, then the registered ones."""

    def __init__(self, configured: Iterable[Adapter] = ()) -> None:
        """Takes the adapters of a configuration.

        Args:
            configured: The adapters, in their order; the first one for a class wins.
        """
        self._configured = {one.key: one for one in configured}

    def _in_order(self) -> Iterable[Adapter]:
        yield from self._configured.values()
        yield from (one for one in _registered.values() if one.key not in self._configured)

    @property
    def is_empty(self) -> bool:
        """Whether there is no adapter, neither of the configuration nor registered."""
        return not self._configured and not _registered

    def describe(self) -> list[AdapterDescription]:
        """Describes every adapter for the handshake."""
        return [(one.key, one.entry, one.is_async) for one in self._in_order()]

    def wrap_arguments(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Has each argument pass through the adapter for everything, if there is one."""
        if _TOTAL not in self._configured:
            return args, kwargs
        # One for each object, so that what is passed twice arrives as one.
        wrapped = {id(value): Whole(value) for value in (*args, *kwargs.values())}
        return tuple(wrapped[id(value)] for value in args), {
            name: wrapped[id(value)] for name, value in kwargs.items()
        }

    def wrap_result(self, value: object) -> object:
        """Has a result pass through the adapter for everything, if there is one."""
        return Whole(value) if _TOTAL in self._configured else value

    def find_total(self) -> Adapter | None:
        """Finds the adapter for everything."""
        return self._configured.get(_TOTAL)

    def find(self, cls: type) -> Adapter | None:
        """Finds the first adapter for instances of a class; never the one for `object`."""
        for one in self._in_order():
            if one.cls is not object and one.cls is not All and one.encodes(cls):
                return one
        return None

    def find_last_resort(self) -> Adapter | None:
        """Finds the adapter for `object`, which is for what cannot be sent as itself otherwise."""
        return next((one for one in self._in_order() if one.cls is object), None)

    def build(self, key: object, data: object, class_name: object) -> Any:
        """Makes an object of the three values of a frame: docs/wire-format.md, section 4.7.

        Raises:
            AdapterFailure: With what the decoder raised, or if this side has no such adapter.
            ValueError: If these are not three values of an adapter.
        """
        if not isinstance(key, str) or not isinstance(class_name, str):
            raise ValueError("an adapter's value needs the adapter's key and the name of a class, both strs")
        made = self.decode(key, data, class_name)
        if inspect.iscoroutine(made):
            made.close()
            raise AdapterFailure(
                TypeError(
                    f"the decoder of the adapter {key} is async, which the other side did not know: register"
                    " it before connecting"
                ),
                str(key),
            )
        return made

    def decode(self, key: object, data: object, class_name: object) -> Any:
        """Calls the decoder; what it returns may be a coroutine.

        Raises:
            AdapterFailure: With what the decoder raised, or if this side has no such adapter.
        """
        found = self._configured.get(key) or _registered.get(key)  # type: ignore[call-overload]
        if found is None:
            raise AdapterFailure(
                LookupError(
                    f"this side has no adapter {key!r}, which {class_name} passed through: it must stand"
                    " under [adapters] in both configurations, or be registered on both sides"
                ),
                str(key),
            )
        try:
            return found.decode(data, class_name) if found.takes_name else found.decode(data)
        except BaseException as error:
            raise AdapterFailure(error, found.key) from None


def check_peer(
    ours: Iterable[AdapterDescription], theirs: Iterable[AdapterDescription], peer: str, here: str
) -> None:
    """Checks that what stands in one side's configuration is known to the other.

    Args:
        ours: The adapters of this side.
        theirs: The adapters of the other side.
        peer: The other side's title in the message: "the worker".
        here: This side's title.

    Raises:
        ConfigError: If an entry has no adapter of its name on the other side.
    """
    sides = (ours, theirs, here, peer), (theirs, ours, peer, here)
    for some, others, who, whom in sides:
        known = {key for key, *_ in others}
        for key, entry, _ in some:
            if entry is not None and key not in known:
                raise ConfigError(
                    f"{entry}: only the configuration of {who} has this entry, and {whom} has no adapter"
                    f" {key!r}: write it into both configurations"
                )


# Making one.


def make_adapter(key: str, cls: object, encode: object, decode: object, entry: str | None) -> Adapter:
    """Makes an adapter of what should be a class and two functions.

    Raises:
        ConfigError: If they are not; the message begins with the entry.
    """
    subject = entry or f"the adapter {key}"
    if not isinstance(cls, type):
        raise ConfigError(f"{subject}: {cls!r} is not a class")
    try:
        issubclass(object, cls)
    except TypeError as error:
        raise ConfigError(f"{subject}: isinstance(…, {cls.__qualname__}) does not work: {error}") from error
    if encode is not None:
        _count_parameters(encode, "encoder", 1, subject)
    takes_name = False
    if decode is None:
        if cls in (object, All):
            raise ConfigError(f'{subject}: an adapter for everything needs a decoder, such as "pickle"')
        decode = cls
    else:
        takes_name = _count_parameters(decode, "decoder", 2, subject) == 2
    if cls is All and encode is None:
        raise ConfigError(f'{subject}: an adapter for everything needs an encoder, such as "pickle"')
    assert callable(decode)
    is_async = _is_coroutine_function(decode)
    return Adapter(key, cls, encode, decode, takes_name, is_async, entry)  # type: ignore[arg-type]


def _is_coroutine_function(function: Any) -> bool:
    # An object that can be called may be a function by its class only.
    called = getattr(function, "__call__", None)  # noqa: B004
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(called)


def _count_parameters(function: object, role: str, most: int, subject: str) -> int:
    """Returns how many positional arguments a function is to be called with, at most that many."""
    if not callable(function):
        raise ConfigError(f"{subject}: the {role}, {function!r}, is not a function")
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        # Python cannot tell it of some functions that are written in C.
        return 1
    kinds = inspect.Parameter
    positional = [
        one for one in parameters if one.kind in (kinds.POSITIONAL_ONLY, kinds.POSITIONAL_OR_KEYWORD)
    ]
    rest = [one for one in parameters if one.kind is kinds.VAR_POSITIONAL]
    required = sum(one.default is kinds.empty for one in positional)
    keywords = [
        one.name for one in parameters if one.kind is kinds.KEYWORD_ONLY and one.default is kinds.empty
    ]
    wanted = "one parameter" if most == 1 else "one or two parameters"
    name = getattr(function, "__qualname__", repr(function))
    if keywords:
        raise ConfigError(f"{subject}: the {role} {name} needs {wanted}, and not {keywords[0]!r} by keyword")
    if required > most or len(positional) + len(rest) == 0:
        raise ConfigError(f"{subject}: the {role} {name} has {len(positional)} parameters, it needs {wanted}")
    # Of a class, or of a function in C, a second parameter that need not be given is something else.
    is_own = isinstance(function, types.FunctionType | types.MethodType)
    return min(most, len(positional) + len(rest) if is_own else max(required, 1))


def _tell_listeners() -> None:
    for listener in listeners:
        listener()
