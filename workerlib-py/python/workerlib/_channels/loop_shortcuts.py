"""Runs at once what a message makes ready, instead of in later turns of the event loop.

A turn of Pyodide's loop costs more than all the rest of a call: each is an event of JavaScript's. So while
a message is handled, what is given to `call_soon` (a task's first step, the wake-up of one that waits) is
collected, and run when the handler is done, in that order and as the loop would have run it.

What those steps in turn give to `call_soon` goes to the loop, but for what waits for a future that they
have ended, a few levels deep: `gather` and its like are callbacks of the tasks that they wait for. And the
first steps of calls that become tasks are taken together, in one microtask (`start_together`).

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
from functools import partial
from types import CodeType, FrameType, FunctionType, ModuleType
from typing import Any, cast

import js
import pyodide.ffi
from pyodide.ffi import create_proxy

# A task ends, `gather` hears of it and ends, whoever awaits that goes on.
_LEVELS = 3

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


def _shadow(loop: Any, call_soon: Callable[..., asyncio.Handle]) -> Any:
    """Puts a function before the loop's `call_soon`; returns what stood there, for `_unshadow`."""
    attributes = loop.__dict__
    shadowed = attributes.get("call_soon")
    attributes["call_soon"] = call_soon
    return shadowed


def _unshadow(loop: Any, shadowed: Any) -> None:
    if shadowed is None:
        del loop.__dict__["call_soon"]
    else:
        loop.__dict__["call_soon"] = shadowed


class Turn:
    """Collects between `begin` and `end`, and runs then."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Names the loop, which must be one that takes attributes, as Pyodide's does."""
        self._loop: Any = loop
        self._ready: list[asyncio.Handle] = []
        self._is_early = False
        self._shadowed: Any = None
        self._collecting = self._collect
        self._collecting_wakeups = self._collect_wakeup

    def begin(self) -> None:
        """Begins to collect, unless something may block."""
        self._is_early = not _blocks
        if self._is_early:
            self._shadowed = _shadow(self._loop, self._collecting)

    def end(self) -> None:
        """Runs what was collected."""
        if not self._is_early:
            return
        _shadow(self._loop, self._collecting_wakeups)
        try:
            for _ in range(_LEVELS):
                if not self._ready:
                    break
                ready, self._ready = self._ready, []
                for handle in ready:
                    _run(self._give_to_loop, handle)
        finally:
            _unshadow(self._loop, self._shadowed)
            late, self._ready = self._ready, []
            for handle in late:
                self._loop.call_soon(_run, self._loop.call_soon, handle)

    def _collect(
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self._loop, context)
        self._ready.append(handle)
        return handle

    def _collect_wakeup(
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        if len(args) == 1 and asyncio.isfuture(args[0]):
            return self._collect(callback, *args, context=context)
        return self._give_to_loop(callback, *args, context=context)

    def _give_to_loop(
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        give = self._shadowed or partial(type(self._loop).call_soon, self._loop)
        return cast("asyncio.Handle", give(callback, *args, context=context))


class _Starter:
    """Takes the first steps of calls that become tasks all together, when the event is over.

    By the loop each would be a turn of its own.
    """

    def __init__(self, loop: Any, code: CodeType) -> None:
        self._loop = loop
        self._code = code
        self._create = loop.create_task
        self._steps: list[asyncio.Handle] = []
        self._proxy = create_proxy(self._run)
        self._collecting = self._collect

    def create_task(self, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
        """Does what the loop's method does, but for the coroutines of that code."""
        is_call = getattr(coroutine, "cr_code", None) is self._code
        if not is_call or _blocks or self._loop.get_task_factory() is not None:
            return cast("asyncio.Task[Any]", self._create(coroutine, **options))
        shadowed = _shadow(self._loop, self._collecting)
        try:
            return cast("asyncio.Task[Any]", self._create(coroutine, **options))
        finally:
            _unshadow(self._loop, shadowed)

    def _collect(
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        if not self._steps:
            js.queueMicrotask(self._proxy)
        handle = asyncio.Handle(callback, args, self._loop, context)
        self._steps.append(handle)
        return handle

    def _run(self) -> None:
        global _is_burst
        steps, self._steps = self._steps, []
        _is_burst = True
        try:
            for handle in steps:
                _run(self._loop.call_soon, handle)
        finally:
            _is_burst = False
            ends = _ends_of_burst.copy()
            _ends_of_burst.clear()
            for end in ends:
                end()


def start_together(loop: asyncio.AbstractEventLoop, code: CodeType) -> None:
    """From now on starts coroutines of that code that become tasks all together, when the event is over.

    Every other coroutine starts as before, and so do all where the user has a task factory, or something may
    block.

    Args:
        loop: Pyodide's event loop.
        code: The code of an `async def`.
    """
    this: Any = loop
    if "create_task" not in this.__dict__:
        this.create_task = _Starter(this, code).create_task


_is_burst = False
_ends_of_burst: list[Callable[[], None]] = []


def is_burst() -> bool:
    """Tells whether what runs is the first step of one of several calls, which others follow at once."""
    return _is_burst


def at_end_of_burst(end: Callable[[], None]) -> None:
    """Has a function called when the last of them is over."""
    _ends_of_burst.append(end)


def _run(call_soon: Callable[..., object], handle: asyncio.Handle) -> None:
    """Runs what is ready, unless it was cancelled."""
    if handle.cancelled():
        return
    try:
        handle._run()
    except BaseException as error:
        # The end of the program, which is the loop's matter: others that are ready are to run.
        call_soon(_raise, error)


def _raise(error: BaseException) -> None:
    raise error
