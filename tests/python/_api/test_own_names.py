"""The names that a Worker and a Page have for themselves: they are listed, and exports of these names are warned of."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import workerlib
from workerlib import Page, Worker
from workerlib._api import interface, page, worker

Connect = Callable[[], AbstractAsyncContextManager[Worker]]


def public(kind: type) -> set[str]:
    """Returns the public attributes of a class."""
    return {name for name in dir(kind) if not name.startswith("_")}


def test_the_names_are_listed() -> None:
    """The modules, the class's text, the base of interfaces and the document have the same names."""
    assert public(Worker) == worker.OWN_NAMES
    assert public(Page) == page.OWN_NAMES
    assert interface._OWN == worker.OWN_NAMES
    document = (Path(__file__).parents[3] / "docs" / "two-way.md").read_text(encoding="utf-8")
    listed = re.search(r"worker's own attributes in the page: ([^.]*)\.", document)
    assert listed is not None
    assert set(re.findall(r"`(\w+)`", listed[1])) == worker.OWN_NAMES
    in_class = re.search(r"this class's own\s+\(([^)]*)\)", Worker.__doc__ or "")
    assert in_class is not None
    assert set(re.findall(r"`(\w+)`", in_class[1])) == worker.OWN_NAMES


async def test_the_exports_are_listed(connect: Connect) -> None:
    """`in` and a loop go through the exports, and do not ask for an export of the name 0."""
    workerlib.export(name="mean")(lambda: 1)
    workerlib.export(name="max")(lambda: 2)
    async with connect() as connected:
        assert list(connected) == ["mean", "max"]
        assert "mean" in connected
        assert "close" not in connected
        assert 0 not in connected


async def test_each_name_is_warned_of_and_reached_by_its_item(connect: Connect) -> None:
    """An export of such a name is not lost."""
    for name in worker.OWN_NAMES:
        workerlib.export(name=name)(lambda name=name: f"the export {name}")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        async with connect() as connected:
            for name in worker.OWN_NAMES:
                assert await connected[name]() == f"the export {name}"
    texts = "\n".join(str(one.message) for one in told)
    assert (
        set(re.findall(r"exports (\w+)\(\), a name that each Worker has for itself", texts))
        == worker.OWN_NAMES
    )
