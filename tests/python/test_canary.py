"""Checks that this suite's way of running async tests can fail at all."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pace import PACE

CANARY = Path(__file__).parent / "canary"
WIDE = {**os.environ, "COLUMNS": "200"}


@pytest.mark.skipif(
    sys.platform == "emscripten", reason="tests/node/run.mjs runs the canary before the suite"
)
def test_canary_fails() -> None:
    """Every canary test fails, and for its own reason rather than for a broken set-up."""
    settings = ["-q", "-rfE", "-o", "timeout=0.5"]
    command = [sys.executable, "-m", "pytest", *settings, str(CANARY / "must_fail.py")]
    run = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120 * PACE, env=WIDE)
    assert run.returncode == pytest.ExitCode.TESTS_FAILED, run.stdout + run.stderr
    failed = dict(re.findall(r"^FAILED \S+::(\w+) - (.*)$", run.stdout, re.MULTILINE))
    expected = json.loads((CANARY / "expected.json").read_text())
    assert list(failed) == list(expected), run.stdout
    assert all(failed[name].startswith(start) for name, start in expected.items()), run.stdout
