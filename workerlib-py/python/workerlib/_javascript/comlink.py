"""The worker's side for pages in JavaScript: calls exported functions and runs Python code.

The worker's script (javascript/src/worker.ts) calls these functions, and speaks Comlink to the page. They
never raise into JavaScript. Each returns an array: `["value", value, buffers to transfer]`, `["stream",
number]`, or `["error", name, message, traceback]`.
"""

from __future__ import annotations

import asyncio
import traceback
import types
from collections.abc import Callable, Coroutine
from itertools import count
from typing import Any

from pyodide.code import eval_code_async
from pyodide.ffi import to_js

import __main__
from workerlib._exports import functions
from workerlib._javascript import page, page_iterables  # noqa: F401 - it registers itself
from workerlib._javascript.arguments import build_arguments
from workerlib._javascript.callbacks import current
from workerlib._javascript.streams import PageStream, is_streamed
from workerlib._javascript.values import arguments_from_javascript, from_javascript, to_javascript
from workerlib._location.addresses import start_from
from workerlib._rpc.guarded_steps import guarded_steps
from workerlib._rpc.incoming_call import Served, current_call
from workerlib._rpc.interruptible import Guard
from workerlib._rpc.remote_functions import not_exported
from workerlib._values.safe_text import class_name, notes_of, text_of
from workerlib._values.streams import is_awaitable
from workerlib._values.tracebacks import without_own_frames

_running: dict[int, Served] = {}
_streams: dict[int, PageStream] = {}
# Streams of calls without a key, which nobody interrupts.
_other_keys = count(-1, -1)
_guard = Guard()
_page: page.JavaScriptPage | None = None


def guard_by(guard: Guard) -> None:
    """Runs the code of later calls so that the page can interrupt it.

    Args:
        guard: The worker's end of the interrupts.
    """
    global _guard
    _guard = guard


def meet_page(call: Any, tell: Any, names: Any) -> None:
    """Makes the page's functions those of `workerlib.page()`.

    Args:
        call: Calls a function of the page: its name, and the arguments.
        tell: Does so at once, and returns nothing.
        names: Their names, an Array of JavaScript.
    """
    global _page
    _page = page.meet(call, tell, names.to_py())


def call(name: str, args: Any, kwargs: Any, key: int = 0) -> Coroutine[Any, Any, Any]:
    """Calls an exported function, whose annotations say what is made of the arguments.

    Args:
        name: The name by which the function is exported.
        args: The positional arguments, an Array of JavaScript.
        kwargs: The keyword arguments, an object of JavaScript.
        key: The number of the call, for `cancel`; 0 for a call that cannot be cancelled.
    """

    def run() -> Any:
        # First of all: an iterator of the page that has arrived is closed, whatever becomes of the call.
        given, named = arguments_from_javascript(args), from_javascript(kwargs)
        function = functions.get(name)
        if function is None:
            raise not_exported(name, functions)
        given, named = build_arguments(function, given, named or {})
        return function(*given, **named)

    return _outcome(run, _registered(key), name)


def run_python(code: str, key: int = 0) -> Coroutine[Any, Any, Any]:
    """Runs Python code in `__main__`. The outcome is the value of its last expression.

    Args:
        code: The code.
        key: The number of the call, for `cancel`; 0 for a call that cannot be cancelled.
    """
    return _outcome(lambda: eval_code_async(code, __main__.__dict__), _registered(key))


async def run_script(code: str, address: str) -> Any:
    """Runs the worker's script as `__main__`.

    Args:
        code: The script's text.
        address: Its address, from which relative addresses start. Tracebacks show the file's name.
    """
    start_from(lambda: address)
    file = address.rpartition("/")[2]
    __main__.__dict__["__file__"] = file

    async def run() -> None:
        await eval_code_async(code, __main__.__dict__, filename=file)

    return await _outcome(run, _registered(0))


async def ping() -> None:
    """Answers out of the event loop: the heartbeat of `spawn()` asks."""
    await asyncio.sleep(0)


def cancel(key: int) -> None:
    """Cancels a call that has no outcome yet.

    A function that computes is not cancelled by this but by an interrupt, which may also come first.

    Args:
        key: The number of the call.
    """
    if served := _running.get(key):
        served.hear_cancel()
        # A step that computes is suspended (by `run_sync`), and is told when it goes on.
        if not served.is_computing:
            served.tell()


async def next_batch(stream: int) -> Any:
    """Takes the next items of a stream that a call returned, and tells whether they are the last ones.

    Args:
        stream: The stream's number.
    """
    found = _streams.get(stream)
    if found is None:
        return _array("value", _array(_array(), True), _array())
    try:
        items, is_last, buffers = await found.next_batch()
    except BaseException as error:
        _streams.pop(stream, None)
        return _error(error)
    if is_last:
        _streams.pop(stream, None)
    return _array("value", _array(_array(*items), is_last), _array(*buffers))


async def close_stream(stream: int) -> Any:
    """Closes a stream, and waits until its generator has cleaned up.

    Args:
        stream: The stream's number.
    """
    if (found := _streams.pop(stream, None)) is not None:
        try:
            await found.close()
        except BaseException as error:
            return _error(error)
    return _array("value", None, _array())


def cancel_stream(stream: int) -> None:
    """Cancels the step of a stream for which nobody waits any more.

    Args:
        stream: The stream's number.
    """
    if (found := _streams.pop(stream, None)) is not None:
        found.stop(is_cancel=True)


def exported() -> Any:
    """Returns the names of the exported functions, as an Array of JavaScript."""
    return to_js(list(functions))


def _registered(key: int) -> Served:
    """Notes a call at once, since its cancel may arrive before the event loop has begun it."""
    served = Served(key, _page)
    if key:
        _running[key] = served
    return served


async def _outcome(run: Callable[[], Any], served: Served, name: str = "stream") -> Any:
    """Runs code as a task, which `cancel` finds by its key, and returns the outcome."""
    served.task = asyncio.ensure_future(_settle(run, served, name))
    try:
        return await served.task
    finally:
        _running.pop(served.call, None)
        served.forget_task()
        # It refers to its frame, and the frame to it.
        served.interrupt = None


async def _settle(run: Callable[[], Any], served: Served, name: str) -> Any:
    served.has_begun = True
    if _page is not None:
        current_call.set(served)
    current.set(served)
    try:
        if served.is_cancelled:
            raise asyncio.CancelledError
        result = _guard.run(served, run, (), {})
        # The value of the code may be a coroutine itself.
        for _ in range(2):
            if type(result) is types.CoroutineType:
                if served.is_answer_due:
                    served.tell()
                result = await guarded_steps(_guard, served, result, Served.tell)
            elif is_awaitable(result):
                result = await result
        if served.reporter is not None:
            served.reporter.flush()
        if served.failure is not None:
            raise served.failure
        if is_streamed(result):
            number = served.call or next(_other_keys)
            _streams[number] = PageStream(result, name, number, _guard, to_javascript)
            return _array("stream", number)
        buffers: list[Any] = []
        value = to_javascript(result, transfer=buffers)
        return _array("value", value, _array(*buffers))
    # KeyboardInterrupt and SystemExit are outcomes too: they must not end the worker.
    except BaseException as error:
        return _error(served.failure or error)
    finally:
        served.has_ended = True


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
