"""The name on PyPI: a wheel is renamed, installs the same package, and its record is right."""

from __future__ import annotations

import base64
import csv
import hashlib
import importlib.util
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / "packaging" / "release" / "rename_distribution.py"
INFO = "workerlib-1.2.3.dist-info"


@pytest.fixture
def script() -> ModuleType:
    """The script, as a module."""
    spec = importlib.util.spec_from_file_location("rename_distribution", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """A wheel with a package, metadata, a licence and a record."""
    path = tmp_path / "workerlib-1.2.3-cp311-abi3-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in {
            "workerlib/__init__.py": "",
            f"{INFO}/METADATA": "Name: workerlib\nVersion: 1.2.3\n\nName: workerlib in a text\n",
            f"{INFO}/licenses/LICENSE": "MIT",
            f"{INFO}/RECORD": "wrong",
        }.items():
            info = zipfile.ZipInfo(name, date_time=(2026, 1, 2, 3, 4, 6))
            archive.writestr(info, content)
    return path


def test_a_wheel_gets_another_name(script: ModuleType, wheel: Path) -> None:
    """File name, metadata and record say the new name; the package, the text and the dates stay."""
    renamed: Path = script.renamed(wheel, "Py-Worker.Lib")
    assert renamed.name == "py_worker_lib-1.2.3-cp311-abi3-any.whl"
    assert not wheel.exists()
    info = "py_worker_lib-1.2.3.dist-info"
    with zipfile.ZipFile(renamed) as archive:
        assert archive.namelist() == [
            "workerlib/__init__.py",
            f"{info}/METADATA",
            f"{info}/licenses/LICENSE",
            f"{info}/RECORD",
        ]
        metadata = archive.read(f"{info}/METADATA").decode()
        assert metadata.startswith("Name: Py-Worker.Lib\nVersion: 1.2.3\n")
        assert metadata.endswith("\nName: workerlib in a text\n")
        assert {one.date_time for one in archive.infolist()} == {(2026, 1, 2, 3, 4, 6)}
        rows = {row[0]: row[1:] for row in csv.reader(archive.read(f"{info}/RECORD").decode().splitlines())}
        assert set(rows) == set(archive.namelist())
        for name in archive.namelist()[:-1]:
            digest = (
                base64.urlsafe_b64encode(hashlib.sha256(archive.read(name)).digest()).rstrip(b"=").decode()
            )
            assert rows[name] == [f"sha256={digest}", str(len(archive.read(name)))]


def test_the_own_name_changes_nothing(script: ModuleType, wheel: Path) -> None:
    """A project that may be called workerlib on PyPI gets the bytes that were built."""
    before = wheel.read_bytes()
    assert script.renamed(wheel, "workerlib") == wheel
    assert wheel.read_bytes() == before
