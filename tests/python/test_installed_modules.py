"""The modules of the installed package: the wheel for Pyodide has them in one file, with their bytecode (ADR 64)."""

from __future__ import annotations

import inspect
import sys
import traceback
from types import ModuleType

import pytest
import workerlib

from pace import IN_PYODIDE

pytestmark = pytest.mark.skipif(not IN_PYODIDE, reason="the native wheel has its modules as files")


def _modules() -> list[ModuleType]:
    names = [name for name in sys.modules if name.startswith("workerlib.") and name != "workerlib._native"]
    return [sys.modules[name] for name in names]


def test_modules_come_from_one_file() -> None:
    """Installing a hundred files takes longer than installing one: no module is a file of its own."""
    modules = _modules()
    assert len(modules) > 50
    assert {type(module.__loader__).__name__ for module in modules} == {"zipimporter"}


@pytest.mark.skipif(sys.version_info[:2] != (3, 14), reason="the bytecode is that of Pyodide 314")
def test_no_module_is_compiled() -> None:
    """Compiling the sources took most of the time of `import workerlib`."""
    assert [module.__name__ for module in _modules() if not str(module.__file__).endswith(".pyc")] == []


def test_sources_and_documentation_are_there() -> None:
    """Tracebacks show lines, and `help()` the documentation, as with modules that are files."""
    assert "class Connection:" in inspect.getsource(sys.modules["workerlib._rpc.connection"])
    assert "Args:" in (workerlib.connect.__doc__ or "")
    with pytest.raises(TypeError) as caught:
        workerlib.export(3)  # type: ignore[call-overload]
    frame = traceback.extract_tb(caught.value.__traceback__)[-1]
    assert "/workerlib/modules.zip/" in frame.filename.replace("\\", "/")
    assert frame.line
