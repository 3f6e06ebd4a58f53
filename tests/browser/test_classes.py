"""Users' own classes between real scripts: what stands at the top level of both (`__main__`) is found by its name."""

from __future__ import annotations

from typing import Any

import pytest

from in_page import in_page

CLASSES = """
import dataclasses
import enum
import typing
import workerlib

@dataclasses.dataclass(slots=True)
class Order:
    item: str
    count: int = 1
    parts: list = dataclasses.field(default_factory=list)

class State(enum.Enum):
    NEW = object()
    PAID = object()

class Place(typing.NamedTuple):
    city: str
    zip: str

class OrderError(Exception):
    def __init__(self, *, order):
        super().__init__("wrong order")
        self.order = order

@workerlib.portable
class Account:
    def __init__(self, owner):
        self.owner = owner
        self.__secret = "secret"

    def secret(self):
        return self.__secret
"""
WORKER = """
@workerlib.export
def complete(order, state, place, account):
    assert type(order) is Order and type(state) is State and type(account) is Account
    order.parts.append(Order("part of " + order.item))
    return {order.item: order, "state": state is State.NEW and State.PAID, "place": place, "account": account}

@workerlib.export
def fail_softly(order):
    return OrderError(order=order)

@workerlib.export
def take_class(cls):
    return cls is Order, State

@dataclasses.dataclass
class OnlyInTheWorker:
    x: int

@dataclasses.dataclass
class Grown:
    x: int
    old: int

@workerlib.export
def give(name):
    return [globals()[name](*range(2 if name == "Grown" else 1))]

@workerlib.export
def echo(value):
    return value
"""
SCRIPTS = {"classes": CLASSES, "worker": WORKER}


@pytest.mark.parametrize("scripts", [SCRIPTS], ids=["scripts"])
@in_page(page="mishaps")
async def test_classes_of_both_scripts(workerlib: Any, tags: Any, scripts: dict[str, str]) -> None:
    """Dataclass, enum, named tuple, exception and portable class go to the worker and come back as themselves."""
    import __main__

    exec(scripts["classes"], vars(__main__))  # noqa: S102 - as the page's own script would define them
    order, place = __main__.Order("chair", 2), __main__.Place("Berlin", "10115")
    tags.worker("shop", scripts["classes"] + scripts["worker"])
    async with workerlib.connect("shop") as worker:
        back = await worker.complete(order, __main__.State.NEW, place, __main__.Account("me"))
        assert back["chair"] == __main__.Order("chair", 2, [__main__.Order("part of chair")])
        assert type(back["chair"].parts[0]) is __main__.Order
        assert back["state"] is __main__.State.PAID
        assert type(back["place"]) is __main__.Place
        assert back["place"] == place
        assert (back["account"].owner, back["account"].secret()) == ("me", "secret")
        error = await worker.fail_softly(order)
        assert type(error) is __main__.OrderError
        assert (error.args, error.order) == (("wrong order",), order)
        assert await worker.take_class(__main__.Order) == (True, __main__.State)
        assert order.parts == []


@pytest.mark.parametrize("scripts", [SCRIPTS], ids=["scripts"])
@in_page(page="mishaps")
async def test_classes_of_one_script(workerlib: Any, tags: Any, raises: Any, scripts: dict[str, str]) -> None:
    """The error names the class, or the fields of both sides; the worker lives, and so does the connection."""
    import __main__

    page = "@dataclasses.dataclass\nclass OnlyInThePage:\n    x: int\n"
    page += "@dataclasses.dataclass\nclass Grown:\n    x: int\n    new: int\n"
    exec(scripts["classes"] + page, vars(__main__))  # noqa: S102 - as the page's own script would define them
    tags.worker("half", scripts["classes"] + scripts["worker"])
    missing = (
        "the class {} is not known here: it is defined in the script of the other side. Move the class into"
    )
    async with workerlib.connect("half") as worker:
        with raises(workerlib.FrameError, missing.format("OnlyInTheWorker")):
            await worker.give("OnlyInTheWorker")
        with raises(workerlib.FrameError, missing.format("OnlyInThePage")):
            await worker.echo(__main__.OnlyInThePage(1))
        with raises(workerlib.FrameError, "__main__:Grown has other fields .*: x, old there, x, new here"):
            await worker.give("Grown")
        with raises(workerlib.FrameError, "__main__:Grown has other fields .*: x, new there, x, old here"):
            await worker.echo(__main__.Grown(1, 2))
        assert await worker.echo(__main__.State.NEW) is __main__.State.NEW
