"""docs/how-to and README.md work as they are written: the code of each runs in a page, and a visitor's actions follow.

Code for pages in JavaScript is a site of its own. Documents that need pandas, matplotlib, dask or pytest run natively
(tests/local/test_how_tos.py), and README's first page is a site of its own too (test_installing.py).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

import documents
from cdn import Cdn
from in_page import in_page
from pyscript_page import LOAD_MILLISECONDS
from static_host import StaticHost

# The steps of a visitor in the page of a document of docs/how-to, in the page's Python behind main.py.
VISITS = {
    "cancel-button": """
document.querySelector("#start").click()
await shows("#status", "counting")
document.querySelector("#stop").click()
await shows("#status", "stopped")
assert document.querySelector("#stop").disabled
""",
    "progress-bar": """
await shows("#status", "2262 primes")
assert document.querySelector("#bar").value == 1
""",
    "one-model": """
await shows("body", "the: cat")
await shows("body", "bird: None")
await shows("body", "and the cat sees")
""",
    "several-workers": """
await shows("body", "2262 primes below 20,000, from 2 workers")
assert pool.closed
""",
    "state": """
await shows("body", "{'kitchen': 21.0, 'cellar': 12.0}")
again = await workerlib.connect(worker.name)
assert (await again.means())["cellar"] == 12.0
""",
    "file-upload": """
import js
from pyodide.ffi import to_js

given = js.DataTransfer.new()
given.items.add(js.File.new(to_js(["name,number\\nAda,1\\nGrace,2\\n"]), "people.csv"))
field = document.querySelector("#file")
field.files = given.files
field.dispatchEvent(js.Event.new("change", bubbles=True))
await shows("#summary", "people.csv: 2 rows of name, number")
""",
    "restart": """
await shows("body", "it died: ")
await shows("body", "\\n4")
assert not worker.closed
worker.close()
""",
    "stream-rows": """
await shows("#status", "1,000 rows")
rows = document.querySelectorAll("#rows tr")
assert len(rows) == 1_000
assert rows[0].textContent == "sensor 00.00" and rows[999].textContent == "sensor 999249.75"
async for name, number in worker.rows("last,1"):
    assert (name, number) == ("last", 1.0)
""",
    "search": """
import js

field = document.querySelector("#word")


def look_for(word):
    field.value = word
    field.dispatchEvent(js.Event.new("input", bubbles=True))


look_for("odd")
await shows("#hits", "line 9: odd")
assert document.querySelectorAll("#hits li").length == MOST
look_for("no such line")
look_for("line 1999")
await shows("#hits", "line 19992: even")
assert [item.textContent for item in document.querySelectorAll("#hits li")][:2] == ["line 1999: odd", "line 19990: even"]
""",
    "pool": """
await shows("#status", "3, 7, ")
await shows("#status", "-1 has no factorial, 158, 375")
assert document.querySelector("#bar").value == document.querySelector("#bar").max == 5
document.querySelector("#stop").click()
""",
    "from-multiprocessing": """
await shows("body", "[2, 3, 5, 7]")
await shows("body", "True")
await shows("body", "False")
assert pool.closed
""",
    "from-pyscript-workers": """
await shows("body", "{0: 1, 10: 2}")
await shows("body", "[1, 2, 2]")
""",
    "isolation": """
import js

await shows("body", "spin() took too long")
await shows("body", "the worker is free: 42" if js.crossOriginIsolated else "the page is not isolated")
""",
}
NATIVE = {"dataframe-to-chart", "matplotlib", "from-dask", "library", "testing"}
JAVASCRIPT = {"from-comlink"}

# The same for the sections of README.md. A section without a worker.py has that of the first page.
README_VISITS = {
    "What you can do": """
assert means == [1.5, 6.0]
assert worker.closed
""",
    "Progress, output, and calls to the page": """
assert bar.value == bar.max == 100
""",
    "Streams and objects": """
await shows("body", "workerlib")
await shows("body", "library")
await shows("body", "sees")
""",
    "Many workers": """
