"""Files that a user has chosen, and blobs, are arguments and results as any other value."""

from __future__ import annotations

from typing import Any

import pytest

from in_page import in_page


@pytest.mark.every_engine
@in_page
async def test_a_file_arrives_with_its_name(workerlib: Any, tags: Any) -> None:
    """The most asked for: no arrayBuffer(), no to_bytes(), no transfer() on the page."""
    from pyodide.code import run_js

    script = (
        "import workerlib\n"
        "@workerlib.export\n"
        "async def read(file):\n"
        "    return file.name, file.size, (await file.arrayBuffer()).to_bytes()\n"
        "@workerlib.export\n"
        "def echo(*files): return files\n"
    )
    tags.worker("reader", script)
    async with workerlib.connect("reader") as worker:
        file = run_js("new File(['some text'], 'note.txt')")
        assert await worker.read(file) == ("note.txt", 9, b"some text")
        one, blob = await worker.echo(file, run_js("new Blob(['abc'])"))
        assert (one.name, blob.size) == ("note.txt", 3)
        assert await worker.read(one) == ("note.txt", 9, b"some text")


@in_page
async def test_an_element_is_refused_with_advice(worker: Any, workerlib: Any, raises: Any) -> None:
    """A worker has no elements; the message says what to send instead of one, by its kind."""
    import js

    for tag, advice in (
        ("input", "its value or textContent"),
        ("canvas", r"workerlib.transfer\(canvas.transferControlToOffscreen"),
        ("img", "createImageBitmap"),
    ):
        with raises(workerlib.UnsendableError, advice):
            await worker.echo(js.document.createElement(tag))
    with raises(workerlib.UnsendableError, "window"):
        await worker.echo(js.window)
