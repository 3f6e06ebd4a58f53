"""`spawn()`: starts a worker and opens a connection to it, from any Pyodide: in a page, a worker or Node.

Users call it, with PyScript or without. This module checks the arguments; the host starts the worker
(`_hosts/spawned/parent.py`).
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Coroutine, Iterable, Mapping
from functools import partial
from pathlib import PurePath
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar, overload

from workerlib._api.connect import Connecting, check_options, establish, heartbeat_of, start_again_by
from workerlib._api.worker import Worker
from workerlib._config.adapters import load_adapters
from workerlib._config.files import files
from workerlib._config.settings import settings
from workerlib._errors import ConfigError, ConnectError
from workerlib._hosts.host import OnOutput, OnProgress, Progress, is_file_name, is_module_name
from workerlib._hosts.spawned.wanted import Wanted
from workerlib._rpc.heartbeat import Heartbeat
from workerlib._users.options import require_texts

if TYPE_CHECKING:
    from workerlib._hosts.host import JavaScriptObject


_I = TypeVar("_I")
# workerlib among packages: by its name, or by the address of its wheel.
_OWN = re.compile(r"workerlib|(.*/)?workerlib-[^/]*\.whl")


@overload
def spawn(
    script: str | PurePath,
    *,
    # Not type[_I]: mypy takes no Protocol for that.
    interface: Callable[..., _I],
    packages: Iterable[str] = (),
    name: str | None = None,
    timeout: float | None = 60.0,
    strict: bool | None = None,
    max_in_flight: int | None = None,
    on_progress: OnProgress | None = None,
    on_output: OnOutput | str | JavaScriptObject | None = None,
    heartbeat: float | None = None,
    heartbeat_in_calls: bool = False,
    isolated: bool = False,
    snapshot: bool | None = None,
    index_urls: Iterable[str] = (),
    config: str | os.PathLike[str] | Mapping[str, Any] | None = None,
    restart: bool = False,
) -> Connecting[_I]: ...
@overload
def spawn(
    script: str | PurePath,
    *,
    interface: ModuleType | None = None,
    packages: Iterable[str] = (),
    name: str | None = None,
    timeout: float | None = 60.0,
    strict: bool | None = None,
    max_in_flight: int | None = None,
    on_progress: OnProgress | None = None,
    on_output: OnOutput | str | JavaScriptObject | None = None,
    heartbeat: float | None = None,
    heartbeat_in_calls: bool = False,
    isolated: bool = False,
    snapshot: bool | None = None,
    index_urls: Iterable[str] = (),
    config: str | os.PathLike[str] | Mapping[str, Any] | None = None,
    restart: bool = False,
) -> Connecting[Worker]: ...
def spawn(
    script: str | PurePath,
    *,
    interface: object = None,
    packages: Iterable[str] = (),
    name: str | None = None,
    timeout: float | None = 60.0,
    strict: bool | None = None,
    max_in_flight: int | None = None,
    on_progress: OnProgress | None = None,
    on_output: OnOutput | str | JavaScriptObject | None = None,
    heartbeat: float | None = None,
    heartbeat_in_calls: bool = False,
    isolated: bool = False,
    snapshot: bool | None = None,
    index_urls: Iterable[str] = (),
    config: str | os.PathLike[str] | Mapping[str, Any] | None = None,
    restart: bool = False,
) -> Connecting[Any]:
    """Starts a worker that runs a script, and connects to it.

    `worker = await spawn("./worker.py")`, or `async with spawn("./worker.py") as worker:`, which ends the
    worker at the end of the block. The worker runs the same Pyodide as its caller.

    Args:
        script: The address of the worker's script, relative to the page, in a spawned worker to its own
            script, and in Node to the working directory; a `Path` in this Python's own file system; or the
            name of a module that the worker can import, such as `"workerlib.worker"`.
        interface: The functions that the worker should export: see `connect()`.
        packages: The packages that the script needs: their names, or addresses of wheels.
        name: The worker's name. By default, the name of its script.
        timeout: The number of seconds without a new step after which to give up; None for never.
        strict: Whether to refuse an argument that would arrive as another type: see `connect()`.
        max_in_flight: The number of calls that may be in flight at a time: see `connect()`.
        on_progress: A function that is called with each step on the way, a `SpawnProgress`.
        on_output: Where the output goes that the worker forwards: see `connect()`.
        heartbeat: The number of seconds without a sign of life after which the worker is terminated, while no
            call is in flight; None for never: see `connect()`.
        heartbeat_in_calls: Whether the time in which calls are in flight counts too: see `connect()`.
        isolated: Whether the page has to be cross-origin isolated, because the script shares memory.
        snapshot: Whether the worker may start from a memory snapshot of Pyodide, which takes a fraction of
            the time (docs/starting.md); by default as the configuration says, and True without a word there.
        index_urls: Package indexes that are asked instead of PyPI.
        config: The configuration of both sides: the address of a JSON or TOML file, a `Path` in this Python's
            own file system, the text, or a dict of the sections. `packages`, `index_urls` and `[files]` are
            for the worker, which fetches the files. Relative addresses in a file start at that file.
        restart: Whether the worker is started again when it has died: see `connect()`.

    Returns:
        An object to be awaited, or used by `async with`; it gives the `Worker`.

    Raises:
        WorkerStartError: If Pyodide, a package or the script cannot be fetched; if the script fails, whose
            error is the `__cause__`; if the page should be isolated and is not.
        ConnectTimeoutError: If no new step was made in time.
        InterfaceError: If the worker does not fit the interface.
        ConfigError: If a section of the configuration is malformed, or names something that does not exist.
        ConnectError: If this Python is not Pyodide.
        TypeError: If an argument is of another type.
        ValueError: If a number makes no sense.
    """
    if sys.platform != "emscripten":
        raise ConnectError("spawn() needs Pyodide; outside of a browser, connect() starts a worker")
    overrides = {"strict": strict, "max_in_flight": max_in_flight, "snapshot": snapshot}
    given = require_packages(packages, index_urls)
    flags = {"strict": strict, "heartbeat_in_calls": heartbeat_in_calls, "restart": restart}
    check_options(
        interface, timeout, on_progress, max_in_flight, isolated=isolated, snapshot=snapshot, **flags
    )
    if not isinstance(script, str | PurePath):
        raise TypeError(f'script={script!r}: write its address, such as "./worker.py", or a Path')
    if isinstance(script, str) and not is_file_name(script) and not is_module_name(script):
        raise ValueError(
            f'script={script!r}: write its address, such as "./worker.py", or the name of a module'
        )
    if name is not None and not isinstance(name, str):
        raise TypeError(f"name={name!r}: write a str, or None for the name of the script")
    signs = heartbeat_of(heartbeat, heartbeat_in_calls)

    def start() -> Coroutine[Any, Any, Worker]:
        progress = Progress(
            name or _name_of(script), "loading the worker's own JavaScript", "spawn()", on_progress
        )
        return _spawn(
            script, progress, config, given, overrides, signs, isolated, interface, timeout, on_output
        )

    return Connecting(start_again_by(start, lambda _dead: start(), restart), "spawn")


def require_packages(packages: Any, index_urls: Any) -> tuple[list[str], list[str]]:
    """Returns two arguments of `spawn()` as lists.

    Raises:
        TypeError: If one of them is not a list of strs.
    """
    addresses = require_texts("index_urls", index_urls, "https://example.org/simple")
    return require_texts("packages", packages, "numpy"), addresses


async def _spawn(  # noqa: PLR0917 - what `spawn()` takes
    script: str | PurePath,
    progress: Progress,
    config: str | os.PathLike[str] | Mapping[str, Any] | None,
    given: tuple[list[str], list[str]],
    overrides: Mapping[str, Any],
    heartbeat: Heartbeat | None,
    isolated: bool,
    interface: object,
    timeout: float | None,
    on_output: Any,
) -> Worker:
    # The host is imported here, because its own imports exist in Pyodide only.
    from workerlib._hosts.spawned.configuration import read
    from workerlib._hosts.spawned.parent import open_channel

    parsed, base = await read(config)
    chosen = settings(parsed, **overrides)
    packages, index_urls = given
    wanted = Wanted(
        script,
        # The worker has the workerlib of its caller.
        [
            name
            for name in (*packages, *_absolute(_names(parsed, "packages"), base))
            if not _OWN.fullmatch(name)
        ],
        [*index_urls, *_absolute(_names(parsed, "index_urls"), base)],
        [(_absolute([source], base, True)[0], path) for source, path in _files(parsed)],
        parsed,
        isolated,
        chosen.snapshot,
    )
    return await establish(
        partial(open_channel, wanted, progress),
        progress,
        chosen,
        load_adapters(parsed),
        interface=interface,
        timeout=timeout,
        on_output=on_output,
        heartbeat=heartbeat,
    )


def _files(config: Mapping[str, Any]) -> list[tuple[str, str]]:
    places = files(config)
    for source, path in places:
        if path.endswith("*"):
            raise ConfigError(
                f"[files] {source!r} = {path!r}: spawn() unpacks no archives; list the files, or make them a"
                " package"
            )
    return places


def _absolute(names: list[str], base: str, are_addresses: bool = False) -> list[str]:
    """Makes relative addresses absolute; the names of packages stay as they are."""
    if not any(are_addresses or name.startswith((".", "/")) for name in names):
        return names
    # It takes long to import, and few configurations have addresses.
    from urllib.parse import urljoin

    return [
        # An index may have the place of the package's name in braces.
        urljoin(base, name) if are_addresses or name.startswith((".", "/")) else name
        for name in names
    ]


def _name_of(script: str | PurePath) -> str:
    is_module = isinstance(script, str) and not is_file_name(script)
    return str(script) if is_module else PurePath(script).stem


def _names(config: Mapping[str, Any], key: str) -> list[str]:
    names = config.get(key, [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ConfigError(f"{key} = {names!r}: write a list of strs")
    return names
