"""Reads docs/how-to: the files of each document, which `test_how_tos.py` runs in a page and tests/local natively."""

from __future__ import annotations

import re
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "how-to"
_FENCE = re.compile(r"^```(?P<kind>\w+)(?P<name>[^\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


def files_of(document: str) -> dict[str, str]:
    """Gives the files of a document, by their names.

    Args:
        document: Its name without the ending.
    """
    found = list(_FENCE.finditer((FOLDER / f"{document}.md").read_text(encoding="utf-8")))
    files = {one["name"].strip(): one["text"] for one in found if one["name"].strip()}
    nameless = [one["text"] for one in found if not one["name"].strip() and one["kind"] != "text"]
    assert not nameless, f"{document} has code without a file's name, which nothing runs: {nameless}"
    return files


def documents() -> set[str]:
    """Names the documents."""
    return {file.stem for file in FOLDER.glob("*.md")}
