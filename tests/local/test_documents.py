"""The documents: each relative link leads to a file, each anchor to a place in it, and each block of code can be read."""

from __future__ import annotations

import ast
import inspect
import json
import re
import textwrap
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
import workerlib
from workerlib import Worker
from workerlib._api.worker import OWN_NAMES

ROOT = Path(__file__).parents[2]
PATTERNS = ["*.md", "docs/**/*.md", "benches/results/*.md", "workerlib-*/*.md", "workerlib-*/javascript/*.md"]
DOCUMENTS = sorted(str(file.relative_to(ROOT)) for pattern in PATTERNS for file in ROOT.glob(pattern))
_FENCE = re.compile(r"^(```+).*?^\1$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^()\s]+(?:\([^()\s]*\))?)\)")
_REFERENCE = re.compile(r"^\[[^\]]+\]: (\S+)$", re.MULTILINE)
_PICTURE = re.compile(r'<(?:img|source) [^>]*?\bsrc(?:set)?="([^"]+)"')
_CODE = re.compile(r"^( *)```(python|toml|json)\b[^\n]*\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


def _anchors(document: Path) -> set[str]:
    """Gives what a link into the document may name, as GitHub makes it of headings: `## To test it` is `to-test-it`."""
    text = _FENCE.sub("", document.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    return slugs | set(re.findall(r'<a id="([^"]+)">', text))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_somewhere(name: str) -> None:
    """A link that was broken by a move or a new heading is told by its document and its target."""
    # workerlib-codec/wire-format.md is a link to the document in docs/, and cargo puts a copy of that into the crate.
    document = (ROOT / name).resolve()
    # Code may look like a link: `worker["close"](…)`.
    text = re.sub(r"`[^`\n]*`", "", _FENCE.sub("", document.read_text(encoding="utf-8")))
    broken = []
    for link in [*_LINK.findall(text), *_REFERENCE.findall(text), *_PICTURE.findall(text)]:
        path, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", link):
            continue
        target = (document.parent / path).resolve() if path else document
        if not target.exists() or (anchor and anchor not in _anchors(target)):
            broken.append(link)
    assert broken == []


def test_a_broken_link_would_be_found(tmp_path: Path) -> None:
    """The patterns above see links in text, in references, with anchors and of pictures, and none in code."""
    text = "[a](b.md) and [`c`](d.md#e-f)\n\n[g]: h.md\n\n```sh\n[no](link.md)\n```\n"
    assert _PICTURE.findall('<source media="x" srcset="i.png">\n<img alt="x" src="j.png">') == [
        "i.png",
        "j.png",
    ]
    bare = _FENCE.sub("", text)
    assert [*_LINK.findall(bare), *_REFERENCE.findall(bare)] == ["b.md", "d.md#e-f", "h.md"]
    document = tmp_path / "d.md"
    document.write_text('## E `f`!\n\n<a id="g"></a>\n')
    assert _anchors(document) == {"e-f", "g"}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_code_can_be_read(name: str) -> None:
    """A block of Python, TOML or JSON that a reader copies has no mistake of syntax, also where no test runs it."""
    readers: dict[str, Callable[[str], object]] = {
        "toml": tomllib.loads,
        "json": json.loads,
        "python": _parse,
    }
    for _, language, code in _CODE.findall((ROOT / name).read_text(encoding="utf-8")):
        readers[language](textwrap.dedent(code))


def test_the_documented_options_of_spawn_are_all() -> None:
    """The table is the only place where a reader sees them side by side: a new option gets a line."""
    text = (ROOT / "docs" / "javascript.md").read_text(encoding="utf-8")
    table = text.partition("| option of `workerlib.spawn` | |\n")[2].partition("\n\n")[0]
    cells = [line.split(" | ")[0] for line in table.splitlines()]
    documented = {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}
    assert documented == set(inspect.signature(workerlib.spawn).parameters)


MAPS = {
    "ARCHITECTURE.md": [
        "workerlib-core/src",
        "workerlib-codec/src",
        "workerlib-py/src",
        "workerlib-py/python/workerlib",
        "workerlib-py/javascript/src",
    ],
    "packaging/README.md": ["packaging/xtask/src"],
    "tests/README.md": [],
}
"""The documents that say which file is for what, and the folders whose modules each of them names."""
_MODULES = {".rs", ".py", ".js", ".ts"}


@pytest.mark.parametrize("name", MAPS)
def test_maps_name_only_what_is_there(name: str) -> None:
    """A stranger looks for a file by the map: a file that is renamed or removed is renamed or removed there too."""
    text = (ROOT / name).read_text(encoding="utf-8")
    named = set(re.findall(r"`([\w./-]+\.(?:rs|py|pyi|js|ts|mjs|md|toml))`", text))
    roots = [ROOT, *(ROOT / folder for folder in ("packaging", "tests", "tests/python"))]
    folders = [ROOT / folder for folder in MAPS["ARCHITECTURE.md"]]
    # The map of a folder of modules names most of them without their room.
    everywhere = {file.name for folder in [*roots[1:], *folders] for file in folder.rglob("*.*")}
    places = [*roots, *folders, *(folder.parent for folder in folders)]
    gone = {
        file
        for file in named
        if not any((place / file).exists() for place in places) and ("/" in file or file not in everywhere)
    }
    assert gone == set()


@pytest.mark.parametrize("name", [name for name, folders in MAPS.items() if folders])
def test_maps_name_each_module(name: str) -> None:
    """A new module gets a line: by its own name, or by that of the folder that it is in."""
    text = (ROOT / name).read_text(encoding="utf-8")
    quoted = re.findall(r"`([\w./*-]+)`", text)
    named = {word.removesuffix("/*.rs").strip("/").rpartition("/")[2] for word in quoted}
    unnamed = set()
    for folder in MAPS[name]:
        for file in (ROOT / folder).rglob("*"):
            path = file.relative_to(ROOT / folder)
            words = {path.name, path.stem, *path.parts[:-1]}
            is_module = path.suffix in _MODULES and path.name not in {"__init__.py", "text.d.ts"}
            if is_module and not words & named:
                unnamed.add(f"{folder}/{path}")
    assert unnamed == set()


def _parse(code: str) -> object:
    return compile(code, "a block", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | ast.PyCF_ONLY_AST)


def test_the_documented_names_of_a_worker_are_those_of_the_class() -> None:
    """An export of such a name is hidden by it: users need the whole list."""
    text = (ROOT / "docs" / "typing.md").read_text(encoding="utf-8")
    section = text.partition("## Names that a `Worker` has for itself")[2].partition("\n## ")[0]
    documented = set(re.findall(r"^\| `(\w+)", section, re.MULTILINE))
    assert documented == {name for name in dir(Worker) if not name.startswith("_")}
    assert documented == OWN_NAMES