await shows("body", "1.5")
await shows("body", "6.0")
assert pool.closed
""",
}
README_ELSEWHERE = {
    "Install": "test_installing.py",
    "Testing your worker": "tests/local/test_how_tos.py",
    "Without PyScript, and from JavaScript": "below",
}


def readme_page(section: str) -> dict[str, str]:
    """The files of a section of README.md, with the worker of its first page if it has none."""
    sections = documents.readme()
    worker = sections["Install"]["worker.py"]
    return {"index.html": "<progress></progress>", "worker.py": worker, **sections[section]}


def test_each_document_is_run() -> None:
    """A new document is tried here or natively, or this fails."""
    assert documents.documents() == VISITS.keys() | NATIVE | JAVASCRIPT


def test_each_block_of_the_readme_is_run() -> None:
    """A new block of code in README.md is tried here or elsewhere, or `NOT_RUN` says why nothing can run it."""
    assert (
        documents.readme().keys() == README_VISITS.keys() | README_ELSEWHERE.keys() | documents.NOT_RUN.keys()
    )


@pytest.mark.parametrize(
    ("files", "visit"),
    [
        pytest.param(
            documents.files_of(name),
            visit,
            id=name,
            marks=[pytest.mark.isolation("chromium")] if name == "isolation" else [],
        )
        for name, visit in VISITS.items()
    ]
    + [
        pytest.param(readme_page(section), visit, id=f"readme: {section}")
        for section, visit in README_VISITS.items()
    ],
)
@in_page
async def test_a_document(
    workerlib: Any, tags: Any, pace: Any, grace: Any, files: dict[str, str], visit: str
) -> None:
    """A visitor sees what the document promises, in a page with the document's elements, worker and script."""
    import ast
    import asyncio
    import contextlib
    import inspect
    import re
    from pathlib import Path

    import js

    frame = js.document.createElement("div")
    frame.innerHTML = files.get("index.html", "")
    js.document.body.append(frame)
    main = files["main.py"]
    if found := re.search(r'connect\("([^"]+)"\)', main):
        # PyScript keeps the names of workers that have ended.
        fresh = f"{found[1]} {js.performance.now()}"
        tags.worker(fresh, files["worker.py"])
        main = main.replace(found[0], f'connect("{fresh}")')
    script = Path("how_to_worker.py")
    script.write_text(files["worker.py"])
    main = main.replace('"./worker.py"', f"__import__('pathlib').Path({str(script)!r})")

    async def shows(selector: str, text: str) -> None:
        for _ in range(round(600 * pace.PACE)):
            if text in js.document.querySelector(selector).innerText:
                return
            await asyncio.sleep(0.1)
        raise AssertionError(f"{text!r} is not in {js.document.querySelector(selector).innerText!r}")

    names = {"__name__": "__main__", "shows": shows, "workerlib": workerlib}
    # Without isolation nothing interrupts a function that computes, so no caller has to wait for longer on a busy machine.
    patience = contextlib.nullcontext() if js.crossOriginIsolated else grace(0.5)
    try:
        with patience:
            for file, code in (("main.py", main), ("the visit", visit)):
                outcome = eval(compile(code, file, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names)
                if inspect.iscoroutine(outcome):
                    await outcome
    finally:
        frame.remove()


def package() -> dict[str, str | bytes]:
    """The files of the npm package, in the folder that a page without a bundler has beside it."""
    folder = Path(os.environ["WORKERLIB_NPM_PACKAGE"]) / "dist"
    files = [file for file in folder.rglob("*") if file.is_file()]
    return {f"workerlib/{file.relative_to(folder).as_posix()}": file.read_bytes() for file in files}


@pytest.fixture
def javascript_page(browser: Any, site: str, tmp_path: Path) -> Iterator[tuple[StaticHost, Page]]:
    """A host that has the npm package, and a page that gets all files with https from the CDN's stand-in, and no others."""
    cdn = Cdn.of(browser, site)
    cdn.begin()
    page = cdn.context.new_page()
    with StaticHost(tmp_path) as host:
        host.write(package())
        yield host, page
    page.close()
    assert cdn.elsewhere == []


def test_a_page_in_javascript_that_comes_from_comlink(javascript_page: tuple[StaticHost, Page]) -> None:
    """The document's files, and the npm package's folder beside them, make a page whose worker calls back and answers."""
    host, page = javascript_page
    host.write(dict(documents.files_of("from-comlink")))
    page.goto(host.address)
    for selector, text in (("#counts", '{"to":2,"be":2,"or":1,"not":1}'), ("#progress", "6 words")):
        page.wait_for_function(
            "([selector, text]) => document.querySelector(selector)?.textContent === text",
            arg=[selector, text],
            timeout=LOAD_MILLISECONDS,
        )


def test_the_page_in_javascript_of_the_readme(javascript_page: tuple[StaticHost, Page]) -> None:
    """README's module calls the worker of README's first page, and writes the mean to the console."""
    host, page = javascript_page
    files = readme_page("Without PyScript, and from JavaScript")
    host.write({**files, "index.html": '<!doctype html><script type="module" src="./main.js"></script>'})
    with page.expect_console_message(lambda told: told.text.startswith("2.58"), timeout=LOAD_MILLISECONDS):
        page.goto(host.address)
