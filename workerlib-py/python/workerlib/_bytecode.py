"""Imports modules from the bytecode file of the wheel for Pyodide (ADR 136).

The modules of that wheel are in `modules.zip`. Python's `zipimport` reads the archive's directory, and each
module twice, in Python code: that was two fifths of `import workerlib`. So the bytecode of the modules that
most programs need is in a file of its own, and a finder for the archive's folders looks there first.

`packaging/python/bundle_modules.py` writes the file:

| bytes | content |
| --- | --- |
| 4 | the magic number of Python's bytecode |
| 4 | the length of the table, little-endian |
| | the table, by `marshal`: name of a module -> (whether it is a package, offset, length) |
| | the code of the modules, by `marshal` |

The table has all modules of the archive. Offsets count from the table's end. A length of 0 says that the
bytecode is in the archive.
"""

from __future__ import annotations

import marshal
import sys
import zipimport
from collections.abc import Iterator
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from importlib.util import MAGIC_NUMBER
from types import CodeType, ModuleType


class Bytecode:
    """Reads the file with the bytecode.

    Args:
        path: The path of the file.

    Attributes:
        table: What the file's table says of each module.

    Raises:
        OSError: If the file cannot be read.
        ImportError: If its bytecode is not that of this Python.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        with open(path, "rb") as file:
            content = file.read()
        if content[:4] != MAGIC_NUMBER:
            raise ImportError(f"{path} has bytecode of another Python", path=path)
        self._begin = 8 + int.from_bytes(content[4:8], "little")
        self.table: dict[str, tuple[bool, int, int]] = marshal.loads(content[8 : self._begin])
        self._content: memoryview | None = memoryview(content)

    def release(self) -> None:
        """Frees the content."""
        self._content = None

    def code_of(self, name: str) -> CodeType:
        """Returns the code of a module whose length is not 0."""
        _, offset, length = self.table[name]
        begin = self._begin + offset
        if self._content is None:
            with open(self._path, "rb") as file:
                file.seek(begin)
                code: CodeType = marshal.loads(file.read(length))
        else:
            code = marshal.loads(self._content[begin : begin + length])
        return code


class BytecodeFinder(Loader):
    """Finds and loads the modules of one folder of the archive: a path entry finder and a loader (PEP 451).

    Modules that have no bytecode in the file are left to `zipimport`, and so are the sources of all.

    Args:
        folder: The path of the folder: that of the archive, or of a package in it.
        package: The full name of the package whose modules are in the folder.
        bytecode: The file with the bytecode.
    """

    def __init__(self, folder: str, package: str, bytecode: Bytecode) -> None:
        self._folder, self._package, self._bytecode = folder, package, bytecode

    def find_spec(self, name: str, target: ModuleType | None = None) -> ModuleSpec | None:
        """Tells how a module is imported; returns None if it is not in the folder."""
        entry = self._bytecode.table.get(name)
        if entry is None:
            # Not in the archive: its directory need not be read for that.
            return None
        is_package, _, length = entry
        if not length:
            return self._archive().find_spec(name, target)
        folder = f"{self._folder}/{name.rpartition('.')[2]}"
        origin = f"{folder}/__init__.py" if is_package else f"{folder}.py"
        spec = ModuleSpec(name, self, origin=origin, is_package=is_package)
        if spec.submodule_search_locations is not None:
            spec.submodule_search_locations.append(folder)
            sys.path_importer_cache[folder] = BytecodeFinder(folder, name, self._bytecode)
        return spec

    def iter_modules(self, prefix: str = "") -> Iterator[tuple[str, bool]]:
        """Lists the modules of the folder, as `pkgutil` and `help()` ask for them.

        Args:
            prefix: The text that is put before each name.

        Returns:
            The names of the modules, each with whether it is a package.
        """
        for name, (is_package, _, _) in self._bytecode.table.items():
            package, _, last = name.rpartition(".")
            if package == self._package:
                yield prefix + last, is_package

    def invalidate_caches(self) -> None:
        """Has the directory of the archive read anew: another wheel may have been installed in its place."""
        directories = vars(zipimport)["_zip_directory_cache"]
        for path in [*directories]:
            if self._folder == path or self._folder.startswith(f"{path}/"):
                del directories[path]

    def create_module(self, spec: ModuleSpec) -> None:
        """Has Python make the module."""

    def exec_module(self, module: ModuleType) -> None:
        """Runs the code of a module."""
        # For a spec with a location Python would set this, and also work out a name for the bytecode's file.
        module.__file__ = module.__spec__.origin if module.__spec__ else None
        exec(self._bytecode.code_of(module.__name__), vars(module))

    def get_code(self, name: str) -> CodeType:
        """Returns the code of a module, as `runpy` and `inspect` ask for it."""
        return self._bytecode.code_of(name)

    def get_source(self, name: str) -> str | None:
        """Returns the source of a module, which tracebacks and `inspect` show."""
        return self._archive().get_source(name)

    def is_package(self, name: str) -> bool:
        """Tells whether a module is a package."""
        return self._bytecode.table[name][0]

    def _archive(self) -> zipimport.zipimporter:
        return zipimport.zipimporter(self._folder)


_used: list[Bytecode] = []
"""The file that modules are imported from."""


def use(folder: str, archive: str) -> None:
    """Has the modules of an archive imported from the file with their bytecode.

    A Python that the file is not made for compiles the sources in the archive.

    Args:
        folder: The path of the folder of the package `workerlib`.
        archive: The path of the archive with its modules.
    """
    if isinstance(sys.path_importer_cache.get(archive), BytecodeFinder):
        # The package's first file runs again after a start from a snapshot.
        return
    try:
        bytecode = Bytecode(f"{folder}/bytecode.{sys.implementation.cache_tag}")
    except (OSError, ImportError):
        return
    _used.append(bytecode)
    sys.path_importer_cache[archive] = BytecodeFinder(archive, "workerlib", bytecode)


def release() -> None:
    """Frees the content of the file: the modules that are imported later are read one by one."""
    for bytecode in _used:
        bytecode.release()
