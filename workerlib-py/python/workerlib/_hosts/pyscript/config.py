"""The configuration of a script under PyScript, the page's or the worker's."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import js

from workerlib._config.files import files
from workerlib._config.settings import parse
from workerlib._errors import ConfigError, ConnectError
from workerlib._hosts.pyscript.addresses import address_of_configuration


@functools.cache
def read_config() -> dict[str, Any]:
    """Reads this script's configuration.

    On the page PyScript has parsed it. A worker has the text of its tag's attribute: the configuration
    itself, or a path that is relative to a page whose address the worker does not know. But the worker has
    fetched it: see `_address_of`.

    Raises:
        ConfigError: If it cannot be found or parsed.
        ConnectError: If there is no PyScript.
    """
    try:
        import polyscript
    except ImportError:
        raise ConnectError(
            "connect() needs a page of PyScript's, and this Pyodide runs without it: start a worker by"
            " `await workerlib.spawn('./worker.py')`"
        ) from None
    raw = getattr(polyscript, "config", None)
    if raw is None:
        return {}
    if not isinstance(raw, str):
        return parse(str(js.JSON.stringify(raw)))
    path = raw.strip()
    if not is_path(path):
        return parse(path) if path else {}
    address = _address_of(path.rpartition("://")[2].lstrip("./"))
    if address is None:
        raise ConfigError(
            f"the configuration {path!r} of this worker cannot be found again: neither the browser nor"
            " PyScript tells where it was loaded from. Write it inline, in the tag's attribute or the"
            " argument"
        )
    # It takes long to import, and few workers need it.
    from pyodide.http import open_url

    return parse(open_url(address).getvalue())


def _address_of(name: str) -> str | None:
    """Finds the address from which the worker has fetched its configuration.

    Browsers note what a worker fetches, but WebKit sometimes only after the script has begun, and a page's
    code may clear those notes. Then PyScript knows it: relative addresses in the file start there.

    Args:
        name: The end of its address.
    """
    for entry in js.performance.getEntriesByType("resource"):
        if _ends_with(str(entry.name), name):
            return str(entry.name)
    import polyscript

    address = address_of_configuration(polyscript)
    return address if address is not None and _ends_with(address, name) else None


def _ends_with(address: str, name: str) -> bool:
    return address.partition("?")[0].endswith(f"/{name}")


def is_path(config: str) -> bool:
    """Tells whether a tag's attribute `config` is the path of a configuration, not its text."""
    return config.endswith((".toml", ".json", ".txt"))


def hint_at_files() -> str | None:
    """Explains why files of an inline configuration are missing; None if none is."""
    import polyscript

    raw = getattr(polyscript, "config", None)
    if not isinstance(raw, str) or is_path(raw.strip()):
        return None
    missing = [
        source for source, path in files(read_config()) if not path.endswith("*") and not Path(path).exists()
    ]
    if not missing:
        return None
    return (
        f"{', '.join(missing)} stood under [files] and was not loaded: where the page's own configuration is"
        " a file, PyScript takes that one for workers whose own is inline; put both into files or both inline"
    )
