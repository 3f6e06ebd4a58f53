"""Values whose size in bits does not fit into 32 bits: from 512 MiB on."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import workerlib

SCRIPT = Path(__file__).parents[1] / "faults" / "pages" / "worker.py"
SIZE = 600 << 20


def memory() -> int:
    """Returns how many bytes of memory this machine has, as far as it says."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError):
        return 0


@pytest.mark.repeated
@pytest.mark.skipif(memory() < 8 * SIZE, reason="both processes hold the value and its copy")
async def test_values_of_600_mebibytes() -> None:
    """Bytes come back as they were; a text, which stands in the frame itself, arrives."""
    async with workerlib.connect(SCRIPT) as worker:
        content = bytes(range(256)) * (SIZE // 256)
        assert await worker.echo(content) == content
        del content
        assert await worker.length("x" * SIZE) == SIZE
