"""docs/security.md: each claim names its tests, and the tests are there."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

_ROOT = Path(__file__).parents[2]
_PACKAGE = _ROOT / "workerlib-py" / "python" / "workerlib"
_NAMED = re.compile(r"`((?:tests|workerlib-codec|workerlib-core)/[\w./-]+)::([^`]+)`")
_TESTS = {
    ".py": r"^(?:async )?def {}\(",
    ".mjs": r"^(?:test\(|  )[\"`]{}[\"`:,]",
    ".rs": r"(?:^|\s)fn {}\(|^{}!\(",
}
"""How a test of a name begins, in a file of a kind. A title of JavaScript's may go on behind what is named, after a comma or colon."""
_LIMIT = re.compile(r"^\| [^|]+ \| ([^|]+) \| `(\w+)`, `([\w./-]+)` \|", re.MULTILINE)
"""A row of the limits: the value, the constant, its file."""
_VALUE = re.compile(r"([\d_]+)(?: << (\d+))?")
_UNITS = {"MiB": 1 << 20, "Mi": 1 << 20}


def test_each_claim_names_a_test_that_is_there() -> None:
    """A claim whose test was renamed or removed would be a promise that nobody holds."""
    text = (_ROOT / "docs" / "security.md").read_text()
    named = _NAMED.findall(text)
    assert len(named) > 20
    for file, test in named:
        path = _ROOT / file
        beginning = _TESTS[path.suffix].replace("{}", re.escape(test))
        assert re.search(beginning, path.read_text(), re.MULTILINE), f"{file} has no test {test}"


def test_each_row_of_claims_has_a_test() -> None:
    """The tables of claims have two columns, the second of which names tests."""
    text = (_ROOT / "docs" / "security.md").read_text()
    for table in re.split(r"\| shown by \|", text)[1:]:
        rows = [line for line in table.partition("\n\n")[0].splitlines() if line.startswith("| ")]
        assert len(rows) > 1
        for row in rows:
            assert row.startswith("| ---") or _NAMED.search(row) or row.endswith("| the first table |"), row


def test_each_limit_has_the_value_of_its_constant() -> None:
    """A constant that is changed changes the page."""
    text = (_ROOT / "docs" / "security.md").read_text()
    limits = _LIMIT.findall(text)
    assert len(limits) >= 9
    for told, constant, file in limits:
        path = _ROOT / file if file.startswith("workerlib-") else _PACKAGE / file
        found = re.search(rf"\b{constant}(?:: \w+)? = ([^;\n]+)", path.read_text())
        assert found, f"{file} has no constant {constant}"
        value = _VALUE.fullmatch(found[1])
        assert value, f"{file}: {constant} is {found[1]}"
        number, unit = re.findall(r"([\d,]+)(?: (\w+))?", told)[0]
        expected = int(number.replace(",", "")) * _UNITS.get(unit, 1)
        assert int(value[1]) << int(value[2] or 0) == expected, (
            f"{constant}: {told} is told, {found[1]} holds"
        )


def test_few_modules_unpickle() -> None:
    """The page names each module that could run code of a pickle, and no other module of the package imports one that can."""
    text = (_ROOT / "docs" / "security.md").read_text()
    unpickling = {
        path.relative_to(_PACKAGE).as_posix()
        for path in _PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in ("loads", "load", "Unpickler")
        if isinstance(node.value, ast.Name) and node.value.id in ("pickle", "cloudpickle", "marshal", "dill")
    }
    assert unpickling == set(
        re.findall(r"`(_\w+(?:/\w+)?\.py)`", text.partition("workerlib unpickles in")[2].partition("|")[0])
    )


def test_lock_files_have_sums() -> None:
    """Each package that a lock file of this repository names has a sum, so that no registry can give another file."""
    folder = _ROOT / "packaging"
    requirements = sorted(folder.glob("*/*.txt"))
    assert len(requirements) > 5
    for file in requirements:
        pinned = re.findall(r"^[^\s#].*?(?<!\\)$", file.read_text(), re.MULTILINE | re.DOTALL)
        assert pinned
        for requirement in pinned:
            assert "--hash=sha256:" in requirement, f"{file}: {requirement}"
    locks = sorted(folder.glob("*/package-lock.json"))
    assert locks
    for file in locks:
        packages = json.loads(file.read_text())["packages"]
        assert all("integrity" in package for path, package in packages.items() if path), file
