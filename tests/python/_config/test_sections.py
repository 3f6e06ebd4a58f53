"""`[exports]`, `[imports]` and `[anyCall]`: from the names of a configuration to functions."""

from __future__ import annotations

import math
from typing import Any

import pytest
from workerlib import ConfigError, NotExportedError, anyCall
from workerlib._config.exports_and_imports import functions, objects
from workerlib._rpc.any_call import AnyCall, allow


def test_names_of_modules_classes_and_builtins() -> None:
    config = {"exports": {"math": ["sqrt"], "builtins": "sum", "collections": ["OrderedDict.fromkeys"]}}
    found = functions(config, "exports")
    assert found["sqrt"] is math.sqrt
    assert found["sum"] is sum
    assert list(found["OrderedDict.fromkeys"]("ab")) == ["a", "b"]


def test_a_section_that_is_not_there_is_empty() -> None:
    assert functions({}, "exports") == {}


@pytest.mark.parametrize(
    ("section", "told"),
    [
        (["math"], "a section with modules"),
        ({"math": 3}, "a list of names"),
        ({"math": ["sqrt", 3]}, "a list of names"),
        ({"math": [""]}, "a list of names"),
        ({"math": ["pi"]}, "'pi' is of type float"),
        ({"math": ["pow"], "builtins": ["pow"]}, "'pow' twice"),
        ({"math": ["squrt"]}, r"\[exports\] 'math' = \['squrt'\].*did you mean 'sqrt'"),
        ({"no_such_module": ["f"]}, "no_such_module"),
        (3, "a section with modules"),
    ],
)
def test_a_section_that_cannot_be_right(section: Any, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        functions({"exports": section}, "exports")


def test_imports_may_be_anything() -> None:
    assert objects({"imports": {"math": ["pi"]}}, "imports") == {"pi": math.pi}


async def test_any_call_reaches_what_is_allowed() -> None:
    allow({"sqrt": math.sqrt})
    assert await anyCall("sqrt", 16) == 4
    for name in ("eval", "anyCall", "__import__"):
        with pytest.raises(NotExportedError, match=f"anyCall does not reach '{name}'; it reaches .*sqrt"):
            await anyCall(name)


async def test_the_pages_any_call_makes_methods_of_names() -> None:
    async def call(*args: Any, **kwargs: Any) -> Any:
        return args, kwargs

    any_call = AnyCall(call)
    assert await any_call.f(1, b=2) == (("f", 1), {"b": 2})
    assert await any_call("g", funcName=3) == (("g",), {"funcName": 3})
    assert not hasattr(any_call, "__wrapped__")
