"""Writes a wheel anew with its files in an order that simple unpackers need: each folder's own files before its subfolders.

PyScript unpacks wheels for MicroPython by making the folder of each file, without the folders above it. A file whose parent
folder holds no earlier file then ends the page's start. Files of `.dist-info` come last, RECORD as the very last, as the
format of wheels recommends (PEP 427).
"""

import argparse
import zipfile
from pathlib import Path


def place_of(name: str) -> tuple[bool, bool, list[str], str]:
    """Gives the key by which files are sorted."""
    *folders, _ = name.split("/")
    metadata = folders[0].endswith(".dist-info") if folders else False
    return metadata, name.endswith(".dist-info/RECORD"), folders, name


def main() -> None:
    """Orders the wheel that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("wheel", type=Path)
    path: Path = parser.parse_args().wheel
    ordered = path.with_suffix(".ordered")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(ordered, "w") as new:
        for entry in sorted(old.infolist(), key=lambda entry: place_of(entry.filename)):
            # The entry brings its date, its mode and its compression.
            new.writestr(entry, old.read(entry))
    ordered.replace(path)


if __name__ == "__main__":
    main()
