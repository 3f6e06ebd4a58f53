"""The pages in which faults are injected, and the figures of the suite."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from fault_page import HOSTS, FaultPage, Records
from javascript_page import AnyPage, JavaScriptPage

from engines import ENGINE, AnyBrowser, launch

pytest_plugins = ["in_browser", "limits", "repeated"]

_records = Records()


@pytest.fixture(scope="session")
def browser() -> Iterator[AnyBrowser]:
    """The browser, one for the whole run: a page has a process of its own, which a fault may end."""
    with launch(ENGINE) as launched:
        yield launched


@pytest.fixture(scope="session")
def records() -> Records:
    """The figures of this run so far."""
    return _records


@pytest.fixture(scope="session")
def spawning(browser: AnyBrowser, site: str) -> Iterator[FaultPage]:
    """The page without PyScript, whose workers start from a snapshot."""
    with FaultPage(browser, site, "spawn.html") as page:
        page.call("warm_up")
        page.call("note_workers")
        yield page


@pytest.fixture(scope="session")
def scripted(browser: AnyBrowser, site: str) -> Iterator[FaultPage]:
    """The page of PyScript's."""
    with FaultPage(browser, site, "bench.html") as page:
        yield page


@pytest.fixture(scope="session")
def javascript(browser: AnyBrowser, site: str) -> Iterator[JavaScriptPage]:
    """The page in JavaScript, whose workers start from a snapshot."""
    with JavaScriptPage(browser, site) as page:
        assert page.call("warm_up")
        yield page


@pytest.fixture
def page(request: pytest.FixtureRequest, site: str, host: str) -> AnyPage:
    """The page whose workers come in the way that a test's parameter `host` names, on the site."""
    fixture = dict(zip(HOSTS, ("spawning", "scripted", "javascript"), strict=True))[host]
    found: AnyPage = request.getfixturevalue(fixture)
    return found


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Compares the documented table last, when all faults have been injected."""
    items.sort(key=lambda item: item.path.name == "test_the_table.py")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints the figures, and hands them to `cargo xtask test`."""
    figures = _records
    if not figures.faults:
        return
    text = (
        f"{figures.faults} faults injected, {figures.calls} calls made,"
        f" {figures.unsettled} calls that did not settle, {figures.proxies} proxies leaked,"
        f" slowest settling {figures.slowest:.2f} s"
    )
    terminalreporter.section(f"faults in {ENGINE}")
    terminalreporter.line(text)
    for (fault, when), row in figures.functions.cells.items():
        terminalreporter.line(
            f"  {fault} {when}: {'; '.join(f'{host}: {cell}' for host, cell in row.items())}"
        )
    for (host, fault), row in figures.others.cells.items():
        terminalreporter.line(f"  {host}: {fault}: {row['the caller sees']} after {row['after']}")
    if target := os.environ.get("WORKERLIB_FAULT_FIGURES"):
        Path(target).write_text(text)
