"""The examples, as they are served, and the page that lists them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Page

FOLDER = Path(__file__).parents[2] / "examples"
EXAMPLES = {
    "plain_pyodide/": ["worker.mean([1.0, 2.5]) = 1.75", "17,984 primes", "ZeroDivisionError"],
    "comlink_rpc/": [
        "1 + 1 = 2",
        "mean([1, 2.5]) = 1.75",
        "mean(values=[3, 5]) = 4",
        "called back with 1,2,3",
        "and 0 samples are left here",
        "mean([]) raised ZeroDivisionError with division by zero",
    ],
    "vite-typescript/": [
        "mean([1, 2.5]) = 1.75",
        "histogram counts: 1,2,3",
        "counted 3",
        "ZeroDivisionError",
    ],
}


@pytest.mark.every_engine
@pytest.mark.repeated("firefox", "webkit")
@pytest.mark.parametrize(
    "example",
    [
        # npm/test_package.py builds the same page with the package as a user gets it.
        pytest.param(name, marks=pytest.mark.repeated if name == "vite-typescript/" else ())
        for name in EXAMPLES
    ],
)
def test_example(new_page: Page, example: str) -> None:
    """It runs to its end and shows what it should."""
    new_page.open(
        f"examples/{example}", "() => /done\\s*$/.test(document.querySelector('#output').textContent)"
    )
    shown = new_page.run("return document.querySelector('#output').textContent")
    for text in EXAMPLES[example]:
        assert text in shown


def test_the_index_page_leads_to_each_example(new_page: Page) -> None:
    """Each has a sentence, and its link leads to a page."""
    new_page.open("examples/", "() => document.querySelectorAll('.cards a').length > 0")
    links = new_page.run("""
        const links = [...document.querySelectorAll(".cards a")];
        return Promise.all(links.map(async ({ href, parentElement }) => ({
          path: new URL(href).pathname,
          status: (await fetch(href)).status,
          sentence: parentElement.nextElementSibling.textContent,
        })));
    """)
    assert {link["path"] for link in links} == {
        "/examples/workers/comlink_rpc.html",
        *(f"/examples/{page.parent.name}/" for page in FOLDER.glob("*/index.html")),
    }
    for link in links:
        assert link["status"] == 200
        assert len(link["sentence"]) > 40


@pytest.mark.parametrize(
    "example",
    ["plain_pyodide/", "vite-typescript/", pytest.param("comlink_rpc/", marks=pytest.mark.repeated)],
)
def test_a_worker_that_does_not_start_is_told(new_page: Page, example: str) -> None:
    """The page shows the error, and a button that tries again."""
    new_page.refuse("**/worker.py")
    new_page.open(f"examples/{example}", "() => document.querySelector('#trouble button')")
    assert "worker.py" in new_page.run("return document.querySelector('[role=alert]').textContent")
