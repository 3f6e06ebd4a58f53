"""The examples of docs/errors.md show what a user sees: they run in a page, against a worker with their script."""

from __future__ import annotations

import re
from typing import Any

import pytest

import documented_errors
from in_page import in_page

SCRIPT, EXAMPLES = documented_errors.read()


def test_the_document_shows_every_error() -> None:
    """Each class of the tree has an example, or says by which test it is produced."""
    tree = documented_errors.DOCUMENT.partition("WorkerlibError\n")[2].partition("```")[0]
    names = re.findall(r"─ (\w+Error) ", tree)
    assert len(names) == 19
    shown = "\n".join(example.shown for example in EXAMPLES)
    shown += documented_errors.DOCUMENT.partition("### ProtocolError")[2]
    for name in names:
        assert f"workerlib.{name}: " in shown, name


@pytest.fixture
def script() -> str:
    """The worker's script in the document."""
    return SCRIPT


@pytest.fixture
def examples() -> list[tuple[str, str]]:
    """The code of each example, and a pattern for the traceback that it shows."""
    return [(example.code, documented_errors.pattern_of(example.shown)) for example in EXAMPLES]


@in_page(page="mishaps", limit=150)
async def test_each_example_raises_what_stands_below_it(
    workerlib: Any, tags: Any, grace: Any, script: str, examples: list[tuple[str, str]]
) -> None:
    """Its traceback ends as the document shows it; none of them ends the worker but the one about that."""
    import ast
    import asyncio
    import inspect
    import linecache
    import re
    import traceback

    def add_worker(name: str, text: str, config: Any = None) -> None:
        packages = {"packages": ["workerlib"], "packages_cache": "passthrough"}
        tags.worker(name, text, config={**packages, **(config or {})})

    async def raised(number: int, code: str, names: dict[str, Any]) -> str:
        file = f"<example {number}>"
        linecache.cache[file] = (len(code), None, code.splitlines(keepends=True), file)
        try:
            outcome = eval(compile(code, file, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names)
            if inspect.iscoroutine(outcome):
                await outcome
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is what the example shows
            return "".join(traceback.format_exception(error))
        return "nothing"

    wrong = []
    # PyScript wants a fresh name after a worker's death; the document has one.
    names = iter(("stats", "stats again"))
    tag = None
    for number, (code, pattern) in enumerate(examples):
        if tag is None:
            name = next(names)
            tag = tags.worker(name, script)
        worker = await workerlib.connect(name)
        known = {"worker": worker, "tag": tag, "add_worker": add_worker}
        code = code.replace('"stats"', f'"{name}"')
        # A user's page waits so long for a worker that computes; the page of the tests may wait longer than the example computes.
        with grace(0.5):
            shown = await raised(number, code, {"workerlib": workerlib, "asyncio": asyncio, **known})
        shown = shown.replace(f"'{name}'", "'stats'")
        if not re.search(pattern, shown, re.DOTALL):
            wrong.append(f"{code}\nshows:\n{shown}\nnot:\n{pattern}\n")
        worker.close()
        if "terminate" in code:
            tag = None
    assert not wrong, "\n".join(wrong)
