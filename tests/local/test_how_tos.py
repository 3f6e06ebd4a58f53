"""README's tests and the documents of docs/how-to that need pandas or matplotlib, natively: their wheels for Pyodide are on its CDN only.

The page's code runs with stand-ins for the names that it imports of PyScript.
"""

from __future__ import annotations

import ast
import base64
import inspect
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import documents
from pace import PACE


class Elements:
    """Stands in for the page's document: an element of each selector, which keeps what is set."""

    def __init__(self, **values: str) -> None:
        self._known = {f"#{name}": SimpleNamespace(value=value) for name, value in values.items()}

    def querySelector(self, selector: str) -> Any:
        return self._known.setdefault(selector, SimpleNamespace())


@pytest.fixture
def pyscript(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module that the page imports."""
    module = ModuleType("pyscript")
    module.when = lambda *_: lambda function: function  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pyscript", module)
    return module


async def run(document: str, folder: Path) -> dict[str, Any]:
    """Runs a document's page against its worker, and returns the page's names."""
    files = documents.files_of(document)
    script = folder / "worker.py"
    script.write_text(files["worker.py"], encoding="utf-8")
    name = {"dataframe-to-chart": "sales", "matplotlib": "drawing"}.get(document, "./worker.py")
    main = files["main.py"]
    assert f'"{name}"' in main
    code = compile(
        main.replace(f'"{name}"', repr(str(script))), "main.py", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    )
    names: dict[str, Any] = {"__name__": "__main__"}
    outcome = eval(code, names)
    if inspect.iscoroutine(outcome):
        await outcome
    return names


@pytest.mark.parametrize(
    ("document", "passed"), [("README", 2), ("docs/tutorial", 1), ("docs/how-to/testing", 4)]
)
def test_the_tests_of_a_document_pass(tmp_path: Path, document: str, passed: int) -> None:
    """The reader's folder has the document's first worker, a conftest.py and tests, and `pytest` says that they passed."""
    text = (documents.README.parent / f"{document}.md").read_text(encoding="utf-8")
    for name in ("worker.py", "conftest.py", "test_worker.py"):
        found = re.search(rf"^```python {name}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
        assert found is not None
        (tmp_path / name).write_text(found[1], encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=100 * PACE
    )
    assert f"{passed} passed" in done.stdout, done.stdout + done.stderr


async def test_a_chart_from_a_data_frame(tmp_path: Path, pyscript: Any) -> None:
    """The page draws a bar for each month, and the DataFrame itself arrives where there is pandas."""
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    pyscript.document = Elements()
    names = await run("dataframe-to-chart", tmp_path)
    chart = pyscript.document.querySelector("#chart").innerHTML
    assert chart.count("<rect") == 3
    assert "<title>2026-03: 160</title>" in chart
    frame = await names["worker"].by_month("south")
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame.amount) == [80, 140, 60]
    names["worker"].close()


async def test_a_picture_from_matplotlib(tmp_path: Path, pyscript: Any) -> None:
    """The page gets a PNG, and another one for another frequency."""
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    pyscript.document = Elements(frequency="3")
    names = await run("matplotlib", tmp_path)
    first = pyscript.document.querySelector("#picture").src
    pyscript.document.querySelector("#frequency").value = "5"
    await names["draw"]()
    second = pyscript.document.querySelector("#picture").src
    for picture in (first, second):
        assert base64.b64decode(picture.removeprefix("data:image/png;base64,")).startswith(b"\x89PNG")
    assert first != second
    names["worker"].close()


async def test_dask_on_a_pool(tmp_path: Path, pyscript: Any) -> None:
    """A bag and a delayed function compute on the workers, and their values come to the page."""
    pytest.importorskip("dask", reason="dask is not installed")
    shown: list[Any] = []
    pyscript.display = lambda *values: shown.extend(values)
    await run("from-dask", tmp_path)
    assert shown == [499500, 285]


async def test_a_library_with_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The library's module is a worker by its name, its adapter serves both sides, and it needs no workerlib itself."""
    files = documents.files_of("library")
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    names: dict[str, Any] = {"__name__": "__main__"}
    code = compile(files["main.py"], "main.py", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    try:
        await eval(code, names)
        assert capfd.readouterr().out == "0.5\n1.0\n15.71 2\n"
        monkeypatch.setitem(sys.modules, "workerlib", None)
        del sys.modules["shapes"]
        assert __import__("shapes").area(names["Circle"](1)) > 3
    finally:
        sys.modules.pop("shapes", None)
