"""The bare name `workerlib` is ours: PyPI has an unrelated package of that name, so nothing may ask beyond the site."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from in_page import in_page
from pyscript_page import PyScriptPage


@pytest.fixture(scope="module")
def by_index(browser: Browser, site: str) -> Iterator[PyScriptPage]:
    """The page whose scripts say `index_urls`: micropip installs from the site's index."""
    with PyScriptPage(browser, site, "by_index.html", has_snapshot=True) as page:
        yield page


@in_page
async def call_by_lock(worker) -> None:
    """Calls the worker of the page that installs by the amended lock file."""
    assert await worker.add(1, 2) == 3


@in_page(page="by_index")
async def call_by_index(worker) -> None:
    """Calls the worker of the page that installs by micropip."""
    assert await worker.add(1, 2) == 3


def test_installing_by_the_lock_file_stays_on_the_site(bench: PyScriptPage) -> None:
    """Page and worker have workerlib, and no request was even tried beyond the site."""
    call_by_lock(bench=bench)
    assert any(url.startswith(f"{bench.site}/pyodide/workerlib-") for url in bench.fetched)
    assert bench.off_site.requests == []


def test_installing_by_the_index_stays_on_the_site(by_index: PyScriptPage) -> None:
    """The same by `index_urls`, with a micropip that comes from the site's own lock file."""
    call_by_index(by_index=by_index)
    assert f"{by_index.site}/simple/workerlib/" in by_index.fetched
    assert by_index.off_site.requests == []


def test_a_request_beyond_the_site_would_be_seen(mishaps: PyScriptPage) -> None:
    """The proxy notes requests of the page and of workers: without this the tests above could not fail."""
    fetching = "fetch('http://page.invalid/workerlib').catch(() => {})"
    mishaps.page.evaluate(fetching)
    script = fetching.replace("page.invalid", "worker.invalid")
    mishaps.page.evaluate(
        """script => new Promise(resolve => {
             const blob = new Blob([`${script}.then(() => postMessage(1))`], {type: "text/javascript"});
             new Worker(URL.createObjectURL(blob)).onmessage = resolve;
           })""",
        script,
    )
    seen = " ".join(mishaps.off_site.requests)
    assert "page.invalid" in seen
    assert "worker.invalid" in seen
