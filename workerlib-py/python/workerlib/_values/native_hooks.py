"""The names that the extension module needs of Python: the one module that Rust imports by name.

`workerlib._native` looks a name up here when it needs it first, and keeps what it has found. So a module can
be moved or split without a change in Rust, and type checkers and linters see where each name comes from.
Names whose modules few programs need are found by `__getattr__` (PEP 562), which imports the module then.
"""

from __future__ import annotations

from typing import Any

from workerlib._errors import (
    ConnectionClosedError,
    FrameError,
    UnsendableError,
    WorkerDiedError,
)
from workerlib._values.adapter import AdapterFailure
from workerlib._values.fresh_values import spare
from workerlib._values.functions import enter, leave
from workerlib._values.row import RefusedError
from workerlib._values.sending import DEFAULT, STRICT
from workerlib._values.slot import Outgoing
from workerlib._values.table import fill, find_builder, make
from workerlib._values.user_classes import PLANS, UnknownClassError, find_named_tuple, recipe

__all__ = [
    "DEFAULT",
    "PLANS",
    "STRICT",
    "AdapterFailure",
    "ConnectionClosedError",
    "FrameError",
    "Outgoing",
    "RefusedError",
    "UnknownClassError",
    "UnsendableError",
    "WorkerDiedError",
    "enter",
    "fill",
    "find_builder",
    "find_named_tuple",
    "leave",
    "make",
    "recipe",
    "spare",
]


def __getattr__(name: str) -> Any:
    """Finds a name whose module is imported when the first value of its type is met.

    Args:
        name: `weigh_pattern`, `receive_numpy_array`, `describe_scalars` or `scalar_maker`.

    Raises:
        AttributeError: If there is no such name.
    """
    if name == "weigh_pattern":
        from workerlib._values.patterns import weigh

        return weigh
    if name == "receive_numpy_array":
        from workerlib._values.libraries.numpy_arrays import receive_array

        return receive_array
    if name in ("describe_scalars", "scalar_maker"):
        from workerlib._values.libraries import numpy_arrays

        return getattr(numpy_arrays, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
