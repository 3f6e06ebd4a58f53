"""Adds wheels to a copy of Pyodide's lock file, so that their bare names resolve in the site and nowhere else.

`amend_lock.py LOCK WHEEL…` rewrites LOCK in place; the wheels lie in its folder. Entries of other packages, and what this script
does not know about the lock file, stay as they are: pyodide-lock's own model refuses lock files newer than itself.
"""

import argparse
import json
from pathlib import Path

from pyodide_lock import PyodideLockSpec
from pyodide_lock.spec import InfoSpec
from pyodide_lock.utils import add_wheels_to_spec


def entries_of(lock: dict, wheels: list[Path]) -> dict:
    """Makes the lock file's entries of the wheels."""
    info = InfoSpec(
        arch=lock["info"]["arch"],
        platform=lock["info"]["platform"],
        python=lock["info"]["python"],
        # Lock files lost this field with version 0.28; the model still asks for it, and nothing is made of it.
        version=lock["info"].get("version", ""),
    )
    others = {name: known_part(entry) for name, entry in lock["packages"].items()}
    amended = add_wheels_to_spec(
        PyodideLockSpec(info=info, packages=others), wheels, base_path=wheels[0].parent
    )
    names = {wheel.name: wheel for wheel in wheels}
    return {name: entry.model_dump() for name, entry in amended.packages.items() if entry.file_name in names}


def known_part(entry: dict) -> dict:
    """Leaves out what pyodide-lock's model of an entry does not know."""
    return {name: entry[name] for name in ("name", "version", "file_name", "install_dir", "depends")}


def main() -> None:
    """Amends the lock file that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lock", type=Path)
    parser.add_argument("wheels", type=Path, nargs="+")
    arguments = parser.parse_args()
    lock = json.loads(arguments.lock.read_text(encoding="utf-8"))
    lock["packages"] |= entries_of(lock, arguments.wheels)
    arguments.lock.write_text(json.dumps(lock, sort_keys=True), encoding="utf-8")


if __name__ == "__main__":
    main()
