"""Errors of calls, as far as they need a page; tests/shared has the others."""

from __future__ import annotations

from typing import Any

from in_page import in_page


@in_page
async def test_objects_of_javascript_cannot_be_sent(worker: Any, workerlib: Any, raises: Any) -> None:
    """A JsProxy among the arguments is named as what it is."""
    import js

    with raises(workerlib.UnsendableError, "JsProxy|pyodide"):
        await worker.echo(js.document)
    assert await worker.add(1, 2) == 3
