"""Exports that are made after a connection: the other side learns of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import pytest
from workerlib import NotExportedError, Worker, _exports, export

Connect = Callable[[], AbstractAsyncContextManager[Worker]]


async def test_a_late_export_can_be_called(connect: Connect) -> None:
    """An open connection learns of a new export, with its signature."""

    @export
    def make(name: str) -> None:
        export(name=name)(lambda number: [name, number])

    async with connect() as worker:
        with pytest.raises(NotExportedError):
            worker["late"]
        await worker.make("late")
        assert await worker.late(2) == ["late", 2]
        with pytest.raises(TypeError, match="late"):
            await worker.late()
        assert "late" in dir(worker)


async def test_the_end_of_a_connection_ends_the_announcements(connect: Connect) -> None:
    """A closed connection does not listen to exports any more, so it can be freed."""
    before = list(_exports.observers)
    async with connect():
        assert len(_exports.observers) == len(before) + 1
    assert _exports.observers == before


async def test_an_export_under_a_known_name_replaces_its_description(connect: Connect) -> None:
    """The page shows and checks the signature of the newer function."""

    def define(default: int) -> Callable[..., int]:
        def f(number: int = default) -> int:
            return number

        return f

    export(define(1))
    async with connect() as worker:
        assert await worker.f() == 1
        export(define(2))
        assert await worker.f() == 2
        assert "= 2" in str(inspect.signature(worker.f))
