"""`spawn()`: starts a worker from any Pyodide, page, worker or Node, with PyScript or without.

What the host has to do for it is in `_hosts/spawned/parent.py`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import PurePath, PurePosixPath
from types import ModuleType
from typing import Any, TypeVar, overload
from urllib.parse import urlsplit

from workerlib._api.connect import Connecting, establish
from workerlib._api.worker import Worker
from workerlib._config.adapters import load_adapters
from workerlib._config.settings import settings
from workerlib._errors import ConfigError, ConnectError
from workerlib._hosts.host import Progress, is_file_name
from workerlib._hosts.spawned.wanted import SpawnProgress, Wanted

_TIMEOUT = 60.0
_I = TypeVar("_I")


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
            script, and in Node to the working directory; a `Path` in this Python's own file system; or the
            name of a module that the worker can import, such as `"workerlib.worker"`.
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
        config: The configuration of both sides, with the sections that a TOML file would have. `packages`,
            `index_urls` and `[files]` are for the worker, which fetches the files.

    Raises:
        WorkerStartError: If Pyodide, a package or the script cannot be fetched, or the script fails, whose
            own error is its `__cause__`; if the page should be isolated and is not.
        ConnectTimeoutError: If the worker was not ready in time.
        InterfaceError: If the worker does not fit the interface.
        ConfigError: If the configuration cannot be right.
        ConnectError: If this is no Pyodide.
    """
    if sys.platform != "emscripten":
        raise ConnectError("spawn() needs Pyodide; outside of a browser, connect() starts a worker")
    # Imported where it is needed: outside a browser its own imports do not exist.
    from workerlib._hosts.spawned.parent import open_channel

    parsed = dict(config or {})
    wanted = Wanted(
        script,
        # The worker has the workerlib of its caller.
        [name for name in (*packages, *_names(parsed, "packages")) if name != "workerlib"],
        [*index_urls, *_names(parsed, "index_urls")],
        _files(parsed),
        parsed,
        heartbeat,
        isolated,
        on_progress,
    )
    progress = Progress(name or _name_of(script), "loading the worker's own JavaScript")
    chosen = settings(parsed, strict=strict, max_in_flight=max_in_flight)
    load_adapters(parsed)
    return Connecting(establish(open_channel(wanted, progress), progress, chosen, interface, timeout))


def _name_of(script: str | PurePath) -> str:
    is_module = isinstance(script, str) and not is_file_name(script)
    return str(script) if is_module else PurePath(script).stem


def _names(config: Mapping[str, Any], key: str) -> list[str]:
    names = config.get(key, [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ConfigError(f"{key} = {names!r}: there should be a list of texts")
    return names


def _files(config: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Reads `[files]` as PyScript does: where a file is fetched from, and where it is put."""
    section = config.get("files", {})
    if not isinstance(section, Mapping):
        raise ConfigError(f"[files] is a section with addresses and paths, not {section!r}")
    files = []
    for source, target in section.items():
        entry = f"[files] {source!r} = {target!r}"
        if not isinstance(target, str):
            raise ConfigError(f"{entry}: there should be a path, or nothing for the file's own name")
        if target.endswith("*"):
            raise ConfigError(f"{entry}: spawn() unpacks no archives; list the files, or make them a package")
        name = PurePosixPath(urlsplit(source).path).name
        files.append((source, f"{target}{name}" if target.endswith("/") else target or name))
    return files
