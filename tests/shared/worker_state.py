"""The state that the functions of the shared suite's worker have in common: events, notes, and a way to be busy."""

from __future__ import annotations

import asyncio
import time
from typing import Any

events: dict[str, asyncio.Event] = {}
notes: dict[str, list[Any]] = {}


def note(key: str, value: object) -> None:
    notes.setdefault(key, []).append(value)


def busy(seconds: float) -> int:
    """Computes without a pause, as a long sync function does."""
    end = time.perf_counter() + seconds
    turns = 0
    while time.perf_counter() < end:
        turns += 1
    return turns
