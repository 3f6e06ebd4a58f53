"""Objects that are more than what they iterate over are refused, with a remedy; generators and the like still arrive."""

from __future__ import annotations

import asyncio
import collections
import configparser
import csv
import email.message
import http.client
import io
import itertools
import mailbox
import operator
import sys
import tarfile
import tempfile
import types
import typing
import xml.dom.minidom
import xml.etree.ElementTree as ET
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from workerlib import ConversionWarning, UnsendableError
from workerlib._native import decode, encode
from workerlib._values.adapters import AdapterSet
from workerlib._values.sending import SendingTable

from trip import round_trip

try:
    import sqlite3
except ImportError:
    # Pyodide has it as a package of its own.
    sqlite3 = None  # type: ignore[assignment]

LISTS = SendingTable(AdapterSet(), lists=True)
"""For connections whose settings say `iterables = "list"`."""


def cursor() -> Any:
    return sqlite3.connect(":memory:").execute("select 1")


def message() -> Any:
    made = email.message.EmailMessage()
    made["Subject"] = "x"
    return made


class Reader:
    """A class of the user's that can be read from."""

    def __iter__(self) -> Iterator[int]:
        return iter([1])

    def read(self) -> bytes:
        return b""


class Writer:
    """One that can be written to."""

    def __iter__(self) -> Iterator[int]:
        return iter([1])

    def write(self, _: bytes) -> None: ...


class Rows:
    """A cursor of some database."""

    def __iter__(self) -> Iterator[int]:
        return iter([1])

    def fetchall(self) -> list[int]:
        return [1]


class Sparse(dict[Any, Any]):
    """A sparse array of the user's, which is a dict all the same."""


class Grid:
    """A sparse array of the user's, which is none."""

    nnz = 1

    def __iter__(self) -> Iterator[int]:
        return iter([1])

    def tocoo(self) -> None: ...


class Later:
    """Something to be awaited."""

    def __await__(self) -> Iterator[Any]:
        return iter(())

    __iter__ = __await__


STANDARD: dict[str, tuple[Callable[[], Any], str]] = {
    "a file": (lambda: io.BufferedReader(io.BytesIO(b"x")), r"read\(\)"),
    "text over bytes": (lambda: io.TextIOWrapper(io.BytesIO(b"x")), r"read\(\)"),
    "a temporary file": (lambda: tempfile.SpooledTemporaryFile(), r"read\(\)"),  # noqa: SIM115
    "a cursor": (cursor, r"fetchall\(\)"),
    "a message": (message, r"as_bytes\(\)"),
    "headers": (lambda: http.client.parse_headers(io.BytesIO(b"A: b\r\n\r\n")), r"items\(\)"),
    "an element": (lambda: ET.fromstring("<a><b/></a>"), r"tostring"),
    "a document": (lambda: xml.dom.minidom.parseString("<a/>"), r"toxml\(\)"),
    "an archive": (lambda: zipfile.ZipFile(io.BytesIO(), "w"), r"the bytes of the file"),
    "a tar": (lambda: tarfile.TarFile(fileobj=io.BytesIO(), mode="w"), r"the bytes of the file"),
    "a configuration": (configparser.ConfigParser, r"dict\(section\)"),
    "a writer": (lambda: csv.DictWriter(io.StringIO(), ["a"]), r"the text that was written"),
    "a reader of the user's": (Reader, r"read\(\)"),
    "a writer of the user's": (Writer, r"read\(\)"),
    "a cursor of the user's": (Rows, r"fetchall\(\)"),
    "a sparse array of the user's": (Grid, r"todense\(\)"),
    "an awaitable of the user's": (Later, "to be awaited"),
}


if sqlite3 is None:
    del STANDARD["a cursor"]


@pytest.mark.parametrize("name", STANDARD)
def test_the_standard_library_and_what_looks_like_it(name: str) -> None:
    """Each is refused where it stands, and the error says what to send."""
    make, remedy = STANDARD[name]
    value = make()
    try:
        with pytest.raises(UnsendableError, match=remedy) as caught:
            round_trip({"deep": [value]})
    finally:
        for opened in (value, getattr(value, "connection", None)):
            if hasattr(opened, "close"):
                opened.close()
    assert caught.value.path == "value['deep'][0]"


@pytest.mark.skipif(
    sys.platform == "emscripten", reason="Pyodide's file system has no temporary files that are mailboxes"
)
def test_a_mailbox(tmp_path: Path) -> None:
    """It iterates over messages, whose own parts would be lost."""
    box = mailbox.mbox(tmp_path / "box")
    try:
        with pytest.raises(UnsendableError, match="bytes of its messages"):
            round_trip(box)
    finally:
        box.close()


async def test_a_future() -> None:
    """It can be iterated, since `await` once was `yield from`."""
    future = asyncio.get_running_loop().create_future()
    with pytest.raises(UnsendableError, match="to be awaited"):
        round_trip([future])


