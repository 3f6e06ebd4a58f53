"""How the code of calls runs so that the other side can interrupt it: what every host's way has in common.

In a browser that is shared memory (`_interrupts.py`), outside of one a signal (`_signal_guard.py`).
"""

from __future__ import annotations

import types
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Generator
from typing import Any


class Guard(ABC):
    """Runs the code of calls so that the other side can interrupt it."""

    @abstractmethod
    def run(self, call: int, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Calls a function of the user's, which may raise KeyboardInterrupt at any place then."""

    @types.coroutine
    def run_steps(self, call: int, coroutine: Coroutine[Any, Any, Any]) -> Generator[Any, Any, Any]:
        """Awaits a coroutine of the user's, each of whose steps may be interrupted."""
        resume: Callable[[Any], Any] = coroutine.send
        value: Any = None
        while True:
            try:
                awaited = self.run(call, resume, (value,), {})
            except StopIteration as end:
                return end.value
            try:
                value = yield awaited
                resume = coroutine.send
            except BaseException as error:
                resume, value = coroutine.throw, error

    @abstractmethod
    def retract(self) -> None:
        """Makes what runs uninterruptible: as this is called, it is suspended."""

    @abstractmethod
    def take_interrupted(self, call: int) -> bool:
        """Tells, once, whether the other side has interrupted a call."""
