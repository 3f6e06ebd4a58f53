"""The worker's side for pages in JavaScript: exported functions and Python code, called by Comlink.

The JavaScript around it (javascript/src/worker.ts) calls these functions and speaks to the page. They never
raise into JavaScript: an outcome is an array, `["value", value, buffers to transfer]` or
`["error", name, message, traceback]`.
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
from workerlib._javascript.values import from_javascript, to_javascript
from workerlib._rpc.connection import not_exported
from workerlib._values.safe_text import class_name, notes_of, text_of
from workerlib._values.tracebacks import without_own_frames

_running: dict[str, asyncio.Task[Any]] = {}


async def call(name: str, args: Any, kwargs: Any, key: str = "") -> Any:
    """Calls an exported function.

    Args:
        name: Its exported name.
        args: The positional arguments, an Array of JavaScript's.
        kwargs: The keyword arguments, an object of JavaScript's.
        key: Names the call for `cancel`.
    """

    def run() -> Any:
        function = functions.get(name)
        if function is None:
            raise not_exported(name, functions)
        given, named = from_javascript(args), from_javascript(kwargs)
        return function(*(given or ()), **(named or {}))

    return await _outcome(run, key)


async def run_python(code: str, key: str = "") -> Any:
    """Runs Python code in `__main__`; its value is that of its last expression."""
    return await _outcome(lambda: eval_code_async(code, __main__.__dict__), key)


async def run_script(code: str, file: str) -> Any:
    """Runs the worker's script as `__main__`.

    Args:
        code: Its text.
        file: Its name, for tracebacks.
    """
    __main__.__dict__["__file__"] = file

    async def run() -> None:
        await eval_code_async(code, __main__.__dict__, filename=file)

    return await _outcome(run)


def cancel(key: str) -> None:
    """Cancels a call that has no outcome yet."""
    if task := _running.get(key):
        task.cancel()


def exported() -> Any:
    """Lists the exported names, as an Array of JavaScript's."""
    return to_js(list(functions))


async def _outcome(run: Callable[[], Any], key: str = "") -> Any:
    """Runs code as a task of its own, which `cancel` can name, and returns its outcome."""
    task = asyncio.ensure_future(_settle(run))
    if key:
        _running[key] = task
    try:
        return await task
    except asyncio.CancelledError as error:
        # It was cancelled before its first step.
        return _error(error)
    finally:
        _running.pop(key, None)


async def _settle(run: Callable[[], Any]) -> Any:
    try:
        result = run()
        if inspect.isawaitable(result):
            result = await result
            # The value of code may be a coroutine in its turn.
            result = await result if inspect.isawaitable(result) else result
        buffers: list[Any] = []
        value = to_javascript(result, transfer=buffers)
        return _array("value", value, _array(*buffers))
    # KeyboardInterrupt and SystemExit are the code's outcome too: they must not end the worker.
    except BaseException as error:
        return _error(error)


def _error(error: BaseException) -> Any:
    name = class_name(type(error)).removeprefix("workerlib.")
    message = "\n".join([text_of(error), *notes_of(error)])
    try:
        frames = without_own_frames(error.__traceback__)
        told = "".join(traceback.format_exception(type(error), error, frames))
    except BaseException:
        # An exception may override anything; its caller must hear of it all the same.
        told = f"{name}: {message}"
    return _array("error", name, message, told)


def _array(*items: Any) -> Any:
    made = to_js([])
    for item in items:
        made.push(item)
    return made
