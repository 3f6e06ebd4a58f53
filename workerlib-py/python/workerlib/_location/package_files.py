"""The files of the installed package that are not modules: scripts that run in the browser.

They stand in the folder of the package. `importlib.resources` finds them too, but importing it takes a tenth
of the time that importing workerlib takes.
"""

from __future__ import annotations

import sys
from pathlib import Path


def folder() -> Path:
    """Returns the package's folder."""
    # In Pyodide the file with the modules stands before it.
    return Path(sys.modules["workerlib"].__path__[-1])


def text_of(*names: str) -> str:
    """Reads a file.

    Args:
        names: The names of the folders that lead to it, and its own.
    """
    return folder().joinpath(*names).read_text(encoding="utf-8")
