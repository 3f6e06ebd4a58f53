"""The document's remote package: `experimental_remote_packages = true` with the address of a `workerlib.toml`.

`cargo xtask publish --address …` makes the folder; the servers of this suite have one each, for their own address.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from engines import AnyBrowser
from in_page import in_page
from pyscript_page import PyScriptPage


@pytest.fixture(scope="module")
def remote(browser: AnyBrowser, site: str) -> Iterator[PyScriptPage]:
    """The page whose scripts take workerlib from a remote package."""
    with PyScriptPage(browser, site, "document/remote.html", has_snapshot=True) as page:
        yield page


@in_page(page="remote")
async def call_both_ways(workerlib: Any) -> None:
    """Calls the worker of Option #2."""
    worker = await workerlib.connectToWorker()
    assert await worker.func1(1) == ["func1", 1]
    assert await worker.func2(2) == ["func2", 2]
    assert await worker.func3(1, 2) == 3
    assert await worker.func4(0) == 0
    worker.close()


def test_option_2_with_the_remote_package(remote: PyScriptPage) -> None:
    """Page and worker take the wheel from where `workerlib.toml` says, and ask nobody else."""
    call_both_ways(remote=remote)
    assert any(url.startswith(f"{remote.site}/published/workerlib-") for url in remote.fetched)
    assert not any(url.startswith(f"{remote.site}/pyodide/workerlib-") for url in remote.fetched)
    assert remote.off_site.requests == []
