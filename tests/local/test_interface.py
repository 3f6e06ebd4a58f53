"""`connect(interface=…)` with a worker that runs: what fits, what does not, and what becomes of the connection."""

from __future__ import annotations

import errno
import importlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Protocol

import pytest
import workerlib
from workerlib import Interface, InterfaceError
from workerlib.stubs import main

from pace import PACE

SCRIPT = """
import workerlib as wl
from dataclasses import dataclass
from typing import *


@overload
def pick(key: int) -> float: ...


@overload
def pick(key: str, default: Optional[float] = None) -> Optional[str]: ...


@wl.export
def pick(key, default=None):
    return key


@wl.export
@dataclass
class Size:
    width: int
    height: int = 1


@wl.export
def mean(values: list[float], *, digits: int = 2) -> float:
    return round(sum(values) / len(values), digits)
"""


class Stats(Interface, Protocol):
    async def mean(self, values: list[float], *, digits: int = ...) -> float: ...


class Other(Protocol):
    async def mean(self, values: list[float], places: int) -> float: ...

    async def median(self, values: list[float]) -> float: ...


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """The worker's script."""
    path = tmp_path / "stats_worker.py"
    path.write_text(SCRIPT)
    return path


async def test_a_worker_that_fits(script: Path) -> None:
    """It is called as the interface says."""
    async with workerlib.connect(script, interface=Stats) as worker:
        assert await worker.mean([1.0, 2.5], digits=1) == 1.8
        assert not worker.closed
    assert worker.closed


async def test_a_worker_that_does_not_fit(script: Path) -> None:
    """Everything that differs is told at connect, and nothing is left open."""
    with pytest.raises(InterfaceError) as caught:
        await workerlib.connect(script, interface=Other)
    message = str(caught.value)
    assert "mean(values, places) is mean(values, *, digits=…) there" in message
    assert "it does not export median()" in message


@pytest.fixture
def written_interface(script: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs `python -m workerlib.stubs`, and returns its output as a module."""
    command = [sys.executable, "-m", "workerlib.stubs", str(script)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60 * PACE)
    script.with_name("written_interface.py").write_text(done.stdout)
    monkeypatch.syspath_prepend(str(script.parent))
    return importlib.import_module("written_interface")


async def test_a_written_interface(script: Path, written_interface: Any) -> None:
    """It fits the worker that it was made of."""
    async with workerlib.connect(script, interface=written_interface.StatsWorker) as worker:
        assert await worker.mean([2.0]) == 2.0
        assert await worker.pick("key") == "key"
    text = Path(written_interface.__file__).read_text()
    assert "@overload\n    async def pick(self, key: int) -> float:" in text
    assert (
        "@overload\n    async def pick(self, key: str, default: Optional[float]=...) -> Optional[str]:"
        in text
    )


def test_the_command_says_what_is_wrong(tmp_path: Path) -> None:
    """A file that is not there, that is not Python, or that has no functions."""
    for name, text in (("missing.py", None), ("broken.py", "def"), ("empty.py", "x = 1")):
        if text is not None:
            (tmp_path / name).write_text(text)
        command = [sys.executable, "-m", "workerlib.stubs", str(tmp_path / name)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60 * PACE)
        assert done.returncode == 1
        assert name in done.stderr
        assert "Traceback" not in done.stderr


def stubs(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs the command, which writes UTF-8."""
    command = [sys.executable, "-m", "workerlib.stubs", *map(str, arguments)]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=60 * PACE,
        encoding="utf-8",
        env={**os.environ, **environment},
    )


@pytest.mark.parametrize(("options", "file"), [((), "interface.pyi"), (("--typescript",), "interface.ts")])
def test_an_interface_is_written_to_a_file(script: Path, options: tuple[str, ...], file: str) -> None:
    """`--output` gives the bytes of the standard output as UTF-8, and replaces a file with its permissions."""
    script.write_text(
        f'{SCRIPT}\n\n@wl.export\ndef greet(name: str = "Grüße") -> str:\n    """Grüße."""\n', "utf-8"
    )
    wanted = stubs(*options, script).stdout
    target = script.with_name(file)
    target.write_text("old")
    target.chmod(0o640)
    done = stubs(*options, "--output", target, script, PYTHONIOENCODING="ascii", PYTHONUTF8="0", LC_ALL="C")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert target.read_bytes() == wanted.encode()
    assert "Grüße" in wanted
    assert target.stat().st_mode & 0o777 == 0o640
    assert sorted(one.name for one in script.parent.iterdir()) == sorted([script.name, file])


