"""Pages that take libraries from Pyodide's CDN: values of the libraries, and the documents that need them.

Each test is skipped where the CDN cannot be reached. WORKERLIB_SITE is the address of a site that serves `page` as /online/;
`cargo xtask test --only online` sets it. What the pages check is checked natively as well: tests/local/test_online_checks.py
and tests/local/test_how_tos.py.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import documents
from cdn import Cdn
from engines import launch
from pace import PACE
from static_host import StaticHost

SECONDS = 300 * PACE
# For each document of docs/how-to that needs libraries: their names, and what its page shows in the end, in JavaScript.
DOCUMENTS = {
    "dataframe-to-chart": (["pandas"], "document.querySelectorAll('#chart rect').length === 3"),
    "matplotlib": (["matplotlib"], "document.querySelector('#picture').naturalWidth > 0"),
    "from-dask": (["dask", "cloudpickle"], "/499500[^]*285/.test(document.body.innerText)"),
}


class Visit:
    """A page in a browser of its own, with what it says on its console, and the requests beyond this machine that fail."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.console: list[str] = []
        self.unreachable: list[str] = []
        page.on("requestfailed", self._note)
        page.on("console", lambda message: self.console.append(message.text))

    def _note(self, request: Any) -> None:
        if request.url.startswith("https:"):
            self.unreachable.append(f"{request.url}: {request.failure}")

    def wait(self, condition: str) -> bool:
        """Waits until a condition in JavaScript holds, the CDN cannot be reached, or the time is up."""
        end = time.monotonic() + SECONDS
        while not self.unreachable and time.monotonic() < end:
            if self.page.evaluate(condition):
                return True
            # Events are dispatched while playwright waits.
            self.page.wait_for_timeout(200)
        if self.unreachable:
            pytest.skip(f"Pyodide's CDN cannot be reached: {self.unreachable[0]}")
        return False

    def told(self) -> str:
        """Returns the text of the page and of its console, for a test that fails."""
        return "\n".join([self.page.inner_text("body"), *self.console[-40:]])


@pytest.fixture
def site() -> str:
    """The address of the site."""
    if address := os.environ.get("WORKERLIB_SITE"):
        return address
    pytest.fail("WORKERLIB_SITE is not set: run `cargo xtask test --only online`")


@pytest.fixture
def visit() -> Iterator[Visit]:
    """A page in Chromium."""
    with launch("chromium") as browser:
        context = browser.new_context()
        yield Visit(context.new_page())
        context.close()


def test_the_libraries(site: str, visit: Visit) -> None:
    """The page's own outcome is that of the test."""
    visit.page.goto(f"{site}/online/index.html")
    visit.wait("document.querySelector('#outcome').textContent !== '…'")
    assert visit.page.text_content("#outcome").endswith("arrived as themselves"), visit.told()


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_document(site: str, visit: Visit, tmp_path: Path, document: str) -> None:
    """The document's files, with the wheel beside them, make a page that shows what it promises."""
    packages, seen = DOCUMENTS[document]
    with StaticHost(tmp_path) as host:
        host.write(page_of(document, packages, Cdn(site)))
        visit.page.goto(host.address)
        assert visit.wait(seen), visit.told()


def page_of(document: str, packages: list[str], cdn: Cdn) -> dict[str, str | bytes]:
    """Gives the files of a document's page: those of the document, the wheel, and tags for the page's and the worker's script."""
    wheel, content = cdn.wheel()
    files = documents.files_of(document)
    found = re.search(r'connect\("([^"]+)"\)', files["main.py"])
    tag = '<script type="py" worker name="{}" src="./worker.py" config="./all.json"></script>'
    page = f"""<!doctype html>
<meta charset="utf-8">
<script type="module" src="https://cdn.jsdelivr.net/npm/@pyscript/core@0.7.31/dist/core.js"></script>
{files.get("index.html", "")}
<script type="py" src="./main.py" config="./all.json"></script>
{tag.format(found[1]) if found else ""}
"""
    settings = json.dumps({"packages": [f"./{wheel}", *packages]})
    return {**files, "index.html": page, "all.json": settings, wheel: content}
