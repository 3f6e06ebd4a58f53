"""Says how the calls of an export start: in the event of their message, or by the event loop.

An event loop's callback may suspend its stack by `run_sync`, an event of a message may not
(`_channels/loop_shortcuts.py`). The user says which exports do so, by `@workerlib.export(blocking=True)` or
`[workerlib] blocking = true`, or `_rpc/blocking.py` finds it out. The first call of an export starts by the
loop: the modules that it imports are loaded afterwards. Calls that bring a callback have a decision of their
own, because the `result()` of its answer blocks. This module knows no loop and no channel.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextvars import ContextVar
from inspect import iscoroutinefunction
from types import CodeType, FrameType, FunctionType
from typing import TYPE_CHECKING, Any

from workerlib import _exports

if TYPE_CHECKING:
    from workerlib._exports import Function
    from workerlib._rpc.blocking import Reason

started_by_loop: ContextVar[bool] = ContextVar("workerlib_started_by_loop", default=False)
"""Whether code runs for a call that the loop has started: all that it makes ready is left to the loop."""

known_callers: dict[int, CodeType] = {}
"""The code that has called a worker and has been looked at, by its address.

To compute the hash of code takes longer than all else that a call asks about its caller.
"""

_looked_at: set[CodeType] = set()
"""The same code: what `exec` makes of the same text again and again is equal, and is looked at once."""

on_new_caller: Callable[[FrameType | None], object] | None = None
"""Is called with the frame of code that calls a worker for the first time. None where nobody can block."""

without_task: dict[str, Function] = {}
"""The exports whose calls start in the event of their message and have no task, by name.

`_rpc/serving.py` notes an export here when it has served a call of it so.
"""

streams_without_task: dict[str, Function] = {}
"""The sync generator functions whose calls for a stream start so."""

_said: bool | None = None

_Key = tuple[str, bool]
"""The name of an export, and whether a call of it brings a callback."""


def look_at_caller() -> None:
    """Looks at the code that has called the function which calls this one, if nobody has looked at it.

    JavaScript and Rust have no frame: nothing is known of their code, and nothing of theirs can block.
    """
    if on_new_caller is None:
        return
    try:
        caller = sys._getframe(2)
    except ValueError:
        return
    if id(caller.f_code) not in known_callers:
        on_new_caller(caller)


def say(blocking: bool | None) -> None:
    """Notes the word of a configuration, for this whole Python.

    Args:
        blocking: Whether functions block; None if the configuration does not say it.
    """
    global _said
    _said = _said if blocking is None else blocking


class Starts:
    """The decisions of one Python."""

    def __init__(self, log: Callable[[str], object]) -> None:
        """Begins without any.

        Args:
            log: Is told each decision once, and its reason.
        """
        self.blocks: Reason | None = None
        """The reason why code outside of exports may block, such as a page's script."""
        self._tentative: list[tuple[list[object], dict[str, Any]]] = []
        self._modules = 0
        self._log = log
        self._told: set[str] = set()
        self._at_once: dict[_Key, Function] = {}
        self._first: dict[_Key, Function] = {}
        self._reasons: dict[_Key, tuple[Function, Reason, int]] = {}

    def at_once(self, name: str, function: Function | None, has_callback: bool = False) -> bool:
        """Tells whether a call may start in the event of its message.

        Args:
            name: The exported name.
            function: The function; None if there is none of that name.
            has_callback: Whether a function of the other side's is among the arguments.
        """
        key = name, has_callback
        return function is None or self._at_once.get(key) is function or self._look(key, function)

    def note_block(self, name: str, how: str) -> None:
        """Notes that a call of an export has blocked: the next one starts by the loop.

        Args:
            name: The exported name.
            how: The name of the function that blocks.
        """
        from workerlib._rpc.blocking import Reason

        function = _exports.functions.get(name)
        without_task.pop(name, None)
        streams_without_task.pop(name, None)
        if function is not None:
            for key in ((name, False), (name, True)):
                self._at_once.pop(key, None)
                self._reasons[key] = function, Reason(f"{name} → {how}"), 0

    def may_block(self) -> bool:
        """Tells whether code outside of exports may block, such as a page's script."""
        if _said is not None:
            return _said
        if self._tentative and len(sys.modules) != self._modules:
            waiting, self._tentative = self._tentative, []
            for functions, names in waiting:
                self._search(functions, names)
        return self.blocks is not None or bool(self._tentative)

    def look_at_callers(self, frame: FrameType | None) -> None:
        """Looks at the functions that are running, and at those beside them.

        Args:
            frame: The innermost one.
        """
        from workerlib._rpc.blocking import is_trusted

        while frame is not None:
            names = frame.f_globals
            code = frame.f_code
            if id(code) not in known_callers and code not in _looked_at:
                known_callers[id(code)] = code
                _looked_at.add(code)
                if not is_trusted(names.get("__name__")):
                    self._search([code, *_defined_in(names)], names)
            frame = frame.f_back

    def _search(self, functions: list[object], names: dict[str, Any]) -> None:
        if _said is not None or self.blocks is not None:
            return
        from workerlib._rpc.blocking import reason_to_block

        self._modules = len(sys.modules)
        reason = reason_to_block(functions, names, may_compute_code=True)
        if reason is None:
            return
        if reason.is_final:
            self.blocks = reason
            self._tell(None, f"all code goes through the event loop: {reason.text}")
        else:
            self._tentative.append((functions, names))

    def _look(self, key: _Key, function: Function) -> bool:
        from workerlib._rpc.blocking import reason_to_block

        name, has_callback = key
        if has_callback and not iscoroutinefunction(function):
            # A sync function may wait for room, too, if it calls its callback often.
            return False
        said = _exports.blocking.get(name, _said)
        if said is not None:
            where = "export()" if name in _exports.blocking else "[workerlib]"
            self._tell(key, f"blocking={said} of {where}", not said)
            if not said:
                self._at_once[key] = function
            return not said
        if key in self._reasons:
            looked_at, reason, modules = self._reasons[key]
            if looked_at is function and (reason.is_final or modules == len(sys.modules)):
                return False
        elif self._first.get(key) is not function:
            self._first[key] = function
            return False
        found = reason_to_block([function], has_callback=has_callback)
        if found is None:
            self._reasons.pop(key, None)
            self._at_once[key] = function
            self._tell(key, "nothing that it reaches can block", True)
        else:
            self._reasons[key] = function, found, len(sys.modules)
            self._tell(key, found.text, False)
        return found is None

    def _tell(self, key: _Key | None, reason: str, is_at_once: bool = False) -> None:
        text = reason
        if key is not None:
            which = f"{key[0]}() with a callback" if key[1] else f"{key[0]}()"
            how = "as soon as their message arrives" if is_at_once else "by the event loop"
            text = f"calls of {which} start {how}: {reason}"
        if text not in self._told:
            self._told.add(text)
            self._log(text)


def _defined_in(names: dict[str, Any]) -> list[object]:
    """Lists the functions and classes that were defined in the module whose names these are."""
    own = names.get("__name__")
    found: list[object] = []
    for one in list(names.values()):
        if type(one) is FunctionType:
            module: object = one.__module__
        elif issubclass(type(one), type):
            # A metaclass of the user's is not asked.
            module = type.__dict__["__dict__"].__get__(one).get("__module__")
        else:
            continue
        if module == own:
            found.append(one)
    return found
