"""Prepares a Python for a memory snapshot, and makes a Python that starts from one as new as any other.

`python.ts` runs this text as the module `_workerlib_snapshot` in the Python that is to be written: `keep`
imports the modules, and the snapshot has them and this module in it. In each Python that starts from the
snapshot, `renew` replaces all state that two of them must not share, and checks that Python works; `complete`
imports the extension module, which a snapshot cannot hold. The hash seed stays: strings have been hashed.

This module must not hold JavaScript objects. It knows nothing of workerlib but the names that it is given.
"""

from __future__ import annotations

import gc
import importlib
import json
import logging
import os
import random
import sys
import tempfile
import time
import types
import zipimport
from collections.abc import Callable
from typing import Any


class _Missing:
    """Stands for a name of the extension module until that can be imported."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


_extension = ""
_places: list[tuple[dict[str, Any], str, str]] = []
"""Where names of the extension module stand: a namespace, the name there, the name in the extension."""
_generators: list[random.Random] = []
"""The random number generators that there are already."""
_modules: frozenset[str] = frozenset()
_again: list[str] = []
"""The packages that scripts import anew."""
_record = ""
"""Identifies the files of the modules."""
_version = ""


def keep(told: str) -> None:
    """Imports what is to be in the snapshot.

    Args:
        told: JSON with `version`, that of Pyodide; `modules`, the names of the modules; `extension`, the name
            of an extension module from which they import names, or an empty text; `optional`, modules that
            not every Python has; `again`, packages whose `__init__` scripts are to run by importing them;
            `record`, a text that identifies the files of the modules.

    Raises:
        ImportError: If a module cannot be imported.
        RuntimeError: If a module does more with the extension module's names than to import them.
    """
    global _extension, _version, _modules, _record
    order = json.loads(told)
    _extension, _version, _record = order["extension"], order["version"], order["record"]
    _again.extend(order["again"])
    for name in order["optional"]:
        try:
            importlib.import_module(name)
        except ImportError:
            continue
    missing = _import_without(_extension, order["modules"])
    gc.collect()
    for item in missing.values():
        _find_places(item)
    _generators.extend(
        item
        for item in gc.get_objects()
        if isinstance(item, random.Random) and not isinstance(item, random.SystemRandom)
    )
    # Pyodide puts it there whenever it starts.
    if sys.path[:1] == [""]:
        del sys.path[0]
    _modules = frozenset(sys.modules)


def renew(told: str) -> None:
    """Makes this Python as new as one that started by itself, and checks that it works.

    Args:
        told: JSON with `version`, that of Pyodide; `environment`, variables; `arguments`, those of
            `sys.argv`, or null.

    Raises:
        RuntimeError: If this Python is not what it should be.
    """
    order = json.loads(told)
    if order["version"] != _version:
        raise RuntimeError(f"the snapshot is of Pyodide {_version}, not of {order['version']}")
    os.environ.update(order["environment"])
    if order["arguments"] is not None:
        sys.argv[:] = order["arguments"]
        sys.orig_argv[1:] = order["arguments"]
    for generator in _generators:
        generator.seed()
    for name, renew_module in _RENEWED.items():
        if module := sys.modules.get(name):
            renew_module(module)
    _forget_folders()
    _check()


def complete(told: str) -> bool:
    """Imports the extension module and gives its names to the modules that import them.

    The packages that scripts import anew have to be there until then: the extension module is in one of them.

    Args:
        told: JSON with `record`, a text that identifies the files that are installed now.

    Returns:
        Whether these are the files that the snapshot's modules are of. Otherwise the modules are forgotten.

    Raises:
        ImportError: If the extension module cannot be imported, or lacks a name.
    """
    is_same: bool = json.loads(told)["record"] == _record
    if not _extension:
        return is_same
    if not is_same:
        _forget_package(_extension.partition(".")[0])
        return False
    # Files have been installed. importlib.invalidate_caches() would forget the standard library's archive
    # too, and import importlib.metadata: three times the work of the import below.
    _forget_folders()
    module = importlib.import_module(_extension)
    for namespace, name, wanted in _places:
        try:
            namespace[name] = getattr(module, wanted)
        except AttributeError:
            raise ImportError(f"cannot import name {wanted!r} from {_extension!r}") from None
    _places.clear()
    for name in _again:
        del sys.modules[name]
    return True


def _forget_package(package: str) -> None:
    """Has a package, and all modules in it, imported from its files when a script imports them."""
    for name in [*sys.modules]:
        if name == package or name.startswith(f"{package}."):
            del sys.modules[name]
    _places.clear()
    # The second has the directories of archives: places in the files of the snapshot's version.
    caches: list[dict[str, Any]] = [sys.path_importer_cache, vars(zipimport)["_zip_directory_cache"]]
    for cache in caches:
        for path in [*cache]:
            if f"/{package}" in path:
                del cache[path]
    _forget_folders()


def _forget_folders() -> None:
    """Has the next imports look into the folders anew: files may stand elsewhere than they did."""
    for path, finder in [*sys.path_importer_cache.items()]:
        if finder is None:
            del sys.path_importer_cache[path]
        elif type(finder).__name__ == "FileFinder":
            finder.invalidate_caches()


def _import_without(extension: str, modules: list[str]) -> dict[str, _Missing]:
    """Imports modules, with stand-ins for the names of the extension module; returns the stand-ins."""
    missing: dict[str, _Missing] = {}
    stand_in = types.ModuleType(extension)

    def find(name: str) -> _Missing:
        if name.startswith("__"):
            raise AttributeError(name)
        return missing.setdefault(name, _Missing(name))

    stand_in.__getattr__ = find  # type: ignore[method-assign]
    if extension:
        sys.modules[extension] = stand_in
    try:
        for name in modules:
            importlib.import_module(name)
    finally:
        sys.modules.pop(extension, None)
    package, _, last = extension.rpartition(".")
    if package in sys.modules:
        vars(sys.modules[package]).pop(last, None)
    return missing


def _find_places(item: _Missing) -> None:
    """Notes where a name of the extension module stands.

    Raises:
        RuntimeError: If it stands elsewhere than in the namespace of a module.
    """
    modules = [module for module in [*sys.modules.values()] if hasattr(module, "__dict__")]
    namespaces = {id(vars(module)) for module in modules}
    for holder in gc.get_referrers(item):
        if isinstance(holder, dict) and id(holder) in namespaces:
            # A generator would hold the stand-in itself, in a cell.
            for name, value in holder.items():
                if value is item:
                    _places.append((holder, name, item.name))
        elif not isinstance(holder, types.FrameType) and not _is_own(holder):
            raise RuntimeError(
                f"{item.name} of {_extension} is used while a module is imported:"
                f" a {type(holder).__name__} holds it"
            )


def _is_own(holder: object) -> bool:
    """Tells whether an object is only the table of `_import_without`."""
    return isinstance(holder, dict) and all(isinstance(value, _Missing) for value in holder.values())


def _renew_time(module: Any) -> None:
    # The visitor may have travelled.
    if hasattr(module, "tzset"):
        module.tzset()


def _renew_logging(module: Any) -> None:
    # Nanoseconds since Python 3.13, seconds before.
    module._startTime = time.time_ns() if isinstance(module._startTime, int) else time.time()


def _renew_tempfile(module: Any) -> None:
    module._name_sequence = module.tempdir = None


def _renew_uuid(module: Any) -> None:
    for name in ("_node", "_last_timestamp", "_last_timestamp_v7"):
        if hasattr(module, name):
            setattr(module, name, None)


def _renew_processes(module: Any) -> None:
    module.current_process().authkey = os.urandom(32)


_RENEWED: dict[str, Callable[[Any], None]] = {
    "time": _renew_time,
    "logging": _renew_logging,
    "tempfile": _renew_tempfile,
    "uuid": _renew_uuid,
    "multiprocessing.process": _renew_processes,
}
"""The modules of the standard library that keep entropy, time or the environment.

Whether the list is complete for the modules of a snapshot is tested (tests/node/snapshot.mjs)."""


def _check() -> None:
    """Checks that this Python works.

    Raises:
        RuntimeError: If it does not.
    """
    lost = _modules - sys.modules.keys()
    if lost:
        raise RuntimeError(f"the snapshot lacks the modules {', '.join(sorted(lost))}")
    namespace: dict[str, Any] = {}
    exec("def double(values):\n    return {str(value): 2 * value for value in values}", namespace)
    if json.loads(json.dumps(namespace["double"]([1, 2.5]))) != {"1": 2, "2.5": 5.0}:
        raise RuntimeError("the snapshot's Python does not compute")
    if not any(os.path.isfile(path) for path in sys.path if path.endswith(".zip")):
        raise RuntimeError("the snapshot's Python has no standard library")


# Used by whoever imports them; imported here so that they are renewed.
_ = (tempfile, logging)
