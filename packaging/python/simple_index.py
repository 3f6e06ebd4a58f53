"""Writes a package index (PEP 503, with the metadata of PEP 658) that holds the given wheels of one project.

`simple_index.py FOLDER WHEEL…` writes FOLDER/index.html and FOLDER/PROJECT/…; the wheels are copied there. It is what `index_urls`
of a page with another Pyodide can name.
"""

import argparse
import hashlib
import html
import shutil
import zipfile
from email.parser import HeaderParser
from pathlib import Path

from packaging.utils import canonicalize_name, parse_wheel_filename


def page(title: str, links: list[str]) -> str:
    """Writes a page of the index."""
    body = "".join(f"  {link}<br>\n" for link in links)
    head = f'<meta name="pypi:repository-version" content="1.1">\n<title>{html.escape(title)}</title>'
    return f"<!DOCTYPE html>\n<html>\n<head>\n{head}\n</head>\n<body>\n{body}</body>\n</html>\n"


def add(folder: Path, wheel: Path) -> str:
    """Copies a wheel and its metadata into its project's folder, and returns the link to it."""
    shutil.copyfile(wheel, folder / wheel.name)
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = archive.read(name)
    (folder / f"{wheel.name}.metadata").write_bytes(metadata)
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    of_metadata = hashlib.sha256(metadata).hexdigest()
    attributes = {"href": f"{wheel.name}#sha256={digest}", "data-core-metadata": f"sha256={of_metadata}"}
    requires = HeaderParser().parsestr(metadata.decode()).get("Requires-Python")
    if requires:
        attributes["data-requires-python"] = requires
    text = " ".join(f'{name}="{html.escape(value)}"' for name, value in attributes.items())
    return f"<a {text}>{html.escape(wheel.name)}</a>"


def main() -> None:
    """Writes the index that the command line describes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("wheels", type=Path, nargs="+")
    arguments = parser.parse_args()
    projects: dict[str, list[str]] = {}
    for wheel in arguments.wheels:
        project = canonicalize_name(parse_wheel_filename(wheel.name)[0])
        folder = arguments.folder / project
        folder.mkdir(parents=True, exist_ok=True)
        projects.setdefault(project, []).append(add(folder, wheel))
    for project, links in projects.items():
        (arguments.folder / project / "index.html").write_text(
            page(f"Links for {project}", links), encoding="utf-8"
        )
    links = [f'<a href="{project}/">{project}</a>' for project in sorted(projects)]
    (arguments.folder / "index.html").write_text(page("Simple index", links), encoding="utf-8")


if __name__ == "__main__":
    main()
