"""The extension module finds what it needs of Python in one module, by name."""

from __future__ import annotations

import subprocess
import sys

import pytest
from workerlib._values import native_hooks


def test_every_hook_is_there() -> None:
    """No name that the list promises was lost when what it stands for moved."""
    for name in (*native_hooks.__all__, "weigh_pattern"):
        assert getattr(native_hooks, name) is not None, name


def test_the_hook_for_arrays_of_numpy() -> None:
    """It is found where numpy is: its module imports numpy."""
    pytest.importorskip("numpy")
    assert callable(native_hooks.receive_numpy_array)


def test_a_hook_that_there_is_not() -> None:
    """It is an AttributeError that names it, not an import of something."""
    with pytest.raises(AttributeError, match="no attribute 'misspelt'"):
        native_hooks.misspelt  # noqa: B018


@pytest.mark.skipif(sys.platform == "emscripten", reason="there are no processes")
def test_rare_modules_wait_for_their_values() -> None:
    """Rust asks for a pattern's weight, and for arrays of numpy's, when it meets the first one."""
    program = (
        "import re, sys, workerlib\n"
        "from workerlib._native import decode, encode\n"
        "def rare(): return [m for m in sys.modules if m.endswith(('.patterns', '.numpy_arrays'))]\n"
        "decode(*encode([1.5, ValueError('x'), {1: range(3)}]))\n"
        "print(rare())\n"
        "decode(*encode(re.compile('a+')))\n"
        "print(rare())\n"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert told.stdout == "[]\n['workerlib._values.patterns']\n"
