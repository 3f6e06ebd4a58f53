"""The errors of a worker's end carry the error by which it ended, where one is known."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import workerlib

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")

SCRIPT = Path(__file__).parents[1] / "faults" / "pages" / "worker.py"


async def test_a_signal() -> None:
    """Each call that was under way, a stream, and a call that comes later have the exit code of the process."""
    worker = await workerlib.connect(SCRIPT)
    stream = worker.count_for_ever()
    assert await anext(stream) == 0
    waiting = [asyncio.ensure_future(worker.wait()) for _ in range(3)]
    assert await worker.add(1, 2) == 3
    os.kill(worker.worker.pid, signal.SIGKILL)
    errors = await asyncio.gather(*waiting, return_exceptions=True)
    with pytest.raises(workerlib.WorkerDiedError) as later:
        await worker.add(1, 2)
    errors.append(later.value)
    with pytest.raises(workerlib.WorkerDiedError) as of_stream:
        async for _ in stream:
            pass
    errors.append(of_stream.value)
    for error in errors:
        assert isinstance(error, workerlib.WorkerDiedError)
        assert isinstance(error.__cause__, subprocess.CalledProcessError)
        assert error.__cause__.returncode == -signal.SIGKILL
    await worker.close()


async def test_a_worker_of_a_pool() -> None:
    """The task that ran has the exit code as the cause of its error; the next one by way of the pool's last death."""
    async with workerlib.pool(SCRIPT, 1, max_restarts=0) as pool:
        with pytest.raises(workerlib.WorkerDiedError) as died:
            await pool.harm("exit_at_once")
        with pytest.raises(workerlib.PoolBrokenError) as broken:
            await pool.add(1, 2)
    for error in (died.value, broken.value.__cause__):
        assert isinstance(error, workerlib.WorkerDiedError)
        assert isinstance(error.__cause__, subprocess.CalledProcessError)
        assert error.__cause__.returncode == 3


async def test_a_script_that_ends_its_process(tmp_path: Path) -> None:
    """An exit during the script's run."""
    script = tmp_path / "exits.py"
    script.write_text("import os\nos._exit(3)\n")
    with pytest.raises(workerlib.WorkerDiedError) as caught:
        await workerlib.connect(script)
    assert isinstance(caught.value.__cause__, subprocess.CalledProcessError)
    assert caught.value.__cause__.returncode == 3


async def test_a_connection_that_is_closed() -> None:
    """An end without an error has no cause."""
    worker = await workerlib.connect(SCRIPT)
    waiting = asyncio.ensure_future(worker.wait())
    assert await worker.add(1, 2) == 3
    await worker.close()
    with pytest.raises(workerlib.ConnectionClosedError) as caught:
        await waiting
    assert caught.value.__cause__ is None
