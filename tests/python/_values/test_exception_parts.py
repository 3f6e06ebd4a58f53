"""An exception keeps its text and its parts: only the leaf that cannot be sent is replaced, and nothing is used up."""

from __future__ import annotations

import errno
import subprocess
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

import pytest
import workerlib
from workerlib import Worker
from workerlib._values.exceptions import describe, rebuild

Connect = Callable[[], AbstractAsyncContextManager[Worker]]


class Lock:
    """An object that cannot be sent."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"<Lock {self.name}>"


class NeedsItsPartError(Exception):
    """Its text needs something of an argument that does not travel."""

    def __init__(self, lock: Lock) -> None:
        super().__init__(lock)
        self.lock = lock

    def __str__(self) -> str:
        return f"held by {self.lock.name}"


class OwnStr(str):
    """An instance of it is a str, too."""


class OwnList(list[Any]):
    """A list of the user's own."""


@dataclass
class Order:
    """A class of the user's that travels."""

    number: int
    lock: Any = None


def there_and_back(error: BaseException) -> BaseException:
    """Describes an exception and makes it again."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return rebuild(describe(error))


def test_the_text_is_the_senders() -> None:
    """Where the exception here could not say it: class, name and the traceback's last line are those of the sender."""
    error = NeedsItsPartError(Lock("anna"))
    back = there_and_back(error)
    assert isinstance(back, NeedsItsPartError)
    assert str(back) == "held by anna"
    assert (type(back).__name__, type(back).__qualname__, type(back).__module__) == (
        "NeedsItsPartError",
        "NeedsItsPartError",
        __name__,
    )
    assert back.args == ("<Lock anna>",)
    assert traceback.format_exception_only(back) == [f"{__name__}.NeedsItsPartError: held by anna\n"]


def test_the_text_of_a_builtin_exception_is_the_senders_too() -> None:
    """The `repr()` that stands for an argument is no reason for another text."""

    class Shown(Lock):
        def __str__(self) -> str:
            return "shown otherwise"

    back = there_and_back(ValueError(Shown("x")))
    assert isinstance(back, ValueError)
    assert (str(back), back.args) == ("shown otherwise", ("<Lock x>",))
    system: Any = there_and_back(OSError(errno.ENOENT, Shown("x"), "a.txt"))
    assert isinstance(system, FileNotFoundError)
    assert str(system) == f"[Errno {errno.ENOENT}] shown otherwise: 'a.txt'"
    assert (system.errno, system.filename) == (errno.ENOENT, "a.txt")
    group: Any = there_and_back(ExceptionGroup("all", [NeedsItsPartError(Lock("a")), KeyError(Lock("b"))]))
    assert [str(one) for one in group.exceptions] == ["held by a", "<Lock b>"]
    assert isinstance(group.exceptions[1], KeyError)


def test_an_exception_that_says_the_same_is_of_its_very_class() -> None:
    """The text is taken from the frame only where it has to be."""
    for error in (ValueError("x"), KeyError("k"), NeedsItsPartError.__base__("x"), OSError(2, "no", "a")):
        back = there_and_back(error)
        assert type(back) is type(error)
        assert str(back) == str(error)


def test_no_code_of_the_class_runs_for_another_text() -> None:
    """Neither its `__init__` nor its `__init_subclass__`, nor its metaclass."""
    ran = []

    class Meta(type):
        def __new__(cls, *args: Any, **kwargs: Any) -> Any:
            ran.append("metaclass")
            return super().__new__(cls, *args, **kwargs)

    class Watched(NeedsItsPartError, metaclass=Meta):
        def __init__(self, lock: Lock) -> None:
            ran.append("init")
            super().__init__(lock)

        def __init_subclass__(cls) -> None:
            ran.append("subclass")

    Watched.__qualname__ = "Watched"
    globals()["Watched"] = Watched
    try:
        error = Watched(Lock("anna"))
        ran.clear()
        back = there_and_back(error)
    finally:
        del globals()["Watched"]
    assert isinstance(back, Watched)
    assert (str(back), ran) == ("held by anna", [])


def test_it_can_be_raised_further() -> None:
    """An exception that came with a text of its own goes on to the next side with that text."""
    further = there_and_back(there_and_back(NeedsItsPartError(Lock("anna"))))
    assert isinstance(further, NeedsItsPartError)
    assert str(further) == "held by anna"


