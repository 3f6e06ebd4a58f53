"""Writes an interface to the file of `--output`: whole or not at all, and as UTF-8 on every system.

`stubs.py` uses it. A shell's `>` empties the file before the command has read the script, and PowerShell's
writes UTF-16, which neither tsc nor Python reads.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

_PYTHON = frozenset({".py", ".pyi"})
_TYPESCRIPT = frozenset({".ts", ".mts", ".cts", ".tsx"})


def problem_of(output: Path, script: Path, *, typescript: bool) -> str | None:
    """Tells why an interface cannot go to a file; None if nothing is known against it.

    Args:
        output: The file.
        script: The worker's script, which the interface must not overwrite.
        typescript: Whether the interface is one of TypeScript.
    """
    ending = output.suffix
    if typescript and ending in _PYTHON:
        return f"{output} is a file of Python: leave out --typescript, or name a file that ends in .ts"
    if not typescript and ending in _TYPESCRIPT:
        return f"{output} is a file of TypeScript: add --typescript, or name a file that ends in .py"
    try:
        if output.is_dir():
            return (
                f"{output} is a folder: name a file in it, such as {output / _suggested(script, typescript)}"
            )
        if output.exists() and script.exists() and output.samefile(script):
            return f"{output} is the worker's script: name another file"
        if not output.parent.is_dir():
            return f"the folder {output.parent} does not exist: make it first"
    except OSError as error:
        return f"{output} cannot be written: {error.strerror}"
    return None


def _suggested(script: Path, typescript: bool) -> str:
    return f"{script.stem}.ts" if typescript else f"{script.stem}_interface.py"


def write_whole(output: Path, text: str) -> None:
    """Writes a file by way of another one beside it, so that no reader ever sees a part of the text.

    Args:
        output: The file. If it is a link, the file behind it is written.
        text: Its content.

    Raises:
        OSError: If it cannot be written. A file that was there is unchanged.
    """
    output = output.resolve()
    # Short, since the file's own name may be as long as names can be.
    beside = output.with_name(f".stubs-{os.getpid()}")
    try:
        beside.write_text(text, encoding="utf-8", newline="\n")
        if output.exists():
            shutil.copymode(output, beside)
        beside.replace(output)
    except BaseException:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise
