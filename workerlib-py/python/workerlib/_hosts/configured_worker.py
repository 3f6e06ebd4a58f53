"""Makes a worker of a configuration alone: exports what its section `[exports]` names."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, NamedTuple

from workerlib._compat import diagnostics
from workerlib._config import exports_and_imports
from workerlib._errors import ConfigError, ConnectError
from workerlib._exports import export
from workerlib._rpc import call_log


def start() -> None:
    """Exports what the configuration of this worker names and prints what it runs on.

    Raises:
        ConnectError: If this is not a worker.
        ConfigError: If the section is missing, or cannot be right.
    """
    host = _host()
    config = host.read_config()
    for line in diagnostics.diagnostics():
        call_log.write("worker", line)
    try:
        exports = exports_and_imports.functions(config, "exports")
    except ConfigError as error:
        if hint := host.hint_at_files():
            error.add_note(hint)
        raise
    if not exports:
        raise ConfigError(
            "a worker whose script is workerlib exports what the section [exports] of its configuration"
            ' names, and there is none; it looks like this: "module" = ["function", "another"]'
        )
    for name, function in exports.items():
        export(name=name)(function)
    call_log.write("worker", f"Providing functions: {', '.join(exports)}")


class _Host(NamedTuple):
    """The functions by which a host tells of the worker that runs in it."""

    is_worker: Callable[[], bool]
    read_config: Callable[[], dict[str, Any]]
    hint_at_files: Callable[[], str | None]


def _host() -> _Host:
    """Finds the host that has this worker's configuration.

    Raises:
        ConnectError: If this is not a worker.
    """
    if sys.platform == "emscripten":
        from workerlib._hosts.pyscript import config
        from workerlib._hosts.pyscript import worker as pyscript
        from workerlib._hosts.spawned import worker as spawned

        if spawned.is_worker():
            host = _Host(spawned.is_worker, spawned.read_config, spawned.hint_at_files)
        else:
            host = _Host(pyscript.is_worker, config.read_config, config.hint_at_files)
    else:
        from workerlib._hosts.subprocess import worker

        host = _Host(worker.is_worker, worker.read_config, worker.hint_at_files)
    if not host.is_worker():
        raise ConnectError(
            "`import workerlib.worker` is for a worker's script, and this Python is not a worker"
        )
    return host
