"""`[exports]`, `[imports]` and `[anyCall]`: from the names of a configuration to functions."""

from __future__ import annotations

import math
from typing import Any

import pytest
from workerlib import ConfigError, NotExportedError, anyCall
from workerlib._config.exports_and_imports import functions, objects
from workerlib._rpc.any_call import AnyCall, allow


def test_names_of_modules_classes_and_builtins() -> None:
    """A name is found in a module, in a class, or among the builtin functions."""
    config = {"exports": {"math": ["sqrt"], "builtins": "sum", "collections": ["OrderedDict.fromkeys"]}}
    found = functions(config, "exports")
    assert found["sqrt"] is math.sqrt
    assert found["sum"] is sum
    assert list(found["OrderedDict.fromkeys"]("ab")) == ["a", "b"]


def test_a_section_that_is_not_there_is_empty() -> None:
    """A configuration without the section exports nothing, and is no error."""
    assert functions({}, "exports") == {}


@pytest.mark.parametrize(
    ("section", "told"),
    [
        (["math"], "a section with a key for each module"),
        ({"math": 3}, "a list of names"),
        ({"math": ["sqrt", 3]}, "a list of names"),
        ({"math": [""]}, "a list of names"),
        ({"math": ["pi"]}, "'pi' is of type float"),
        ({"math": ["pow"], "builtins": ["pow"]}, "'pow' twice"),
        ({"math": ["squrt"]}, r"\[exports\] 'math' = \['squrt'\].*did you mean 'sqrt'"),
        ({"no_such_module": ["f"]}, "no_such_module"),
        (3, "a section with a key for each module"),
    ],
)
def test_a_section_that_cannot_be_right(section: Any, told: str) -> None:
    """The error names the section and the entry, and a similar name where there is one."""
    with pytest.raises(ConfigError, match=told):
        functions({"exports": section}, "exports")


def test_imports_may_be_anything() -> None:
    """Unlike exports, imports need not be callable."""
    assert objects({"imports": {"math": ["pi"]}}, "imports") == {"pi": math.pi}


async def test_any_call_reaches_what_is_allowed() -> None:
    """anyCall calls no function that the configuration does not allow, and the error lists those that it does."""
    allow({"sqrt": math.sqrt})
    assert await anyCall("sqrt", 16) == 4
    for name in ("eval", "anyCall", "__import__"):
        with pytest.raises(NotExportedError, match=f"anyCall does not reach '{name}'; it reaches .*sqrt"):
            await anyCall(name)


async def test_the_pages_any_call_makes_methods_of_names() -> None:
    """`any_call.f(…)` calls the function 'f', whatever the names of the arguments are."""

    async def call(*args: Any, **kwargs: Any) -> Any:
        return args, kwargs

    any_call = AnyCall(call)
    assert await any_call.f(1, b=2) == (("f", 1), {"b": 2})
    assert await any_call("g", funcName=3) == (("g",), {"funcName": 3})
    assert not hasattr(any_call, "__wrapped__")
