"""Classes whose special methods raise or answer nonsense: whatever a user's code does, each call ends with an error.

The classes are generated: each special method of each role, with each thing that it may raise or return. A call that
carries an object of such a class ends, and so does the next one over the same connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import workerlib
from workerlib import Worker, _exports

from loopback import connected, loopback_channel
from repeated import IS_FULL

LIMIT = 20
"""Seconds: nothing here takes long unless it takes for ever."""

STRIDE = 1 if IS_FULL else 5
"""The step by which classes are chosen: one of so many is tried."""


class Nuisance(BaseException):
    """An exception that nobody expects, whose own text cannot be had."""

    def __str__(self) -> str:
        raise self

    __repr__ = __str__


class Text(str):
    """A text whose methods raise."""

    def __str__(self) -> str:
        raise ValueError("no text")

    def __hash__(self) -> int:
        raise KeyboardInterrupt

    __repr__ = __format__ = __str__  # type: ignore[assignment]


def raising(error: Callable[[], BaseException]) -> Callable[..., Any]:
    """Makes a method that raises."""

    def method(*_args: Any, **_kwargs: Any) -> Any:
        raise error()

    return method


ANSWERS: dict[str, Callable[..., Any]] = {
    "raises ValueError": raising(ValueError),
    "raises AttributeError": raising(AttributeError),
    "raises KeyboardInterrupt": raising(KeyboardInterrupt),
    "raises SystemExit": raising(SystemExit),
    "raises CancelledError": raising(asyncio.CancelledError),
    "raises StopIteration": raising(StopIteration),
    "raises GeneratorExit": raising(GeneratorExit),
    "raises RecursionError": raising(RecursionError),
    "raises a nuisance": raising(Nuisance),
    "returns None": lambda *_: None,
    "returns a number": lambda *_: 7,
    "returns a text that raises": lambda *_: Text("text"),
    "returns an object": lambda *_: object(),
}

METHODS = (
    *("__getattribute__", "__getattr__", "__setattr__", "__delattr__", "__dir__"),
    *(
        "__str__",
        "__repr__",
        "__format__",
        "__hash__",
        "__eq__",
        "__bool__",
        "__len__",
        "__iter__",
        "__contains__",
    ),
    *("__reduce__", "__reduce_ex__", "__getstate__", "__setstate__", "__getnewargs__", "__getnewargs_ex__"),
    *(
        "__copy__",
        "__deepcopy__",
        "__await__",
        "__index__",
        "__buffer__",
        "__sizeof__",
        "__call__",
        "__enter__",
    ),
    *(
        "add_note",
        "with_traceback",
        "derive",
        "split",
        "subgroup",
        "keys",
        "items",
        "__getitem__",
        "__next__",
    ),
)
ATTRIBUTES = (
    *(
        "__class__",
        "__dict__",
        "__module__",
        "__doc__",
        "__qualname__",
        "__name__",
        "__slots__",
        "__match_args__",
    ),
    *("__notes__", "__cause__", "__context__", "__suppress_context__", "__traceback__", "args", "exceptions"),
    *("message", "errno", "name", "obj", "code", "__array_interface__", "__array__", "__dataclass_fields__"),
    *("__attrs_attrs__", "__pydantic_fields__", "_fields", "__wrapped__", "__signature__", "typeof", "shape"),
)
OF_METACLASS = (
    *(
        "__getattribute__",
        "__getattr__",
        "__instancecheck__",
        "__subclasscheck__",
        "__str__",
        "__repr__",
        "__call__",
    ),
    *("__hash__", "__eq__", "__iter__", "__len__", "__bool__", "mro_entries", "__dir__"),
)
ATTRIBUTES_OF_METACLASS = (
    "__module__",
    "__qualname__",
    "__name__",
    "__mro__",
    "__dict__",
    "__class__",
    "__bases__",
)


def hostile_classes(base: type) -> Iterator[tuple[str, type]]:
    """Makes the classes, by what is wrong with them."""
    for how, answer in ANSWERS.items():
        for name in METHODS:
            yield f"{name} {how}", lambda n=name, a=answer: type("Hostile", (base,), {n: a})
        for name in ATTRIBUTES:
            if name not in ("__slots__", "__qualname__", "__module__", "__doc__"):
                yield f"{name} {how}", lambda n=name, a=answer: type("Hostile", (base,), {n: property(a)})
        if type(base) is not type:
            continue
        for name in OF_METACLASS:
            yield (
                f"the metaclass's {name} {how}",
                lambda n=name, a=answer: type("Meta", (type,), {n: a})("Hostile", (base,), {}),
            )
        for name in ATTRIBUTES_OF_METACLASS:
            yield (
                f"the metaclass's {name} {how}",
                lambda n=name, a=answer: type("Meta", (type,), {n: property(a)})("Hostile", (base,), {}),
            )


BASES: dict[str, tuple[type, tuple[Any, ...]]] = {
    "object": (object, ()),
    "Exception": (Exception, ("text", 1)),
    "BaseException": (BaseException, ("text",)),
    "OSError": (OSError, (2, "text")),
    "CancelledError": (asyncio.CancelledError, ()),
    "ExceptionGroup": (ExceptionGroup, ("group", [ValueError(1)])),
    "dict": (dict, ({"a": 1},)),
    "list": (list, ([1, 2],)),
    "str": (str, ("text",)),
    "int": (int, (5,)),
    "tuple": (tuple, ((1, 2),)),
    "set": (set, ({1},)),
    "bytes": (bytes, (b"ab",)),
}


def objects(base: str) -> Iterator[tuple[str, Any]]:
    """Makes an object of each class that can be made."""
    kind, args = BASES[base]
    for number, (what, make) in enumerate(hostile_classes(kind)):
        if number % STRIDE:
            continue
        try:
            hostile = make()
            # Without what the class itself says about being called.
            yield f"{base}: {what}", type.__call__(hostile, *args)
        except BaseException:  # noqa: BLE001, S112 - anything
            # Such a class, or an object of it, cannot be made at all.
            continue


async def ended(call: Any) -> tuple[bool, Any]:
    """Awaits a call, which may end in any way, but must end."""
    outcome: list[Any] = []

    async def run() -> None:
        try:
            outcome.extend((True, await call))
        except BaseException as error:  # noqa: BLE001 - anything
            # None of them may be taken by asyncio for its own.
            outcome.extend((False, error))

    task = asyncio.ensure_future(run())
    done, _ = await asyncio.wait({task}, timeout=LIMIT)
    assert done, "the call does not end"
    return outcome[0], outcome[1]


@contextlib.asynccontextmanager
async def served() -> Any:
    """Connects to functions that hand out what the test has put into `given`."""
    given: dict[str, Any] = {}

    @workerlib.export
    def give() -> Any:
        return given["object"]

    @workerlib.export
    async def give_later() -> Any:
        await asyncio.sleep(0)
        return given["object"]

    @workerlib.export
    def give_inside() -> Any:
        return {"a": [1, given["object"]]}

    @workerlib.export
    def give_as_key() -> Any:
        return {given["object"]: 1}

    @workerlib.export
    def throw() -> Any:
        raise given["object"]

    @workerlib.export
    async def throw_later() -> Any:
        await asyncio.sleep(0)
        raise given["object"]

    @workerlib.export
    def throw_with() -> Any:
        raise ValueError(given["object"])

    @workerlib.export
    def throw_from() -> Any:
        raise ValueError("text") from given["object"]

    @workerlib.export
    def throw_noted() -> Any:
        error = ValueError("text")
        error.__notes__ = [given["object"]]
        raise error

    @workerlib.export
    def throw_group() -> Any:
        raise BaseExceptionGroup("group", [given["object"], ValueError("other")])

    @workerlib.export
    def take(*args: Any, **kwargs: Any) -> int:
        return len(args) + len(kwargs)

    @workerlib.export
    def add(one: int, other: int) -> int:
        return one + other

    async with connected(loopback_channel) as worker:
        yield worker, given


AS_RESULT = ("give", "give_later", "give_inside", "give_as_key", "throw_with", "throw_noted")
AS_EXCEPTION = ("throw", "throw_later", "throw_from", "throw_group")


async def check(worker: Worker, given: dict[str, Any], what: str, thing: Any) -> None:
    """Has an object be a result, an exception and an argument."""
    given["object"] = thing
    roles = AS_RESULT + (AS_EXCEPTION if issubclass(type(thing), BaseException) else ())
    for role in roles:
        try:
            await ended(worker[role]())
        except AssertionError as error:
            raise AssertionError(f"{what}, {role}: {error}") from None
    for call in (
        lambda: worker.take(thing),
        lambda: worker.take([thing]),
        lambda: worker.take(a={"b": thing}),
    ):
        try:
            await ended(call())
        except AssertionError as error:
            raise AssertionError(f"{what}, as an argument: {error}") from None
    assert await ended(worker.add(1, 2)) == (True, 3), what


@pytest.mark.filterwarnings("ignore::workerlib.ConversionWarning")
@pytest.mark.parametrize("base", BASES)
async def test_every_call_with_a_hostile_object_ends(base: str) -> None:
    """The call ends and the connection lives on, whatever user code does while a call or an answer is made."""
    tried = 0
    async with served() as (worker, given):
        for what, thing in objects(base):
            tried += 1
            await check(worker, given, what, thing)
    assert tried > 400 / STRIDE, tried


@pytest.mark.skipif(sys.platform != "emscripten", reason="there is no JavaScript outside of Pyodide")
@pytest.mark.parametrize("base", [base for base in BASES if issubclass(BASES[base][0], BaseException)])
async def test_a_page_in_javascript_hears_of_every_exception(base: str) -> None:
    """The worker that speaks Comlink answers by name, message and traceback, which are texts."""
    from workerlib._javascript import comlink

    for what, error in objects(base):

        def throw(error: Any = error) -> None:
            raise error

        try:
            outcome = await comlink._outcome(throw, comlink._registered(0))
        except BaseException as leaked:  # noqa: BLE001 - anything
            raise AssertionError(f"{what}: {type(leaked)} reached JavaScript") from None
        assert outcome[0] == "error", what
        assert [type(text) for text in outcome] == [str] * 4, what


async def test_an_exception_is_told_of_as_well_as_it_can_be() -> None:
    """The harmless parts of a hostile exception arrive: its name, its arguments, its cause."""

    class Sly(Exception):
        def __getattribute__(self, name: str) -> Any:
            raise KeyboardInterrupt(name)

    async with served() as (worker, given):
        given["object"] = Sly("text")
        succeeded, error = await ended(worker.throw())
        assert not succeeded
        assert isinstance(error, workerlib.RemoteError)
        assert "Sly" in str(error)
        assert "text" in str(error)
        succeeded, error = await ended(worker.throw_from())
        assert type(error) is ValueError
        assert "Sly" in repr(error.__cause__) + str(error.__cause__)


@pytest.mark.parametrize("how", ANSWERS)
@pytest.mark.parametrize(
    "attribute",
    ["__signature__", "__doc__", "__wrapped__", "__class__", "__module__", "__name__", "__code__"],
)
async def test_a_hostile_export_can_be_connected_to(how: str, attribute: str) -> None:
    """The handshake tells of every export what can be told."""

    body = {attribute: property(ANSWERS[how]), "__call__": lambda self, *args: len(args)}
    _exports.functions["hostile"] = type("Function", (), body)()
    _exports.functions["add"] = lambda one, other: one + other
    async with asyncio.timeout(LIMIT), connected(loopback_channel) as worker:
        assert await worker.add(1, 2) == 3
        # Its description of its own parameters may be nonsense.
        with contextlib.suppress(TypeError):
            assert await worker["hostile"]() == 0


@pytest.mark.parametrize("how", ANSWERS)
@pytest.mark.parametrize("method", ["__repr__", "__getattribute__", "__class__"])
async def test_a_hostile_default_and_annotation(how: str, method: str) -> None:
    """A parameter may have a default or an annotation that does not say what it is."""
    answer = ANSWERS[how]
    made = type("Default", (), {method: property(answer) if method == "__class__" else answer})()

    def function(one: made = made) -> made:  # type: ignore[valid-type]
        return 1

    function.__annotations__ = {"one": made, "return": made}
    _exports.functions["function"] = function
    async with asyncio.timeout(LIMIT), connected(loopback_channel) as worker:
        assert await worker["function"]() == 1
