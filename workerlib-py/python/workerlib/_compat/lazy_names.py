"""Names of the package that few programs use, such as `from workerlib import diagnostics`.

The package asks for them by its `__getattr__` (PEP 562). The first use of a name imports its module or
computes its value; `import workerlib` does neither. A page that connects to its workers needs neither
`spawn()` nor pools.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

_NAMES = {
    "Interface": "workerlib._api.interface:Interface",
    "Pool": "workerlib._api.worker_pool:Pool",
    "pool": "workerlib._api.pool:pool",
    "spawn": "workerlib._api.spawn:spawn",
    "Trace": "workerlib._rpc.tracing:Trace",
    "traces": "workerlib._rpc.tracing:traces",
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
        value = _resolve(_NAMES[name])
        setattr(sys.modules["workerlib"], name, value)
        return value
    if name in _VALUES:
        return _resolve(_VALUES[name])()
    # After a start from a memory snapshot the package is made anew, and its modules are there already.
    if (module := sys.modules.get(f"workerlib.{name}")) is not None:
        return module
    # With these two, Python proposes a name that is alike.
    package = sys.modules["workerlib"]
    raise AttributeError(f"module 'workerlib' has no attribute {name!r}", name=name, obj=package)


def _resolve(path: str) -> Any:
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)
