"""Workers that die before the handshake: the error comes at once, and names the step."""

from __future__ import annotations

from typing import Any

import pytest
from fault_page import JAVASCRIPT, PYSCRIPT, SPAWN, FaultPage, Records
from javascript_page import AnyPage

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
STEPS = {
    SPAWN: "spawn() was running",
    PYSCRIPT: "connect() was waiting for the worker's script",
    JAVASCRIPT: "it was running",
}
"""The words of each host for the step at which its worker died."""
REPEATED = {
    *((PYSCRIPT, what) for what in ("traps", "exits")),
    *((JAVASCRIPT, what) for what in ("traps after an await", "exits")),
}
"""The cases that the same code and another case show: only `--full` runs them."""


def cases() -> list[Any]:
    """Makes the parameters of a test: each of the causes under each host."""
    return [
        pytest.param(host, what, marks=[pytest.mark.repeated] if (host, what) in REPEATED else [])
        for host in STEPS
        for what in SCRIPTS
    ]


@pytest.mark.parametrize(("host", "what"), cases())
def test_a_script_that_ends(page: AnyPage, records: Records, host: str, what: str) -> None:
    """A worker whose script ends its Python, or the worker: the error says why, and at which step."""
    script, reason = SCRIPTS[what]
    kind, text, seconds = page.call("starting", host=host, script=script, limit=60 * PACE)
    records.note(host, f"the script {what}", kind, seconds)
    assert kind == "WorkerDiedError", text
    assert reason in text, text
    assert STEPS[host] in text, text
    # `connect()` waits for the start of Pyodide too.
    assert seconds < (30 if host == PYSCRIPT else 10) * PACE


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


@pytest.mark.parametrize(
    "host", [SPAWN, *(pytest.param(host, marks=pytest.mark.repeated) for host in (PYSCRIPT, JAVASCRIPT))]
)
def test_memory_that_ends_in_the_script(page: AnyPage, records: Records, host: str) -> None:
    """A script for which memory does not suffice fails with its own MemoryError."""
    script = "import workerlib\nheld = [bytearray(1 << 30) for _ in range(8)]\n"
    kind, text, seconds = page.call("starting", host=host, script=script, limit=60 * PACE)
    records.note(host, "the script exhausts memory", kind, seconds)
    assert kind == "WorkerStartError", text
    assert "MemoryError" in text, text


STAGES = {
    (SPAWN, "download"): "spawn() was fetching",
    (SPAWN, "import"): "spawn() was running",
    (PYSCRIPT, "download"): "connect() was waiting",
    (JAVASCRIPT, "download"): "it was fetching",
    (JAVASCRIPT, "import"): "it was running",
}
"""The stages at which a worker is terminated, and the words of the error for each."""


@pytest.mark.parametrize(("host", "stage"), STAGES)
def test_a_termination(page: AnyPage, records: Records, host: str, stage: str) -> None:
    """A worker that is terminated while it starts, by the prototype's method."""
    script = "import workerlib\n"
    kind, text, seconds = page.call("starting", host=host, script=script, limit=60 * PACE, terminate_at=stage)
    records.note(host, f"terminated while it starts ({stage})", kind, seconds)
    assert kind == "WorkerDiedError", text
    assert "it was terminated" in text, text
    assert STAGES[host, stage] in text, text
    assert seconds < 10 * PACE


@pytest.mark.parametrize("host", [SPAWN, JAVASCRIPT])
def test_a_termination_that_only_the_lock_tells(page: AnyPage, records: Records, host: str) -> None:
    """A frame's own `terminate` passes the page's hook: the lock tells, and not the time limit of the start."""
    script = "import workerlib\nimport asyncio\nawait asyncio.Event().wait()\n"
    kind, text, seconds = page.call(
        "starting",
        host=host,
        script=script,
        limit=60 * PACE,
        terminate_at="import",
        of_frame=True,
    )
    records.note(host, "terminated by another realm while it starts", kind, seconds)
    assert kind == "WorkerDiedError", text
    assert STAGES[host, "import"] in text, text
    assert seconds < 10 * PACE
