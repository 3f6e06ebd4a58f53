"""The scripts of workers import modules of the package by name, which no type checker and no linter sees."""

from __future__ import annotations

import importlib
import re
import sys
from importlib.resources import files

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "emscripten", reason="the native wheel has no such scripts")

# `this.#python = pyodide.pyimport("workerlib.…")`, or by the name of a constant
_IMPORT = re.compile(r"(?:([\w.#$]+)\s*=\s*)?[\w.#$]+\.pyimport\((?:\"([\w.]+)\"|(\w+))\)")
_CONSTANT = re.compile(r"\b(?:var|const) (\w+) = \"([\w.]+)\";")
_SCRIPTS = ("python_worker.js", "worker.js")


def imports(text: str) -> list[tuple[str, str]]:
    """Lists what a script imports of the package: the variable that gets a module, and the module's name."""
    constants = dict(_CONSTANT.findall(text))
    found = [
        (variable, module or constants.get(name, name)) for variable, module, name in _IMPORT.findall(text)
    ]
    return [(variable, module) for variable, module in found if module.partition(".")[0] == "workerlib"]


@pytest.mark.parametrize("script", _SCRIPTS)
def test_what_a_worker_calls_in_python_is_there(script: str) -> None:
    """Each module that the script imports can be imported, and has each function that the script calls."""
    text = (files("workerlib") / "javascript" / script).read_text()
    assert imports(text), f"{script} imports nothing of the package"
    for variable, module in imports(text):
        imported = importlib.import_module(module)
        called = set(re.findall(re.escape(variable) + r"\??\.(\w+)\(", text))
        assert called, f"{script} imports {module} for nothing"
        for function in called:
            assert callable(getattr(imported, function, None)), f"{script} calls {module}.{function}"


def test_no_other_script_imports_python() -> None:
    """A script that begins to import the package belongs into the list above."""
    for file in (files("workerlib") / "javascript").iterdir():
        if file.name not in _SCRIPTS:
            assert imports(file.read_text()) == [], file.name
