"""Runs the callbacks that a message schedules immediately, instead of in a later iteration of the event loop.

`message_port` uses it. An iteration of Pyodide's loop is an event of JavaScript's, and costs more than all
the rest of a call. While a message is handled, this module collects the callbacks that are given to
`call_soon`, such as the first step of a task. It runs them when the handler returns, in their order and in
their contexts, as the loop does.

These callbacks may themselves call `call_soon`. The loop runs the callbacks that they schedule. The callbacks
of a future that has ended are an exception, a few levels deep, since `gather` waits for its tasks by such
callbacks. The first steps of calls that become tasks run together, in one microtask (`start_together`).

A callback that runs here cannot block by `pyodide.ffi.run_sync`, because JavaScript has entered it without a
stack of its own. A callback that the loop runs can. Therefore the loop runs all code that may block; `starts`
knows which code that is.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from contextvars import Context, copy_context
from functools import partial, wraps
from types import CodeType, FrameType, ModuleType
from typing import Any, cast

import js
import pyodide.ffi
from pyodide.ffi import create_proxy
from pyodide.webloop import WebLoop

from workerlib._channels.suspended_stacks import suspend
from workerlib._native import Turn, send_together
from workerlib._rpc import starts as _starts
from workerlib._rpc.gathered_calls import Gathered, GatheredCalls, connection_of, may_gather
from workerlib._rpc.incoming_call import current_call
from workerlib._rpc.outgoing_call import Pending
from workerlib._rpc.questions import input_from_page
from workerlib._rpc.starts import Starts, started_by_loop
from workerlib._rpc.waiting import wait

# A task ends, `gather` hears of it and ends, whoever awaits that goes on.
_LEVELS = 3

_run_sync = pyodide.ffi.run_sync
_can_block = hasattr(js.WebAssembly, "Suspending")
"""Whether this browser has JSPI. Without it nobody can block."""

starts = Starts(lambda text: js.console.debug(f"workerlib: {text}"))
"""The decisions of this Python."""


@wraps(_run_sync)
def _observed_run_sync(awaitable: Any) -> Any:
    try:
        return suspend(awaitable)
    except RuntimeError as error:
        task, served = asyncio.current_task(), current_call.get()
        if task is not None:
            name = task.get_name().removeprefix("workerlib: ")
        else:
            name = "" if served is None else served.name
        starts.note_block(name, "run_sync")
        error.add_note(
            "This code runs in the event of a message, where no code can wait. Mark the exported function by"
            " @workerlib.export(blocking=True), or write `blocking = true` under [workerlib] in the"
            " configuration."
        )
        raise
    finally:
        # An error refers to this frame, and the awaitable may refer to the error.
        del awaitable


class _Watched(ModuleType):
    """`pyodide.ffi`, when somebody asks it for `run_sync`."""

    @property
    def run_sync(self) -> Any:
        """The function, which says how to call it if it is called where it cannot wait."""
        return _observed_run_sync


def watch() -> None:
    """From now on knows what this Python's code can reach; looks at the code that is running."""
    if not _can_block:
        return
    if not isinstance(pyodide.ffi, _Watched):
        from pyodide import webloop

        from workerlib._rpc.blocking import declare_blocker

        for function, name in (
            (_run_sync, "run_sync"),
            (_observed_run_sync, "run_sync"),
            (webloop.WebLoop.run_until_complete, "run_until_complete"),
            (asyncio.run, "asyncio.run"),
            (time.sleep, "time.sleep"),
            (wait, "workerlib.wait"),
            (input_from_page, "input"),
        ):
            declare_blocker(function, name)
        pyodide.ffi.__class__ = _Watched
    _starts.on_new_caller = starts.look_at_callers
    starts.look_at_callers(sys._getframe(1))


def starts_at_once(name: str, function: Any, has_callback: bool = False) -> bool:
    """Tells whether a call of an export may start in the event of its message."""
    return not _can_block or starts.at_once(name, function, has_callback)


def _is_left_to_loop(context: Context | None) -> bool:
    return started_by_loop.get() if context is None else context.get(started_by_loop, False)


_Entry = asyncio.Handle | tuple[Callable[..., object], asyncio.Future[Any], Context]
"""A callback that is ready: of a future, whose handle nobody keeps, or any other."""


def _codes_without_handles() -> tuple[CodeType, ...]:
    """Finds the code of callbacks that asyncio and Pyodide add to the tasks that they make, and nobody else.

    Only a future schedules them, and it keeps no handle. They need no handle, whose creation takes as long as
    the rest.
    """
    in_gather = asyncio.gather.__code__.co_consts
    codes = [code for code in in_gather if isinstance(code, CodeType) and code.co_name == "_done_callback"]
    counting = getattr(WebLoop, "_decrement_in_progress", None)
    if counting is not None:
        codes.append(counting.__code__)
    return tuple(codes)


_WITHOUT_HANDLES = _codes_without_handles()

_GATHER, _ENSURE_FUTURE = asyncio.gather.__code__, asyncio.ensure_future.__code__
"""The code by which a task is made that nobody but `gather()` sees."""


def turn_of(loop: asyncio.AbstractEventLoop) -> tuple[Turn, Callable[[], None]]:
    """Makes what collects the callbacks that become ready between its `begin` and `end`, and runs them then.

    Args:
        loop: The loop, which must be one that takes attributes, as Pyodide's does.

    Returns:
        It, and a function to be called when it is needed no more: it is freed with its last reference then.
    """
    rest = Rest(loop)
    assert rest.turn is not None
    return rest.turn, rest.let_go


