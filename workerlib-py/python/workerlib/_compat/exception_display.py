"""`exceptionHandler` and `improveExceptionHandling`: the display of uncaught exceptions.

Their names and arguments are those of the reference library. Nothing changes until a program calls them.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import sys
import threading
import traceback as tracebacks
from collections.abc import Callable
from types import TracebackType
from typing import Any

from workerlib._compat.diagnostics import full_name

# PyScript shows errors in the page too, by elements of this class.
_HIDE_IN_PAGE = ".py-error { display: none; }"

_original_format = tracebacks.StackSummary.format


def exception_handler(  # noqa: PLR0917 - the seed document gives them so
    problem: str,
    exceptionType: type[BaseException] | None = None,
    exception: BaseException | None = None,
    traceback: TracebackType | None = None,
    suffix: str | None = None,
    displayFunction: Callable[..., Any] | None = None,
    **kwargs: Any,
) -> Any:
    """Shows an exception with its traceback, causes and notes.

    Args:
        problem: The problem in a few words: `"Uncaught exception in the main thread"`.
        exceptionType: The exception's class. By default, the class of `exception`.
        exception: The exception.
        traceback: The traceback. By default, the exception's own.
        suffix: A text to show after the traceback.
        displayFunction: The function that shows the text. By default, `print` to the standard error stream.
        kwargs: Further arguments for `displayFunction`.

    Returns:
        The result of `displayFunction`, or the text if that is None, empty or zero.
    """
    text = f"\nERROR: {problem}, type {full_name(exceptionType or type(exception))}:\n{exception}"
    if exception is not None:
        kind = exceptionType or type(exception)
        text += "\n" + "".join(
            tracebacks.format_exception(kind, exception, traceback or exception.__traceback__)
        )
    if suffix:
        text += f"\n\n{suffix}\n"
    show = displayFunction or functools.partial(print, file=sys.stderr, flush=True)
    return show(text, **kwargs) or text


def improve_exception_handling(
    suffix: str | None = None, displayFunction: Callable[..., Any] | None = None, **kwargs: Any
) -> None:
    """Shows uncaught exceptions by `exceptionHandler`: those of all threads, and those of the event loop.

    In tracebacks, `>>` marks the lines of a script of the page (`<exec>`), and the empty lines that Pyodide
    adds are left out. PyScript's own display of errors in the page is hidden.

    Args:
        suffix: A text to show after each exception.
        displayFunction: The function that shows the text. By default, `print` to the standard error stream.
        kwargs: Further arguments for `displayFunction`.
    """

    def show(problem: str, *raised: Any) -> None:
        kind, exception, traceback = raised
        exception_handler(problem, kind, exception, traceback, suffix, displayFunction, **kwargs)

    def in_main(kind: type[BaseException], exception: BaseException, traceback: TracebackType | None) -> None:
        show("Uncaught exception in the main thread", kind, exception, traceback)

    def in_thread(caught: threading.ExceptHookArgs) -> None:
        name = caught.thread and caught.thread.name
        show(f"Uncaught exception in thread {name}", caught.exc_type, caught.exc_value, caught.exc_traceback)

    def in_loop(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        message = context.get("message")
        problem = "Uncaught exception in async loop" + (f":\n{message}" if message else "")
        show(problem, None, context.get("exception"), None)

    tracebacks.StackSummary.format = _format_with_marks  # type: ignore[assignment, method-assign]
    sys.excepthook = in_main
    threading.excepthook = in_thread
    with contextlib.suppress(RuntimeError):
        asyncio.get_running_loop().set_exception_handler(in_loop)
    _hide_in_page()


def _format_with_marks(summary: tracebacks.StackSummary, **kwargs: Any) -> list[str]:
    entries = [entry.rstrip() for entry in _original_format(summary, **kwargs) if entry.strip()]
    return [f"{'>>' + entry[2:] if '<exec>' in entry else entry}\n" for entry in entries]


def _hide_in_page() -> None:
    if sys.platform != "emscripten":
        return
    import js

    from workerlib._location.scope import is_page

    if is_page():
        sheet = js.CSSStyleSheet.new()
        sheet.replaceSync(_HIDE_IN_PAGE)
        js.document.adoptedStyleSheets.push(sheet)
