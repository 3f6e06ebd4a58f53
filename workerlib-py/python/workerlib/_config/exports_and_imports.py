"""What a worker's configuration says of its script: the sections `[exports]`, `[imports]` and `[anyCall]`.

All three have one form: `"module" = ["name", …]`, where a name may lead through classes (`"Class.method"`)
and the module may be `"."`, the worker's own script.
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


def import_into(script: ModuleType, config: Mapping[str, Any]) -> None:
    """Puts what `[imports]` names among the names of a worker's script.

    Raises:
        ConfigError: If the section cannot be right.
    """
    for name, imported in objects(config, "imports").items():
        # Of "Class.method" the script gets `method`: a name with a dot could not be used.
        setattr(script, name.rpartition(".")[2], imported)


def complete(config: Mapping[str, Any]) -> None:
    """Does what a configuration says of a worker whose script has run to its end.

    Not before, because it may name what the script itself makes (`"."`): adapters, exports, `[anyCall]`.

    Raises:
        ConfigError: If a section cannot be right.
    """
    load_adapters(config)
    for name, function in functions(config, "exports").items():
        # A script that imports workerlib.worker has exported them itself.
        if exported.get(name) != function:
            try:
                export(name=name)(function)
            except ValueError as error:
                raise ConfigError(f"[exports] {name!r}: {error}") from error
    any_call.allow(functions(config, any_call.NAME))


def objects(config: Mapping[str, Any], section: str) -> dict[str, Any]:
    """Finds what a section names; its modules are imported.

    Args:
        config: The whole configuration.
        section: The section's name.

    Returns:
        The objects by their names, as they stand there.

    Raises:
        ConfigError: If the section has another form, a name twice, or one that cannot be found.
    """
    entries = config.get(section, {})
    if not isinstance(entries, Mapping):
        raise ConfigError(f"[{section}] is a section with modules, not {entries!r}")
    found: dict[str, Any] = {}
    for module, value in entries.items():
        entry = f"[{section}] {module!r} = {value!r}"
        names = [value] if isinstance(value, str) else value
        if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
            raise ConfigError(f"{entry}: there should be a list of names")
        for name in names:
            if name in found:
                raise ConfigError(f"{entry}: [{section}] has the name {name!r} twice")
            found[name] = resolve(module, name, entry)
    return found


def functions(config: Mapping[str, Any], section: str) -> dict[str, Function]:
    """Finds what a section names, as `objects` does; classes and other callables are functions too.

    Raises:
        ConfigError: Also if one of them cannot be called.
    """
    found = objects(config, section)
    for name, function in found.items():
        if not callable(function):
            raise ConfigError(
                f"[{section}] {name!r} is of type {type(function).__name__}: functions, classes and other"
                " callables can be called, nothing else"
            )
    return found
