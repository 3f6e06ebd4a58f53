"""The Python of sandboxed_frame.js: spawns workers, and tells how they started, what they answered and how they ended."""

import asyncio
import json

import workerlib
from workerlib._hosts.spawned.snapshots import snapshots


async def see():
    """Spawns a worker, and two others when there is a snapshot, which end in different ways."""
    seen = {}
    async with workerlib.spawn("./fresh_worker.py") as worker:
        seen["first"] = [await worker.had_snapshot(), await worker.double([1, 2])]
    while not snapshots.is_ready and not snapshots.is_given_up:
        await asyncio.sleep(0.05)
    for end in ("terminate", "close_itself"):
        worker = await workerlib.spawn("./fresh_worker.py")
        answers = [await worker.had_snapshot(), await worker.double([1, 2])]
        waiting = asyncio.ensure_future(worker.wait())
        # It has begun when a later call is answered.
        await worker.double([])
        if end == "terminate":
            worker.terminate()
        else:
            await asyncio.gather(worker.close_itself(), return_exceptions=True)
        await asyncio.wait([waiting])
        seen[end] = [*answers, type(waiting.exception()).__name__]
    return json.dumps(seen)
