"""Puts a package's modules into one file, `modules.zip`, with their bytecode: run by bundle_modules.mjs, in Pyodide.

The archive has each module twice: its source, and bytecode of this Python's, which other Pythons pass over (`zipimport`).
The package's own `__init__.py` and files that are not modules stay where they are. Bytecode keeps docstrings and lines, and
no columns, which would make it larger by a third. The same sources give the same bytes.
"""

import importlib.util
import sysconfig
import zipfile
from importlib import _bootstrap_external  # type: ignore[attr-defined]
from pathlib import Path

ARCHIVE = "modules.zip"
KEPT = ("starter",)
"""Folders whose files users copy."""


def bundle(package: Path) -> int:
    """Moves the modules of a package into its archive.

    Args:
        package: The package's folder.

    Returns:
        How many modules were moved.
    """
    # The place of an installed package in Pyodide, which tracebacks show.
    place = f"{sysconfig.get_paths()['purelib']}/{package.name}/{ARCHIVE}"
    files = [path.relative_to(package) for path in sorted(package.rglob("*.py"))]
    modules = [path for path in files if len(path.parts) > 1 or path.name != "__init__.py"]
    modules = [path for path in modules if path.parts[0] not in KEPT]
    with zipfile.ZipFile(package / ARCHIVE, "w", zipfile.ZIP_STORED) as archive:
        for path in modules:
            source = (package / path).read_bytes()
            code = compile(source, f"{place}/{path.as_posix()}", "exec", dont_inherit=True, optimize=0)
            bytecode = _bootstrap_external._code_to_hash_pyc(code, importlib.util.source_hash(source), False)
            # Their dates are those of no file: 1980-01-01.
            archive.writestr(zipfile.ZipInfo(path.as_posix()), source)
            archive.writestr(zipfile.ZipInfo(f"{path.as_posix()}c"), bytes(bytecode))
    # Emscripten makes files that everybody may write.
    (package / ARCHIVE).chmod(0o644)
    for path in modules:
        (package / path).unlink()
    for folder in sorted((path for path in package.rglob("*") if path.is_dir()), reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()
    return len(modules)
