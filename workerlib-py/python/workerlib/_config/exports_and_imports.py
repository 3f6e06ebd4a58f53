"""The sections `[exports]`, `[imports]` and `[anyCall]` of a worker's configuration.

The hosts of workers carry them out, before and after the worker's script. Each entry of a section is
`"module" = ["name", …]`. A name may lead through classes (`"Class.method"`), and the module may be `"."`, the
worker's own script.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

from workerlib._config.adapters import load_adapters
from workerlib._config.names import resolve
from workerlib._errors import ConfigError
from workerlib._exports import Function, export
from workerlib._exports import functions as exported
from workerlib._rpc import any_call
from workerlib._values.adapters import AdapterSet


def import_into(script: ModuleType, config: Mapping[str, Any]) -> None:
    """Gives a worker's script the objects that `[imports]` names.

    Args:
        script: The module of the script.
        config: The whole configuration.

    Raises:
        ConfigError: If the section is malformed, or names something that does not exist.
    """
    for name, imported in objects(config, "imports").items():
        # Of "Class.method" the script gets `method`: a name with a dot could not be used.
        setattr(script, name.rpartition(".")[2], imported)


def complete(config: Mapping[str, Any]) -> AdapterSet:
    """Carries out `[adapters]`, `[exports]` and `[anyCall]`, after the worker's script has run.

    These sections may name objects that the script itself makes (`"."`).

    Args:
        config: The whole configuration.

    Returns:
        The adapters for the connection.

    Raises:
        ConfigError: If a section is malformed, or names something that does not exist.
    """
    adapters = load_adapters(config)
    for name, function in functions(config, "exports").items():
        # `import workerlib.worker` has exported them already.
        if exported.get(name) != function:
            try:
                export(name=name)(function)
            except ValueError as error:
                raise ConfigError(f"[exports] {name!r}: {error}") from error
    any_call.allow(functions(config, any_call.NAME))
    return adapters


def objects(config: Mapping[str, Any], section: str) -> dict[str, Any]:
    """Finds the objects that a section names, and imports their modules.

    Args:
        config: The whole configuration.
        section: The section's name.

    Returns:
        The objects by their names, in the section's order.

    Raises:
        ConfigError: If the section is malformed, has a name twice, or names something that does not exist.
    """
    entries = config.get(section, {})
    if not isinstance(entries, Mapping):
        raise ConfigError(f"[{section}] should be a section with a key for each module, and is {entries!r}")
    found: dict[str, Any] = {}
    for module, value in entries.items():
        entry = f"[{section}] {module!r} = {value!r}"
        names = [value] if isinstance(value, str) else value
        if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
            raise ConfigError(f"{entry}: write a list of names")
        for name in names:
            if name in found:
                raise ConfigError(f"{entry}: [{section}] names {name!r} twice")
            found[name] = resolve(module, name, entry)
    return found


def functions(config: Mapping[str, Any], section: str) -> dict[str, Function]:
    """Finds the functions that a section names. Classes and other callables are functions too.

    Args:
        config: The whole configuration.
        section: The section's name.

    Raises:
        ConfigError: As `objects`; if an object cannot be called.
    """
    found = objects(config, section)
    for name, function in found.items():
        if not callable(function):
            raise ConfigError(
                f"[{section}] {name!r} is of type {type(function).__name__}: functions, classes and other"
                " callables can be called, nothing else"
            )
    return found
