"""`diagnostics`, `systemVersions`, `typechecked` and `fullName`: tools of the reference library.

Programs import them from `workerlib`; `import workerlib.worker` prints the diagnostics. Calls do not use
them, and `import workerlib` does not import this module.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from typing import Any, TypeVar

_T = TypeVar("_T", bound=Callable[..., Any])

_UNKNOWN = "UNKNOWN"
# A version as it stands in the path of a script: `…/2026.3.1/core.js`, `…/core@0.7.31/dist/core.js`.
_VERSION = re.compile(r"(?:^|@)v?(\d+\.\d+[\w.]*)$")

try:
    import beartype as _beartype
except ImportError:
    _beartype = None  # type: ignore[assignment]


def typechecked(checked: _T) -> _T:
    """Checks the calls of a function, or of a class's methods, against their annotations.

    It is `beartype.beartype` where the configuration lists beartype among its packages. Otherwise it does
    nothing.

    Args:
        checked: The function or the class.
    """
    return checked if _beartype is None else _beartype.beartype(checked)


def full_name(obj: object) -> str:
    """Returns the name of a function or class, or of another object's class.

    Args:
        obj: The object.

    Returns:
        The qualified name, with the module in front unless that is `builtins`.
    """
    named: Any = obj if callable(obj) and hasattr(obj, "__qualname__") else type(obj)
    module = named.__module__
    return str(named.__qualname__) if module in ("builtins", None) else f"{module}.{named.__qualname__}"


def system_versions() -> dict[str, str | None]:
    """Returns the versions of PyScript, Pyodide, Python and Emscripten, as far as they are known.

    A worker sees PyScript's version only where it can see the page (isolation, and no `sync_main_only`).
    """
    return {
        "PyScript": _pyscript_version(),
        "Pyodide": _pyodide_version(),
        "Python": sys.version.split()[0],
        "Emscripten": _emscripten_version(),
    }


def diagnostics() -> tuple[str, ...]:
    """Describes the platform of this Python, in lines for the console."""
    versions = system_versions()
    lines = [f"PyScript {versions['PyScript']}", f"Pyodide {versions['Pyodide']}"]
    # In Python 3.13 this is `os.process_cpu_count`, which heeds affinity.
    cpus = getattr(os, "process_cpu_count", os.cpu_count)() or _UNKNOWN
    emscripten: Any = getattr(sys, "_emscripten_info", None)
    if emscripten is None:
        lines += [f"Platform: {sys.platform}", f"CPUs: {cpus}"]
    else:
        lines += [
            f"Emscripten {versions['Emscripten']}",
            f"Runtime: {emscripten.runtime}",
            f"CPUs: {cpus}  pthreads: {emscripten.pthreads}  SharedMemory: {emscripten.shared_memory}",
        ]
    return (
        *lines,
        f"Python {sys.version}",
        f"DevMode {sys.flags.dev_mode}  Optimized {sys.flags.optimize or False}",
        "Assertions are enabled" if __debug__ else "Assertions are DISABLED",
        _type_checking(),
    )


def _type_checking() -> str:
    if _beartype is None:
        return "Runtime type checking is off"
    from beartype.roar import BeartypeException

    @typechecked
    def wrong() -> int:
        return "no int"  # type: ignore[return-value]

    try:
        wrong()
    except BeartypeException:
        return f"Beartype {_beartype.__version__} checks types; without it in the packages things are faster"
    return f"Beartype {_beartype.__version__} does NOT check types"


def _emscripten_version() -> str | None:
    info: Any = getattr(sys, "_emscripten_info", None)
    return None if info is None else ".".join(map(str, info.emscripten_version))


def _pyodide_version() -> str:
    try:
        from pyodide_js import version
    except ImportError:
        return _UNKNOWN
    return str(version)


def _pyscript_version() -> str:
    try:
        from pyscript import document

        scripts = list(document.querySelectorAll("script[src]"))
    # Without isolation a worker has a stand-in that raises at any touch, and the first PyScripts 0.6 cannot
    # be imported in a worker whose configuration is a text.
    except Exception:
        return _UNKNOWN
    for script in scripts:
        path = str(script.src).partition("://")[2].partition("?")[0].split("/")[1:]
        if path and re.search(r"^core(\.\w+)?\.js$", path[-1]):
            if version := script.getAttribute("data-version"):
                return str(version)
            found = [match[1] for match in map(_VERSION.search, path[:-1]) if match]
            return found[-1] if found else _UNKNOWN
    return _UNKNOWN
