"""The checks of `connect(interface=…)`, and the interface that `python -m workerlib.stubs` writes."""

from __future__ import annotations

import ast
import functools
import inspect
import sys
import textwrap
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest
import workerlib
from workerlib import Interface, InterfaceError, Stream, _exports, stubs
from workerlib._api.interface import check


def mean(values: list[float], /, weight: float = 1.0, *, digits: int = 2) -> float:
    """Is exported under its own name."""
    return round(weight * sum(values) / len(values), digits)


async def describe(*values: float, **options: object) -> str:
    """Is exported, and async."""
    return repr((values, options))


class Stats(Interface, Protocol):
    """Fits the worker."""

    async def mean(self, values: list[float], /, weight: float = ..., *, digits: int = ...) -> float: ...
    async def describe(self, *values: float, **options: object) -> str: ...


class Sync:
    """Fits, as a class of sync functions with a static one, and some that are nobody's business."""

    limit = 5

    def describe(self, *values: float, **options: object) -> str:
        """Is as in the worker."""
        raise NotImplementedError

    @staticmethod
    def mean(values: list[float], /, weight: float = 0, *, digits: int = 0) -> float:
        """Is as in the worker."""
        raise NotImplementedError

    def _private(self) -> None: ...


class Derived(Stats, Protocol):
    """Inherits what it wants, and wants more."""

    async def median(self, values: list[float]) -> float: ...


class Unlike(Protocol):
    """Differs in every way there is."""

    async def mean(self, values: list[float], weight: float, *, digits: int = ...) -> float: ...
    async def describe(self, values: list[float]) -> str: ...
    async def count(self) -> int: ...


@pytest.fixture(autouse=True)
def exports() -> Any:
    """The two functions."""
    workerlib.export(mean, describe)


def refused(interface: object) -> str:
    """Checks that the worker does not fit, and gives the message."""
    with pytest.raises(InterfaceError) as caught:
        check(interface, _exports.describe_exports(), "stats")
    return str(caught.value)


@pytest.mark.parametrize("interface", [Stats, Sync, type("Nothing", (), {})])
def test_an_interface_that_fits(interface: object) -> None:
    """A worker may export more than an interface wants."""
    check(interface, _exports.describe_exports(), "stats")


def test_all_that_differs_is_listed() -> None:
    """The error lists the missing functions, and the parameters of both sides."""
    message = refused(Unlike)
    assert message.startswith("the worker 'stats' does not fit Unlike: ")
    assert "mean(values, weight, *, digits=…) is mean(values, /, weight=…, *, digits=…) there" in message
    assert "describe(values) is describe(*values, **options) there" in message
    assert "it does not export count()" in message


class Anyhow(Protocol):
    """Leaves open how its functions are called, as type checkers understand it."""

    async def mean(self, *args: Any, **fields: Any) -> float: ...


class Variadic(Protocol):
    """Says how."""

    async def mean(self, *args: float, **fields: Any) -> float: ...


def test_parameters_that_are_left_open() -> None:
    """`*args: Any, **fields: Any` are any parameters: so are written the fields of an exported class of values."""
    check(Anyhow, _exports.describe_exports(), "stats")
    assert "mean(*args, **fields) is mean(values, /, weight=…, *, digits=…) there" in refused(Variadic)


def test_what_is_inherited_counts() -> None:
    """A function of a base class is checked once, and its absence is a complaint."""
    assert refused(Derived) == "the worker 'stats' does not fit Derived: it does not export median()"


def rows(limit: int) -> Iterator[int]:
    """Is exported, and a stream."""
    yield limit


class Streaming(Protocol):
    """Says so."""

    def rows(self, limit: int) -> Stream[int]: ...


class Waiting(Protocol):
    """Awaits it."""

    async def rows(self, limit: int) -> list[int]: ...


class Awaiting(Protocol):
    """Takes the stream for a call, and a call for a stream."""

    async def rows(self, limit: int) -> int: ...
    def mean(self, values: list[float], /, weight: float = ..., *, digits: int = ...) -> Stream[float]: ...


