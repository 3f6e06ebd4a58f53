"""The modules of the installed package: the wheel for Pyodide has them in two files, with their bytecode.

The decisions are ADR 64 and ADR 136.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import sys
import traceback
import zipfile
from pathlib import Path
from types import ModuleType

import pytest
import workerlib

from pace import IN_PYODIDE

pytestmark = pytest.mark.skipif(not IN_PYODIDE, reason="the native wheel has its modules as files")
bytecode = pytest.mark.skipif(sys.version_info[:2] != (3, 14), reason="the bytecode is that of Pyodide 314")


LOOSE = {"workerlib._native", "workerlib._bytecode"}
"""Modules with a file of their own: the extension module, and the module that imports the others."""


def _modules() -> list[ModuleType]:
    names = [name for name in sys.modules if name.startswith("workerlib.") and name not in LOOSE]
    return [sys.modules[name] for name in names]


def test_no_module_is_a_file() -> None:
    """Installing a hundred files takes longer than installing two: the modules are in an archive."""
    modules = _modules()
    assert len(modules) > 50
    assert [module.__name__ for module in modules if "/modules.zip/" not in str(module.__file__)] == []


@bytecode
def test_no_module_is_compiled() -> None:
    """Compiling the sources took most of the time of `import workerlib`; modules of the archive have bytecode there."""
    import workerlib.testing  # one that is imported from the archive

    others = [module for module in _modules() if type(module.__loader__).__name__ != "BytecodeFinder"]
    assert workerlib.testing in others
    assert [module.__name__ for module in others if not str(module.__file__).endswith(".pyc")] == []


@bytecode
def test_a_module_is_reloaded_from_the_file() -> None:
    """The content of the file is freed after the import of the package, and modules are still read from it."""
    from workerlib._users import line

    code = line.__loader__.get_code(line.__name__)  # type: ignore[union-attr]
    assert code.co_filename == line.__file__
    assert importlib.reload(line) is line


def test_tools_list_the_modules() -> None:
    """`pkgutil` finds the modules of both files, and so `help(workerlib)` shows the content of the package."""
    import workerlib._pool

    names = {module.name: module.ispkg for module in pkgutil.iter_modules(workerlib.__path__)}
    assert {"_api": True, "_version": False, "stubs": False, "_bytecode": False}.items() <= names.items()
    pool = {module.name for module in pkgutil.iter_modules(workerlib._pool.__path__, "workerlib._pool.")}
    assert {"workerlib._pool.restarts", "workerlib._pool.graphs"} <= pool


@bytecode
def test_an_archive_in_the_place_of_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After an installation, Python looks for sources at their places in the new archive."""
    from workerlib._bytecode import Bytecode, BytecodeFinder

    archive = tmp_path / "modules.zip"
    package = Path(str(workerlib.__file__)).parent
    finder = BytecodeFinder(str(archive), "workerlib", Bytecode(f"{package}/bytecode.cpython-314"))
    monkeypatch.setitem(sys.path_importer_cache, str(archive), finder)
    for version in ("1", f"2  # {'longer ' * 100}"):
        with zipfile.ZipFile(archive, "w") as written:
            written.writestr("_errors.py", version)
            written.writestr("_version.py", version)
        importlib.invalidate_caches()
        assert finder.get_source("workerlib._version") == version


def test_sources_and_documentation_are_there() -> None:
    """Tracebacks show lines, and `help()` the documentation, as with modules that are files."""
    assert "class Connection:" in inspect.getsource(sys.modules["workerlib._rpc.connection"])
    assert "Args:" in (workerlib.connect.__doc__ or "")
    with pytest.raises(TypeError) as caught:
        workerlib.export(3)  # type: ignore[call-overload]
    frame = traceback.extract_tb(caught.value.__traceback__)[-1]
    assert "/workerlib/modules.zip/" in frame.filename.replace("\\", "/")
    assert frame.line
