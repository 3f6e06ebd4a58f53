"""Gives wheels of workerlib the name that the distribution has on PyPI; the package that they install stays `workerlib`.

`rename_distribution.py WHEEL…` replaces the wheels by wheels of the name that Cargo.toml says (`distribution`). The files keep
their dates. It needs nothing but Python, because the workflow runs it on machines of every system.
"""

from __future__ import annotations

import argparse
import base64
import csv
import hashlib
import io
import re
import tomllib
import zipfile
from pathlib import Path

ORIGINAL = "workerlib"
MANIFEST = Path(__file__).parents[2] / "Cargo.toml"


def renamed(wheel: Path, name: str) -> Path:
    """Writes a wheel anew under another name of its distribution.

    Args:
        wheel: The wheel, which is removed.
        name: The name on PyPI.

    Returns:
        The new wheel.
    """
    escaped = re.sub(r"[-_.]+", "_", name).lower()
    target = wheel.with_name(wheel.name.replace(f"{ORIGINAL}-", f"{escaped}-", 1))
    if target == wheel:
        return wheel
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(target, "w") as new:
        rows = []
        for info in old.infolist():
            content = old.read(info)
            folder, _, file = info.filename.rpartition("/")
            if folder.endswith(".dist-info") or ".dist-info/" in folder:
                info.filename = info.filename.replace(f"{ORIGINAL}-", f"{escaped}-", 1)
                if file == "METADATA":
                    content = re.sub(rb"(?m)^Name: .*$", f"Name: {name}".encode(), content, count=1)
                if file == "RECORD":
                    record = info
                    continue
            if not info.is_dir():
                digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
                rows.append([info.filename, f"sha256={digest}", len(content)])
            new.writestr(info, content, info.compress_type)
        lines = io.StringIO()
        csv.writer(lines, lineterminator="\n").writerows([*rows, [record.filename, "", ""]])
        new.writestr(record, lines.getvalue(), record.compress_type)
    wheel.unlink()
    return target


def main() -> None:
    """Renames the wheels that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wheels", type=Path, nargs="+")
    arguments = parser.parse_args()
    manifest = tomllib.loads(MANIFEST.read_text(encoding="utf-8"))
    for wheel in arguments.wheels:
        print(renamed(wheel, manifest["workspace"]["metadata"]["project"]["distribution"]))


if __name__ == "__main__":
    main()
