"""The functions of the shared suite's worker that get callbacks. `worker.py` imports them."""

from __future__ import annotations

import asyncio
import copy
from typing import Any

import workerlib

from worker_state import busy, events, notes

kept: dict[str, Any] = {}
"""Callbacks that a call has left here."""


@workerlib.export
def train(steps: int, progress: Any) -> int:
    """Reports progress from sync code, and computes between the reports."""
    for step in range(steps):
        busy(0.001)
        progress(step / steps)
    return steps


@workerlib.export
async def train_slowly(steps: int, progress: Any) -> int:
    """Reports progress from async code, which goes on before the next step."""
    for step in range(steps):
        progress(step)
        await asyncio.sleep(0)
    return steps


@workerlib.export
async def ask(question: Any, *args: Any, **kwargs: Any) -> Any:
    """Awaits the answer of a callback."""
    return await question(*args, **kwargs)


@workerlib.export
async def ask_all(questions: list[Any]) -> list[Any]:
    """Awaits the answers of several callbacks at a time."""
    return await asyncio.gather(*[question() for question in questions])


@workerlib.export
def call_order(order: Any) -> str:
    """Calls the callback among the attributes of an object."""
    for row in range(order.rows):
        order.on_row(row)
    return type(order.on_row).__name__


@workerlib.export
def call_within(nested: Any) -> int:
    """Calls every callback at any depth of dicts and lists."""
    if isinstance(nested, dict):
        return sum(call_within(value) for value in nested.values())
    if isinstance(nested, list | tuple):
        return sum(call_within(value) for value in nested)
    if callable(nested):
        nested("called")
        return 1
    return 0


@workerlib.export
async def call_then(progress: Any, then: str) -> str:
    """Calls a callback, drops the reply, and then does something else."""
    progress()
    if then == "wait":
        await asyncio.Event().wait()
    elif then == "turn":
        for _ in range(100):
            await asyncio.sleep(0.001)
    return then


@workerlib.export
def call_and_return(progress: Any) -> str:
    """Calls a callback from sync code and returns before it can be answered."""
    progress()
    return "returned"


@workerlib.export
async def catch(question: Any) -> str:
    """Awaits a callback and handles what it raises."""
    try:
        await question()
    except ValueError as error:
        return f"caught {error}"
    return "nothing raised"


@workerlib.export
def keep(key: str, callback: Any) -> None:
    kept[key] = callback


@workerlib.export
async def call_kept(key: str, *args: Any) -> Any:
    return await kept[key](*args)


@workerlib.export
def call_kept_unawaited(key: str, *args: Any) -> None:
    kept[key](*args)


@workerlib.export
def drop_kept(key: str) -> None:
    del kept[key]


@workerlib.export
def return_kept(key: str) -> Any:
    return kept[key]


@workerlib.export
def make_adder(first: int) -> Any:
    """Returns a function, which the page calls where it is."""
    return lambda second: first + second


@workerlib.export
async def ask_until_cancelled(key: str, question: Any) -> None:
    """Awaits a callback that never answers, and notes how that ended."""
    try:
        await question()
    except asyncio.CancelledError:
        notes.setdefault(key, []).append("cancelled")
        raise


@workerlib.export
async def cancel_a_question(question: Any, begun: Any) -> str:
    """Cancels the await of a callback when another callback has answered."""
    task = asyncio.ensure_future(question())
    await begun()
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        return "cancelled"
    return "not cancelled"


@workerlib.export
async def keep_and_wait(key: str, progress: Any) -> None:
    """Keeps its callback, waits until it is cancelled, and reports that it cleans up."""
    kept[key] = progress
    events[key] = asyncio.Event()
    try:
        await asyncio.Event().wait()
    finally:
        del events[key]
        progress("cleaning up")


@workerlib.export
def flood(times: int, progress: Any) -> str:
    """Calls a callback from sync code so many times without a pause, whatever comes of it."""
    try:
        for number in range(times):
            progress(number)
    except workerlib.BackPressureError as error:
        return str(error)
    return "all were sent"


@workerlib.export
async def misuse(callback: Any, use: str) -> str:
    """Uses a reply as a value, which raises TypeError."""
    reply = callback(1)
    uses: dict[str, Any] = {
        "truth": lambda: bool(reply),
        "if": lambda: 1 if callback(1) else 2,
        "filter": lambda: list(filter(callback, [1, 2])),
        "sorted": lambda: sorted([1, 2], key=callback),
        "equal": lambda: reply == 1,
        "unequal": lambda: reply != 1,
        "less": lambda: reply < 1,
        "add": lambda: reply + 1,
        "radd": lambda: 1 + reply,
        "sum": lambda: sum([reply]),
        "iterate": lambda: list(reply),
        "unpack": lambda: print(*reply),
        "hash": lambda: {reply},
        "index": lambda: [1, 2][reply],
        "item": lambda: reply[0],
        "format": lambda: f"{reply}",
        "call": lambda: reply(1),
        "max": lambda: max(reply, 2),
        "in": lambda: 1 in reply,
        "copy": lambda: copy.copy(reply),
        "async for": lambda: aiter(reply),
    }
    try:
        uses[use]()
    except TypeError as error:
        return str(error)
    finally:
        await reply
    return "no error"


@workerlib.export
def ask_in_sync_code(question: Any, *args: Any) -> Any:
    """Takes the answer of a callback without an await."""
    return question(*args).result()


@workerlib.export
async def await_and_take(question: Any, *args: Any) -> list[Any]:
    """Awaits one answer of a callback, and takes another in a sync helper."""
    return [await question(*args), ask_in_sync_code(question, *args)]


@workerlib.export
async def ask_often(question: Any, count: int) -> list[Any]:
    """Awaits the answers of a callback, one after the other."""
    return [await question(number) for number in range(count)]


@workerlib.export
def return_a_reply(callback: Any) -> Any:
    return callback(1)


@workerlib.export
def return_replies(callback: Any) -> Any:
    return [callback(1), {"two": callback(2)}]


@workerlib.export
async def pass_a_reply(callback: Any) -> Any:
    return await callback(callback(1))


@workerlib.export
async def take_items(callback: Any) -> list[Any]:
    return [item async for item in await callback(3)]


@workerlib.export
async def nest_calls(depth: int, go_deeper: Any) -> int:
    """Asks the page, which calls the worker again, and so on."""
    return 0 if depth == 0 else 1 + await go_deeper(depth - 1)


@workerlib.export
def is_callback(value: Any) -> bool:
    return isinstance(value, workerlib.Callback)
