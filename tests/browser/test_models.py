"""attrs objects and pydantic models between a page and its worker, with the wheels that PyPI has for Pyodide 314.

WORKERLIB_WHEELS is the folder of these wheels, which both sites serve as /wheels/; `cargo xtask test --only browser` sets
it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from in_page import in_page

CLASSES = """
import functools
import typing

import attrs
import pydantic
import workerlib

RAN = []

@attrs.define
class Point:
    x: int = attrs.field(validator=lambda *_: RAN.append("validator of attrs"))
    y: list = attrs.field(factory=list)

class Item(pydantic.BaseModel):
    name: str
    count: int = 1

    @pydantic.field_validator("count")
    @classmethod
    def check(cls, value):
        RAN.append("validator of pydantic")
        return value

    def model_post_init(self, context):
        RAN.append("model_post_init")

Content = typing.TypeVar("Content")

class Page(pydantic.BaseModel, typing.Generic[Content]):
    entries: list[Content]

class Shelf(pydantic.BaseModel):
    page: Page[Item]

@attrs.frozen(cache_hash=True)
class Key:
    text: str

class Order(pydantic.BaseModel, extra="allow", frozen=True):
    items: list[Item]
    _secret: int = pydantic.PrivateAttr(default=7)
"""
WORKER = """
RAN.clear()

@workerlib.export
def look(order, point):
    assert RAN == [], RAN
    assert type(order) is Order and type(order.items[0]) is Item and type(point) is Point
    return order.model_dump(), order._secret, sorted(order.model_fields_set), attrs.asdict(point)

@workerlib.export
def echo(value):
    return value

@workerlib.export
def check(value):
    return Item.model_validate(value)

@workerlib.export
def find(keys, text):
    return Key(text) in keys

@workerlib.export
def make(name):
    return Order(items=[Item(name=name), Item.model_construct(name=5, count="many")], extra=b"x"), Point(1, [2])
"""
INSTALL = """
import pyodide_js
import workerlib

await pyodide_js.loadPackage("micropip")
import micropip

await micropip.install({urls!r}, deps=False)
"""
SCRIPTS = {"classes": CLASSES, "worker": WORKER, "install": INSTALL}


def _wheels() -> list[str]:
    folder = os.environ.get("WORKERLIB_WHEELS")
    return sorted(path.name for path in Path(folder).glob("*.whl")) if folder else []


@pytest.mark.parametrize("scripts", [SCRIPTS], ids=["scripts"])
@pytest.mark.parametrize("wheels", [_wheels()], ids=["wheels"])
@in_page(page="mishaps", limit=90)
async def test_objects_of_attrs_and_models_of_pydantic(
    workerlib: Any, tags: Any, raises: Any, scripts: dict[str, str], wheels: list[str]
) -> None:
    """They arrive as themselves, generic ones too, and no validator runs on the way; a ValidationError is one there."""
    import js
    import pyodide_js

    import __main__

    assert any(name.startswith("pydantic_core-") for name in wheels), "WORKERLIB_WHEELS is not set"
    urls = [f"{js.location.origin}/wheels/{name}" for name in wheels]
    await pyodide_js.loadPackage("micropip")
    import micropip

    await micropip.install(urls, deps=False)
    import pydantic

    exec(scripts["classes"], vars(__main__))  # noqa: S102 - as the page's own script would define them
    script = scripts["install"].format(urls=urls) + scripts["classes"] + scripts["worker"]
    tags.worker("models", script)
    async with workerlib.connect("models") as worker:
        order = __main__.Order(items=[__main__.Item(name="chair", count=2)], note="extra")
        point = __main__.Point(3, ["a"])
        __main__.RAN.clear()
        assert await worker.look(order, point) == (
            {"items": [{"name": "chair", "count": 2}], "note": "extra"},
            7,
            ["items", "note"],
            {"x": 3, "y": ["a"]},
        )
        back = await worker.echo({"order": order, "same": order, "point": point})
        assert back["order"] is back["same"]
        assert (back["order"], back["point"]) == (order, point)
        made, there = await worker.make("lamp")
        assert (type(made), made.items[0].name, made.extra) == (__main__.Order, "lamp", b"x")
        assert (made.items[1].name, made.items[1].count) == (5, "many")
        assert (type(there), there.x, there.y) == (__main__.Point, 1, [2])
        assert __main__.RAN == []
        shelf = __main__.Shelf(page=__main__.Page[__main__.Item](entries=[__main__.Item(name="table")]))
        back = await worker.echo(shelf)
        assert type(back.page) is __main__.Page[__main__.Item]
        assert back == shelf
        with raises(pydantic.ValidationError, "count") as caught:
            await worker.check({"name": "x", "count": "many"})
        assert [error["loc"] for error in caught.value.errors()] == [("count",)]
        # The worker hashes texts in its own way.
        key = __main__.Key("a key")
        assert hash(key) == hash(__main__.Key("a key"))
        assert await worker.find({key: 1}, "a key")
