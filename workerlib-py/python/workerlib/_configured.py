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
        ConnectError: If this is no worker of PyScript's.
        ConfigError: If the section is missing, or cannot be right.
    """
    config = _pyscript().read_config()
    for line in _diagnostics.diagnostics():
        _log.write("worker", line)
    try:
        exports = _sections.functions(config, "exports")
    except ConfigError as error:
        if hint := _pyscript().hint_at_files():
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


def _pyscript() -> Any:
    """Returns the module that knows PyScript, if this is a worker of PyScript's."""
    if sys.platform == "emscripten":
        from workerlib import _pyscript

        if _pyscript.is_worker():
            return _pyscript
    raise ConnectError(
        "`import workerlib.worker` is for the script of a worker of PyScript's, and this is none"
    )
