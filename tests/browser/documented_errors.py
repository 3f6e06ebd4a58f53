"""Reads docs/errors.md: the worker's script, and the examples with what they raise."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import NamedTuple

DOCUMENT = (Path(__file__).parents[2] / "docs" / "errors.md").read_text(encoding="utf-8")
_BLOCK = re.compile(
    r"^```(?P<kind>python worker|python page|text)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)


class Example(NamedTuple):
    """A code of the page, and the traceback that it shows."""

    code: str
    shown: str


def read() -> tuple[str, list[Example]]:
    """Reads the document: the worker's script and the examples."""
    blocks = [(found["kind"], found["text"]) for found in _BLOCK.finditer(DOCUMENT)]
    [script] = [text for kind, text in blocks if kind == "python worker"]
    examples = [
        Example(code, shown)
        for (kind, code), (next_kind, shown) in itertools.pairwise(blocks)
        if (kind, next_kind) == ("python page", "text")
    ]
    assert len(examples) == sum(kind == "python page" for kind, _ in blocks), "an example shows no error"
    return script, examples


def pattern_of(shown: str) -> str:
    """Makes a pattern for `re.search` of what is shown, in which `…` stands for anything."""
    return ".*?".join(map(re.escape, shown.rstrip("\n").split("…"))) + r"\n?\Z"
