"""The modules that importing workerlib imports: a page waits for them."""

from __future__ import annotations

import subprocess
import sys

import pytest

# Each of them takes longer to import in Pyodide than most of workerlib's own modules.
HEAVY = ["pickle", "tomllib", "numpy", "pandas", "PIL", "pyarrow"]


@pytest.mark.skipif(sys.platform == "emscripten", reason="there are no subprocesses")
def test_heavy_modules_are_imported_when_they_are_needed() -> None:
    """A new Python that has imported workerlib has imported none of them, where Python itself has not."""
    script = "import sys, asyncio; before = set(sys.modules); import workerlib; print(*(set(sys.modules) - before))"
    imported = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "workerlib" in imported
    assert not [name for name in HEAVY if name in imported]


def test_the_version_is_that_of_the_metadata() -> None:
    """The version in the extension module is the one that the distribution was published with."""
    from importlib.metadata import version

    import workerlib

    assert workerlib.__version__ == version("workerlib")


@pytest.mark.skipif(sys.platform == "emscripten", reason="there are no subprocesses")
def test_what_few_programs_use_is_imported_when_it_is_used() -> None:
    """Importing takes a part of a page's start: spawn(), pools and interfaces have modules of their own."""
    code = (
        "import sys, workerlib\n"
        "names = ['_api.spawn', '_api.pool', '_api.interface', '_pool.driver', '_pool.schedule']\n"
        "assert not [name for name in names if f'workerlib.{name}' in sys.modules]\n"
        "assert workerlib.spawn is workerlib.spawn and workerlib.pool and workerlib.Interface\n"
        "assert 'workerlib._api.spawn' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
