"""Holds what `spawn()` was told of the worker that it is to start."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath
from typing import Any


@dataclass(frozen=True)
class Wanted:
    """The worker that is wanted: what `spawn()` was told of it."""

    script: str | PurePath
    packages: list[str]
    index_urls: list[str]
    files: list[tuple[str, str]]
    """Addresses of files for the script, and their paths in the worker's file system."""
    config: dict[str, Any]
    isolated: bool
    snapshot: bool
    """Whether it may start from a memory snapshot."""
