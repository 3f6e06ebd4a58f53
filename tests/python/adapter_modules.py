"""Modules that configurations of tests name, written where Python finds them as PyScript's [files] are."""

from __future__ import annotations

import pathlib
import sys
from collections.abc import Callable, Iterator

import pytest
from workerlib._config.adapters import load_adapters
from workerlib._config.settings import parse

import loopback

Configure = Callable[..., None]


@pytest.fixture
def configure(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Configure]:
    """Takes the text of a configuration, and modules' sources by name, and starts with them as a script does."""
    monkeypatch.syspath_prepend(str(tmp_path))
    written: set[str] = set()

    def configure(text: str, **sources: str) -> None:
        for name, source in sources.items():
            (tmp_path / f"{name}.py").write_text(source, encoding="utf-8")
            written.add(name)
        loopback.configured = load_adapters(parse(text))

    yield configure
    for name in written:
        sys.modules.pop(name, None)
