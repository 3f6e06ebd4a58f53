"""Several interpreters in one process (PEP 734): workerlib is in one of them."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import {module} as interpreters
{order}
"""
INSIDE = "interpreters.run_string(interpreters.create(), {code!r})"
IMPORT = """
try:
    import workerlib
except ImportError as error:
    print("refused:", error)
else:
    print("imported")
"""


def run(order: str) -> str:
    """Runs a script that makes interpreters in a process of its own, which ends without waiting for them."""
    module = "_interpreters" if sys.version_info >= (3, 13) else "_xxsubinterpreters"
    script = SCRIPT.format(module=module, order=order) + "\nimport os; os._exit(0)"
    done = subprocess.run([sys.executable, "-u", "-c", script], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


@pytest.mark.parametrize("main_first", [True, False])
def test_a_second_interpreter_is_refused(main_first: bool) -> None:
    """Its errors and sessions would be of the first one's classes: `except workerlib.FrameError` would not see them."""
    inside = INSIDE.format(code=IMPORT)
    output = run(f"{IMPORT}\n{inside}" if main_first else f"{inside}\n{IMPORT}")
    assert output.startswith("imported\n"), output
    assert "refused:" in output, output


def test_the_remedy_is_named() -> None:
    """An ImportError says what to do instead."""
    output = run(f"import workerlib\n{INSIDE.format(code=IMPORT)}")
    # Before CPython 3.12 an extension is asked itself; later ones are refused by Python where they share nothing.
    if sys.version_info < (3, 12):
        assert 'workerlib.connect("worker.py")' in output
