"""Workers that are spawned in a sandboxed frame, whose origin is opaque: no storage, no locks, no file of the server's as a script."""

from __future__ import annotations

import pytest

from engines import AnyBrowser
from pyscript_page import PyScriptPage

_DIED = "WorkerDiedError"


@pytest.mark.every_engine
def test_a_sandboxed_frame(browser: AnyBrowser, site: str) -> None:
    """Workers start, answer and end there as elsewhere, in Python and in JavaScript, and share the snapshot of the visit."""
    with PyScriptPage(browser, site, "sandboxed.html", faultless=False, has_harness=False) as page:
        page.wait_for("() => window.told")
        told = page.page.evaluate("() => window.told")
    assert told == {
        "origin": "null",
        "inPython": {
            "first": [False, [2, 4]],
            "terminate": [True, [2, 4], _DIED],
            "close_itself": [True, [2, 4], _DIED],
        },
        "inJavaScript": {"close_itself": [[2, 4], _DIED]},
    }
