"""Exported classes: which of their methods are exported with them, and what the other side calls on them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from workerlib import Worker, _exports, export

Connect = Callable[[], AbstractAsyncContextManager[Worker]]


class Base:
    """Has class methods, which a subclass may replace."""

    @classmethod
    def make(cls) -> Any:
        return cls()

    @staticmethod
    def plain() -> str:
        return "plain"

    @classmethod
    def replaced(cls) -> str:
        return "class method"

    @classmethod
    def _hidden(cls) -> None: ...

    def method(self) -> str:
        return "method"


class Derived(Base):
    """Has a method in place of a class method."""

    def replaced(self) -> str:  # type: ignore[override]
        return "method"


def of_another_package() -> type:
    """Makes a class of a library."""

    class Library:
        @classmethod
        def parse_file(cls, path: str) -> str:
            return path

    Library.__module__ = "library.models"
    return Library


def test_which_methods_come_with_a_class() -> None:
    """Public class methods and static methods, inherited ones too, but those of other packages and of builtins."""
    export(Derived)
    assert list(_exports.functions) == ["Derived", "Derived.make", "Derived.plain"]
    assert isinstance(_exports.functions["Derived.make"](), Derived)

    class Mine(of_another_package(), dict[str, int]):  # type: ignore[misc]
        @classmethod
        def own(cls) -> None: ...

    export(name="Other")(Mine)
    assert list(_exports.functions)[3:] == ["Other", "Other.own"]


def test_what_the_user_exports_goes_first() -> None:
    """A name with a dot may be exported before the class or after it; another function is not a conflict."""

    def make() -> str:
        return "the user's"

    export(name="Base.make")(make)
    export(Base)
    assert _exports.functions["Base.make"] is make

    def plain() -> str:
        return "the user's"

    export(name="Base.plain")(plain)
    assert _exports.functions["Base.plain"] is plain
    with pytest.raises(ValueError, match="'Base.plain' is exported already"):
        export(name="Base.plain")(make)


def test_a_class_that_is_exported_again() -> None:
    """A notebook's cell that is run again replaces the class and its class methods."""

    def define(number: int) -> type:
        class Cell:
            @classmethod
            def tell(cls) -> int:
                return number

        return Cell

    export(define(1))
    export(define(2))
    assert _exports.functions["Cell.tell"]() == 2


def test_options_of_an_export_hold_for_its_methods() -> None:
    """What is said of a class is said of its class methods."""
    export(blocking=True, idempotent=True)(Base)
    assert _exports.blocking["Base.make"] is True and "Base.make" in _exports.idempotent
    export(Base)
    assert "Base.make" not in _exports.blocking and "Base.make" not in _exports.idempotent


async def test_a_class_method_with_a_name_of_the_class_itself(connect: Connect) -> None:
    """`options` of a class is workerlib's; the method of this name is reached by its full name."""

    @export
    class Chooser:
        @classmethod
        def options(cls) -> list[int]:
            return [1, 2]

    async with connect() as worker:
        await worker.Chooser.options(timeout=60)()
        assert await worker["Chooser.options"]() == [1, 2]


async def test_classes_that_are_exported_later(connect: Connect) -> None:
    """The other side learns of a class method, also of a class that it has called before."""

    @export
    class Late:
        pass

    async with connect() as worker:
        await worker.Late()
        with pytest.raises(AttributeError, match="it has: none"):
            _ = worker.Late.add
        export(name="Late.add")(lambda left, right: left + right)
        # Its message is there before this answer.
        await worker.Late()
        assert await worker.Late.add(1, 2) == 3


async def test_a_class_without_a_signature(connect: Connect) -> None:
    """Builtin classes are called as before, and have no class methods of their own."""
    export(name="text")(str)
    export(dict)
    async with connect() as worker:
        assert await worker.text(5) == "5"
        assert await worker.dict([("a", 1)]) == {"a": 1}
        assert list(worker) == ["text", "dict"]


async def test_inspect_knows_a_class_of_the_other_side(connect: Connect) -> None:
    """`inspect` and `functools` take it as they take a remote function."""

    @export
    class Table:
        """A table."""

        def __init__(self, rows: int = 3) -> None:
            self.rows = rows

    async with connect() as worker:
        assert inspect.getdoc(worker.Table) == "A table."
        assert str(inspect.signature(worker.Table)) == "(rows: 'int' = 3) -> 'Table'"
        assert worker.Table.__name__ == "Table"
        if mark := getattr(inspect, "markcoroutinefunction", None):
            assert mark and inspect.iscoroutinefunction(worker.Table)
        assert functools.partial(worker.Table, 4).func is worker.Table
        with pytest.raises(TypeError, match="Table\\(\\) got an unexpected keyword argument 'columns'"):
            worker.Table(columns=1)
