"""The npm package: it packs, installs into a fresh Vite project, is type-checked there, builds and runs.

Environment: WORKERLIB_NPM_PACKAGE is the package's folder, WORKERLIB_FRESH an empty folder whose `dist` the site serves
under /fresh/. `cargo xtask test --only patterns` sets both.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pace import PACE

if TYPE_CHECKING:
    from conftest import Page

EXAMPLE = Path(__file__).parents[3] / "examples" / "vite-typescript"
# The lines that the compiler has to refuse, each with its complaint.
WRONG = {
    'await worker.mean("text");': "Argument of type 'string' is not assignable to parameter of type 'number[]'",
    "await worker.maen([1]);": "Property 'maen' does not exist",
    "const text: string = await worker.mean([1]);": "Type 'number' is not assignable to type 'string'",
    "worker.mean([1]) + 1;": "Operator '+' cannot be applied to types 'Promise<number>' and '1'",
    'await worker.call("maen", [[1]]);': "'\"maen\"' is not assignable",
    'await spawn({ scritp: "./worker.py" });': "'scritp' does not exist in type 'SpawnOptions'",
}


def run(*command: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a program and returns what it said."""
    return subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        check=False,
        text=True,
        timeout=300 * PACE,
    )


def run_well(*command: str, cwd: Path, **environment: str) -> str:
    """Runs a program that must succeed."""
    done = run(*command, cwd=cwd, **environment)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="session")
def project() -> Path:
    """A copy of the example in which the packed package is installed as any other."""
    package, folder = Path(os.environ["WORKERLIB_NPM_PACKAGE"]), Path(os.environ["WORKERLIB_FRESH"])
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(EXAMPLE, folder)
    packed = run_well("npm", "pack", "--pack-destination", str(folder), cwd=package).split()[-1]
    run_well("npm", "install", "--prefer-offline", "--no-audit", "--no-fund", f"./{packed}", cwd=folder)
    return folder


def test_what_is_in_the_package(project: Path) -> None:
    """Code, types, worker, wheel and licences, and Comlink as a dependency of its own."""
    installed = project / "node_modules" / "workerlib"
    for name in ("index.js", "index.d.ts", "types.d.ts", "worker.js", "workerlib.js", "workerlib.whl"):
        assert (installed / "dist" / name).is_file(), name
    assert {"README.md", "LICENSE-MIT", "LICENSE-APACHE"} <= {file.name for file in installed.iterdir()}
    assert 'from "comlink"' in (installed / "dist" / "index.js").read_text()
    assert (project / "node_modules" / "comlink" / "package.json").is_file()


def test_where_there_is_no_browser(project: Path) -> None:
    """The module can be imported by a server that renders pages; a call there says where it belongs."""
    code = (
        'import { spawn } from "workerlib";\n'
        'spawn({ script: "./worker.py" }).catch((error) => console.log(`${error.name}: ${error.message}`));\n'
    )
    told = run_well("node", "--input-type=module", "--eval", code, cwd=project)
    assert told.startswith("WorkerStartError: there is no Worker of a browser's here: call spawn() in a page")


@pytest.fixture(scope="session")
def complaints(project: Path) -> list[str]:
    """Compiles each wrong line in a file of its own with tsc --strict, and returns the complaints."""
    sources = [project / "src" / f"wrong{number}.ts" for number in range(len(WRONG))]
    for source, line in zip(sources, WRONG, strict=True):
        source.write_text(
            'import { spawn } from "workerlib";\n'
            'import type { Statistics } from "./statistics";\n'
            "export async function wrong() {\n"
            '  const worker = await spawn<Statistics>({ script: "./worker.py" });\n'
            "  await worker.mean([1]);\n"
            f"  {line}\n"
            "}\n"
        )
    try:
        done = run("npx", "tsc", cwd=project)
    finally:
        for source in sources:
            source.unlink()
    return [text for text in done.stdout.splitlines() if text.startswith("src/")]


@pytest.mark.parametrize("line", WRONG)
def test_a_wrong_call_is_refused(complaints: list[str], line: str) -> None:
    """tsc --strict refuses it, says what is wrong, and complains of nothing else in its file."""
    name = f"src/wrong{list(WRONG).index(line)}.ts("
    of_it = [text for text in complaints if text.startswith(name)]
    assert any(WRONG[line] in text for text in of_it), complaints
    assert all(text.startswith(f"{name}6,") for text in of_it), complaints


def test_what_is_right_is_accepted(complaints: list[str]) -> None:
    """tsc --strict has nothing to say of the example itself."""
    assert all(text.startswith("src/wrong") for text in complaints), complaints


@pytest.fixture(scope="session")
def built(project: Path) -> Path:
    """The project, type-checked and built by Vite."""
    run_well("npm", "run", "build", cwd=project, VITE_PYODIDE="/pyodide/")
    return project / "dist"


# test_examples.py has the same page in every engine, built by the same Vite from the same package.
def test_the_built_page_runs(built: Path, new_page: Page) -> None:
    """The page calls its worker; all that it needs has been taken along by the bundler."""
    assert list(built.glob("assets/*.whl"))
    new_page.open("fresh/", "() => document.querySelector('#output').textContent.includes('done')")
    assert_shown(new_page)


@pytest.fixture
def development_server(project: Path, site: str) -> Iterator[str]:
    """The address of Vite's own server for the project, which takes Pyodide from the site."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    server = subprocess.Popen(
        # If another program has taken the port, Vite takes the next one.
        ["npx", "vite", "--host", "127.0.0.1", "--port", port],
        cwd=project,
        env={**os.environ, "VITE_PYODIDE": f"{site}/pyodide/", "NO_COLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # npx starts a shell, which starts Vite: all are to be ended.
        start_new_session=True,
    )
    try:
        assert server.stdout is not None
        with server.stdout as lines:
            said = []
            for line in lines:
                said.append(line)
                if told := re.search(r"Local:\s+(http://\S+)", line):
                    yield told[1]
                    return
        pytest.fail(f"Vite's server did not start:\n{''.join(said)}")
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait()


def test_the_page_of_the_development_server_runs(development_server: str, new_page: Page) -> None:
    """`vite` serves the sources as they are: the package's worker and wheel are found beside its code."""
    new_page.open(development_server, "() => document.querySelector('#output')?.textContent.includes('done')")
    assert_shown(new_page)


def assert_shown(page: Page) -> None:
    """Checks what the example shows at its end."""
    shown = page.run("return document.querySelector('#output').textContent")
    assert "mean([1, 2.5]) = 1.75" in shown
    assert "histogram counts: 1,2,3" in shown
    assert "the fullest interval: 2" in shown
    assert "counted 3" in shown
    assert "ZeroDivisionError division by zero Traceback" in shown
