"""The one clock that the page and its workers share, and a stopwatch for the parts of a call.

Invariant: all times are milliseconds since 1970 by the browser's monotonic clock, so that a time taken in a
worker can be set beside one taken on the page. It does not draw them.
"""

from collections.abc import Coroutine, Generator
from dataclasses import dataclass
from types import coroutine
from typing import Any

from js import performance


def now() -> float:
    """Tells the time on the shared clock."""
    return float(performance.timeOrigin + performance.now())


@dataclass
class Timed:
    """A call's answer, and when each of its parts ended."""

    answer: Any
    began: float
    sent: float
    work_began: float
    work_ended: float
    received: float


async def timed(call: Coroutine[Any, Any, Any]) -> Timed:
    """Awaits a call to the desk (see worker.py and here.py), which answers with the times of its work."""
    began = now()
    sent: list[float] = []
    answer, work_began, work_ended = await _noting_first_pause(call, sent)
    received = now()
    # Work on the page itself is done before there is any pause: nothing was sent.
    sent_at = min(sent[0] if sent else began, work_began)
    return Timed(answer, began, sent_at, work_began, work_ended, received)


@coroutine
def _noting_first_pause(call: Coroutine[Any, Any, Any], sent: list[float]) -> Generator[Any, Any, Any]:
    """Awaits a call and notes when it first pauses: by then its arguments are encoded and on their way."""
    try:
        waiting_for = call.send(None)
        sent.append(now())
        while True:
            try:
                reply = yield waiting_for
            except BaseException as error:  # noqa: BLE001 - the call decides what becomes of it
                waiting_for = call.throw(error)
            else:
                waiting_for = call.send(reply)
    except StopIteration as end:
        return end.value
    finally:
        call.close()
