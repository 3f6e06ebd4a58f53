"""Tells how large the compiled module of a wheel of workerlib is, as JSON, and checks with `--complete` what the wheel holds.

It must hold one compiled module for the stable ABI, its stub, the mark of a typed package, a long description, the licences,
and a RECORD that is right about every file. It does not load the module.
"""

import argparse
import base64
import csv
import email
import gzip
import hashlib
import io
import json
import marshal
import sys
import zipfile
from pathlib import Path

MODULES = "workerlib/modules.zip"
"""The wheel for Pyodide has its modules there: bundle_modules.py."""
BYTECODE = "workerlib/bytecode.cpython-314"
"""It has the bytecode of most of them there."""


def module_of(wheel: zipfile.ZipFile) -> str:
    """Names the wheel's one compiled module."""
    modules = [name for name in wheel.namelist() if name.endswith((".so", ".pyd", ".dylib"))]
    if len(modules) != 1:
        raise SystemExit(f"the wheel must hold one compiled module, and holds {modules}")
    if not modules[0].startswith("workerlib/_native."):
        raise SystemExit(f"the compiled module must be workerlib._native, and is {modules[0]}")
    return modules[0]


def check_files(wheel: zipfile.ZipFile) -> None:
    """Checks that the files that make the package typed and whole are there, and none that would weigh on it."""
    names = set(wheel.namelist())
    needed = {"workerlib/__init__.py", "workerlib/py.typed", "workerlib/_native.pyi"}
    if wheel.filename and "wasm32" in wheel.filename:
        scripts = ("python_worker.js", "worker.js", "workerlib.js", "workerlib-pyodide.mjs")
        needed |= {f"workerlib/javascript/{name}" for name in scripts}
        needed |= {MODULES, BYTECODE}
    missing = needed - names
    if missing:
        raise SystemExit(f"the wheel lacks {sorted(missing)}")
    strange = [
        name for name in names if name.endswith(".pyc") or name.split("/")[0].partition("-")[0] != "workerlib"
    ]
    if strange:
        raise SystemExit(f"the wheel must hold workerlib alone, and also holds {sorted(strange)}")


def check_modules(wheel: zipfile.ZipFile) -> None:
    """Checks that all modules are in one archive, and that each has bytecode, there or in the file for it."""
    loose = [name for name in wheel.namelist() if name.endswith(".py")]
    if loose != ["workerlib/__init__.py", "workerlib/_bytecode.py", "workerlib/starter/workerlib.py"]:
        raise SystemExit(f"modules should be in {MODULES}, and the wheel holds {loose}")
    with zipfile.ZipFile(io.BytesIO(wheel.read(MODULES))) as archive:
        names = set(archive.namelist())
    sources = {name for name in names if name.endswith(".py")}
    compiled = {name[:-1] for name in names - sources}
    content = wheel.read(BYTECODE)
    for name, (is_package, _, length) in marshal.loads(content[8:]).items():
        path = "/".join(name.split(".")[1:])
        if length:
            compiled.add(f"{path}/__init__.py" if is_package else f"{path}.py")
    if sources != compiled or "_api/connect.py" not in sources:
        raise SystemExit(f"without source or bytecode: {sorted(sources ^ compiled)}")


def check_order(wheel: zipfile.ZipFile) -> None:
    """Checks that each folder's parent holds an earlier file, as PyScript's unpacker for MicroPython needs it."""
    made = {""}
    for name in wheel.namelist():
        folder = name.rpartition("/")[0]
        if folder.rpartition("/")[0] not in made:
            raise SystemExit(f"{name} comes before any file of the folder above its own: see order_wheel.py")
        made.add(folder)


def check_metadata(wheel: zipfile.ZipFile) -> None:
    """Checks that the wheel brings its long description and the texts of its licences."""
    names = wheel.namelist()
    file = next(name for name in names if name.endswith(".dist-info/METADATA"))
    metadata = email.message_from_bytes(wheel.read(file))
    if metadata["Description-Content-Type"] is None or not metadata.get_payload():
        raise SystemExit("the wheel has no long description")
    folder = file.removesuffix("METADATA")
    for licence in ("LICENSE-APACHE", "LICENSE-MIT"):
        if licence not in metadata.get_all("License-File", []):
            raise SystemExit(f"METADATA does not name {licence}")
        if not wheel.read(f"{folder}licenses/{licence}"):
            raise SystemExit(f"{licence} is empty")


def check_record(wheel: zipfile.ZipFile) -> None:
    """Checks RECORD's hash and size of every file."""
    names = [name for name in wheel.namelist() if not name.endswith("/")]
    record = next(name for name in names if name.endswith(".dist-info/RECORD"))
    rows = {row[0]: row[1:] for row in csv.reader(wheel.read(record).decode().splitlines())}
    if set(rows) != set(names):
        raise SystemExit(f"RECORD and the wheel differ about {sorted(set(rows) ^ set(names))}")
    for name in names:
        if name == record:
            continue
        content = wheel.read(name)
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        if rows[name] != [f"sha256={digest}", str(len(content))]:
            raise SystemExit(f"RECORD is wrong about {name}: it says {rows[name]}")


def main() -> None:
    """Inspects the wheel that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wheel", type=Path)
    parser.add_argument(
        "--without", action="append", default=[], help="text that the module must not contain"
    )
    parser.add_argument("--complete", action="store_true", help="check the wheel's files and its RECORD")
    parser.add_argument("--largest", type=int, help="the most bytes that the module may have")
    arguments = parser.parse_args()
    with zipfile.ZipFile(arguments.wheel) as wheel:
        name = module_of(wheel)
        module = wheel.read(name)
        if arguments.complete:
            check_files(wheel)
            check_metadata(wheel)
            if "wasm32" in arguments.wheel.name:
                check_order(wheel)
                check_modules(wheel)
            check_record(wheel)
    for text in arguments.without:
        if text.encode() in module:
            raise SystemExit(f"{name} contains {text!r}, a path of the machine that built it")
    if arguments.largest is not None and len(module) > arguments.largest:
        raise SystemExit(f"{name} has {len(module)} bytes; {arguments.largest} is the most that it may have")
    facts = {
        "wheel": arguments.wheel.name,
        "module": name,
        "module_bytes": len(module),
        "module_gzipped_bytes": len(gzip.compress(module)),
    }
    json.dump(facts, sys.stdout)


if __name__ == "__main__":
    main()
