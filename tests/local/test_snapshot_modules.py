"""The modules of a Python that starts from a memory snapshot: `keep` and `complete` of javascript/src/snapshot/fresh.py.

Each test has a process of its own, in which no memory is written: `keep` and `complete` run one after the other there.
"""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

FRESH = Path(__file__).parents[2] / "workerlib-py" / "javascript" / "src" / "snapshot" / "fresh.py"
KEEP = """
import json, pathlib, sys, types
sys.path.insert(0, {folder!r})
fresh = types.ModuleType("fresh")
sys.modules["fresh"] = fresh
exec(open({fresh!r}).read(), vars(fresh))
{before}
fresh.keep(json.dumps({{"version": "", "modules": ["parcel.inner"], "optional": [], "extension": "parcel.native",
                       "again": ["parcel"], "record": "old"}}))
assert sys.modules["parcel"].starts == 1
"""
MODULES = {
    "__init__.py": "from parcel import inner\nstarts = inner.count()\n",
    "inner.py": "from parcel.native import double\ntotal = 0\ndef count():\n    global total\n    total += 1\n    return total\n",
    "native.py": "def double(value):\n    return 2 * value\n",
}


def run(folder: Path, code: str, before: str = "") -> None:
    """Runs code before and after `keep`, in a process of its own in which a folder has the package."""
    package = folder / "parcel"
    package.mkdir()
    for name, source in MODULES.items():
        (package / name).write_text(source)
    script = KEEP.format(folder=str(folder), fresh=str(FRESH), before=before) + code
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_script_runs_the_package_and_finds_its_modules(tmp_path: Path) -> None:
    """The first file of the package runs once more when a script imports it; its other modules are those of the snapshot."""
    run(
        tmp_path,
        "inner = sys.modules['parcel.inner']\n"
        "assert fresh.complete(json.dumps({'record': 'old'})) is True\n"
        "import parcel\n"
        "assert parcel.inner is inner and parcel.starts == 2\n"
        "assert inner.double(2) == 4\n",
    )


def test_modules_of_other_files_are_forgotten(tmp_path: Path) -> None:
    """A Python in which another version of the package is installed has nothing of the one in the snapshot."""
    run(
        tmp_path,
        "(pathlib.Path(sys.path[0]) / 'parcel' / 'inner.py').write_text('count = lambda: \"new\"')\n"
        "assert fresh.complete(json.dumps({'record': 'new'})) is False\n"
        "assert not [name for name in sys.modules if name.startswith('parcel')]\n"
        "import parcel\n"
        "assert parcel.starts == 'new'\n",
    )


def test_a_python_without_the_package_starts(tmp_path: Path) -> None:
    """A page that does not install the package cannot import it, and starts all the same."""
    run(
        tmp_path,
        "import shutil; shutil.rmtree(pathlib.Path(sys.path[0]) / 'parcel')\n"
        "assert fresh.complete(json.dumps({'record': ''})) is False\n"
        "try:\n"
        "    import parcel\n"
        "except ModuleNotFoundError:\n"
        "    pass\n"
        "else:\n"
        "    raise AssertionError\n",
    )


def test_the_directory_of_another_archive_is_read(tmp_path: Path) -> None:
    """A wheel has its modules in an archive, whose directory Python keeps: that of another wheel is read anew."""
    (archives := tmp_path / "archives").mkdir()
    for name, content in (("old", "'old'"), ("new", f"'new'  # {'much longer ' * 100}")):
        with zipfile.ZipFile(archives / f"{name}.zip", "w") as archive:
            archive.writestr("first.py", f"first = {content}\n")
            archive.writestr("second.py", f"second = {content}\n")
    run(
        tmp_path,
        "assert sys.modules['parcel.second'].second == 'old'\n"
        "import shutil; shutil.copy(pathlib.Path(sys.path[0]) / 'archives' / 'new.zip', archive)\n"
        "assert fresh.complete(json.dumps({'record': 'new'})) is False\n"
        "import parcel.second\n"
        "assert parcel.second.second == 'new'\n",
        before="archive = pathlib.Path(sys.path[0]) / 'parcel' / 'modules.zip'\n"
        "import shutil; shutil.copy(pathlib.Path(sys.path[0]) / 'archives' / 'old.zip', archive)\n"
        "inner = archive.parent / 'inner.py'\n"
        "inner.write_text('import parcel; parcel.__path__.insert(0, parcel.__path__[0] + \"/modules.zip\")\\n'"
        " + inner.read_text() + 'import parcel.first, parcel.second\\n')\n",
    )
