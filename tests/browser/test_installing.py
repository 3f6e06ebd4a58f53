"""The first way to install: one wheel beside the page, Pyodide as its CDN has it. The files are those of the documents."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import Page

import documents
from cdn import Cdn
from pace import PACE
from pyscript_page import LOAD_MILLISECONDS
from static_host import SUB_PATH, StaticHost, blocks


@pytest.fixture
def cdn(browser: Any, site: str) -> Cdn:
    """The CDN of PyScript and Pyodide."""
    cdn = Cdn.of(browser, site)
    cdn.begin()
    return cdn


@pytest.fixture
def host(tmp_path: Path, cdn: Cdn) -> Iterator[StaticHost]:
    """A host that has the wheel and nothing else."""
    with StaticHost(tmp_path) as host:
        host.write(dict([cdn.wheel()]))
        yield host


@pytest.fixture
def page(cdn: Cdn) -> Iterator[Page]:
    """A new page, whose requests with https the CDN answers."""
    page = cdn.context.new_page()
    yield page
    page.close()


def shows(page: Page, text: str) -> None:
    """Waits until the page shows a text."""
    try:
        page.wait_for_function(
            "text => document.body?.innerText.includes(text)", arg=text, timeout=LOAD_MILLISECONDS
        )
    except PlaywrightError as error:
        pytest.fail(f"{error}\nthe page shows:\n{page.inner_text('body')}", pytrace=False)


def assert_only_the_wheel(host: StaticHost, cdn: Cdn) -> None:
    """The wheel was fetched from beside the page, once for page and worker, and no other host than the CDN was asked for anything."""
    name, _ = cdn.wheel()
    assert host.fetched.count(f"/{SUB_PATH}/{name}") == 1
    assert cdn.elsewhere == []


def test_the_readme(host: StaticHost, cdn: Cdn, page: Page) -> None:
    """README's four files and the wheel, in a folder under a sub-path, make a page that calls its worker."""
    files = documents.readme()["Install"]
    assert set(files) == {"worker.py", "main.py", "pyscript.toml", "index.html"}
    assert cdn.wheel()[0] in files["pyscript.toml"], "README names a wheel that is not the one that is built"
    host.write(dict(files))
    page.goto(host.address)
    shows(page, "2.58")
    assert_only_the_wheel(host, cdn)


def test_the_documented_size_of_the_wheel(cdn: Cdn) -> None:
    """A site owner decides by it: README and the recipe for GitHub Pages say the size of the wheel that is built."""
    size = f"{len(cdn.wheel()[1]) / 1e6:.1f} MB"
    said = [
        re.search(pattern, (documents.README.parent / name).read_text(encoding="utf-8"))
        for name, pattern in (
            ("README.md", r"one file of ([\d.]+ MB)"),
            ("docs/github-pages.md", r"whl` \| ([\d.]+ MB) \|"),
        )
    ]
    assert [match and match[1] for match in said] == [size, size]


# PyScript's own storage decides it, and PyScript's version is locked.
@pytest.mark.repeated
def test_a_returning_browser_takes_a_new_wheel_of_the_same_name(
    host: StaticHost, cdn: Cdn, page: Page
) -> None:
    """PyScript keeps a lock file in the browser; a wheel that is built anew under its old name still installs."""
    host.seconds_kept[0] = 0
    host.write(dict(documents.readme()["Install"]))
    page.goto(host.address)
    shows(page, "2.58")
    name, content = cdn.wheel()
    # Bytes in front of an archive change its checksum and nothing that zipfile reads.
    host.write({name: b"\0" + content})
    page.goto("about:blank")
    before = host.fetched.count(f"/{SUB_PATH}/{name}")
    page.goto(host.address)
    shows(page, "2.58")
    assert host.fetched.count(f"/{SUB_PATH}/{name}") > before


