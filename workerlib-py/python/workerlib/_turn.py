"""Runs at once what a message makes ready, instead of in later turns of the event loop.

A turn of Pyodide's loop costs more than all the rest of a call: each is an event of JavaScript's. So while
a message is handled, what is given to `call_soon` (a task's first step, the wake-up of one that waits) is
collected, and run when the handler is done, in that order and as the loop would have run it.

Nothing else is run early: what those steps in turn give to `call_soon` goes to the loop.

What is run so has been entered by JavaScript without a stack of its own, and so cannot block by
`pyodide.ffi.run_sync`; what the loop runs can. So where a program uses that function, all goes to the loop:
`watch` and `notice` find out.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
from collections.abc import Callable, Iterable
from contextvars import Context
from types import CodeType, FrameType, FunctionType, ModuleType
from typing import Any

import js
import pyodide.ffi

_BLOCKING = (
    frozenset({"run_sync"}),
    # What Pyodide makes of these uses it too.
    frozenset({"run_until_complete"}),
    frozenset({"asyncio", "run"}),
    frozenset({"time", "sleep"}),
)
"""Names that a function has which blocks."""

_run_sync = pyodide.ffi.run_sync
_blocks = False
"""Whether something in this Python may call run_sync."""


class _Watched(ModuleType):
    """`pyodide.ffi`, when somebody asks it for `run_sync`."""

    @property
    def run_sync(self) -> Any:
        """The function, as it is."""
        global _blocks
        _blocks = True
        return _run_sync


def watch() -> None:
    """Notes from now on who imports `run_sync`, and whether somebody has."""
    global _blocks
    if isinstance(pyodide.ffi, _Watched) or not hasattr(js.WebAssembly, "Suspending"):
        return
    for owner in gc.get_referrers(_run_sync):
        module = owner.get("__name__", "pyodide") if isinstance(owner, dict) else "pyodide"
        if module != __name__ and module.partition(".")[0] not in ("pyodide", "_pyodide", "_pyodide_core"):
            _blocks = True
    pyodide.ffi.__class__ = _Watched


def notice(code: CodeType) -> None:
    """Looks whether a function, or one within it, names what blocks: it may import it when it is too late."""
    global _blocks
    if any(names.issubset(code.co_names) for names in _BLOCKING):
        _blocks = True
        return
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            notice(constant)


def notice_functions(functions: Iterable[Any]) -> None:
    """Does so for functions, and for those that stand beside them in their modules, which they may call."""
    modules: dict[int, dict[str, Any]] = {}
    for function in map(inspect.unwrap, functions):
        _look_at(function, getattr(function, "__module__", None))
        # Most share one module, which is looked through once.
        names = getattr(function, "__globals__", {})
        modules[id(names)] = names
    for names in modules.values():
        for one in names.values():
            _look_at(one, names.get("__name__"))


def _look_at(one: Any, module: str | None) -> None:
    if isinstance(one, FunctionType):
        notice(one.__code__)
    elif isinstance(one, type) and one.__module__ == module:
        for member in vars(one).values():
            if isinstance(member, FunctionType):
                notice(member.__code__)


def notice_callers(frame: FrameType | None) -> None:
    """Does so for the functions that are running."""
    while frame is not None:
        notice(frame.f_code)
        frame = frame.f_back


def may_block() -> bool:
    """Tells whether something in this Python may call run_sync."""
    return _blocks


class Turn:
    """Collects between `begin` and `end`, and runs then."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Names the loop, which must be one that takes attributes, as Pyodide's does."""
        self._loop: Any = loop
        self._ready: list[asyncio.Handle] = []
        self._is_early = False
        self._shadowed: Any = None
        self._collecting = self._collect

    def begin(self) -> None:
        """Begins to collect, unless something may block."""
        self._is_early = not _blocks
        if self._is_early:
            attributes = self._loop.__dict__
            self._shadowed = attributes.get("call_soon")
            attributes["call_soon"] = self._collecting

    def end(self) -> None:
        """Runs what was collected."""
        if not self._is_early:
            return
        if self._shadowed is None:
            del self._loop.__dict__["call_soon"]
        else:
            self._loop.call_soon = self._shadowed
        if self._ready:
            ready, self._ready = self._ready, []
            for handle in ready:
                if not handle.cancelled():
                    handle._run()

    def _collect(
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self._loop, context)
        self._ready.append(handle)
        return handle
