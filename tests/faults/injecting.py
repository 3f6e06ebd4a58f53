"""Injects a fault into a worker while calls wait for it, and records how each call settled. Runs in pages and natively."""

import asyncio
import time

from pace import PACE

UNSETTLED = "does not settle"


async def inject(
    worker, call, *, waiting=3, small=20, limit=45.0 * PACE, ready=True, meanwhile=None, late=False
):
    """Has a worker fail while other calls are under way.

    Args:
        worker: An open connection to tests/faults/pages/worker.py.
        call: An awaitable that brings about the fault, or a function that does and returns nothing.
        waiting: How many calls wait for ever meanwhile.
        small: How many calls are made right behind it.
        limit: After how many seconds a call counts as one that does not settle.
        meanwhile: Called when all calls are under way.
        ready: Whether the worker can answer a call first, so that it has those that wait.
        late: Whether the worker may also die behind an error of the call.

    Returns:
        The record: what the call raised, how the others ended, how soon.
    """
    ended = {}

    async def follow(name, awaitable):
        try:
            result = await awaitable
            ended[name] = ("returned", repr(result), time.monotonic())
        # SystemExit and KeyboardInterrupt are the worker's; a task would end this loop by them.
        except BaseException as error:  # noqa: BLE001
            ended[name] = (type(error).__name__, str(error), time.monotonic())

    tasks = {
        f"waiting {n}": asyncio.ensure_future(follow(f"waiting {n}", worker.wait())) for n in range(waiting)
    }
    if ready:
        await worker.add(1, 2)
    start = time.monotonic()
    made = call() if callable(call) else call
    if made is not None:
        tasks["fault"] = asyncio.ensure_future(follow("fault", made))
    await asyncio.sleep(0)
    for n in range(small):
        tasks[f"small {n}"] = asyncio.ensure_future(follow(f"small {n}", worker.add(n, 1)))
    if meanwhile is not None:
        await asyncio.sleep(0.02)
        meanwhile()
    due = [task for name, task in tasks.items() if not name.startswith("waiting")]
    if due:
        await asyncio.wait(due, timeout=limit)
    # A death behind an answer needs its time.
    may_die = late or ended.get("fault", ("returned",))[0] == "returned"
    deadline = time.monotonic() + (1.5 if may_die else 0)
    while not worker.closed and time.monotonic() < deadline:
        await asyncio.sleep(0.01)
    is_alive = not worker.closed
    if is_alive:
        try:
            assert await asyncio.wait_for(worker.add(20, 22), limit) == 42
        except TimeoutError:
            ended["afterwards"] = (UNSETTLED, "", time.monotonic())
        except Exception:
            # On a slow machine the death comes only now.
            if not worker.closed:
                raise
            is_alive = False
    if not is_alive:
        try:
            await asyncio.wait_for(worker.add(1, 1), limit)
        except TimeoutError:
            ended["afterwards"] = (UNSETTLED, "", time.monotonic())
        except Exception as error:  # noqa: BLE001
            ended["afterwards"] = (type(error).__name__, str(error), start)
    await worker.close()
    await asyncio.wait(tasks.values(), timeout=limit)
    for name, task in tasks.items():
        if not task.done():
            ended[name] = (UNSETTLED, "", time.monotonic())
            task.cancel()
    await asyncio.sleep(0)
    slowest = max(
        (end for name, (_, _, end) in ended.items() if not is_alive or name == "fault"), default=start
    )
    return {
        "calls": len(tasks) + 2,
        "unsettled": sorted(name for name, (kind, _, _) in ended.items() if kind == UNSETTLED),
        "seen": ended.get("fault", ("", "", start))[:2],
        "waiting": sorted({ended[name][0] for name in tasks if name.startswith("waiting")}),
        "small": sorted({ended[name][0] for name in tasks if name.startswith("small")}),
        "alive": is_alive,
        "seconds": slowest - start,
    }
