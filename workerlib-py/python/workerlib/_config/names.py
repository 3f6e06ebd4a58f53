"""From the names of a configuration to the objects that they mean.

It serves the sections `[adapters]`, `[exports]` and `[imports]`. A name imports its module: this is for the
user's own configuration, never for what a peer sends.
"""

from __future__ import annotations

import builtins
import importlib
import sys
from types import ModuleType
from typing import Any

from workerlib._errors import ConfigError

_BUILTINS = ("", "None", "builtins")
"""The names under which a configuration speaks of Python's builtin functions and classes."""


def resolve(module: str, name: str, entry: str) -> Any:
    """Finds an object by the names that a configuration gives it.

    Args:
        module: The module's name, dots included; "." is the script itself; "", "None" or "builtins" has the
            builtin functions and classes.
        name: What to take from it: a name or, dots included, a way to an attribute of a class. What the
            module has imported from elsewhere counts, and after that the builtin functions and classes.
        entry: The entry of the configuration, for the message: `[exports] "module" = ["name"]`.

    Raises:
        ConfigError: If there is no such module, importing it fails, or it has no such name.
    """
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
    """Imports a module that a configuration names, as `resolve` does.

    Raises:
        ConfigError: If there is no such module, or importing it fails.
    """
    if module in _BUILTINS:
        return builtins
    if module == ".":
        return sys.modules["__main__"]
    try:
        # A name that begins with a dot, or has none between two, is none for import_module either.
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
    # Imported when something is wrong: it takes a while.
    import difflib

    matches = difflib.get_close_matches(name, [one for one in dir(holder) if not one.startswith("__")], n=1)
    return f"; did you mean {matches[0]!r}?" if matches else ""