def test_streams_are_no_calls() -> None:
    """A stream cannot be awaited, so an interface that confuses them does not fit, and the message says what to write."""
    workerlib.export(rows)
    check(Streaming, _exports.describe_exports(), "stats")
    message = refused(Awaiting)
    assert (
        "rows() is a stream there, and its items come one by one: write `def` and `-> workerlib.Stream[…]`"
        in message
    )
    assert "mean() is not a stream there, and it returns its result at once: write `async def`" in message


def test_a_generator_behind_a_decorator_is_both() -> None:
    """Only a call tells what the decorator returns: an interface may say that it is awaited, or that it is iterated over."""
    workerlib.export(name="rows")(functools.cache(rows))
    for interface in (Streaming, Waiting):
        check(interface, _exports.describe_exports(), "stats")


def test_a_name_that_every_worker_has() -> None:
    """It could be called, but would not be what the interface says."""
    workerlib.export(name="close")(lambda: None)

    class Closing(Protocol):
        async def close(self) -> None: ...

    assert 'close() is reached as worker["close"]' in refused(Closing)


def test_a_module_that_exports() -> None:
    """A module as an interface: the worker should have the module's exports."""
    module = types.ModuleType("stats_module")
    exec("import workerlib\n@workerlib.export\ndef median(values): ...\ndef other(): ...", vars(module))  # noqa: S102
    exported = _exports.describe_exports()
    check(module, exported, "stats")
    assert refused_by(module, [one for one in exported if one[0] != "median"]) == (
        "the worker 'stats' does not fit stats_module: it does not export median()"
    )


def test_a_module_whose_exports_stand_in_a_configuration() -> None:
    """Its public functions are what the worker should have; what it imports is not."""
    module = types.ModuleType("plain_module")
    exec("from textwrap import dedent\ndef mean(values): ...\ndef _own(): ...", vars(module))  # noqa: S102
    assert refused(module).endswith("mean(values) is mean(values, /, weight=…, *, digits=…) there")
    vars(module)["__all__"] = []
    check(module, _exports.describe_exports(), "stats")


def refused_by(interface: object, exports: list[Any]) -> str:
    """Does the same with other exports."""
    with pytest.raises(InterfaceError) as caught:
        check(interface, exports, "stats")
    return str(caught.value)


def test_a_function_whose_parameters_are_not_known() -> None:
    """Python cannot tell those of some builtin functions: any fit."""
    check(Unlike, [(name, None, None, None, 0) for name in ("mean", "describe", "count")], "stats")


def written(source: str) -> str:
    """Writes the interface of a script."""
    return stubs.interface_of(textwrap.dedent(source), "work", "Work")


def test_a_script_is_read_and_not_run() -> None:
    """The script's imports need not be here; exports made in any way are in the interface."""
    interface = written(
        """
        import workerlib
        from workerlib import export
        import js
        raise SystemExit

        @workerlib.export
        def one(a, b=1, *args, c, d=2, **kwargs): ...

        @export(name="two")
        async def _two(x, /): "Does it."

        def three(): ...
        def four(): ...
        def five(): ...
        export(three, four)
        """
    )
    assert "import js" not in interface
    namespace: dict[str, Any] = {"__name__": "written"}
    exec(interface, namespace)  # noqa: S102 - it is ours
    exported = {name: one for name, one in vars(namespace["Work"]).items() if not name.startswith("_")}
    assert set(exported) >= {"one", "two", "three", "four"}
    assert "five" not in exported
    assert "async def one(self, a, b=..., *args, c, d=..., **kwargs):" in interface
    assert exported["two"].__doc__ == "Does it."


def test_names_that_no_method_can_have() -> None:
    """Such an export is called by `worker["the name"]`: a comment says so, and the module has no mistake of syntax."""
    text = written(
        """
        from workerlib import export

        @export(name="mean-of")
        def mean(values): ...

        @export(name="class")
        def kind(): ...

        @export
        def plain(): ...
        """
    )
    namespace: dict[str, Any] = {"__name__": "written"}
    exec(text, namespace)  # noqa: S102 - it is ours
    exported = {name for name, one in vars(namespace["Work"]).items() if callable(one)}
    assert exported >= {"plain"}
    assert not exported & {"mean-of", "class", "mean", "kind"}
    assert "    # worker['mean-of'](…): no method can have this name.\n" in text
    assert "    # worker['class'](…): no method can have this name.\n" in text


