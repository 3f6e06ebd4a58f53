"""Names of the package that few programs ask for: `from workerlib import diagnostics` and the like.

Asking for one imports its module, or finds its value out; `import workerlib` alone does neither.
"""

from __future__ import annotations

import importlib
from typing import Any

_NAMES = {
    "fullName": ("_compat.diagnostics", "full_name"),
    "typechecked": ("_compat.diagnostics", "typechecked"),
    "exceptionHandler": ("_compat.exception_display", "exception_handler"),
    "improveExceptionHandling": ("_compat.exception_display", "improve_exception_handling"),
    "P": ("_compat.reference", "P"),
    "_Callable": ("_compat.reference", "_Callable"),
    "_CallableOrCoroutine": ("_compat.reference", "_CallableOrCoroutine"),
    "_Coroutine": ("_compat.reference", "_Coroutine"),
    "_CoroutineFunction": ("_compat.reference", "_CoroutineFunction"),
    "_getArgNames": ("_compat.reference", "_getArgNames"),
}
# Their values are found out by functions.
_VALUES = {
    "diagnostics": ("_compat.diagnostics", "diagnostics"),
    "systemVersions": ("_compat.diagnostics", "system_versions"),
}


def value_of(name: str) -> Any:
    """Finds the value of a name that the package does not have yet: its `__getattr__` (PEP 562).

    Raises:
        AttributeError: If there is no such name.
    """
    # Modules are never imported by `from workerlib import …` here: that asks this function first.
    if name in _NAMES:
        module, attribute = _NAMES[name]
        return getattr(importlib.import_module(f"workerlib.{module}"), attribute)
    if name in _VALUES:
        module, attribute = _VALUES[name]
        return getattr(importlib.import_module(f"workerlib.{module}"), attribute)()
    raise AttributeError(f"module 'workerlib' has no attribute {name!r}")
