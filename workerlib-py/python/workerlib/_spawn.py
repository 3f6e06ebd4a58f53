"""`spawn()`: starts a worker from any Pyodide, page, worker or Node, with PyScript or without.

What the host has to do for it is in `_starting.py`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from types import ModuleType
from typing import Any, TypeVar, overload

from workerlib._adapter_entries import load_adapters
from workerlib._config import settings
from workerlib._connect import Connecting, establish
from workerlib._errors import ConnectError
from workerlib._host import Progress
from workerlib._worker import Worker

_TIMEOUT = 60.0
_I = TypeVar("_I")


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
    config: dict[str, Any]
    heartbeat: float | None
    isolated: bool
    on_progress: Callable[[SpawnProgress], object] | None


@overload
def spawn(
    script: str | PurePath,
    *,
    interface: type[_I],
    packages: Iterable[str] = (),
    name: str | None = None,
    timeout: float | None = _TIMEOUT,
    strict: bool | None = None,
    max_in_flight: int | None = None,
    on_progress: Callable[[SpawnProgress], object] | None = None,
    heartbeat: float | None = None,
    isolated: bool = False,
    index_urls: Iterable[str] = (),
    config: Mapping[str, Any] | None = None,
) -> Connecting[_I]: ...
@overload
def spawn(
    script: str | PurePath,
    *,
    interface: ModuleType | None = None,
    packages: Iterable[str] = (),
    name: str | None = None,
    timeout: float | None = _TIMEOUT,
    strict: bool | None = None,
    max_in_flight: int | None = None,
    on_progress: Callable[[SpawnProgress], object] | None = None,
    heartbeat: float | None = None,
    isolated: bool = False,
    index_urls: Iterable[str] = (),
    config: Mapping[str, Any] | None = None,
) -> Connecting[Worker]: ...
def spawn(
    script: str | PurePath,
    *,
    interface: object = None,
    packages: Iterable[str] = (),
    name: str | None = None,
    timeout: float | None = _TIMEOUT,
    strict: bool | None = None,
    max_in_flight: int | None = None,
    on_progress: Callable[[SpawnProgress], object] | None = None,
    heartbeat: float | None = None,
    isolated: bool = False,
    index_urls: Iterable[str] = (),
    config: Mapping[str, Any] | None = None,
) -> Connecting[Any]:
    """Starts a worker that runs a script, and connects to it.

    `worker = await spawn("./worker.py")`, or `async with spawn("./worker.py") as worker:`, which ends the
    worker at the end of the block. The worker runs the same Pyodide as its caller.

    Args:
        script: The address of the worker's script, relative to the page, in a spawned worker to its own
            script, and in Node to the working directory; or a `Path` in this Python's own file system.
        interface: What the worker should export: see `connect()`.
        packages: What the script needs: names of packages, or addresses of wheels.
        name: The worker's name; by default that of its script.
        timeout: After how many seconds to give up, None for never. Pyodide's own loading time is in it.
        strict: Whether arguments that would arrive as something like them are refused: see `connect()`.
        max_in_flight: How many calls may be under way at a time: see `connect()`.
        on_progress: Is called with each step on the way, a `SpawnProgress`.
        heartbeat: After how many seconds without a sign of life the worker is ended, None for never. A
            function that computes for longer gives no sign.
        isolated: Whether the page has to be cross-origin isolated, because the script shares memory.
        index_urls: Package indexes that are asked instead of PyPI.
        config: The configuration of both sides, with the sections that a TOML file would have.

    Raises:
        WorkerStartError: If Pyodide, a package or the script cannot be fetched, or the script fails, whose
            own error is its `__cause__`; if the page should be isolated and is not.
        ConnectTimeoutError: If the worker was not ready in time.
        InterfaceError: If the worker does not fit the interface.
        ConnectError: If this is no Pyodide.
    """
    if sys.platform != "emscripten":
        raise ConnectError("spawn() needs Pyodide; outside of a browser, connect() starts a worker")
    # Imported where it is needed: outside a browser its own imports do not exist.
    from workerlib._starting import open_channel

    parsed = dict(config or {})
    wanted = Wanted(script, list(packages), list(index_urls), parsed, heartbeat, isolated, on_progress)
    progress = Progress(name or PurePath(script).stem, "loading the worker's own JavaScript")
    chosen = settings(parsed, strict=strict, max_in_flight=max_in_flight)
    load_adapters(parsed)
    return Connecting(establish(open_channel(wanted, progress), progress, chosen, interface, timeout))