def test_long_docstrings_stay_in_shape() -> None:
    """Editors show the docstring of a function as it was written, and of an exported class as well."""
    text = written(
        """
        from workerlib import export

        @export
        def mean(values):
            \"\"\"Returns the mean.

            Args:
                values: Numbers.
            \"\"\"

        @export
        class Table:
            \"\"\"Rows.

            They stay in the worker.
            \"\"\"

            def size(self):
                \"\"\"Counts them.

                All of them.
                \"\"\"
        """
    )
    namespace: dict[str, Any] = {"__name__": "written"}
    exec(text, namespace)  # noqa: S102 - it is ours
    found = [namespace["Work"].mean, namespace["TableHandle"], namespace["TableHandle"].size]
    assert [inspect.getdoc(one) for one in found] == [
        "Returns the mean.\n\nArgs:\n    values: Numbers.",
        "Rows.\n\nThey stay in the worker.",
        "Counts them.\n\nAll of them.",
    ]
    assert (
        '        """Returns the mean.\n\n        Args:\n            values: Numbers.\n        """\n' in text
    )
    assert all(line == line.rstrip() for line in text.splitlines())


def test_what_annotations_name_is_imported() -> None:
    """The interface imports names as the script does, under TYPE_CHECKING too, and the script's own classes from the script."""
    interface = written(
        """
        import typing as t
        import collections.abc, json
        from typing import TYPE_CHECKING, Any, Optional
        if TYPE_CHECKING:
            from decimal import Decimal as D, Context

        class Row: ...
        Rows = list[Row]

        def f(a: t.Any, b: "Optional[D]", *, c: Rows) -> "collections.abc.Iterable[Row]": ...
        """
    )
    for line in (
        "import typing as t",
        "import collections.abc",
        "from typing import Optional",
        "from decimal import Decimal as D",
        "from work import Row, Rows",
    ):
        assert f"\n    {line}\n" in interface
    assert "json" not in interface
    assert "Context" not in interface


NEWER_SYNTAX = """
from collections.abc import Callable
from typing import TypedDict

type Names = list[str]
type Pair[T] = tuple[T, T]
type Handler[**P, R] = Callable[P, R]
type Json = dict[str, Json] | list[Json] | str | None

class Base(TypedDict):
    a: int

def same[T](x: T) -> T: ...
def bound[K: Base](k: K, *rest: K) -> list[K]: ...
def every(n: Names, p: Pair[int], j: Json, h: Handler[[int], str]) -> Pair[str]: ...
"""


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the syntax of Python 3.12")
def test_type_parameters_and_type_statements() -> None:
    """The Protocol keeps a function's type parameters, and imports what their bounds name; TypeScript has their bounds."""
    interface = stubs.interface_of(NEWER_SYNTAX, "work", "Work")
    compile(interface, "work_interface.py", "exec")
    assert "async def same[T](self, x: T) -> T:" in interface
    assert "async def bound[K: Base](self, k: K, *rest: K) -> list[K]:" in interface
    assert "from work import Base, Handler, Json, Names, Pair" in interface
    typescript = stubs.typescript_of(NEWER_SYNTAX, "work", "Work")
    assert typescript.problems == []
    for line in (
        "export type Pair<T> = [T, T];",
        "export type HandlerInput<P extends any[], R> = (...args: P) => R;",
        "export type Json = { [key: string]: Json } | Json[] | string | null;",
        "  same(x: unknown): unknown;",
        "  bound(k: Base, ...rest: Base[]): Base[];",
        "  every(n: Names, p: Pair<number>, j: Json, h: HandlerInput<[number], string>): Pair<string>;",
    ):
        assert f"\n{line}\n" in typescript.text


def test_a_script_without_functions() -> None:
    """The command says that the script exports nothing, and writes no file."""
    with pytest.raises(ValueError, match="work exports no function"):
        written("x = 1")


