"""`python -m workerlib.stubs --typescript` writes an interface that tsc knows, and by which it rejects wrong calls.

WORKERLIB_NODE_MODULES is the folder of the npm packages; `cargo xtask test --only typing` sets it.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pace import PACE

SOURCES = Path(__file__).parent / "typescript"
PACKAGE = Path(__file__).parents[2] / "workerlib-py" / "javascript" / "src"
MARK = "// rejected: "
COMMAND = [sys.executable, "-m", "workerlib.stubs", "--typescript"]


def run(*command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Runs a program and returns what it said."""
    return subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, check=False, timeout=300 * PACE, encoding="utf-8"
    )


@pytest.fixture(scope="module")
def written() -> subprocess.CompletedProcess[str]:
    """The interface of the worker that has every kind of annotation."""
    return run(*COMMAND, "--name", "Everything", str(SOURCES / "everything_worker.py"), cwd=SOURCES)


@pytest.fixture(scope="module")
def complaints(
    written: subprocess.CompletedProcess[str], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, set[int]]:
    """The lines in which tsc --strict finds an error, by file."""
    modules = os.environ.get("WORKERLIB_NODE_MODULES")
    if not modules:
        pytest.fail("WORKERLIB_NODE_MODULES is not set: run `cargo xtask test --only typing`")
    folder = tmp_path_factory.mktemp("typescript")
    (folder / "everything.ts").write_text(written.stdout, encoding="utf-8")
    for name in ("accepted.ts", "rejected.ts"):
        (folder / name).write_text((SOURCES / name).read_text(encoding="utf-8"), encoding="utf-8")
    settings = json.loads((SOURCES / "tsconfig.json").read_text(encoding="utf-8"))
    settings["compilerOptions"]["paths"] = {
        "workerlib": [str(PACKAGE / "index.ts")],
        "comlink": [str(Path(modules) / "comlink")],
    }
    settings["include"] = [str(folder), str(PACKAGE / "snapshot" / "text.d.ts")]
    (folder / "tsconfig.json").write_text(json.dumps(settings), encoding="utf-8")
    done = run("node", str(Path(modules) / "typescript" / "bin" / "tsc"), cwd=folder)
    found = [
        re.match(r"([^(]+)\((\d+),\d+\): error ", line)
        for line in done.stdout.splitlines()
        if line[:1] != " "
    ]
    assert all(found), f"tsc said:\n{done.stdout}\n{done.stderr}"
    lines: dict[str, set[int]] = {}
    for match in found:
        if match:
            lines.setdefault(match[1], set()).add(int(match[2]))
    return lines


def test_the_interface_is_as_documented(written: subprocess.CompletedProcess[str]) -> None:
    """Each kind of annotation has the type that stands in the file beside: a change of it is seen and judged."""
    assert written.stdout == (SOURCES / "everything.ts").read_text(encoding="utf-8")
    assert written.stderr == ""


def test_right_calls_are_accepted(complaints: dict[str, set[int]]) -> None:
    """The types of arguments and results are those that JavaScript has; the example asserts them."""
    assert not {"everything.ts", "accepted.ts"} & complaints.keys(), complaints
    assert complaints.keys() <= {"rejected.ts"}, complaints


def test_wrong_calls_are_rejected(complaints: dict[str, set[int]]) -> None:
    """tsc rejects each marked line, and no other."""
    lines = (SOURCES / "rejected.ts").read_text(encoding="utf-8").splitlines()
    marked = {number for number, line in enumerate(lines, 1) if MARK in line}
    assert len(marked) > 15
    assert complaints.get("rejected.ts") == marked


def test_the_document_shows_what_is_written(tmp_path: Path) -> None:
    """The document's worker has the document's interface."""
    text = (Path(__file__).parents[2] / "docs" / "javascript.md").read_text(encoding="utf-8")
    section = text.partition("## Types for TypeScript")[2]
    python, typescript = re.findall(r"```(?:python|ts)\n(.*?)```", section, re.DOTALL)[:2]
    script = tmp_path / "worker.py"
    script.write_text(f"from dataclasses import dataclass\nfrom workerlib import export\n{python}")
    done = run(*COMMAND, str(script), cwd=tmp_path)
    assert done.stdout.partition("\n\n")[2] == typescript


