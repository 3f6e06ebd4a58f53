"""The scripts of workers import modules of the package by name, which no type checker and no linter sees."""

from __future__ import annotations

import importlib
import re
import sys
from importlib.resources import files

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "emscripten", reason="the native wheel has no such scripts")

# `this.#python = pyodide.pyimport("workerlib.…")`
_IMPORT = re.compile(r"([\w.#$]+)\s*=\s*[\w.#$]+\.pyimport\(\"(workerlib[\w.]*)\"\)")
_SCRIPTS = ("python_worker.js", "worker.js")


@pytest.mark.parametrize("script", _SCRIPTS)
def test_what_a_worker_calls_in_python_is_there(script: str) -> None:
    """Each module that the script imports can be imported, and has each function that the script calls."""
    text = (files("workerlib") / "javascript" / script).read_text()
    assert text.count('pyimport("workerlib') == len(_IMPORT.findall(text)) > 0
    for variable, module in _IMPORT.findall(text):
        imported = importlib.import_module(module)
        called = set(re.findall(re.escape(variable) + r"\??\.(\w+)\(", text))
        assert called, f"{script} imports {module} for nothing"
        for function in called:
            assert callable(getattr(imported, function, None)), f"{script} calls {module}.{function}"


def test_no_other_script_imports_python() -> None:
    """A script that begins to do so belongs into the list above."""
    for file in (files("workerlib") / "javascript").iterdir():
        if file.name not in _SCRIPTS:
            assert "pyimport(" not in file.read_text(), file.name
