"""Names of the reference library that need no browser; the others are in tests/browser/test_api_reference.py."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
import workerlib


def test_diagnostics_and_versions_are_there() -> None:
    """Programs of the reference library find both names, with the versions of this Python."""
    from workerlib import diagnostics, systemVersions

    assert f"Python {sys.version}" in diagnostics
    assert systemVersions["Python"] == sys.version.split()[0]


def test_elapsed_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Times from a second on are shown in seconds, shorter ones in milliseconds."""
    monkeypatch.setattr(time, "time", lambda: 1000.0)
    assert workerlib.elapsedTime(995.4) == "5s"
    assert workerlib.elapsedTime(999.75) == "250ms"
    assert workerlib.elapsedTime(1000.0) == "0ms"


def test_typechecked_is_beartype_where_it_is_installed() -> None:
    """Elsewhere the decorator returns the function unchanged."""

    @workerlib.typechecked
    def double(number: int) -> int:
        return number * 2

    assert double(2) == 4
    try:
        from beartype.roar import BeartypeException
    except ImportError:
        assert double("a") == "aa"  # type: ignore[arg-type]
    else:
        with pytest.raises(BeartypeException):
            double("a")  # type: ignore[arg-type]


@pytest.mark.skipif(sys.platform == "emscripten", reason="there are no processes")
def test_importing_workerlib_imports_none_of_it() -> None:
    """Programs that do not use these names do not pay for their modules."""
    program = (
        "import sys, workerlib; print(sorted(m for m in sys.modules if m.endswith(('.diagnostics', '.reference',"
        " 'beartype'))))"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert told.stdout == "[]\n"


@pytest.mark.skipif(sys.platform == "emscripten", reason="a native Python is not a worker")
def test_workerlib_worker_is_for_workers() -> None:
    """A program that imports the module of workers by mistake is told so."""
    told = subprocess.run(
        [sys.executable, "-c", "import workerlib.worker"], capture_output=True, text=True, check=False
    )
    assert "is for a worker's script" in told.stderr
