"""`anyCall`: one export through which others are called by name.

In the pure-Python library it reached everything in the worker, `eval` included. Here a page is not trusted
with the worker: what it can call is what the worker exports, and what a section `[anyCall]` of its
configuration names besides, in the form of `[exports]`.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from workerlib._errors import NotExportedError
from workerlib._exports import Function, functions
from workerlib._values.streams import is_awaitable

NAME = "anyCall"

_allowed: dict[str, Function] = {}


def allow(more: Mapping[str, Function]) -> None:
    """Adds functions that `anyCall` reaches though they are not exported."""
    _allowed.update(more)


async def any_call(funcName: str, /, *args: Any, **kwargs: Any) -> Any:
    """Calls a function of the worker by its name.

    To be exported like any function: by `export(anyCall)`, or `"workerlib" = ["anyCall"]` under `[exports]`.
    The page then writes `worker.anyCall.funcName(…)`, or `worker.anyCall("funcName", …)`.

    Args:
        funcName: The name of an export, or one that the worker's section `[anyCall]` has.
        args: The function's positional arguments.
        kwargs: Its keyword arguments.

    Raises:
        NotExportedError: If it is neither.
    """
    reachable = {name: function for name, function in {**_allowed, **functions}.items() if name != NAME}
    function = reachable.get(funcName)
    if function is None:
        listed = ", ".join(reachable) or "nothing"
        raise NotExportedError(
            f"anyCall does not reach {funcName!r}; it reaches {listed}: what the worker exports, and what the"
            " section [anyCall] of its configuration names",
            name=funcName,
        )
    result = function(*args, **kwargs)
    return await result if is_awaitable(result) else result


any_call.__name__ = any_call.__qualname__ = NAME


class AnyCall:
    """The page's view of an exported `anyCall`: its attributes are the functions that it reaches."""

    def __init__(self, call: Callable[..., Coroutine[Any, Any, Any]]) -> None:
        """Wraps the remote function."""
        self._call = call

    def __call__(self, funcName: str, /, *args: Any, **kwargs: Any) -> Coroutine[Any, Any, Any]:
        """Calls the function of that name."""
        return self._call(funcName, *args, **kwargs)

    def __getattr__(self, name: str) -> Callable[..., Coroutine[Any, Any, Any]]:
        # Protocols of Python's own (copy, inspect …) ask for these.
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *args, **kwargs: self._call(name, *args, **kwargs)
