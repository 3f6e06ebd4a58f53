"""The fault suite's page in JavaScript, whose workers the ES module's `spawn()` starts."""

from __future__ import annotations

import json
from typing import Any

from fault_page import FaultPage

from engines import AnyBrowser
from pace import PACE
from pyscript_page import PyScriptPage


class JavaScriptPage(PyScriptPage):
    """The page tests/faults/pages/javascript.html, whose workers start from the snapshots of the run."""

    def __init__(self, browser: AnyBrowser, site: str) -> None:
        path = "../faults/javascript.html"
        super().__init__(
            browser, site, path, faultless=False, has_harness=False, has_snapshot=True, shares_context=False
        )
        self.wait_for("() => window.callFunction")

    def call(self, name: str, /, limit: float = 60, **arguments: Any) -> Any:
        """Calls a function of pages/javascript.js and returns what it returns.

        Args:
            name: Its name.
            limit: How many seconds of a fast machine it may take.
            arguments: The properties of its argument.
        """
        called = "([name, given, limit]) => window.callFunction(name, given, limit)"
        return json.loads(self.page.evaluate(called, [name, arguments, limit * PACE]))


AnyPage = FaultPage | JavaScriptPage
