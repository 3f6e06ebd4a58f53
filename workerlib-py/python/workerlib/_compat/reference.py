"""Private names of the reference library that its users import all the same.

They exist so that such code runs. New code has no use for them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Iterable
from inspect import Parameter as P  # noqa: F401
from typing import Any, TypeVar, Union

_T = TypeVar("_T")

_Callable = Callable[..., _T]
_Coroutine = Coroutine[None, None, _T]
_CoroutineFunction = Callable[..., Coroutine[None, None, _T]]
# beartype cannot read this with `|`.
_CallableOrCoroutine = Callable[..., Union[_T, Coroutine[None, None, _T]]]  # noqa: UP007


def _getArgNames(func: Callable[..., Any], *paramKinds: Any) -> Iterable[str]:
    """Returns the names of a function's parameters, of the given kinds or of all."""
    parameters = inspect.signature(func).parameters
    return [name for name, one in parameters.items() if not paramKinds or one.kind in paramKinds]
