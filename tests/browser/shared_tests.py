"""The names of the tests of tests/shared, read from their source: pytest's own Python may lack workerlib."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

SHARED = Path(__file__).parents[1] / "shared"
MODULES = sorted(path.stem for path in SHARED.glob("shared_*.py"))
POOL_MODULES = sorted(path.stem for path in SHARED.glob("pools_*.py"))
"""The modules with the tests of `pools.TESTS`."""


def names() -> list[str]:
    """Returns them as `suite.TESTS` has them."""
    return [
        f"{module.removeprefix('shared_')}: {name.removeprefix('test_')}"
        for module in MODULES
        for name in names_in(module)
    ]


def with_marks(
    isolation: pytest.MarkDecorator,
    only: str | tuple[str, ...] = "",
    repeated: pytest.MarkDecorator | None = None,
    but: str | tuple[str, ...] = (),
) -> list[Any]:
    """Returns the names for `parametrize`: with a mark, but for values, which never travel in shared memory.

    Args:
        isolation: Marks the tests that isolation can change.
        only: How the names of these tests begin, or one of the beginnings; all but those of values if it is empty.
        repeated: Marks the tests that another run has, too; all but those of `but`.
        but: How the names of the tests begin that are not repetitions.
    """
    values = ("values: ", "adapters: ")

    def marks(name: str) -> Iterator[pytest.MarkDecorator]:
        if name.startswith(only) and not name.startswith(values):
            yield isolation
        if repeated is not None and not name.startswith(but):
            yield repeated

    return [pytest.param(name, marks=list(marks(name))) for name in names()]


def names_in(module: str) -> list[str]:
    """Returns the names of a module's tests."""
    return [
        node.name
        for node in ast.parse((SHARED / f"{module}.py").read_text()).body
        if isinstance(node, ast.AsyncFunctionDef) and node.name.startswith("test_")
    ]


def value_of(module: str, name: str) -> Any:
    """Returns the value of a constant of a module, which is written there as a literal."""
    for node in ast.parse((SHARED / f"{module}.py").read_text()).body:
        if isinstance(node, ast.Assign) and any(
            isinstance(to, ast.Name) and to.id == name for to in node.targets
        ):
            return ast.literal_eval(node.value)
    raise LookupError(f"{module}.py has no {name}")
