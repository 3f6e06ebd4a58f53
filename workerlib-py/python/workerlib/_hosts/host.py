"""What `connect()` asks of a host: that it finds or starts the worker, and opens a channel to it.

There are two hosts: a page of PyScript's (`_hosts/pyscript/worker.py`), and outside of a browser a subprocess
(`_hosts/subprocess/parent.py`).
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from workerlib._rpc.endpoint import Endpoint


@dataclass
class Progress:
    """How far a host has come, for the message of a timeout."""

    name: str | None
    """The name that was asked for, then the one that was found."""
    step: str = "looking for the worker"
    """What is being waited for."""

    @property
    def subject(self) -> str:
        """The worker, for messages."""
        return "the worker" if self.name is None else f"the worker {self.name!r}"


@dataclass(frozen=True)
class Found:
    """A worker that has handed out a channel."""

    name: str
    """The worker's name, for people."""
    endpoint: Endpoint
    """The channel."""
    worker: Any
    """The host's own object for the worker."""
    watch: Callable[[Callable[[str], None]], Callable[[], None] | None] | None = None
    """Has a function called with the reason if the worker dies, where the host can tell; returns what ends
    that, where it has to be ended."""
    ended: Callable[[], Awaitable[None]] | None = None
    """Waits until the worker has ended, where it ends with its connection."""
    interrupt: Callable[[int, int], None] | None = None
    """Interrupts a call, by its id, that was cancelled so many times, if its code is running in the worker at
    that moment."""


def is_file_name(name: str) -> bool:
    """Tells whether a worker's script is named as a file or an address, not as a module."""
    return name.endswith(".py") or "/" in name or os.sep in name
