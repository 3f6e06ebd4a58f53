"""A hook of MkDocs: the site's pages are files of the repository, under the names that they have there.

MkDocs resolves a link by the names of the files and writes the address that the target has on the site. So a link such as
`../README.md#install` works unchanged, and one to a file that is missing is a warning, which `--strict` makes an error. A link
to a file that is not a page, such as a licence or a script, adds that file to the site.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

HERE = Path(__file__).parent
ROOT = HERE.parent.parent

# Files of the repository that are pages of the site, beside those in docs/.
PAGES = (
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "packaging/README.md",
    "tests/README.md",
    "benches/results/*.md",
)

# Where a page does not lie at its path without "docs/" and in lower case.
PLACES = {
    "README.md": "",
    "docs/README.md": "pages",
    "benches/results/chromium.md": "speed/calls",
    "benches/results/codec.md": "speed/codec",
    "benches/results/soak-chromium.md": "speed/soak",
}

# The sections for pages of these folders that no entry of the navigation names.
SECTIONS = {"docs/adr/": "Decisions", "benches/results/": "Explanation"}

FENCE = re.compile(r"^(\s*)(```+|~~~+)(\w+) ([\w./-]+)$", re.MULTILINE)
# Blocks of code, then code in a line: they hold no links, whatever they look like.
CODE = re.compile(r"^\s*(```+|~~~+).*?^\s*\1\s*$|`[^`\n]+`", re.MULTILINE | re.DOTALL)
# A picture for each colour scheme, as the repository's host shows it. The source of the dark one stands first.
PICTURE = re.compile(
    r"<picture>\s*<source [^>]*?dark[^>]*? srcset=\"(?P<dark>[^\"]+)\">"
    r"\s*<img alt=\"(?P<text>[^\"]*)\" src=\"(?P<light>[^\"]+)\">\s*</picture>"
)
LINK = re.compile(r"\]\(<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Completes the navigation by the pages that no entry names: decisions, results of benchmarks, and "How to" for others.

    Args:
        config: The configuration, whose navigation changes.

    Returns:
        The same configuration.
    """
    sections = {title: entries for section in config.nav or [] for title, entries in section.items()}
    named = set(re.findall(r"[\w./-]+\.md", str(config.nav)))
    paths = [*sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "benches/results").glob("*.md"))]
    for name in [path.relative_to(ROOT).as_posix() for path in paths]:
        if name not in named and name != "docs/README.md":
            section = next((title for folder, title in SECTIONS.items() if name.startswith(folder)), "How to")
            sections[section].append(name)
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Replaces the files of docs/ by the files of the repository that the site is made of.

    Args:
        files: The files that MkDocs found, of which those of the theme stay.
        config: The configuration.

    Returns:
        The files of the site.

    Raises:
        PluginError: If two files would have one address.
    """
    chosen = Files([file for file in files if not (file.abs_src_path or "").startswith(config.docs_dir)])
    pages = [*sorted((ROOT / "docs").rglob("*.md"))]
    for pattern in PAGES:
        pages.extend(sorted(ROOT.glob(pattern)))
    for path in pages:
        chosen.append(_page(path, path.relative_to(ROOT).as_posix(), config))
    for path in sorted((HERE / "pages").rglob("*.md")):
        chosen.append(_page(path, path.relative_to(HERE / "pages").as_posix(), config))
    for path in pages:
        for target in sorted(_linked_files(path)):
            if chosen.get_file_from_path(target) is None:
                chosen.append(File.generated(config, target, abs_src_path=str(ROOT / target)))
    for own in ("site.css", "site.js"):
        chosen.append(File.generated(config, own, abs_src_path=str(HERE / own)))
    addresses = [file.dest_uri for file in chosen]
    doubled = sorted({address for address in addresses if addresses.count(address) > 1})
    if doubled:
        raise PluginError(
            f"several files would have the address {', '.join(doubled)}: see PLACES in {__file__}"
        )
    return chosen


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Writes in the site's way what the repository's host shows in its own.

    The second word of a block, which is the name of a file, becomes its title. A link to a folder becomes one to its README. A
    picture for each colour scheme becomes two pictures of the theme's, which follow the switch of the site.

    Args:
        markdown: The text of the page.
        page: The page.
        config: The configuration.
        files: The files of the site.

    Returns:
        The text that Markdown knows.
    """
    folder = Path(page.file.abs_src_path or HERE).parent

    def to_page(link: re.Match[str]) -> str:
        target = link[1]
        is_address = "://" in target or target.startswith("#")
        if not is_address and (folder / target / "README.md").is_file():
            return f"]({target.rstrip('/')}/README.md)"
        return link[0]

    return FENCE.sub(r'\1\2\3 title="\4"', LINK.sub(to_page, _with_two_pictures(markdown)))


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Gives the theme's search dialog a name, which people who hear the page need.

    Args:
        output: The page as HTML.
        page: The page.
        config: The configuration.

    Returns:
        The HTML that is written.
    """
    return output.replace('role="dialog">', 'role="dialog" aria-label="Search">', 1)


def _with_two_pictures(markdown: str) -> str:
    # The one that does not show is not fetched.
    one = r"![\g<text>](\g<{0}>#only-{0}){{ loading=lazy }}"
    return PICTURE.sub(f"{one.format('light')}\n{one.format('dark')}", markdown)


def _page(path: Path, name: str, config: MkDocsConfig) -> File:
    file = File.generated(config, name, abs_src_path=str(path))
    plain = name.removesuffix(".md")
    if plain.endswith(("/README", "/index")):
        plain = plain.rpartition("/")[0]
    place = PLACES.get(name, plain.removeprefix("docs/").lower())
    file.dest_uri = str(PurePosixPath(place, "index.html"))
    # MkDocs has computed it from the name.
    file.url = f"{place}/" if place else "./"
    return file


def _linked_files(page: Path) -> set[str]:
    """The files of the repository that a page links to and that are not pages."""
    text = _with_two_pictures(CODE.sub("", page.read_text("utf-8")))
    names = set()
    for target in LINK.findall(text):
        if "://" in target or target.startswith(("#", "mailto:")):
            continue
        path = (page.parent / unquote(target.partition("#")[0])).resolve()
        if path.is_file() and path.is_relative_to(ROOT) and path.suffix != ".md":
            names.add(path.relative_to(ROOT).as_posix())
    return names
