"""Reads README.md and docs/how-to: the files of each, which `test_how_tos.py` runs in a page and tests/local natively."""

from __future__ import annotations

import re
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "how-to"
README = FOLDER.parents[1] / "README.md"
# A heading, or a block of code: a line of code that begins with "#" is not a heading.
_PART = re.compile(
    r"^#+ (?P<heading>[^\n]+)$|^```(?P<kind>\w+)(?P<name>[^\n]*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)

# The sections of README.md whose code no test runs, and why.
NOT_RUN = {
    "workerlib": "a drawing of a call",
    "Two commands": "the first command serves until somebody stops it, and the second one is the test run itself",
}


def files_of(document: str) -> dict[str, str]:
    """Gives the files of a document, by their names.

    Args:
        document: The name of a document in docs/how-to, without its ending.
    """
    files: dict[str, str] = {}
    for section in _sections((FOLDER / f"{document}.md").read_text(encoding="utf-8")).values():
        files |= section
    return files


def documents() -> set[str]:
    """Names the documents in docs/how-to."""
    return {file.stem for file in FOLDER.glob("*.md")}


def readme() -> dict[str, dict[str, str]]:
    """Gives the files of each section of README.md that has code, by the section's heading and the file's name."""
    return _sections(README.read_text(encoding="utf-8"))


def _sections(text: str) -> dict[str, dict[str, str]]:
    """Gives the named blocks of code of each section. A section that is not run may have blocks without a name."""
    sections: dict[str, dict[str, str]] = {}
    heading = ""
    for part in _PART.finditer(text):
        if part["heading"]:
            heading = part["heading"]
            continue
        name, files = part["name"].strip(), sections.setdefault(heading, {})
        if not name and part["kind"] != "text":
            assert heading in NOT_RUN, f"nothing runs this code, which has no file's name:\n{part['text']}"
        if name:
            assert name not in files, f"the section {heading!r} has two files named {name}"
            files[name] = part["text"]
    return sections
