"""The worker of the pools' suite: functions for its tests to call, on every host."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

import workerlib

state: dict[str, Any] = {"set up with": []}


@workerlib.export
def double(number: int) -> int:
    return 2 * number


@workerlib.export
async def double_slowly(number: int) -> int:
    await asyncio.sleep(0.005)
    return 2 * number


@workerlib.export
def steps(number: int) -> int:
    """Reports each step."""
    for step in range(number):
        workerlib.report(step, number)
    return number


@workerlib.export
def check(number: int) -> int:
    """Refuses every tenth number."""
    if number % 10 == 3:
        raise ValueError(f"{number} is odd enough")
    return number


@workerlib.export
async def die(number: int, of: int = 5) -> int:
    """Returns the number, or ends this worker as a crash does."""
    if number == of:
        await _die()
    return number


@workerlib.export
def can_die_at_once() -> bool:
    """Tells whether sync code can end this worker: a browser waits for the end of the code."""
    if sys.platform != "emscripten":
        return True
    import js

    return hasattr(js, "process")


@workerlib.export
def die_at_once(number: int) -> int:
    """Returns the number, or ends this worker without a turn of its event loop."""
    if number == 20:
        _end_process()
    return number


@workerlib.export
def kinds(number: int) -> Any:
    """Returns a value of another kind for each of nine numbers; of the lists it goes on to change the last one."""
    state["list"] = state.get("list", [])
    state["list"][:] = [number, 0]
    match number % 9:
        case 0:
            return number
        case 1:
            return str(number)
        case 2:
            return state["list"]
        case 3:
            return {"n": number}
        case 4:
            return number, None
        case 5:
            return "x" * 5000
        case 6:
            return b"x" * number
        case 7:
            raise ValueError(f"no {number}")
    return object()


@workerlib.export(idempotent=True)
async def die_once(number: int) -> int:
    """Dies like `die`, but may run again, and the page has said by then that it should live."""
    if number == workerlib.shared.victim:
        await _die()
    return number


@workerlib.export
def same(value: Any) -> Any:
    return value


@workerlib.export
async def total(rows: Any) -> int:
    """Adds up what it gets: numbers of a list or of a stream."""
    return sum([row async for row in rows] if hasattr(rows, "__aiter__") else rows)


@workerlib.export
async def total_and_die(rows: Any, should_die: Any) -> int:
    """Adds up, and ends its worker if the page says so."""
    result = await total(rows)
    if await should_die():
        await _die()
    return result


@workerlib.export
async def take_and_die(_thing: Any) -> None:
    """Ends its worker, with what it got."""
    await _die()


@workerlib.export
def spin(seconds: float) -> float:
    """Keeps this worker busy."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass
    return seconds


@workerlib.export
def spin_somewhere(seconds: float) -> float:
    """Keeps this worker busy, and returns its number."""
    spin(seconds)
    return identity()


@workerlib.export
async def wait(seconds: float) -> float:
    await asyncio.sleep(seconds)
    return seconds


@workerlib.export
async def tell_and_wait(begin: Any) -> None:
    """Tells the page that it has begun, and waits until it is cancelled."""
    await begin()
    await asyncio.sleep(600)


@workerlib.export
async def clean_up_slowly() -> None:
    """Waits, and takes its time when it is cancelled."""
    try:
        await asyncio.sleep(600)
    finally:
        await asyncio.sleep(0.3)


@workerlib.export
async def die_later() -> None:
    """Ends this worker after a moment."""
    await asyncio.sleep(0.3)
    await _die()


@workerlib.export
def set_up(value: Any) -> int:
    """Notes what each worker is set up with."""
    state["set up with"].append(value)
    return len(state["set up with"])


@workerlib.export
def set_up_with() -> list[Any]:
    return list(state["set up with"])


@workerlib.export
def identity() -> float:
    """Returns a number that no other worker of the suite has."""
    return float(state.setdefault("identity", time.perf_counter() + id(state)))


@workerlib.export
async def limits() -> tuple[Any, Any, Any]:
    """Returns a shared value before and after other code may have run."""
    before = workerlib.shared.limit
    spin(0.01)
    same = workerlib.shared.limit
    await asyncio.sleep(0)
    return before, same, workerlib.shared.limit


@workerlib.export
def missing_value() -> str:
    """Returns what becomes of a value that nobody has shared, and of one that is written."""
    texts = []
    try:
        _ = workerlib.shared.nothing_of_this_name
    except AttributeError as error:
        texts.append(str(error))
    try:
        workerlib.shared.limit = 3
    except AttributeError as error:
        texts.append(str(error))
    return "\n".join(texts)


@workerlib.export
def map(number: int) -> int:
    """Has a name that the pool has for itself."""
    return -number


@workerlib.export
def numbers(count: int) -> Any:
    yield from range(count)


@workerlib.export
async def ask(question: Any) -> Any:
    return await question("how many?")


@workerlib.export
async def ask_with(question: Any, number: int) -> Any:
    return await question(number)


@workerlib.export
def ask_and_block(question: Any, number: int) -> Any:
    return question(number).result()


@workerlib.export
def unsendable(number: int) -> Any:
    return (item for item in range(number)) if number % 2 else object()


async def _die() -> None:
    """Ends this worker without a word to the page."""
    if sys.platform == "emscripten":
        import js

        if not hasattr(js, "process"):
            js.self.close()
            # A browser ends a worker when its script has returned to the event loop, which then stands.
            await asyncio.sleep(3600)
    _end_process()


def _end_process() -> None:
    """Ends the process or the thread of this worker, where sync code can."""
    if sys.platform == "emscripten":
        import js

        js.process.exit(3)
    import os

    os._exit(3)