def test_a_generator_becomes_a_stream() -> None:
    """A function with a `yield` is `async for` for the page, so its method returns a Stream and is not a coroutine."""
    text = written(
        """
        from collections.abc import AsyncGenerator, Iterator
        from workerlib import export

        @export
        def rows(limit: int = 3) -> Iterator[tuple[int, str]]:
            yield 1, "a"

        @export
        async def ticks() -> AsyncGenerator[float, None]:
            while True:
                yield 0.5

        @export
        def plain():
            yield

        @export
        def returns_one() -> Iterator[int]:
            def inner():
                yield 1
            return inner()
        """
    )
    assert "from workerlib import Interface, Stream\n" in text
    assert "    def rows(self, limit: int=...) -> Stream[tuple[int, str]]:" in text
    assert "    def ticks(self) -> Stream[float]:" in text
    assert "    def plain(self) -> Stream[object]:" in text
    assert "    async def returns_one(self) -> Iterator[int]:" in text


def test_an_exported_class_becomes_a_handle() -> None:
    """Its public methods are async, its streams streams; the method that makes one hides no name."""
    text = written(
        """
        import enum
        from dataclasses import dataclass
        from functools import cached_property
        from workerlib import export

        class Base:
            def inherited(self) -> bytes: ...

        @export
        class Table(Base):
            \"\"\"Rows.\"\"\"
            def __init__(self, path: str, *, size: int = 3): ...
            @property
            def name(self) -> str: ...
            @cached_property
            def other(self) -> str: ...
            @staticmethod
            def version(of: int) -> str: ...
            @classmethod
            def kind(cls) -> str: ...
            def itself(self) -> "Table": ...
            def rows(self, *names: str):
                yield 1
            def _private(self): ...

        @export(name="Circle")
        @dataclass
        class Round:
            x: int

        @export
        def newest(tables: list[Table]) -> Table | None: ...
        """
    )
    assert text.index("class TableHandle(Protocol):") < text.index("class Work(Interface, Protocol):")
    handle = text.partition("class TableHandle")[2].partition("class Work(")[0]
    for line in (
        "async def inherited(self) -> bytes:",
        "async def version(self, of: int) -> str:",
        "async def kind(self) -> str:",
        "async def itself(self) -> TableHandle:",
        "def rows(self, *names: str) -> Stream[object]:",
        "async def __aenter__(self) -> Self:",
    ):
        assert f"    {line}" in handle
    for name in ("name(", "other(", "_private", "__init__"):
        assert name not in handle
    assert "    async def __call__(self, path: str, *, size: int=...) -> TableHandle:" in text
    assert "    from work import Round as Round_\n" in text
    assert "    async def Circle(self, *args: Any, **fields: Any) -> Round_:" in text
    assert "    async def newest(self, tables: list[TableHandle]) -> TableHandle | None:" in text


def test_two_exported_classes_with_one_base() -> None:
    """Each handle has the base's methods as the base has them, however often that is looked at."""
    text = written(
        """
        from collections.abc import AsyncIterator, Callable
        from workerlib import export

        class Base:
            @staticmethod
            def version(of: int) -> str: ...
            def each(self, show: Callable[[int], bool], ids: AsyncIterator[int]) -> None: ...

        @export
        class One(Base): ...

        @export
        class Two(Base): ...
        """
    )
    compile(text, "work_interface.py", "exec")
    # Of handles, and of the classes.
    assert text.count("    async def version(self, of: int) -> str:") == 4
    shown = "show: Callable[[int], bool | Awaitable[bool]], ids: AsyncIterable[int]"
    assert text.count(f"    async def each(self, {shown}) -> None:") == 2


