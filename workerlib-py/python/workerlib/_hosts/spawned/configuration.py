"""Reads the configuration that `spawn(config=…)` names: a file of the site or of this Python, or a text."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import js
from pyodide.ffi import JsException

from workerlib._config.settings import is_text, parse
from workerlib._errors import ConfigError
from workerlib._hosts.browser.web_worker import node_module
from workerlib._hosts.host import is_html
from workerlib._location.addresses import base
from workerlib._users.options import require_config

Config = str | os.PathLike[str] | Mapping[str, Any]


async def read(config: Config | None) -> tuple[dict[str, Any], str]:
    """Reads a configuration.

    Args:
        config: The address of a JSON or TOML file, the path of one in this Python's file system, the
            configuration's text, or its sections.

    Returns:
        The sections, and the address from which their relative addresses start.

    Raises:
        ConfigError: If there is no such file, or it cannot be parsed.
        TypeError: If it is not a configuration.
    """
    if config is None or isinstance(config, Mapping):
        return dict(config or {}), base()
    require_config(config)
    if not isinstance(config, str):
        try:
            return parse(Path(config).read_text(encoding="utf-8")), base()
        except (OSError, UnicodeError) as error:
            path = os.fspath(config)
            raise ConfigError(f"the configuration {path!r} cannot be read: {error}") from error
    if is_text(config):
        return parse(config), base()
    address = str(js.URL.new(config, base()).href)
    try:
        return parse(await _fetch(address)), address
    except ConfigError as error:
        raise ConfigError(f"{address}: {error}") from error


async def _fetch(address: str) -> str:
    if address.startswith("file:"):
        # Node's fetch knows no files.
        try:
            return str(node_module("fs").readFileSync(js.URL.new(address), "utf8"))
        except JsException as error:
            raise ConfigError(f"the configuration cannot be read: {error}") from error
    try:
        response = await js.fetch(address)
    except JsException as error:
        raise ConfigError(f"the configuration cannot be fetched: {error}") from error
    if not response.ok:
        raise ConfigError(f"the configuration cannot be fetched: HTTP {response.status}")
    text = str(await response.text())
    if is_html(text):
        raise ConfigError("the configuration cannot be fetched: the server sent a page (HTML) in its place")
    return text
