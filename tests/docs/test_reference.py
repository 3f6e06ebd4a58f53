"""The reference against the package: each public name stands in it, with its text and its arguments."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
import workerlib
import workerlib.testing
from playwright.sync_api import Browser

from conftest import LIMIT

READ = """
() => Object.fromEntries([...document.querySelectorAll(".doc-object .doc-heading[id]")].map((heading) => {
  const all = (selector) => [...heading.parentElement.querySelectorAll(":scope > " + selector)];
  const lists = all(".doc-contents > ul").filter(
    (list) => list.previousElementSibling?.textContent.trim() === "Parameters:");
  return [heading.id, {
    text: all(".doc-contents > p").map((paragraph) => paragraph.textContent).join("\\n").trim(),
    signature: all(".doc-signature").map((one) => one.textContent).join("\\n"),
    parameters: lists.flatMap((list) => [...list.querySelectorAll(":scope > li > b")].map((b) => b.textContent)),
  }];
}))
"""


@pytest.fixture(scope="module")
def reference(chromium: Browser, site: str, folder: Path) -> dict[str, dict[str, Any]]:
    """Returns what the reference says of each name, by its path."""
    entries: dict[str, dict[str, Any]] = {}
    page = chromium.new_page()
    page.set_default_timeout(LIMIT)
    for file in sorted((folder / "reference").rglob("index.html")):
        page.goto(site + file.parent.relative_to(folder).as_posix() + "/")
        entries |= page.evaluate(READ)
    page.close()
    return entries


def names() -> list[str]:
    """The paths of the public names."""
    ours = [f"workerlib.{name}" for name in workerlib.__all__]
    return ours + [f"workerlib.testing.{name}" for name in workerlib.testing.__all__]


@pytest.mark.parametrize("name", names())
def test_each_public_name_has_an_entry_with_a_text(name: str, reference: dict[str, dict[str, Any]]) -> None:
    """Protects a new name of `__all__` from being published without documentation."""
    assert name in reference
    assert len(reference[name]["text"]) > 20, reference[name]


def test_the_reference_has_no_other_names_of_the_package(reference: dict[str, dict[str, Any]]) -> None:
    """Protects readers from names that are not public."""
    modules = {f"workerlib.{name}" for name in ("testing", "stubs", "worker")}
    top = {path for path in reference if path.count(".") == 1} - modules
    assert top == {f"workerlib.{name}" for name in workerlib.__all__}


def functions() -> list[str]:
    """The paths of the public functions that have parameters."""
    found = []
    for path in names():
        module, _, name = path.rpartition(".")
        value = getattr(workerlib.testing if module == "workerlib.testing" else workerlib, name)
        if inspect.isfunction(value) and inspect.signature(value).parameters:
            found.append(path)
    return found


@pytest.mark.parametrize("path", functions())
def test_each_argument_is_in_the_signature_and_has_a_text(
    path: str, reference: dict[str, dict[str, Any]]
) -> None:
    """Protects an argument from being added without a word of what it does."""
    module, _, name = path.rpartition(".")
    value = getattr(workerlib.testing if module == "workerlib.testing" else workerlib, name)
    entry = reference[path]
    parameters = list(inspect.signature(value).parameters)
    assert [name for name in parameters if name not in entry["signature"]] == []
    assert [text.lstrip("*") for text in entry["parameters"]] == parameters


@pytest.mark.parametrize("fixture", ["start_worker", "connect_worker"])
def test_pytests_fixtures_are_in_the_reference(fixture: str, reference: dict[str, dict[str, Any]]) -> None:
    """Protects the fixtures, which are public by their names in pytest and private in the module."""
    assert len(reference[f"workerlib.testing._{fixture}"]["text"]) > 20
