"""`workerlib.url()` and relative addresses: one worker.py reads the same file in every kind of worker.

The script is tests/shared/relative/reader.py. test_spawn.py and tests/node run it in spawned workers,
tests/patterns in a worker of a page in JavaScript.
"""

from __future__ import annotations

from typing import Any

import pytest

from in_page import in_page


@pytest.mark.every_engine
@pytest.mark.isolation
@pytest.mark.repeated("firefox", "webkit")
@in_page
async def test_a_worker_of_pyscripts_reads_what_lies_beside_its_script(
    workerlib: Any, tags: Any, raises: Any
) -> None:
    """Its configuration lies there too: the worker knows that address before the page has told any."""
    import js

    tags.worker("reader", config="/shared/relative/worker.json", src="/shared/relative/reader.py")
    worker = await workerlib.connect("reader")
    assert await worker.read_by_url() == ["beside the script", "beside the script"]
    # The page's own addresses are relative to it.
    assert workerlib.url("./x").endswith(js.location.pathname.rpartition("/")[0] + "/x")
    assert workerlib.url("https://example.org/y") == "https://example.org/y"


@in_page(page="mishaps")
async def test_an_inline_script_reads_what_lies_beside_its_page(workerlib: Any, tags: Any) -> None:
    """It has no address of its own."""
    import js

    text = """
import workerlib
at_start = workerlib.url("a")

@workerlib.export
def ask():
    return at_start, workerlib.url("a")
"""
    tags.worker("inline", text)
    worker = await workerlib.connect("inline")
    assert set(await worker.ask()) == {str(js.URL.new("a", js.document.baseURI).href)}


@in_page(page="mishaps")
async def test_an_address_that_the_script_could_not_know_is_told_of(workerlib: Any, tags: Any) -> None:
    """The page is not isolated, and the script lies elsewhere than the page: a line in the console tells of it."""
    import js

    if js.crossOriginIsolated:
        return
    tags.worker("elsewhere", src="/shared/relative/reader.py")
    worker = await workerlib.connect("elsewhere")
    by_url = await worker.read_by_url()
    assert by_url[0] == "beside the script", "from the connection on it is right"
    assert by_url[1] != "beside the script"