def test_a_named_temporary_file() -> None:
    """Its class has no method `read`: it hands on to the file inside."""
    with tempfile.NamedTemporaryFile() as file, pytest.raises(UnsendableError, match=r"read\(\)"):
        round_trip(file)


def library(name: str, source: str, monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """Makes a module that looks as if it were an installed package."""
    module = types.ModuleType(name)
    module.__file__ = f"/somewhere/site-packages/{name}/__init__.py"
    monkeypatch.setitem(sys.modules, name, module)
    exec(source, module.__dict__)  # noqa: S102
    return module


CLASSES = """
import collections.abc
class Graph:
    def __iter__(self): return iter([1, 2])
class Frame(Graph):
    def to_dict(self): return {}
class Array(Graph):
    def __array__(self): return None
class Steps:
    def __iter__(self): return self
    def __next__(self): raise StopIteration
class Numbers(collections.abc.Sequence):
    def __getitem__(self, index): return [1, 2][index]
    def __len__(self): return 2
class Names(collections.abc.Mapping):
    def __getitem__(self, key): return {"a": 1}[key]
    def __iter__(self): return iter("a")
    def __len__(self): return 1
class Bag(collections.abc.Set):
    def __contains__(self, item): return item == 1
    def __iter__(self): return iter([1])
    def __len__(self): return 1
class OwnList(list): pass
"""


def test_a_librarys_class_that_only_iterates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody can tell what else it is: it is refused with what it offers itself, also by a class of the user's."""
    module = library("somelibrary", CLASSES, monkeypatch)
    own = type("Own", (module.Graph,), {"__module__": "users"})
    for cls, remedy in (
        (module.Graph, r"list\(…\) if its items are all"),
        (module.Frame, r"its to_dict\(\)"),
        (module.Array, r"numpy\.asarray\(…\)"),
        (own, r"list\(…\) if its items are all"),
    ):
        with pytest.raises(UnsendableError, match=remedy):
            round_trip(cls())


@pytest.mark.parametrize(
    ("name", "expected"),
    [("Steps", []), ("Numbers", [1, 2]), ("Names", {"a": 1}), ("Bag", [1]), ("OwnList", [])],
)
def test_a_librarys_class_that_is_its_items(
    name: str, expected: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Iterators, sequences, mappings, sets and subclasses of builtin classes arrive as before."""
    module = library("somelibrary", CLASSES, monkeypatch)
    with pytest.warns(ConversionWarning):
        assert round_trip(getattr(module, name)()) == expected


class Tree:
    """A class of the user's."""

    def __init__(self, *items: object) -> None:
        self.items = items

    def __iter__(self) -> Iterator[object]:
        return iter(self.items)


def test_users_own_iterables_still_arrive() -> None:
    """Iterables of users arrive as lists, as in the seed document."""
    with pytest.warns(ConversionWarning):
        assert round_trip(Tree(1, [2])) == [1, [2]]


def test_an_item_of_its_containers_own_class() -> None:
    """It ends the walk at the first such item: whatever the container is, a list of it would go on for ever."""
    asked = []

    class Row:
        def __iter__(self) -> Iterator[Any]:
            asked.append(1)
            return (Row() for _ in range(1_000_000))

    with pytest.raises(UnsendableError, match="its items are of its own class"):
        round_trip([Row()])
    assert len(asked) == 1
    with pytest.raises(UnsendableError, match="its items are of its own class"):
        round_trip(Tree(1, Tree()))


@pytest.mark.filterwarnings("ignore::workerlib.ConversionWarning")
def test_what_may_hold_its_own_kind() -> None:
    """Iterators of iterators, and lists of a class that is made to be derived from."""
    assert round_trip(iter([1, x]) for x in range(2)) == [[1, 0], [1, 1]]
    assert round_trip((y for y in range(x)) for x in range(3)) == [[], [0], [0, 1]]
    assert round_trip(collections.UserList([collections.UserList([1])])) == [[1]]
    assert round_trip(collections.UserDict(a=collections.UserDict(b=1))) == {"a": {"b": 1}}


def test_a_subclass_of_a_builtin_class_with_a_method_read() -> None:
    """It is what its base is."""

    class Settings(dict[str, int]):
        def read(self) -> None: ...

    with pytest.warns(ConversionWarning):
        assert round_trip(Settings(a=1)) == {"a": 1}


@pytest.mark.filterwarnings("ignore::workerlib.ConversionWarning")
def test_the_old_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    """`iterables = "list"` has everything that can be iterated arrive as a list or a dict."""
    module = library("somelibrary", CLASSES, monkeypatch)
    for value, expected in (
        (module.Graph(), [1, 2]),
        (Reader(), [1]),
        (Rows(), [1]),
        (io.BufferedReader(io.BytesIO(b"a\nb")), [b"a\n", b"b"]),
        (message(), ["Subject"]),
        (Tree(1, Tree(2)), [1, [2]]),
    ):
        frame, buffers = encode(value, table=LISTS)
        assert decode(frame, buffers) == expected


def test_what_a_remedy_may_be_for_without_that_it_iterates() -> None:
    """The table also has what could never be a list."""
    import argparse

    with pytest.raises(UnsendableError, match=r"vars\(…\)"):
        encode(argparse.Namespace(a=1))


def installed(name: str) -> Any:
    return pytest.importorskip(name, reason=f"{name} is not installed here")


def test_networkx() -> None:
    """A graph is its edges, too; its subclasses as well."""
    nx = installed("networkx")
    for cls in (nx.Graph, nx.DiGraph, nx.MultiDiGraph, type("Own", (nx.Graph,), {})):
        with pytest.raises(UnsendableError, match="node_link_data"):
            encode([cls([(1, 2)])])
    back = nx.node_link_graph(round_trip(nx.node_link_data(nx.path_graph(3))))
    assert list(back.edges) == [(0, 1), (1, 2)]


def test_numpys_objects() -> None:
    """Polynomials, iterators over arrays, sources of chance."""
    np = installed("numpy")
    for value, remedy in (
        (np.polynomial.Polynomial([1, 2]), "coef"),
        (np.polynomial.Chebyshev([1, 2]), "coef"),
        (np.poly1d([1, 2]), "coeffs"),
        (np.random.default_rng(1), "bit_generator"),
        (np.add, "name"),
    ):
        with pytest.raises(UnsendableError, match=remedy):
            encode([value])


def test_pandas_objects() -> None:
    """Groups and windows are computed of, not sent."""
    pd = installed("pandas")
    frame = pd.DataFrame({"a": [1, 1], "b": [1, 2]})
    for value in (frame.groupby("a"), frame["b"].groupby(frame["a"]), frame.rolling(2)):
        with pytest.raises(UnsendableError, match="what is computed of it"):
            encode([value])


@pytest.mark.parametrize(
    "endless", [itertools.count(3), itertools.repeat(1), itertools.cycle([1, 2])], ids=repr
)
def test_an_iterator_without_an_end_is_refused(endless: Any) -> None:
    """A list of it would take all memory; the error names what has an end."""
    for options in ({}, {"table": LISTS}):
        with pytest.raises(UnsendableError, match=r"it has no end: send list\(itertools\.islice\(…, n\)\)"):
            encode(endless, **options)
    assert next(endless) in (1, 3), "nothing was used up"


def test_a_repeat_with_an_end_arrives_as_a_list() -> None:
    """`itertools.repeat` has an end if it was told how often."""
    with pytest.warns(ConversionWarning, match="itertools.repeat arrives as list"):
        assert round_trip(itertools.repeat("x", 3)) == ["x"] * 3


@pytest.mark.parametrize("alias", [typing.List[int], typing.Literal["a"], list[int]], ids=repr)  # noqa: UP006
def test_a_type_alias_is_no_list(alias: Any) -> None:
    """typing's aliases can be iterated over, for `*args: *Ts`; the error names the alias, and no item of it."""
    with pytest.raises(UnsendableError, match=r"^value: .*Alias cannot be sent between"):
        encode(alias)


class Called:
    """A class of the user's whose objects can be called."""

    def __call__(self) -> None:
        """Does nothing."""


@pytest.mark.parametrize("called", [Called(), operator.itemgetter(1)], ids=["of a user", "of a library"])
def test_an_object_that_can_be_called_names_the_callback(called: Any) -> None:
    """The error names `callback()`, since the call may be all that is wanted of an object that does not travel."""
    with pytest.raises(UnsendableError, match=r"or send workerlib\.callback\(…\) to have it called"):
        encode(called)


def test_a_row_of_a_hidden_class_names_what_can_be_sent() -> None:
    """A library makes the classes of its rows where nobody finds them, as pandas does in itertuples()."""
    hidden = collections.namedtuple("Hidden", "a b")
    hidden.__module__ = "collections"
    with pytest.raises(UnsendableError, match=r"or send its _asdict\(\)"):
        encode(hidden(1, 2))
    assert round_trip(hidden(1, 2)._asdict()) == {"a": 1, "b": 2}


class Result(collections.namedtuple("Result", "statistic")):
    """A named tuple with further attributes, like the results of scipy's tests."""


def test_a_module_among_the_attributes_of_a_named_tuple() -> None:
    """The results of scipy's tests have the module of their arrays: the error names it, and what can be sent."""
    result: Any = Result(1.5)
    result._xp = itertools
    with pytest.raises(
        UnsendableError, match=r"^value: .*its attribute _xp is a module.*send its _asdict\(\)"
    ):
        encode(result)
    assert round_trip(result._asdict()) == {"statistic": 1.5}