def test_values_that_cross_are_as_the_page_has_them() -> None:
    """The page may give any async iterable and any function, sync or async; it gets streams and callbacks with replies."""
    text = written(
        """
        import collections.abc as abc
        from typing import Annotated, AsyncIterator, Awaitable, Callable, Literal
        import workerlib
        from workerlib import Reply, export

        @export
        async def total(
            numbers: "AsyncIterator[int]",
            show: Callable[[int], None],
            ask: abc.Callable[[str], Awaitable[bool]],
            keep: Callable[..., Reply[int]] | None = None,
            mode: Literal["a", "b"] = "a",
        ) -> Annotated[workerlib.Stream[int], "items"]: ...

        @export
        def counter() -> Callable[[AsyncIterator[int]], int]: ...
        """
    )
    assert "numbers: AsyncIterable[int]" in text
    assert "show: Callable[[int], object]" in text
    assert "ask: Callable[[str], bool | Awaitable[bool]]" in text
    assert "keep: Callable[..., int | Awaitable[int]] | None=..." in text
    assert "mode: Literal['a', 'b']=..." in text
    assert ") -> Annotated[Stream[int], 'items']:" in text
    assert "async def counter(self) -> Callable[[AsyncIterable[int]], Reply[int]]:" in text
    assert "from workerlib import Interface, Reply, Stream\n" in text


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("stats.py", "Stats"),
        ("my-worker.py", "MyWorker"),
        ("worker.v2.py", "WorkerV2"),
        ("two words.py", "TwoWords"),
        ("2nd.py", "Worker2nd"),
        ("_myStats.py", "MyStats"),
        ("grüße.py", "Grüße"),
    ],
)
def test_any_name_of_a_script_gives_a_name_of_a_class(file: str, name: str) -> None:
    """Scripts that nobody imports have names that no class can have."""
    script = Path("folder") / file
    assert stubs.interface_name(script) == name
    compile(stubs.interface_of("def f(): ...", script.stem, name), file, "exec")


CLASSES = """
    from dataclasses import dataclass
    from typing import Iterator, Self
    import workerlib

    @workerlib.export
    class Table:
        def __init__(self, path: str, *, size: int = 1): ...
        @classmethod
        def open(cls, path: str) -> Self: ...
        @staticmethod
        def numbers(count: int) -> Iterator[int]:
            yield count
        @classmethod
        def _hidden(cls) -> None: ...
        def query(self) -> int: ...

    @workerlib.export
    class Plain:
        pass

    @workerlib.export
    @dataclass
    class Point:
        x: int
        @classmethod
        def origin(cls) -> "Point": ...
"""


def test_class_methods_in_a_written_interface() -> None:
    """A class with class methods is an object that is called, and `Self` there is the handle."""
    text = stubs.interface_of(textwrap.dedent(CLASSES), "work", "Work")
    body = ast.parse(text).body
    names = [node.name for node in body if isinstance(node, ast.ClassDef)]
    assert names == ["TableHandle", "PlainHandle", "TableClass", "PointClass", "Work"]
    cls = text.partition("class TableClass")[2].partition("class PointClass")[0]
    for line in (
        "async def __call__(self, path: str, *, size: int=...) -> TableHandle:",
        "async def open(self, path: str) -> TableHandle:",
        "def numbers(self, count: int) -> Stream[int]:",
    ):
        assert line in cls
    assert "_hidden" not in text and "query" not in cls
    assert "    @property\n    def Table(self) -> TableClass:" in text
    assert "    async def Plain(self) -> PlainHandle:" in text
    assert "async def origin(self) -> Point:" in text
    # The script imports it, and the handles need it too.
    assert "from typing import TYPE_CHECKING, Any, Protocol, Self\n" in text


class TableClass(Protocol):
    """Fits but for the last method."""

    async def __call__(self, path: str) -> object: ...
    async def open(self, path: str) -> object: ...
    def numbers(self, count: int) -> Stream[int]: ...
    async def gone(self) -> None: ...


class WithClass(Interface, Protocol):
    """Has a class as a property, as `workerlib.stubs` writes it."""

    @property
    def Table(self) -> TableClass: ...

    @property
    def Unknown(self) -> "NotHere": ...  # type: ignore[name-defined]  # noqa: F821, UP037


def test_class_methods_are_checked() -> None:
    """Those that the worker lacks, and those with other parameters, are told with the name of the class."""

    class Table:
        def __init__(self, path: str) -> None: ...

        @classmethod
        def open(cls, name: str) -> None: ...

        @staticmethod
        def numbers(count: int) -> Iterator[int]:
            yield count

    _exports.export(Table)
    with pytest.raises(InterfaceError) as raised:
        check(WithClass, _exports.describe_exports(), "work")
    assert str(raised.value).partition("WithClass: ")[2].split("; ") == [
        "Table.open(path) is Table.open(name) there",
        "it does not export Table.gone()",
        "it does not export Unknown()",
    ]
