"""Workers that die before the handshake: the error comes at once, and names the step."""

from __future__ import annotations

import pytest
from fault_page import FaultPage, Records

from pace import PACE

TRAP = "import ctypes\nctypes.string_at(0xFFFFFFF0, 64)\n"
SCRIPTS = {
    "closes itself": ("import workerlib\nimport js\njs.close()\n", "it closed itself"),
    "traps": (f"import workerlib\n{TRAP}", "failed fatally"),
    "traps after an await": (
        f"import workerlib\nimport asyncio\nawait asyncio.sleep(0.01)\n{TRAP}",
        "failed fatally",
    ),
    "exits": ("import workerlib\nimport os\nos._exit(3)\n", "has exited"),
}


@pytest.mark.parametrize("what", SCRIPTS)
def test_over_spawn(spawning: FaultPage, records: Records, what: str) -> None:
    """A spawned worker whose script ends its Python."""
    script, reason = SCRIPTS[what]
    kind, text, seconds = spawning.call("starting", host="spawned", script=script, limit=60 * PACE)
    records.note("spawn()", f"the script {what}", kind, seconds)
    assert kind == "WorkerDiedError", text
    assert reason in text, text
    assert "spawn() was running" in text, text
    assert seconds < 10 * PACE


@pytest.mark.parametrize("what", ["closes itself", "traps after an await"])
def test_under_pyscript(scripted: FaultPage, records: Records, what: str) -> None:
    """A worker of PyScript's whose script does."""
    script, reason = SCRIPTS[what]
    kind, text, seconds = scripted.call("starting", host="under_pyscript", script=script, limit=60 * PACE)
    records.note("PyScript", f"the script {what}", kind, seconds)
    assert kind == "WorkerDiedError", text
    assert reason in text, text
    assert "connect() was waiting for the worker's script" in text, text
    assert seconds < 30 * PACE


HOLDS_A_LOCK = """
import workerlib
import asyncio
import js
from pyodide.ffi import create_proxy

js.navigator.locks.request("of the test: {what}", create_proxy(lambda _: js.Promise.new(create_proxy(print))))
# The test asks for the lock when it has seen that this script holds it.
while not any(lock.name == "of the test: {what}" for lock in (await js.navigator.locks.query()).pending):
    await asyncio.sleep(0.02)
"""


@pytest.mark.parametrize(
    ("what", "end", "reason"),
    [
        ("closes itself", "js.close()", "it closed itself"),
        ("traps", TRAP, "failed fatally"),
    ],
)
def test_dead_before_anybody_connects(
    scripted: FaultPage, records: Records, what: str, end: str, reason: str
) -> None:
    """A worker of PyScript's that has ended long before `connect()`: the error comes at once, with the reason."""
    kind, text, seconds = scripted.call(
        "dead_before",
        script=HOLDS_A_LOCK.replace("{what}", what) + end,
        marks=f"of the test: {what}",
        limit=60 * PACE,
    )
    records.note("PyScript", f"the script {what} before anybody connects", kind, seconds)
    assert kind == "WorkerDiedError", text
    assert reason in text, text
    assert seconds < 10 * PACE


def test_memory_that_ends_in_the_script(spawning: FaultPage, records: Records) -> None:
    """A script for which memory does not suffice fails with its own MemoryError."""
    script = "import workerlib\nheld = [bytearray(1 << 30) for _ in range(8)]\n"
    kind, text, seconds = spawning.call("starting", host="spawned", script=script, limit=60 * PACE)
    records.note("spawn()", "the script exhausts memory", kind, seconds)
    assert kind == "WorkerStartError", text
    assert "MemoryError" in text, text


@pytest.mark.parametrize("stage", ["download", "import"])
def test_a_termination(spawning: FaultPage, records: Records, stage: str) -> None:
    """A worker that is terminated while it starts, by the prototype's method."""
    kind, text, seconds = spawning.call(
        "starting", host="spawned", script="import workerlib\n", limit=60 * PACE, terminate_at=stage
    )
    records.note("spawn()", f"terminated while it starts ({stage})", kind, seconds)
    assert kind == "WorkerDiedError", text
    assert "it was terminated" in text, text
    assert seconds < 10 * PACE
