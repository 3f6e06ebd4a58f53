"""The worker's side of a pool: functions that the pool calls besides the user's exports.

Their names begin with `workerlib:`, as no export's name does, and the handshake does not tell of them. A
connection hands them itself and the call that it serves, so that code of the user's which they run can be
interrupted as any other call's.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

from workerlib import _exports
from workerlib._pool.chunks import run_chunk
from workerlib._pool.graph_tasks import free, run_tasks, take
from workerlib._pool.sent_functions import RUN, run_function
from workerlib._pool.shared import shared
from workerlib._result_kinds import STREAM
from workerlib._rpc.connection import Connection
from workerlib._rpc.incoming_call import Served


async def _idle(connection: Connection, served: Served) -> None:
    """Returns when no other call of this connection runs."""
    while others := [task for task in connection.tasks_of_calls() if task is not served.task]:
        await asyncio.wait(others)


async def _about(_connection: Connection, _served: Served) -> tuple[list[str], list[str]]:
    """Returns the names of the exports that may run again after a death, and of those that are streams."""
    streams = [export[0] for export in _exports.describe_exports() if export[4] & STREAM]
    return sorted(_exports.idempotent), streams


async def _memory(_connection: Connection, _served: Served) -> int:
    """Returns how many bytes of memory this Python has."""
    if sys.platform == "emscripten":
        import pyodide_js

        return int(pyodide_js._module.HEAP8.length)
    import resource

    kibibytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # macOS counts bytes.
    return kibibytes if sys.platform == "darwin" else kibibytes * 1024


async def _share(_connection: Connection, _served: Served, version: int, values: dict[str, Any]) -> None:
    """Replaces the shared values, unless newer ones are there."""
    shared.replace(version, values)


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "workerlib:about": _about,
    "workerlib:chunk": run_chunk,
    "workerlib:idle": _idle,
    "workerlib:memory": _memory,
    RUN: run_function,
    "workerlib:free": free,
    "workerlib:take": take,
    "workerlib:tasks": run_tasks,
    "workerlib:share": _share,
}


def internal_function(name: str) -> Callable[..., Any] | None:
    """Returns the function of that name, which is none of the user's; None if there is none."""
    return _FUNCTIONS.get(name)
