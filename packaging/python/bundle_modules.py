"""Puts a package's modules into two files: run by bundle_modules.mjs, in Pyodide.

`modules.zip` has the sources of all modules, and the bytecode of those that few programs need. `bytecode.cpython-314` has the
bytecode of the others, in the form that `workerlib/_bytecode.py` describes and imports. Another Python passes over the
bytecode. The package's own `__init__.py`, the module that reads the bytecode, and files that are not modules stay where they are.
Bytecode keeps docstrings and lines, and no columns, which would make it larger by a third. The same sources give the same
bytes.
"""

import importlib.util
import marshal
import sys
import sysconfig
import zipfile
from importlib import _bootstrap_external  # type: ignore[attr-defined]
from pathlib import Path, PurePath

ARCHIVE = "modules.zip"
KEPT = ("__init__.py", "_bytecode.py", "starter/workerlib.py")
"""Modules that stay files: the two that import the others, and one that users copy."""
SELDOM = (
    "_channels/socket.py",
    "_hosts/open_telemetry.py",
    "_hosts/subprocess",
    "_pool",
    "_stubs",
    "_values/libraries",
    "stubs.py",
    "testing.py",
)
"""Modules and folders that pages and workers do not need for a call. Their bytecode is in the archive, compressed: each
megabyte that is installed takes a hundredth of the time in which Pyodide starts."""
OFTEN = (
    "_pool/__init__.py",
    "_pool/restarts.py",
    "_pool/shared.py",
    "_values/libraries/__init__.py",
    "_values/libraries/families.py",
)
"""Those of them that `import workerlib` needs after all."""


def bundle(package: Path) -> int:
    """Moves the modules of a package into its two files.

    Args:
        package: The package's folder.

    Returns:
        How many modules were moved.
    """
    # The place of an installed package in Pyodide, which tracebacks show. Pyodide's own path may begin with two slashes.
    place = f"/{sysconfig.get_paths()['purelib'].lstrip('/')}/{package.name}/{ARCHIVE}"
    files = [path.relative_to(package) for path in sorted(package.rglob("*.py"))]
    modules = [path for path in files if path.as_posix() not in KEPT]
    table: dict[str, tuple[bool, int, int]] = {}
    codes = bytearray()
    with zipfile.ZipFile(package / ARCHIVE, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for path in modules:
            source = (package / path).read_bytes()
            code = compile(source, f"{place}/{path.as_posix()}", "exec", dont_inherit=True, optimize=0)
            content = b"" if _is_seldom(path) else marshal.dumps(code)
            table[_name_of(package.name, path)] = (path.name == "__init__.py", len(codes), len(content))
            codes += content
            _add(archive, path.as_posix(), source)
            if not content:
                bytecode = _bootstrap_external._code_to_hash_pyc(
                    code, importlib.util.source_hash(source), False
                )
                _add(archive, f"{path.as_posix()}c", bytes(bytecode))
    head = marshal.dumps(table)
    length = len(head).to_bytes(4, "little")
    bytecodes = package / f"bytecode.{sys.implementation.cache_tag}"
    bytecodes.write_bytes(importlib.util.MAGIC_NUMBER + length + head + codes)
    for file in (package / ARCHIVE, bytecodes):
        # Emscripten makes files that everybody may write.
        file.chmod(0o644)
    for path in modules:
        (package / path).unlink()
    for folder in sorted((path for path in package.rglob("*") if path.is_dir()), reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()
    return len(modules)


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    # Their dates are those of no file: 1980-01-01.
    entry = zipfile.ZipInfo(name)
    entry.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(entry, content, compresslevel=9)


def _name_of(package: str, path: PurePath) -> str:
    parts = path.with_suffix("").parts
    return ".".join((package, *(parts[:-1] if parts[-1] == "__init__" else parts)))


def _is_seldom(path: PurePath) -> bool:
    places = {path.as_posix(), *(parent.as_posix() for parent in path.parents)}
    return path.as_posix() not in OFTEN and not places.isdisjoint(SELDOM)
