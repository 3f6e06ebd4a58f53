"""Names of the package that few programs use, such as `from workerlib import diagnostics`.

The package asks for them by its `__getattr__` (PEP 562). The first use of a name imports its module or
computes its value; `import workerlib` does neither.
"""

from __future__ import annotations

from typing import Any

_NAMES = {
    "fullName": "workerlib._compat.diagnostics:full_name",
    "tqdm": "workerlib._api.progress_bar:tqdm",
    "typechecked": "workerlib._compat.diagnostics:typechecked",
    "exceptionHandler": "workerlib._compat.exception_display:exception_handler",
    "improveExceptionHandling": "workerlib._compat.exception_display:improve_exception_handling",
    "P": "workerlib._compat.reference:P",
    "_Callable": "workerlib._compat.reference:_Callable",
    "_CallableOrCoroutine": "workerlib._compat.reference:_CallableOrCoroutine",
    "_Coroutine": "workerlib._compat.reference:_Coroutine",
    "_CoroutineFunction": "workerlib._compat.reference:_CoroutineFunction",
    "_getArgNames": "workerlib._compat.reference:_getArgNames",
}
# Functions compute the values of these.
_VALUES = {
    "diagnostics": "workerlib._compat.diagnostics:diagnostics",
    "systemVersions": "workerlib._compat.diagnostics:system_versions",
}


def value_of(name: str) -> Any:
    """Returns the value of a name that the package does not have yet: its `__getattr__` (PEP 562).

    Args:
        name: The name.

    Raises:
        AttributeError: If there is no such name.
    """
    # `from workerlib import …` calls this function before it would import a module of that name.
    if name in _NAMES:
        return _resolve(_NAMES[name])
    if name in _VALUES:
        return _resolve(_VALUES[name])()
    raise AttributeError(f"module 'workerlib' has no attribute {name!r}")


def _resolve(path: str) -> Any:
    # Imported here, because programs that use none of these names have no use for it.
    from pkgutil import resolve_name

    return resolve_name(path)