def test_github_pages(host: StaticHost, cdn: Cdn, page: Page) -> None:
    """The recipe's files make a page that is isolated after its first visit, so that a worker that computes is interrupted."""
    files = blocks("docs/github-pages.md")
    assert set(files) == {"isolation.js", "index.html", "main.py", "worker.py", "pyscript.toml"}
    host.write(dict(files))
    page.goto(host.address)
    shows(page, "interrupted after 0.5 seconds, and 1 + 2 = 3")
    assert page.evaluate("crossOriginIsolated")
    # The next visit is isolated before anything of it has run.
    page.goto(host.address, wait_until="commit")
    assert page.evaluate("crossOriginIsolated")
    assert {path for path in host.fetched if not path.startswith(f"/{SUB_PATH}/")} <= {"/favicon.ico"}
    assert cdn.elsewhere == []


def test_the_tutorial(host: StaticHost, cdn: Cdn, page: Page) -> None:
    """The reader's page counts words, shows the worker's error, and is ready again."""
    files = blocks("docs/tutorial.md")
    assert set(files) == {
        "pyscript.toml",
        "worker.py",
        "index.html",
        "main.py",
        "conftest.py",
        "test_worker.py",
    }
    host.write(dict(files))
    page.goto(host.address)
    shows(page, "Ready.")
    page.click("#count")
    shows(page, "the: 3, and: 2")
    page.fill("#text", "")
    page.click("#count")
    shows(page, "This did not work: there are no words in this text")
    assert page.is_enabled("#count")


def test_plain_pyodide(host: StaticHost, cdn: Cdn, page: Page) -> None:
    """The document's page without PyScript takes the wheel from beside it; its worker needs no second request."""
    host.write(dict(blocks("docs/installing.md")))
    page.goto(f"{host.address}plain.html")
    shows(page, "2.58")
    assert_only_the_wheel(host, cdn)


PROGRESS = {
    "index.html": """\
<!doctype html>
<script type="module" src="https://cdn.jsdelivr.net/npm/@pyscript/core@0.7.31/dist/core.js"></script>
<progress id="bar" value="0" max="1"></progress>
<script type="py" src="./main.py" config="./pyscript.toml"></script>
<script type="py" worker name="counter" src="./worker.py" config="./pyscript.toml"></script>
""",
    "worker.py": """\
import time
import workerlib

@workerlib.export
def count(numbers):
    for number in workerlib.progress(range(numbers)):
        end = time.monotonic() + 0.1
        while time.monotonic() < end:
            pass
    return "counted"
""",
    "main.py": """\
from pyscript import display, document
import workerlib

def show(done, total):
    bar = document.querySelector("#bar")
    bar.value, bar.max = done, total

worker = await workerlib.connect("counter")
display(await worker.count.options(on_report=show)(20))
""",
}
"""A page as somebody writes it who has read the README."""


# The gallery's page `progress` and the how-to have the same calls.
@pytest.mark.repeated
def test_a_progress_bar_of_25_lines(host: StaticHost, cdn: Cdn, page: Page) -> None:
    """A sync function that computes moves the page's bar in small steps, without isolation, and without anything else."""
    assert sum(text.count("\n") for text in PROGRESS.values()) <= 25
    # A busy machine shows fewer steps of a function that computes for a moment only.
    slowly = PROGRESS["worker.py"].replace("+ 0.1", f"+ {0.1 * PACE}")
    host.write(
        {**PROGRESS, "worker.py": slowly, "pyscript.toml": documents.readme()["Install"]["pyscript.toml"]}
    )
    page.add_init_script("""
        window.seen = [];
        setInterval(() => {
            const bar = document.querySelector("#bar");
            if (bar && bar.max > 1 && seen.at(-1) !== bar.value) seen.push(bar.value);
        }, 10);
    """)
    page.goto(host.address)
    shows(page, "counted")
    assert not page.evaluate("crossOriginIsolated")
    seen = page.evaluate("seen")
    assert seen == sorted(seen)
    assert seen[-1] == 20
    # A page that heard of everything at the end would show one step.
    assert len(seen) > 5, seen


def test_the_wheel_is_named_as_it_is(cdn: Cdn) -> None:
    """Every document that names the wheel in full names the one that is built."""
    name, _ = cdn.wheel()
    root = Path(__file__).parents[2]
    for document in [root / "README.md", *root.glob("docs/*.md")]:
        for found in re.findall(r"workerlib-[\w.-]+_wasm32\.whl", document.read_text(encoding="utf-8")):
            assert found == name, document.name