class Rest:
    """Does what a `Turn` leaves to Python: all callbacks but those of calls' futures."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop: Any = loop
        self._ready: list[_Entry] = []
        # The turn asks for these by their names.
        self.pending = Pending
        self.started_by_loop = started_by_loop
        self.may_block = starts.may_block if _can_block else None
        self.without_handles = _WITHOUT_HANDLES
        self.copy_context = copy_context
        self.turn: Turn | None = Turn(self._loop.__dict__, self._ready, self)
        """It holds this object, too."""

    def let_go(self) -> None:
        """Parts with the turn; both would wait for the garbage collector."""
        self.turn = None

    def run(self, entry: asyncio.Handle) -> None:
        """Runs a callback."""
        _run(self._give_to_loop, entry)

    def fail(
        self, callback: Callable[..., object], pending: asyncio.Future[Any], error: BaseException
    ) -> None:
        """Does with an error of a future's callback what a handle of the loop does."""
        if isinstance(error, (SystemExit, KeyboardInterrupt)):
            self._give_to_loop(_raise, error)
        else:
            told = {"message": f"Exception in callback {callback!r}", "exception": error, "future": pending}
            self._loop.call_exception_handler(told)

    def give_late(self, entry: _Entry) -> None:
        """Leaves to the loop what is ready after the last level."""
        if isinstance(entry, tuple):
            callback, pending, context = entry
            self._loop.call_soon(callback, pending, context=context)
        else:
            self._loop.call_soon(_run, self._loop.call_soon, entry)

    def collect(
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """Stands for `call_soon` while a message is handled."""
        if _is_left_to_loop(context):
            return self._give_to_loop(callback, *args, context=context)
        handle = asyncio.Handle(callback, args, self._loop, context)
        self._ready.append(handle)
        return handle

    def collect_wakeup(
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle | None:
        """Stands for `call_soon` while callbacks run, but for callbacks without a handle."""
        is_wakeup = len(args) == 1 and asyncio.isfuture(args[0])
        collect = self.collect if is_wakeup else self._give_to_loop
        return collect(callback, *args, context=context)

    def _give_to_loop(
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        shadowed = None if self.turn is None else self.turn.shadowed
        give = shadowed or partial(type(self._loop).call_soon, self._loop)
        return cast("asyncio.Handle", give(callback, *args, context=context))


class _Starter:
    """Takes the first steps of calls that become tasks all together, when the event is over.

    By the loop each would be a turn of its own.
    """

    def __init__(self, loop: Any, code: CodeType) -> None:
        self._loop = loop
        self._code = code
        self._create: Callable[..., asyncio.Task[Any]] = loop.create_task
        self._steps: list[tuple[Callable[..., object], tuple[Any, ...], Context]] = []
        # The frame of the `gather()` that has added the last of these steps, and what adds calls to that
        # step; None if something else has added it.
        self._gathering: FrameType | None = None
        self._add: Callable[[Any], Gathered | None] | None = None
        self._proxy = create_proxy(self._run)
        self._collecting = self._collect

    def create_task(self, coroutine: Any, **options: Any) -> asyncio.Future[Any]:
        """Does what the loop's method does, but for the coroutines of that code."""
        if getattr(coroutine, "cr_code", None) is not self._code:
            return self._create(coroutine, **options)
        try:
            gather = sys._getframe(2)
        except ValueError:
            gather = None
        # The checks of the call before it hold for each call of the same `gather()`.
        if gather is self._gathering and self._add is not None and (gathered := self._add(coroutine)):
            return gathered
        if (
            _can_block and (started_by_loop.get() or starts.may_block())
        ) or self._loop.get_task_factory() is not None:
            return self._create(coroutine, **options)
        if gather is not None and gather.f_code is _GATHER and sys._getframe(1).f_code is _ENSURE_FUTURE:
            gathered = self._gather(gather, coroutine)
            if gathered is not None:
                return gathered
        attributes = self._loop.__dict__
        shadowed = attributes.get("call_soon")
        attributes["call_soon"] = self._collecting
        try:
            return self._create(coroutine, **options)
        finally:
            if shadowed is None:
                del attributes["call_soon"]
            else:
                attributes["call_soon"] = shadowed

    def _gather(self, gather: FrameType, coroutine: Any) -> Gathered | None:
        """Begins to collect the calls of a `gather()`; returns None if this one needs a task."""
        connection = connection_of(coroutine)
        if connection is None or not may_gather(connection):
            return None
        calls = GatheredCalls(connection)
        gathered = calls.add(coroutine)
        if gathered is not None:
            self._collect(calls.begin)
            self._gathering, self._add = gather, calls.add
        return gathered

    def _collect(self, callback: Callable[..., object], *args: Any, context: Context | None = None) -> None:
        self._gathering = self._add = None
        # A task keeps no handle of its first step.
        if not self._steps:
            js.queueMicrotask(self._proxy)
        self._steps.append((callback, args, copy_context() if context is None else context))

    def _run(self) -> None:
        global _is_burst
        steps, self._steps = self._steps, []
        self._gathering = self._add = None
        _is_burst = True
        send_together(True)
        try:
            for callback, args, context in steps:
                try:
                    context.run(callback, *args)
                except BaseException as error:
                    # As in `_run`; nothing else comes out of a task's step.
                    self._loop.call_soon(_raise, error)
        finally:
            _is_burst = False
            send_together(False)


def start_together(loop: asyncio.AbstractEventLoop, code: CodeType) -> None:
    """From now on starts coroutines of that code that become tasks all together, when the event is over.

    Every other coroutine starts as before, and so do all where the user has a task factory, and in code that
    may block.

    Args:
        loop: Pyodide's event loop.
        code: The code of an `async def`.
    """
    this: Any = loop
    if "create_task" not in this.__dict__:
        this.create_task = _Starter(this, code).create_task


_is_burst = False


def is_burst() -> bool:
    """Tells whether what runs is the first step of one of several calls, which others follow at once."""
    return _is_burst


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
