"""The worker that `spawn()` was asked for, and the steps on the way to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any


@dataclass(frozen=True)
class SpawnProgress:
    """A step on the way to a worker that can be called."""

    stage: str
    """`download`, `install` or `import`, and at last `ready`."""
    what: str
    """What is fetched, installed or run: Pyodide, a package, the script."""
    done: int | None = None
    """How many packages have come this far, where packages are loaded."""
    total: int | None = None
    """Of how many."""

    def __str__(self) -> str:
        doing = {"download": "fetching", "install": "installing", "import": "running"}
        return f"{doing.get(self.stage, self.stage)} {self.what}"


@dataclass(frozen=True)
class Wanted:
    """The worker that is wanted: what `spawn()` was told of it."""

    script: str | PurePath
    packages: list[str]
    index_urls: list[str]
    files: list[tuple[str, str]]
    """Addresses of files for the script, and their paths in the worker's file system."""
    config: dict[str, Any]
    heartbeat: float | None
    isolated: bool
    snapshot: bool
    """Whether it may start from a memory snapshot."""
    on_progress: Callable[[SpawnProgress], object] | None
