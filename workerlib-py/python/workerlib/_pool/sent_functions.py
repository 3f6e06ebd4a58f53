"""`pool.run()`: functions that the worker's script does not export.

A function travels as the name by which both sides import it, or as bytes that cloudpickle has made of it.
Both let the page run any code in the worker. The page has chosen the worker's script already, so this is no
more than it could do before; a worker that is only connected to (`connect()` in a page) takes no functions.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import sys
from collections.abc import Callable
from operator import attrgetter
from typing import Any, Literal

from workerlib._rpc.connection import Connection
from workerlib._rpc.incoming_call import Served

By = Literal["module", "cloudpickle"]

# Python 3.14 has an object that stands for an argument which a partial leaves open.
_PLACEHOLDER = id(getattr(functools, "Placeholder", By))

RUN = "workerlib:run"
"""The function of a pool's worker that runs others: `run_function()`."""


def describe_function(function: Callable[..., Any], by: By) -> tuple[str, str | bytes]:
    """Describes a function for the worker: the page's side.

    Args:
        function: The function.
        by: `"module"` for the name by which the worker imports it, `"cloudpickle"` for its code.

    Returns:
        The name of its module and its own name in there; or an empty name and bytes.

    Raises:
        TypeError: If it is not a function, or the worker could not import it; the message has the remedy.
        ValueError: If `by` is neither.
        ModuleNotFoundError: If cloudpickle is not installed.
    """
    if not callable(function):
        raise TypeError(f"{function!r} is not a function: write pool.run(f, …), with the function itself")
    if _calls_workers(function):
        called = getattr(function, "__qualname__", repr(function))
        raise TypeError(
            f"{called}() is called here and runs in workers already, so it cannot be sent to one: await it,"
            " by asyncio.run_coroutine_threadsafe() in another thread; an executor takes functions of its own"
            " pool, such as pool.f"
        )
    if by == "cloudpickle":
        import cloudpickle

        return "", cloudpickle.dumps(function)
    if by != "module":
        raise ValueError(f'by={by!r}: write "module" or "cloudpickle"')
    module = getattr(function, "__module__", None)
    name = getattr(function, "__qualname__", None)
    owner = getattr(function, "__self__", None)
    is_class_method = isinstance(owner, type)
    if isinstance(owner, type):
        module, name = owner.__module__, f"{owner.__qualname__}.{getattr(function, '__name__', '<unknown>')}"
    remedy = 'put it into a module that both import, or write pool.run(f, …, by="cloudpickle")'
    if not isinstance(module, str) or not isinstance(name, str) or "<" in name:
        raise TypeError(f"{function!r} has no name by which the worker could import it: {remedy}")
    if module == "__main__":
        raise TypeError(f"{name}() stands in this program's script, which the worker does not run: {remedy}")
    try:
        found = attrgetter(name)(sys.modules[module])
    except (KeyError, AttributeError):
        found = None
    # Each access to a class method makes another object.
    if found is not function and not (is_class_method and found == function):
        raise TypeError(f"{module}.{name} is another object than {function!r}: {remedy}")
    return module, name


def _calls_workers(function: Callable[..., Any]) -> bool:
    """Tells whether a function is one of a worker, of a pool, or of `pool.each`."""
    name = str(getattr(function, "__module__", None))
    is_own = name.partition(".")[0] == "workerlib"
    # Functions of modules that users import, such as `workerlib.report`, can be sent.
    return (
        is_own
        and getattr(sys.modules.get(name), str(getattr(function, "__name__", "")), None) is not function
    )


def without_partial(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]:
    """Returns the function of a `functools.partial`, with all arguments: asyncio's way to give keywords.

    Args:
        function: The function, or a partial of it.
        args: The further positional arguments.
        kwargs: The further keyword arguments.
    """
    while type(function) is functools.partial and _PLACEHOLDER not in map(id, function.args):
        args, kwargs = (*function.args, *args), {**function.keywords, **kwargs}
        function = function.func
    return function, args, kwargs


async def run_function(
    connection: Connection,
    served: Served,
    described: tuple[str, str | bytes],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    """Runs a function that `describe_function` has described: the worker's side."""
    name_script()
    module, name = described
    function = _imported(module, name) if isinstance(name, str) else _unpickled(name)
    result: list[Any] = []
    await connection.run_function(served, function, [args, kwargs], result)
    return result.pop()


def name_script() -> None:
    """Gives the worker's script the name by which the other side imports it.

    A function of the script is found by that name then. Python would run the script a second time, as a
    module, and have its functions twice.
    """
    main = sys.modules["__main__"]
    file = str(getattr(main, "__file__", None) or "")
    module = os.path.basename(file).removesuffix(".py")
    if not module.isidentifier() or module in sys.modules:
        return
    spec = importlib.util.find_spec(module)
    # In a browser `file` is a name alone. A file of that name in this folder is a copy of the script.
    if spec is None or os.path.abspath(spec.origin or "") == os.path.abspath(file):
        sys.modules[module] = main


def _imported(module: str, name: str) -> Callable[..., Any]:
    return attrgetter(name)(importlib.import_module(module))  # type: ignore[no-any-return]


@functools.lru_cache(maxsize=128)
def _unpickled(code: bytes) -> Callable[..., Any]:
    import pickle

    try:
        return pickle.loads(code)  # type: ignore[no-any-return]
    except (AttributeError, ImportError) as error:
        raise TypeError(
            f"the worker cannot import what cloudpickle has sent by its name: {error}; cloudpickle sends the"
            " code of functions of the main script, and not what functools.cache and the like make of them"
        ) from error
