"""Awaits coroutines of the user's step by step, so that each step may be interrupted."""

from __future__ import annotations

import types
from collections.abc import Callable, Generator
from typing import Any

from workerlib._rpc.incoming_call import Served
from workerlib._rpc.interruptible import Guard


@types.coroutine
def guarded_steps(
    guard: Guard, served: Served, steps: Any, tell: Callable[[Served], object]
) -> Generator[Any, Any, Any]:
    """Awaits a coroutine, each of whose steps runs by a guard.

    Args:
        guard: Runs the steps.
        served: The call or the stream that they belong to.
        steps: The coroutine, or another object with `send` and `throw`.
        tell: Called after a step that a cancel has met, which the other side is to hear of.

    Raises:
        BaseException: Any exception of the coroutine.
    """
    resume: Callable[[Any], Any] = steps.send
    value: Any = None
    is_plain = type(guard) is Guard
    while True:
        # No variable keeps what leads to an error that a step raises: the error refers to this frame.
        step = [value]
        value = None
        try:
            if is_plain:
                # As `Guard.run` does it, without another function of Python.
                served.is_computing = True
                try:
                    step = [resume(step.pop())]
                finally:
                    served.is_computing = False
            else:
                step = [guard.run(served, resume, step, {})]
        except StopIteration as end:
            return end.value
        except BaseException:
            # If it was thrown into the coroutine, it refers to itself by its traceback's frames, and the
            # coroutine's variables, such as callbacks, would live until the collector runs.
            step.clear()
            raise
        if served.is_answer_due:
            tell(served)
        try:
            value = yield step.pop()
            resume = steps.send
        except BaseException as error:
            resume, value = steps.throw, error
