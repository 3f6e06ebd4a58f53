"""Conversions between Python and JavaScript: the tables of docs/javascript.md, row by row."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Page

DOCUMENT = Path(__file__).parents[3] / "docs" / "javascript.md"
ROW = re.compile(r"^\| `(.+?)` \| `(.+?)` \|", re.MULTILINE)


def rows(heading: str) -> list[tuple[str, str]]:
    """Reads the table below a heading: the expressions of the first two columns."""
    section = DOCUMENT.read_text(encoding="utf-8").split(f"### {heading}\n")[1].split("\n#")[0]
    return ROW.findall(section)


@pytest.mark.parametrize(("python", "javascript"), rows("From Python to JavaScript"))
@pytest.mark.every_engine
def test_from_python_to_javascript(page: Page, python: str, javascript: str) -> None:
    """The value of the Python expression is the value of the JavaScript expression."""
    shown = page.run(
        """
        const [python, javascript] = given;
        const value = await (await sharedWorker()).evaluate(python);
        const shown = (_, item) => (typeof item === "bigint" ? `${item}n` : item);
        if (window.same(value, window.made(javascript))) return "same";
        return `${Object.prototype.toString.call(value)} ${JSON.stringify(value, shown)}`;
        """,
        [python, javascript],
    )
    assert shown == "same"


@pytest.mark.parametrize(("javascript", "python"), rows("From JavaScript to Python"))
@pytest.mark.every_engine
def test_from_javascript_to_python(page: Page, javascript: str, python: str) -> None:
    """The value of the JavaScript expression is the value of the Python expression, its type included."""
    assert (
        page.run(
            """
        const [javascript, python] = given;
        return (await sharedWorker()).is_exactly(window.made(javascript), python);
        """,
            [javascript, python],
        )
        is True
    )


@pytest.mark.every_engine
def test_arguments_become_what_their_annotations_name(page: Page) -> None:
    """Objects arrive as dataclasses, values as enums, arrays as tuples; wrong ones reject before the function runs."""
    assert page.run("""
        const worker = await sharedWorker();
        const moved = await worker.moved([{ at: [1, 2], colour: "red" }], 5);
        const again = await worker.call("moved", [moved], { by: 1 });
        return [again, (await failure(worker.moved([{ at: [1, 2], colour: "blue" }], 1))).message];
    """) == [
        [{"at": [7, 2], "colour": "red"}],
        "the argument dots does not fit its annotation: 'blue' is not a valid Colour",
    ]


@pytest.mark.every_engine
def test_what_is_undefined_takes_its_default(page: Page) -> None:
    """An argument, a keyword argument and a field that are undefined are left out; null is None."""
    assert page.run("""
        const worker = await sharedWorker();
        return [
          await worker.with_defaults(1, undefined),
          await worker.with_defaults(1, undefined, 3),
          await worker.with_defaults(1, null, undefined),
          await worker.call("with_defaults", [undefined], { second: undefined, third: null }),
          await worker.cut({ text: "abc", length: undefined }),
        ];
    """) == [[1, 2, None], [1, 2, 3], [1, None, None], [None, 2, None], "ab"]


def test_what_is_shared_stays_shared(page: Page) -> None:
    """One object in two places is one, both ways, and a list may contain itself."""
    assert page.run("""
        const worker = await sharedWorker();
        const [left, right] = await worker.evaluate("(lambda x: [x, x])([1])");
        const cycle = await worker.evaluate("(lambda x: x.append(x) or x)([])");
        return [left === right, cycle[0] === cycle];
    """) == [True, True]
    assert (
        page.run("""
        const worker = await sharedWorker();
        const shared = [1];
        return worker.call("is_shared", [[shared, shared]]);
    """)
        is True
    )


def test_large_values(page: Page) -> None:
    """Ten thousand records go both ways within reason, and arrive as they were."""
    assert page.run("""
        const worker = await sharedWorker();
        const records = Array.from({ length: 10_000 }, (_, id) => ({ id, name: `n${id}`, tags: [null, id / 2] }));
        return same(await worker.echo(records), records);
    """)