def test_the_example_has_the_written_interface() -> None:
    """The example of Vite is checked against its worker as it is: `npm run types` there writes this file."""
    example = Path(__file__).parents[2] / "examples" / "vite-typescript"
    done = run(*COMMAND, "--name", "Statistics", "public/worker.py", cwd=example)
    assert done.stdout == (example / "src" / "statistics.ts").read_text(encoding="utf-8")
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("annotation", "problem"),
    [
        ("pandas.DataFrame", "f(), its result: JavaScript has no type for pandas.DataFrame"),
        ("Thing", "f(), its result: Thing has no type in JavaScript, since it is not a dataclass"),
        ("complex", "f(), its result: JavaScript has no type for complex"),
        ("Callable[[], int]", "a function of the worker cannot be sent"),
        ("Missing", "JavaScript has no type for Missing"),
    ],
)
def test_a_type_that_javascript_lacks_is_told(tmp_path: Path, annotation: str, problem: str) -> None:
    """The user learns of each result that would arrive as an error, and still gets the interface."""
    script = tmp_path / "worker.py"
    script.write_text(
        "import pandas\nfrom typing import Callable\nclass Thing: ...\n"
        f"def f() -> {annotation}: ...\ndef g() -> int: ...\n"
    )
    done = run(*COMMAND, str(script), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert problem in done.stderr
    assert re.search(r"f\(\): (unknown|never);", done.stdout)
    assert "g(): number;" in done.stdout


def test_class_methods_are_functions_of_their_full_names(tmp_path: Path) -> None:
    """Class methods and static methods of an exported class, and of its bases in the script, are called on the class."""
    script = tmp_path / "worker.py"
    script.write_text(
        "import dataclasses, workerlib\n"
        "from typing import Iterator, Self, overload\n"
        "class Base:\n"
        "    @staticmethod\n"
        "    def names(path: str, limit: int = 3) -> list[str]: ...\n"
        "@workerlib.export(name='Tables')\n"
        "class Table(Base):\n"
        "    @classmethod\n"
        "    def rows(cls, path: str, /) -> Iterator[int]:\n"
        "        yield 1\n"
        "    @classmethod\n"
        "    def open(cls) -> Self: ...\n"
        "    @classmethod\n"
        "    def taken(cls, a: int) -> int: ...\n"
        "    @classmethod\n"
        "    def _private(cls) -> int: ...\n"
        "    def query(self) -> int: ...\n"
        "@workerlib.export\n"
        "@dataclasses.dataclass\n"
        "class Point:\n"
        "    x: int\n"
        "    @classmethod\n"
        "    def parse(cls, text: str) -> Self: ...\n"
        "@overload\n"
        "def names(a: bytes) -> bytes: ...\n"
        "@overload\n"
        "def names(a: int) -> int: ...\n"
        "def names(a): ...\n"
        "@workerlib.export(name='Tables.taken')\n"
        "def taken() -> str: ...\n"
    )
    done = run(*COMMAND, str(script), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for line in (
        '  "Tables.names"(path: string, limit?: number): string[];\n',
        '  "Tables.rows"(path: string): AsyncIterable<number>;\n',
        '  "Tables.open"(): unknown;\n',
        '  "Tables.taken"(): string;\n',
        '  "Point.parse"(text: string): Point;\n',
    ):
        assert done.stdout.count(line) == 1, done.stdout
    assert "_private" not in done.stdout
    assert "query" not in done.stdout
    assert "a: number" not in done.stdout
    assert "Tables.open(), its result: Table has no type in JavaScript" in done.stderr


def test_names_of_the_script(tmp_path: Path) -> None:
    """Names are known however the script imports them, and beside a file that starts workerlib."""
    (tmp_path / "workerlib.py").write_text("import sys\n")
    (tmp_path / "shapes.py").write_text("from dataclasses import *\n@dataclass\nclass Point:\n    x: float\n")
    script = tmp_path / "worker.py"
    script.write_text(
        "from typing import *\nfrom shapes import *\nimport workerlib as wl\n"
        "@wl.export\ndef f(at: Optional[Point], mode: Literal['a', 'b']) -> Dict[str, Any]: ...\n"
        "def g() -> int: ...\n"
    )
    # Where the starter lies, `python -m workerlib.stubs` would find it instead of the package.
    done = run(*COMMAND, str(script), cwd=SOURCES)
    assert (done.returncode, done.stderr) == (0, "")
    assert 'f(at: Point | null, mode: "a" | "b"): { [key: string]: unknown };' in done.stdout
    assert "export interface Point {\n  x: number;\n}" in done.stdout
    assert "g()" not in done.stdout


def test_an_enum_that_only_running_would_tell(tmp_path: Path) -> None:
    """The user learns of an enum whose values are computed, unless its class says of which type they are."""
    script = tmp_path / "worker.py"
    script.write_text(
        "import enum\nclass Sum(enum.Enum):\n    A = len('a')\nclass Name(str, enum.Enum):\n    A = str(1)\n"
        "def f(a: Sum, b: Name) -> None: ...\n"
    )
    done = run(*COMMAND, str(script), cwd=tmp_path)
    assert "Sum: the value of a member is not written as a literal; the enum is unknown" in done.stderr
    assert "export type Name = string;" in done.stdout


def test_the_script_is_not_run(tmp_path: Path) -> None:
    """A script that imports what only a browser has, and modules that import each other, is read all the same."""
    (tmp_path / "left.py").write_text("from right import Right\nclass Left(Right):\n    a: int\n")
    (tmp_path / "right.py").write_text(
        "from typing import TypedDict\nimport left\nclass Right(TypedDict):\n    b: 'left.Left | None'\n"
    )
    script = tmp_path / "worker.py"
    script.write_text("import js, left\nraise SystemExit\ndef f() -> left.Left: ...\n")
    done = run(*COMMAND, str(script), cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "export interface Left extends Right {\n  a: number;\n}" in done.stdout
    assert "export interface Right {\n  b: Left | null;\n}" in done.stdout
    assert "export interface WorkerFunctions {" in done.stdout
