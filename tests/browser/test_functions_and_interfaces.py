"""Functions as values, and `connect(interface=…)`, between a page and its worker."""

from __future__ import annotations

from typing import Any

from in_page import in_page


@in_page
async def test_an_exported_function_travels_both_ways(worker: Any) -> None:
    """From the worker it arrives as the connection's own function; to the worker it is itself."""
    args, kwargs = await worker.echo(worker.add, function=worker.add)
    assert args[0] is worker.add
    assert kwargs["function"] is worker.add
    assert await args[0](1, 2) == 3
    kind, text = await worker.describe(worker.add)
    assert kind == "function"
    assert text.startswith("<function add at ")


@in_page(page="mishaps")
async def test_functions_that_both_scripts_register(workerlib: Any, tags: Any) -> None:
    """At the top level of both scripts they are found by their name, and each side has its own."""
    import __main__

    shared = "import workerlib\n@workerlib.register\ndef key(row):\n    return row[SIDE]\n"
    exec(shared, vars(__main__))  # noqa: S102 - as the page's own script would define it
    worker = "SIDE = 'worker'\n" + shared
    worker += "@workerlib.export\ndef by(function, row):\n    return function(row), [function]\n"
    tags.worker("registered", worker)
    __main__.SIDE = "page"
    async with workerlib.connect("registered") as connected:
        found, (back,) = await connected.by(__main__.key, {"page": 1, "worker": 2})
        assert found == 2
        assert back is __main__.key
        assert back({"page": 1, "worker": 2}) == 1


@in_page
async def test_an_interface_in_a_page(workerlib: Any, raises: Any) -> None:
    """The worker that fits is connected to; of the other one everything that differs is told."""
    import typing

    class Fitting(workerlib.Interface, typing.Protocol):
        async def add(self, a, b=..., *, scale: int = ...) -> int: ...

    class Unlike(typing.Protocol):
        async def add(self, a, b): ...
        async def missing(self): ...

    async with workerlib.connect("bench", interface=Fitting) as worker:
        assert await worker.add(1, scale=2) == 22
    with raises(workerlib.InterfaceError, r"add\(a, b\) is add\(a, b=…, \*, scale=…\) there; .*missing"):
        await workerlib.connect("bench", interface=Unlike)
