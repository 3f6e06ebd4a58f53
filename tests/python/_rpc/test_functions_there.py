"""The functions of the other side by name: made when they are asked for, and checked when they are described."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from workerlib import Worker, export
from workerlib._rpc.functions_there import FunctionsThere, is_plain, signature_of

Connect = Callable[[], AbstractAsyncContextManager[Worker]]


async def test_a_function_is_made_once_and_when_it_is_asked_for(connect: Connect) -> None:
    """Connecting makes none, however many there are; asking twice gives the same object."""

    @export
    def f(number: int = 1) -> int:
        return number

    @export
    def g() -> None:
        pass

    async with connect() as worker:
        there = worker._connection.functions_there
        assert {"f", "g"} <= set(there)
        assert not there._made
        assert worker.f is worker.f is worker["f"]
        assert list(there._made) == ["f"]
        assert str(inspect.signature(worker.f)) == "(number: 'int' = 1) -> 'int'"
        assert await worker.f() == 1


def test_an_export_that_is_described_again_is_made_anew() -> None:
    """The function of the old description is not given any more."""
    there = FunctionsThere()
    there.add("f", lambda: "old")
    assert there["f"] == "old"
    there.add("f", lambda: "new")
    assert (there["f"], len(there), "g" in there, there.get("g")) == ("new", 1, False, None)


def test_functions_that_somebody_holds_stay() -> None:
    """A connection whose Worker is dropped asks whether one is held; a function that was never made is not."""

    class Function:
        pass

    there = FunctionsThere()
    there.add("f", Function)
    assert not there.let_go()
    held = there["f"]
    assert there.let_go()
    assert there["f"] is held
    del held
    assert not there.let_go()
    assert "f" in there


def test_plain_parameters_are_those_of_a_function() -> None:
    """A list that passes at a glance passes in `inspect.Signature` too: all lists of up to three parameters."""
    names, kinds, defaults = ("a", "b", "class", "not a name", ""), range(-1, 6), (None, "1")
    parameters = [(name, kind, default, None) for name in names for kind in kinds for default in defaults]
    few = [one for one in parameters if one[0] in ("a", "b") and 0 <= one[1] <= 4]
    plain = 0
    for listed in itertools.chain(
        ([one] for one in parameters),
        map(list, itertools.product(parameters, repeat=2)),
        map(list, itertools.product(few, [("c", *one[1:]) for one in few], few)),
    ):
        if is_plain(listed):
            plain += 1
            assert str(signature_of(listed, None)).count(",") >= len(listed) - 1
    assert is_plain([])
    assert plain > 500


def test_most_functions_are_plain() -> None:
    """Parameters of each kind, with defaults, need no signature when they are described."""

    def f(a: int, /, b: int, c: int = 1, *d: int, e: int, g: int = 2, **h: int) -> None:
        pass

    parameters = [
        (one.name, int(one.kind), None if one.default is one.empty else repr(one.default), None)
        for one in inspect.signature(f).parameters.values()
    ]
    assert is_plain(parameters)
