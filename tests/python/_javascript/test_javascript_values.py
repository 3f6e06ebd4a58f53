"""Values for pages in JavaScript that need libraries: the tables of docs/javascript.md have the others."""

from __future__ import annotations

import sys
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "emscripten", reason="JavaScript is in Pyodide only")


def test_an_attrs_class_arrives_as_its_fields() -> None:
    """An attrs class is sent as a dataclass is, by the names of its fields."""
    attrs: Any = pytest.importorskip("attrs", reason="attrs is not installed in this Pyodide")
    from workerlib._javascript.values import to_javascript

    @attrs.define
    class Point:
        x: int
        _y: int = 2

    assert to_javascript(Point(1)).to_py() == {"x": 1, "_y": 2}


def test_a_pydantic_model_arrives_as_its_fields() -> None:
    """Models are sent with what is in them, extras included; a root model as its one value."""
    pydantic: Any = pytest.importorskip("pydantic", reason="pydantic is not installed in this Pyodide")
    from workerlib._javascript.values import to_javascript

    class Inner(pydantic.BaseModel, extra="allow"):
        x: int
        _cache: int = 0

    class Outer(pydantic.BaseModel):
        inner: Inner

    class Ids(pydantic.RootModel[list[int]]):
        pass

    assert to_javascript(Outer(inner=Inner(x=1, more="y"))).to_py() == {"inner": {"x": 1, "more": "y"}}
    assert to_javascript(Ids([1, 2])).to_py() == [1, 2]
