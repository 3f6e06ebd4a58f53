"""mypy and pyright know a worker by its interface, and reject wrong calls.

WORKERLIB_PYRIGHT is pyright's program for Node; `cargo xtask test --only typing` sets it.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import workerlib

from pace import PACE

EXAMPLES = Path(__file__).parent / "examples"
MARK = "# rejected: "


def _run(command: list[str], cwd: Path) -> str:
    # Both tell by their exit code that there are errors.
    return subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, timeout=300 * PACE, check=False
    ).stdout


def mypy(file: Path) -> set[int]:
    """Gives the lines in which mypy finds an error."""
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--cache-dir",
        os.devnull,
        "--no-error-summary",
        file.name,
    ]
    output = _run(command, file.parent)
    found = [re.match(r"(.+?):(\d+): error: ", line) for line in output.splitlines() if ": error: " in line]
    assert all(match is not None and match[1] == file.name for match in found), output
    return {int(match[2]) for match in found if match}


def pyright(file: Path) -> set[int]:
    """Gives the lines in which pyright finds an error."""
    program = os.environ.get("WORKERLIB_PYRIGHT")
    if not program:
        pytest.fail("WORKERLIB_PYRIGHT is not set: run `cargo xtask test --only typing`")
    command = ["node", program, "--outputjson", "--pythonpath", sys.executable, file.name]
    report = json.loads(_run(command, file.parent))
    assert report["summary"]["filesAnalyzed"] == 1
    errors = [one for one in report["generalDiagnostics"] if one["severity"] == "error"]
    return {one["range"]["start"]["line"] + 1 for one in errors}


Checker = Callable[[Path], set[int]]
CHECKERS = [mypy, pyright]


@pytest.mark.parametrize("checker", CHECKERS)
@pytest.mark.parametrize(
    "name", ["accepted.py", "interfaces.py", "stats_worker.py", "strict.py", "everything.py"]
)
def test_right_calls_are_accepted(checker: Checker, name: str) -> None:
    """The checkers accept right calls and know the types of their results, which the example asserts."""
    assert checker(EXAMPLES / name) == set()


def test_the_example_of_everything_has_every_public_name() -> None:
    """A new name is checked as its users see it: under strict checkers it has a type that can be used."""
    text = (EXAMPLES / "everything.py").read_text(encoding="utf-8")
    used = set(re.findall(r"workerlib\.(\w+)", text))
    assert set(workerlib.__all__) <= used


@pytest.mark.parametrize("checker", CHECKERS)
def test_wrong_calls_are_rejected(checker: Checker) -> None:
    """Each marked line, and no other."""
    file = EXAMPLES / "rejected.py"
    lines = file.read_text(encoding="utf-8").splitlines()
    marked = {number for number, line in enumerate(lines, 1) if MARK in line}
    assert len(marked) > 5
    assert checker(file) == marked


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """The examples in a folder where `interfaces.py` is what `python -m workerlib.stubs` makes of the worker."""
    for file in EXAMPLES.glob("*.py"):
        (tmp_path / file.name).write_text(file.read_text(encoding="utf-8"), encoding="utf-8")
    script = str(EXAMPLES / "stats_worker.py")
    command = [sys.executable, "-m", "workerlib.stubs", script, "--name", "Stats"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60 * PACE)
    counting = (EXAMPLES / "interfaces.py").read_text(encoding="utf-8").partition("class Counting")
    (tmp_path / "interfaces.py").write_text(done.stdout + "\n\n" + "".join(counting[1:]), encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("checker", CHECKERS)
def test_a_written_interface_does_the_same(checker: Checker, written: Path) -> None:
    """The interface made of the worker's script rejects and accepts the same lines as the one written by hand."""
    assert checker(written / "interfaces.py") == set()
    assert checker(written / "accepted.py") == set()
    rejected = written / "rejected.py"
    lines = rejected.read_text(encoding="utf-8").splitlines()
    assert checker(rejected) == {number for number, line in enumerate(lines, 1) if MARK in line}