def test_a_text_that_the_sender_does_not_have() -> None:
    """It is told that there is none, as before."""

    class Silent(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    back = there_and_back(Silent())
    assert isinstance(back, workerlib.RemoteError)
    assert "whose str() failed" in str(back)


async def test_numpys_error_of_a_missing_loop(connect: Connect) -> None:
    """Its text needs a ufunc, which stays in the worker."""
    np = pytest.importorskip("numpy", reason="numpy is not installed")

    @workerlib.export
    def add() -> object:
        return np.array([1, 2]) + "abc"

    async with connect() as worker:
        with pytest.raises(TypeError, match="ufunc 'add' did not contain a loop") as caught:
            await worker.add()
    shown = "".join(traceback.format_exception(caught.value))
    assert "<exception str() failed>" not in shown
    assert "_UFuncNoLoopError: ufunc 'add' did not contain a loop" in shown


async def test_large_parts_arrive(connect: Connect) -> None:
    """Buffers of 16 KiB and more travel beside the exception."""
    output, errors = b"o" * 100_000, bytearray(b"e" * 20_000)

    @workerlib.export
    def run() -> None:
        raise subprocess.CalledProcessError(1, ["a", "b"], output, errors)  # type: ignore[arg-type]

    async with connect() as worker:
        with pytest.raises(subprocess.CalledProcessError) as caught:
            await worker.run()
    assert (caught.value.output, caught.value.stderr) == (output, errors)
    assert type(caught.value.stderr) is bytearray
    assert caught.value.cmd == ["a", "b"]


def test_instances_of_subclasses_arrive_as_their_base() -> None:
    """Without a warning, which nobody could heed: nobody sends an exception's parts on purpose."""
    back = there_and_back(ValueError(OwnStr("text"), OwnList([1, OwnStr("x")]), {"k": OwnStr("y")}))
    assert back.args == ("text", [1, "x"], {"k": "y"})
    assert [type(one) for one in back.args] == [str, list, dict]


def test_only_the_leaf_is_replaced() -> None:
    """Containers, objects and what is shared in them stay what they are, wherever the leaf is."""
    shared = [1]
    parts = {"deep": [(Lock("a"), shared)], "order": Order(7, Lock("b")), "shared": shared}
    error = ValueError(parts, {Lock("key"): 1}, {1, 2})
    error.extra = [Lock("c"), 3]  # type: ignore[attr-defined]
    back: Any = there_and_back(error)
    first = back.args[0]
    assert first["deep"] == [("<Lock a>", [1])]
    assert first["order"] == Order(7, "<Lock b>")
    assert first["deep"][0][1] is first["shared"]
    assert back.args[1:] == ({"<Lock key>": 1}, {1, 2})
    assert back.extra == ["<Lock c>", 3]


def test_a_part_in_itself() -> None:
    """A list that holds itself and what cannot be sent."""
    loop: list[Any] = [Lock("a")]
    loop.append(loop)
    back: Any = there_and_back(ValueError(loop))
    assert back.args[0][0] == "<Lock a>"
    assert back.args[0][1] is back.args[0]


def test_iterators_are_not_used_up() -> None:
    """A generator in an exception is the sender's, who may go on with it."""
    numbers = iter([1, 2])
    lines = (line for line in "ab")
    back = there_and_back(ValueError(numbers, [lines]))
    assert list(numbers) == [1, 2]
    assert list(lines) == ["a", "b"]
    assert back.args[0].startswith("<list_iterator")
    assert back.args[1][0].startswith("<generator")


def test_an_object_that_can_be_taken_apart_no_more() -> None:
    """A row that refuses an object, as that of a closed buffer does, is no reason to lose what stands beside it."""
    import io

    closed = io.BytesIO()
    closed.close()
    back = there_and_back(ValueError([closed, 1], io.BytesIO(b"x")))
    assert back.args[0][0].startswith("<_io.BytesIO")
    assert back.args[0][1] == 1
    assert back.args[1].getvalue() == b"x"


def test_parts_that_cannot_be_sent_together() -> None:
    """An argument that is too deep is replaced, and the other arguments arrive."""
    deep: Any = Lock("a")
    for _ in range(300):
        deep = {"k": (deep,), frozenset({1}): 1}
    key: Any = ()
    for _ in range(300):
        key = (key,)
    back = there_and_back(ValueError({key: 1}, "beside"))
    assert back.args[1] == "beside"
    assert isinstance(back.args[0], str)


class Evil:
    """Raises from everything that could be asked."""

    def __repr__(self) -> str:
        raise KeyboardInterrupt

    def __iter__(self) -> Iterator[Any]:
        raise KeyboardInterrupt

    __str__ = __hash__ = __eq__ = __repr__  # type: ignore[assignment]


def test_a_part_that_raises_from_everything() -> None:
    """It is told that there is no text."""
    back = there_and_back(ValueError([Evil(), 1]))
    assert back.args == (["<Evil whose repr() failed>", 1],)
