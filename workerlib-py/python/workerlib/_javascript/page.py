"""A page in JavaScript as the worker's Python sees it: `workerlib.page()` gives the page's functions.

They come from `spawn({ exports: { … } })`, and are called over Comlink, by one function that the page has
handed over (javascript/src/worker.ts). Values are converted as results are (`_javascript/values.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from pyodide.ffi import JsException

from workerlib._errors import RemoteError
from workerlib._javascript.callbacks import PageFunction
from workerlib._javascript.values import to_javascript
from workerlib._rpc.call_log import CallLog
from workerlib._rpc.functions_there import FunctionsThere
from workerlib._rpc.incoming_call import on_serving, serving_connections
from workerlib._rpc.remote_functions import OnReport, learn
from workerlib._rpc.timers import TimeLimit

_REPORT = "workerlib.report"
"""The name by which the page hears of reports: no function of its own has it."""


class JavaScriptPage:
    """The part of a connection that a page in JavaScript has too."""

    def __init__(self, call: Any, tell: Any, names: list[str]) -> None:
        """Makes the page's functions.

        Args:
            call: A function of JavaScript's that calls a function of the page: its name, and the arguments.
            tell: A function that does so at once, and returns nothing.
            names: The names of the page's functions.
        """
        self._call = PageFunction(call)
        self._tell = tell
        self.functions: Mapping[str, Any] = {}
        self.functions_there = FunctionsThere()
        self.log = CallLog("page", False)
        self._loop = asyncio.get_running_loop()
        self.closed: asyncio.Future[str] = self._loop.create_future()
        self.endpoint: Any = None
        self.streams: Any = None
        self.references: Any = None
        learn(self, "page", "the page", [(name, None, None, None, 0) for name in names])

    async def call(
        self,
        function: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        timeout: float | None = None,
        on_report: OnReport | None = None,
        *,
        stream: object = None,
    ) -> Any:
        """Calls a function of the page and returns its result.

        Raises:
            TypeError: If there are keyword arguments, which functions of JavaScript do not have.
            RemoteError: If the function throws; `type_name` is the name of the error.
            TimeoutError: If there is no result in time; the function goes on.
        """
        if kwargs or on_report is not None or stream is not None:
            raise TypeError(
                f"{function}() is a function of JavaScript: it has no keyword arguments, reports or streams"
            )
        try:
            async with TimeLimit(timeout):
                return await self._call(function, *args)
        except TimeoutError:
            raise TimeoutError(f"{function}() was still running after {timeout} seconds") from None
        except JsException as error:
            name, message = getattr(error, "name", "Error"), getattr(error, "message", error)
            raise RemoteError(str(message), str(name)) from None

    def report(self, call: int, values: tuple[Any, ...]) -> None:
        """Tells the page what a call reports."""
        self._tell(_REPORT, call, *(to_javascript(one, f"report[{at}]") for at, one in enumerate(values)))


def meet(call: Any, tell: Any, names: list[str]) -> JavaScriptPage:
    """Makes a page the one that `workerlib.page()` gives."""
    page = JavaScriptPage(call, tell, names)
    serving_connections.append(page)
    for listener in on_serving:
        listener(page)
    return page
