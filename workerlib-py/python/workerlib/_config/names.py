"""Finds the objects that a configuration names.

The sections `[adapters]`, `[exports]`, `[imports]` and `[anyCall]` use it. It imports the modules of the
names, so it must never be given a name that the other side has sent.
"""

from __future__ import annotations

import builtins
import importlib
import sys
from types import ModuleType
from typing import Any

from workerlib._errors import ConfigError

_BUILTINS = ("", "None", "builtins")
"""The names of the module `builtins` in a configuration."""


def resolve(module: str, name: str, entry: str) -> Any:
    """Finds an object by the names that a configuration gives it.

    Args:
        module: The module's full name. "." means the script itself. "", "None" and "builtins" mean the
            builtin functions and classes.
        name: A name of the module, names that it has imported included, or a dotted path to an attribute of a
            class. A builtin function or class is found in any module.
        entry: The entry of the configuration, for messages: `[exports] "module" = ["name"]`.

    Raises:
        ConfigError: If there is no such module, importing it fails, or it has no such name.
    """
    # pkgutil.resolve_name would not tell which part is missing, and knows no builtins.
    found: Any = import_module(module, entry)
    parts = name.split(".")
    for index, part in enumerate(parts):
        try:
            found = getattr(found, part)
        except AttributeError as error:
            if len(parts) == 1 and hasattr(builtins, name):
                return getattr(builtins, name)
            subject = f"the module {module!r}" if index == 0 else f"{'.'.join(parts[:index])!r}"
            if module == ".":
                subject = subject.replace("the module '.'", "the script")
            raise ConfigError(f"{entry}: {subject} has no {part!r}{_similar(found, part)}") from error
    return found


def import_module(module: str, entry: str) -> ModuleType:
    """Imports a module that a configuration names.

    Args:
        module: The module's full name, or one of the special names that `resolve` knows.
        entry: The entry of the configuration, for messages.

    Raises:
        ConfigError: If there is no such module, or importing it fails.
    """
    if module in _BUILTINS:
        return builtins
    if module == ".":
        return sys.modules["__main__"]
    try:
        # import_module refuses a relative name, and a name with two dots in a row.
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and (module == error.name or module.startswith(f"{error.name}.")):
            raise ConfigError(
                f"{entry}: there is no module {error.name!r}; a module of the site must stand under [files],"
                " one of a package under packages"
            ) from error
        raise ConfigError(f"{entry}: the module {module!r} cannot be imported: {error}") from error
    except Exception as error:
        raise ConfigError(
            f"{entry}: the module {module!r} cannot be imported: {type(error).__name__}: {error}"
        ) from error


def _similar(holder: object, name: str) -> str:
    # Imported for a message only, because it takes a while.
    import difflib

    matches = difflib.get_close_matches(name, [one for one in dir(holder) if not one.startswith("__")], n=1)
    return f"; did you mean {matches[0]!r}?" if matches else ""
