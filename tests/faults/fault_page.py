"""A page in which faults are injected, and the records of a run."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fault_table import FaultTable

from engines import AnyBrowser
from pace import PACE
from pyscript_page import LOAD_MILLISECONDS, PyScriptPage

SPAWN, PYSCRIPT, JAVASCRIPT = HOSTS = ("spawn()", "PyScript", "JavaScript's spawn()")
"""The ways to a worker: the records name them, and so does a page's function that can go more than one."""
_HERE = Path(__file__).parent
_CALL = """
async def call(tags, name, arguments):
    import importlib
    import inspect
    import json
    import js

    module, _, function = name.rpartition(".")
    called = getattr(importlib.import_module(module or "in_the_page"), function)
    if "tags" in inspect.signature(called).parameters:
        arguments["tags"] = tags
    js.window.faultRecord = json.dumps(await called(**arguments))
"""


class FaultPage(PyScriptPage):
    """A page of tests/browser/pages with the modules that inject faults."""

    def __init__(self, browser: AnyBrowser, site: str, path: str) -> None:
        super().__init__(browser, site, path, faultless=False, has_snapshot=True, shares_context=False)

    @classmethod
    def beside(cls, other: FaultPage) -> FaultPage:
        """Opens the same address in a second page of the same browser context."""
        page = cls.__new__(cls)
        page.__dict__.update(other.__dict__)
        page.console, page.faults, page.fetched = [], [], []
        page.page = other._context.new_page()
        page.page.goto(other.page.url, timeout=LOAD_MILLISECONDS)
        page.equip()
        return page

    def equip(self) -> None:
        """Adds what injects faults."""
        super().equip()
        for name in ("injecting", "in_the_page", "enemies_in_the_page"):
            self.page.evaluate(
                "([name, source]) => window.harness.add_module(name, source)",
                [name, (_HERE / f"{name}.py").read_text()],
            )

    def come_back(self, how: str) -> None:
        """Leaves the page and comes back to it.

        Args:
            how: "reload", or "history" for another page and then back by the browser's history.
        """
        if how == "reload":
            self.page.reload(timeout=LOAD_MILLISECONDS)
        else:
            self.page.goto(f"{self.site}/tests/frames.js", timeout=LOAD_MILLISECONDS)
            self.page.go_back(timeout=LOAD_MILLISECONDS)
        if not self.page.evaluate("() => Boolean(window.isMarked)"):
            self.equip()

    def mark(self) -> None:
        """Marks the document: a page that comes out of the back/forward cache still has the mark."""
        self.page.evaluate("() => { window.isMarked = true; }")

    def call(self, name: str, /, limit: float = 60, **arguments: Any) -> Any:
        """Calls a function of in_the_page.py and returns what it returns, as JSON.

        Args:
            name: Its name.
            limit: How many seconds of a fast machine it may take.
            arguments: Its arguments.
        """
        self.run(
            {
                "file": "fault_page.py",
                "source": _CALL,
                "function": _CALL,
                "name": "call",
                "line": 1,
                "provided": ["tags"],
                "limit": limit * PACE,
                "arguments": {"name": name, "arguments": arguments},
            }
        )
        return json.loads(self.page.evaluate("() => window.faultRecord"))


def settled_within(seconds: float, inject: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Injects a fault and returns its record: a second and a third time if the calls take longer to settle.

    A busy machine may hold up one injection. The test that reads the record says what has to be so.

    Args:
        seconds: How many seconds of a fast machine the calls may take.
        inject: Injects the fault.
    """
    for _ in range(3):
        record = inject()
        if record["unsettled"] or record["seconds"] < seconds * PACE:
            break
    return record


@dataclass
class Records:
    """The figures of a run of the suite, and its tables."""

    faults: int = 0
    calls: int = 0
    unsettled: int = 0
    proxies: int = 0
    slowest: float = 0.0
    functions: FaultTable = field(
        default_factory=lambda: FaultTable("faults of a function", ("fault", "when"), HOSTS)
    )
    others: FaultTable = field(
        default_factory=lambda: FaultTable(
            "other faults", ("where", "fault"), ("the caller sees", "after", "test")
        )
    )

    def add(self, host: str, fault: str, record: dict[str, Any]) -> None:
        """Adds one injected fault and the calls that were under way."""
        self._count(record)
        self._tell(host, fault, record["seen"][0], record["seconds"])

    def add_of_function(self, host: str, fault: str, when: str, record: dict[str, Any]) -> None:
        """Adds a fault of an exported function, in the worker of a host."""
        self._count(record)
        text = f"{record['seen'][0]}, {record['seconds']:.2f} s"
        self.functions.add((fault.replace("_", " "), when), {host: text})

    def note(self, host: str, fault: str, seen: str, seconds: float) -> None:
        """Adds a fault that ends its connection by itself."""
        self.faults += 1
        self.slowest = max(self.slowest, seconds)
        self._tell(host, fault, seen, seconds)

    def _count(self, record: dict[str, Any]) -> None:
        self.faults += 1
        self.calls += record["calls"]
        self.unsettled += len(record["unsettled"])
        self.proxies += max(0, record.get("proxies", 0))
        self.slowest = max(self.slowest, record["seconds"])

    def _tell(self, host: str, fault: str, seen: str, seconds: float) -> None:
        # "tests/faults/test_load.py::test_a_flood[…] (call)"
        test = os.environ["PYTEST_CURRENT_TEST"].rpartition("/")[2].partition("[")[0].partition(" ")[0]
        cells = {"the caller sees": seen, "after": f"{seconds:.2f} s", "test": f"`{test}`"}
        self.others.add((host, fault.replace("_", " ")), cells)
