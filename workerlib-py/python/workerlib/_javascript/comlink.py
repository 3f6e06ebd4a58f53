"""The worker's side for pages in JavaScript: calls exported functions and runs Python code.

The worker's script (javascript/src/worker.ts) calls these functions, and speaks Comlink to the page. They
never raise into JavaScript. Each returns an array: `["value", value, buffers to transfer]` or `["error",
name, message, traceback]`.
"""

from __future__ import annotations

import asyncio
import inspect
import traceback
from collections.abc import Callable
from typing import Any

from pyodide.code import eval_code_async
from pyodide.ffi import to_js

import __main__
from workerlib._exports import functions
from workerlib._javascript.arguments import build_arguments
from workerlib._javascript.values import from_javascript, to_javascript
from workerlib._rpc.remote_functions import not_exported
from workerlib._values.safe_text import class_name, notes_of, text_of
from workerlib._values.tracebacks import without_own_frames

_running: dict[str, asyncio.Task[Any]] = {}


async def call(name: str, args: Any, kwargs: Any, key: str = "") -> Any:
    """Calls an exported function, whose annotations say what is made of the arguments.

    Args:
        name: The name by which the function is exported.
        args: The positional arguments, an Array of JavaScript.
        kwargs: The keyword arguments, an object of JavaScript.
        key: A name of the call, for `cancel`; empty for a call that cannot be cancelled.
    """

    def run() -> Any:
        function = functions.get(name)
        if function is None:
            raise not_exported(name, functions)
        given, named = from_javascript(args), from_javascript(kwargs)
        given, named = build_arguments(function, given or [], named or {})
        return function(*given, **named)

    return await _outcome(run, key)


async def run_python(code: str, key: str = "") -> Any:
    """Runs Python code in `__main__`. The outcome is the value of its last expression.

    Args:
        code: The code.
        key: A name of the call, for `cancel`; empty for a call that cannot be cancelled.
    """
    return await _outcome(lambda: eval_code_async(code, __main__.__dict__), key)


async def run_script(code: str, file: str) -> Any:
    """Runs the worker's script as `__main__`.

    Args:
        code: The script's text.
        file: The script's name, for tracebacks.
    """
    __main__.__dict__["__file__"] = file

    async def run() -> None:
        await eval_code_async(code, __main__.__dict__, filename=file)

    return await _outcome(run)


def cancel(key: str) -> None:
    """Cancels a call that has no outcome yet.

    Args:
        key: The name of the call.
    """
    if task := _running.get(key):
        task.cancel()


def exported() -> Any:
    """Returns the names of the exported functions, as an Array of JavaScript."""
    return to_js(list(functions))


async def _outcome(run: Callable[[], Any], key: str = "") -> Any:
    """Runs code as a task, which `cancel` finds by its key, and returns the outcome."""
    task = asyncio.ensure_future(_settle(run))
    if key:
        _running[key] = task
    try:
        return await task
    except asyncio.CancelledError as error:
        # The task was cancelled before its first step.
        return _error(error)
    finally:
        _running.pop(key, None)


async def _settle(run: Callable[[], Any]) -> Any:
    try:
        result = run()
        if inspect.isawaitable(result):
            result = await result
            # The value of the code may be a coroutine itself.
            result = await result if inspect.isawaitable(result) else result
        buffers: list[Any] = []
        value = to_javascript(result, transfer=buffers)
        return _array("value", value, _array(*buffers))
    # KeyboardInterrupt and SystemExit are outcomes too: they must not end the worker.
    except BaseException as error:
        return _error(error)


def _error(error: BaseException) -> Any:
    name = class_name(type(error)).removeprefix("workerlib.")
    message = "\n".join([text_of(error), *notes_of(error)])
    try:
        frames = without_own_frames(error.__traceback__)
        told = "".join(traceback.format_exception(type(error), error, frames))
    except BaseException:
        # An exception class may override any method, and must not hide that the call has failed.
        told = f"{name}: {message}"
    return _array("error", name, message, told)


def _array(*items: Any) -> Any:
    made = to_js([])
    for item in items:
        made.push(item)
    return made
