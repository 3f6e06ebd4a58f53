"""The page: it tells in its text, and to who drives it, what the checks came to."""

import asyncio
import traceback

import checks
import js
import workerlib


async def main():
    try:
        async with workerlib.connect("libraries", timeout=240) as worker:
            outcome = f"{await checks.check(worker)} values arrived as themselves"
    except Exception:  # noqa: BLE001 - whatever it is, it is the outcome
        outcome = traceback.format_exc()
    js.document.getElementById("outcome").textContent = outcome


running = asyncio.ensure_future(main())
