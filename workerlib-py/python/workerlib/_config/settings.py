"""Settings: the section `[workerlib]` of a page's or a worker's configuration.

`connect()`, `spawn()` and the hosts of workers read them. A host finds the configuration's text; this module
does not.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from workerlib._errors import ConfigError
from workerlib._rpc.output import KINDS, forward
from workerlib._rpc.questions import ask_page
from workerlib._values.adapters import AdapterSet
from workerlib._values.sending import SendingTable

_SECTION = "workerlib"
_END_OF_PATH = re.compile(r"[^\"'#?]*\.(toml|json)([?#].*)?", re.IGNORECASE)
_SECTION_ALONE = re.compile(r"\s*\[[^/\\]*\]\s*(#.*)?")
_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")
_DEPTH = 1_000 if sys.platform == "emscripten" else 1_000_000
"""The depth of values that may arrive, unless `max_depth` says otherwise; `_native` knows it too."""


@dataclass(frozen=True)
class Settings:
    """The settings of one side of a connection. Each field is a key of `[workerlib]`."""

    strict: bool = False
    """Whether to refuse an object that would arrive as another type."""
    max_depth: int | None = None
    """The depth to which containers may be nested, in values that are sent and in values that arrive.

    By default 1,000,000; for values that arrive in Pyodide 1,000. Pyodide crashes when Python frees much
    deeper ones.
    """
    max_in_flight: int = 10_000
    """The number of calls that may be in flight. Further calls wait."""
    log: bool = False
    """Whether each call is logged to the console."""
    trace: bool = False
    """Whether calls are traced: `workerlib.traces()`."""
    snapshot: bool = True
    """Whether workers that are spawned start from a memory snapshot."""
    blocking: bool | None = None
    """Whether functions of this side wait in sync code, by `pyodide.ffi.run_sync`; None to find it out."""
    forward: Sequence[str] = ()
    """The output that a worker forwards to its page: some of "print", "log" and "warnings"."""
    iterables: str = "checked"
    """`"list"` has everything that can be iterated arrive as a list or a dict, whatever else it is."""

    def table(self, adapters: AdapterSet) -> SendingTable:
        """Makes the table by which the values of a connection are sent.

        Args:
            adapters: The connection's adapters.
        """
        return SendingTable(adapters, strict=self.strict, lists=self.iterables == "list")


def parse(text: str) -> dict[str, Any]:
    """Parses a configuration, JSON or TOML.

    Args:
        text: The configuration's text. It is JSON if it begins with a brace.

    Raises:
        ConfigError: If the text is neither.
    """
    # Browsers take this mark away from what they fetch, and editors of Windows write it into files.
    text = text.removeprefix("\ufeff")
    try:
        if text.lstrip().startswith("{"):
            parsed = json.loads(text)
        else:
            # Its parser takes long to import, and most configurations have been parsed by PyScript.
            import tomllib

            parsed = tomllib.loads(text)
    except ValueError as error:
        raise ConfigError(f"the configuration is neither JSON nor TOML: {error}") from error
    assert isinstance(parsed, dict)
    return parsed


def is_text(config: object) -> bool:
    """Tells whether a configuration is given as its own text, and not by a path or an address.

    Text in one line is TOML: a section, or a key before the first "=". A path or an address has a "=" only
    behind a character that a key has in quotation marks only, as in "./worker.toml?version=2", or ends like
    a file's name, as in "site=1.toml".

    Args:
        config: The value of `config=`.
    """
    if not isinstance(config, str):
        return False
    if "\n" in config or config.lstrip().startswith("{") or _SECTION_ALONE.fullmatch(config):
        return True
    key, equals, value = _QUOTED.sub('""', config).partition("=")
    is_key = equals != "" and not any(character in key for character in "/\\?:")
    return is_key and not _END_OF_PATH.fullmatch(value)


def _check_forward(value: object) -> None:
    if not isinstance(value, list | tuple) or not all(kind in KINDS for kind in value):
        raise ConfigError(
            f"[{_SECTION}] forward = {value!r} should be a list of some of {', '.join(map(repr, KINDS))}"
        )


def serve(config: Mapping[str, Any]) -> None:
    """Has this worker's output and questions go to its page, as far as its configuration says so.

    Args:
        config: The whole configuration; an error in it is found by `settings`.
    """
    ask_page()
    section = config.get(_SECTION, {})
    kinds = section.get("forward", ()) if isinstance(section, Mapping) else ()
    if isinstance(kinds, list | tuple):
        forward(kind for kind in kinds if kind in KINDS)


def settings(config: Mapping[str, Any], **overrides: Any) -> Settings:
    """Reads the settings of a configuration.

    Args:
        config: The whole configuration.
        overrides: Settings by their keys. A value that is not None replaces the configuration's.

    Raises:
        ConfigError: If the section has an unknown key, or a value of the wrong type.
    """
    section = config.get(_SECTION, {})
    if not isinstance(section, Mapping):
        raise ConfigError(f"[{_SECTION}] should be a section with keys, and is {section!r}")
    known = {field.name: field.default for field in fields(Settings)}
    chosen = {**section, **{key: value for key, value in overrides.items() if value is not None}}
    for key, value in chosen.items():
        if key not in known:
            raise ConfigError(f"[{_SECTION}] has no key {key!r}; it has {', '.join(known)}")
        if key == "forward":
            _check_forward(value)
            continue
        example = {"max_depth": _DEPTH, "blocking": False}.get(key, known[key])
        if type(value) is not type(example):
            raise ConfigError(
                f"[{_SECTION}] {key} = {value!r} should be of type {type(example).__name__},"
                f" such as the default, {example!r}"
            )
    for key in ("max_depth", "max_in_flight"):
        if chosen.get(key, 1) < 1:
            raise ConfigError(f"[{_SECTION}] {key} = {chosen[key]!r} should be 1 at least")
    if chosen.get("iterables", "list") not in ("checked", "list"):
        raise ConfigError(
            f'[{_SECTION}] iterables = {chosen["iterables"]!r} should be "checked", the default, or "list"'
        )
    return Settings(**chosen)
