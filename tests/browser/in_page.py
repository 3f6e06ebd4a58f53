"""Turns an async function into a test that runs inside a page's Python, not in pytest's.

    @in_page
    async def test_sum(worker):
        assert await worker.add(1, 2) == 3

Its source is sent to the page (tests/browser/pages/harness.py), so it sees nothing of the module around it: what it
needs it imports itself or takes by name (PROVIDED); any other parameter is pytest's (parametrize) and must be JSON.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from pace import PACE

# The names that the page gives: modules, and harness.py's own things.
PROVIDED = frozenset(
    {"worker", "workerlib", "values", "exact", "pace", "raises", "tags", "words", "grace", "frames"}
)

# Ends what hangs; what is slow on a busy machine, and in WebKit, gets its time.
LIMIT_SECONDS = 120

PageTest = Callable[..., Coroutine[Any, Any, None]]


def in_page(function: PageTest | None = None, /, *, page: str = "bench", limit: float = LIMIT_SECONDS) -> Any:
    """Makes the function a test that runs in the page that the fixture `page` opens.

    Args:
        function: The test.
        page: The name of the fixture.
        limit: How many seconds of a fast machine it may take.
    """
    if function is None:
        return lambda later: in_page(later, page=page, limit=limit)
    assert inspect.iscoroutinefunction(function), f"{function.__qualname__} must be async to run in a page"
    parameters = list(inspect.signature(function).parameters)
    request = {
        **_source(function),
        "provided": [name for name in parameters if name in PROVIDED],
        "limit": limit * PACE,
    }

    def test(**arguments: Any) -> None:
        arguments.pop(page).run({**request, "arguments": arguments})

    test.__name__ = function.__name__
    test.__qualname__ = function.__qualname__
    test.__module__ = function.__module__
    test.__doc__ = function.__doc__
    names = [page, *(name for name in parameters if name not in PROVIDED)]
    keyword = inspect.Parameter.KEYWORD_ONLY
    test.__signature__ = inspect.Signature([inspect.Parameter(name, keyword) for name in names])  # type: ignore[attr-defined]
    return test


def _source(function: PageTest) -> dict[str, Any]:
    file = inspect.getsourcefile(function)
    assert file is not None
    source = Path(file).read_text()
    for node in ast.parse(source).body:
        if isinstance(node, ast.AsyncFunctionDef) and node.name == function.__name__:
            text = "\n".join(source.splitlines()[node.lineno - 1 : node.end_lineno])
            return {
                "file": Path(file).name,
                "source": source,
                "function": text,
                "name": node.name,
                "line": node.lineno,
            }
    raise AssertionError(f"{function.__qualname__} is not at the top level of {file}")
