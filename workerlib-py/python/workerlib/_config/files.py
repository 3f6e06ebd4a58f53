"""Files: the section `[files]` of a configuration, and addresses that are relative to the configuration.

`spawn()`, hosts and their hints read it. PyScript reads it by itself, in the same way. This module fetches
nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from workerlib._errors import ConfigError

_TEMPLATE = re.compile(r"\{.+?\}")


def files(config: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Reads the section as PyScript does.

    A key in braces, such as `"{FROM}" = "./src"`, names a text for the entries after it:
    `"{FROM}/a.py" = "{TO}/"`.

    Args:
        config: The whole configuration.

    Returns:
        For each file its address and its path in the worker's file system.

    Raises:
        ConfigError: If the section is malformed.
    """
    section = config.get("files", {})
    if not isinstance(section, Mapping):
        raise ConfigError(f"[files] should be a section with a path for each address, and is {section!r}")
    texts: dict[str, str] = {}
    places: dict[str, str] = {}
    for source, target in section.items():
        entry = f"[files] {source!r} = {target!r}"
        if not isinstance(target, str):
            raise ConfigError(f"{entry}: write a path, or an empty str for the file's own name")
        if _TEMPLATE.fullmatch(source):
            texts[source] = _fill(target, texts, entry)
            continue
        address, path = _fill(source, texts, entry), _fill(target, texts, entry)
        if not path or path.endswith("/"):
            # The address may have a query.
            path += PurePosixPath(re.split(r"[?#]", address)[0]).name
        if path in places:
            raise ConfigError(f"{entry}: {places[path]!r} goes to the path {path!r} already")
        places[path] = address
    return [(address, path) for path, address in places.items()]


def _fill(text: str, texts: Mapping[str, str], entry: str) -> str:
    """Puts texts in place of their names in braces."""

    def text_of(found: re.Match[str]) -> str:
        if found[0] not in texts:
            known = ", ".join(texts) or "none"
            raise ConfigError(f"{entry}: no entry before this one defines {found[0]!r}; defined are: {known}")
        return texts[found[0]]

    return _TEMPLATE.sub(text_of, text)