def test_a_link_stays_a_link(script: Path) -> None:
    """`--output` writes the file behind a link, which another folder may share."""
    behind = script.with_name("shared.py")
    link = script.with_name("interface.py")
    link.symlink_to(behind)
    assert stubs("--output", link, script).returncode == 0
    assert link.is_symlink()
    assert "class StatsWorker(Interface, Protocol)" in behind.read_text()


def test_a_file_stays_as_it_was_if_the_interface_fails(tmp_path: Path) -> None:
    """A script that cannot be read leaves the interface of yesterday, and nothing beside it."""
    script = tmp_path / "stats.py"
    script.write_text("def")
    target = tmp_path / "interface.py"
    target.write_text("yesterday's")
    done = stubs(script, "--output", target)
    assert done.returncode == 1
    assert target.read_text() == "yesterday's"
    assert len(list(tmp_path.iterdir())) == 2


def test_a_file_that_cannot_be_written(
    script: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command names the file and the reason, and leaves the old file and nothing else behind."""
    target = script.with_name("interface.py")
    target.write_text("yesterday's")

    def refuse(self: Path, to: Path) -> Path:
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    monkeypatch.setattr(Path, "replace", refuse)
    monkeypatch.setattr(sys, "argv", ["stubs", str(script), "--output", str(target)])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == f"--output: {target} cannot be written: Permission denied"
    assert capsys.readouterr().out == ""
    assert target.read_text() == "yesterday's"
    assert {one.name for one in script.parent.iterdir()} == {script.name, target.name}


@pytest.mark.parametrize(
    ("options", "output", "message"),
    [
        ((), "worker.ts", "worker.ts is a file of TypeScript: add --typescript"),
        (("--typescript",), "worker.pyi", "worker.pyi is a file of Python: leave out --typescript"),
        ((), "", "is a folder: name a file in it, such as "),
        ((), "stats_worker.py", "stats_worker.py is the worker's script: name another file"),
        ((), "nowhere/stats.py", "nowhere does not exist: make it first"),
        ((), "x" * 300 + ".py", ".py cannot be written: File name too long"),
    ],
)
def test_a_wrong_output(script: Path, options: tuple[str, ...], output: str, message: str) -> None:
    """A mistake on the command line is told before anything is written, the worker's script least of all."""
    done = stubs(*options, script, "--output", script.parent / output)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in " ".join(done.stderr.split())
    assert script.read_text() == SCRIPT
    assert list(script.parent.iterdir()) == [script]


def test_a_name_that_no_class_can_have(script: Path) -> None:
    """The command says so, and writes nothing."""
    done = stubs("--name", "two words", script)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--name 'two words' is not a name of a class" in done.stderr


def test_classes_of_a_script_that_no_import_can_name(tmp_path: Path) -> None:
    """The Protocol would need an import that Python cannot parse; types of TypeScript need none."""
    script = tmp_path / "my-worker.py"
    script.write_text("class Box: ...\ndef box() -> Box: ...\n")
    done = stubs(script)
    assert (done.returncode, done.stdout) == (1, "")
    assert "needs Box of the script, and no import can name a file my-worker.py: rename it" in done.stderr


@pytest.mark.parametrize(
    "written",
    [
        b'\xef\xbb\xbfdef f() -> int:\n    "Gr\xc3\xbc\xc3\x9fe"\n',
        b'# coding: latin-1\ndef f() -> int:\n    "Gr\xfc\xdfe"\n',
    ],
)
def test_scripts_are_read_and_interfaces_written_as_python_does(tmp_path: Path, written: bytes) -> None:
    """A script may begin with a mark or declare its encoding; the interface is UTF-8 on every console."""
    script = tmp_path / "stats.py"
    script.write_bytes(written)
    done = stubs("--typescript", script, PYTHONIOENCODING="ascii")
    assert "Grüße" in done.stdout, done.stderr


def test_the_interface_of_a_module_in_packages(tmp_path: Path) -> None:
    """The Protocol imports the worker's own classes by the module's whole name, so that it works in a package."""
    package = tmp_path / "site" / "library" / "workers"
    package.mkdir(parents=True)
    for folder in (package, package.parent):
        (folder / "__init__.py").touch()
    script = package / "texts.py"
    script.write_text(
        """
import enum
import workerlib

class Kind(enum.Enum):
    WORD = 1

@workerlib.export
def kind_of(text: str) -> Kind:
    return Kind.WORD
"""
    )
    made = subprocess.run(
        [sys.executable, "-m", "workerlib.stubs", str(script)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60 * PACE,
    )
    assert "    from library.workers.texts import Kind\n" in made.stdout
    assert "The interface of library.workers.texts" in made.stdout
