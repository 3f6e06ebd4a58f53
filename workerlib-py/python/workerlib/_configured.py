"""Makes a worker of a configuration alone: exports what its section `[exports]` names."""

from __future__ import annotations

import sys
from typing import Any

from workerlib import _diagnostics, _log, _sections
from workerlib._errors import ConfigError, ConnectError
from workerlib._exports import export


def start() -> None:
    """Exports what the configuration of this worker names and prints what it runs on.

    Raises:
        ConnectError: If this is no worker.
        ConfigError: If the section is missing, or cannot be right.
    """
    config = _host().read_config()
    for line in _diagnostics.diagnostics():
        _log.write("worker", line)
    try:
        exports = _sections.functions(config, "exports")
    except ConfigError as error:
        if hint := _host().hint_at_files():
            error.add_note(hint)
        raise
    if not exports:
        raise ConfigError(
            "a worker whose script is workerlib exports what the section [exports] of its configuration"
            ' names, and there is none; it looks like this: "module" = ["function", "another"]'
        )
    for name, function in exports.items():
        export(name=name)(function)
    _log.write("worker", f"Providing functions: {', '.join(exports)}")


def _host() -> Any:
    """Returns the module that has this worker's configuration, if this is a worker."""
    host: Any
    if sys.platform == "emscripten":
        from workerlib import _pyscript, _spawned

        host = _spawned if _spawned.is_worker() else _pyscript
    else:
        from workerlib import _local_worker as host
    if not host.is_worker():
        raise ConnectError("`import workerlib.worker` is for the script of a worker, and this is none")
    return host
