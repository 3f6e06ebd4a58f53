"""The pages that people look at: they fit narrow screens, follow the colour scheme, have readable colours, names and a way back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "packaging" / "demo"
BENCH = ROOT / "benches" / "browser"
EXAMPLES = ROOT / "examples"
PAGES = [DEMO / "index.html", BENCH / "index.html", *sorted(EXAMPLES.rglob("*.html"))]
# The foreground and background colours that meet on a page.
STYLES = {
    DEMO / "style.css": (
        "ink quiet accent stop good code-keyword code-decorator code-number",
        "ground card",
    ),
    BENCH / "style.css": ("ink quiet good stop", "ground card"),
    EXAMPLES / "style.css": ("ink link stop", "ground soft"),
}
# Elements that a <label> names if they come first in it.
LABELABLE = {"button", "input", "meter", "output", "progress", "select", "textarea"}


class Reader(HTMLParser):
    """Notes what a page has in its head, where its links lead, and which controls have no name."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self._controls: list[tuple[str, dict[str, str], bool]] = []
        self._open_labels: list[bool] = []
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.tags.append((tag, given))
        if tag == "label":
            self._open_labels.append("for" not in given)
        elif tag in LABELABLE:
            is_first = bool(self._open_labels) and self._open_labels[-1]
            self._controls.append((tag, given, is_first))
            if self._open_labels:
                self._open_labels[-1] = False

    def handle_endtag(self, tag: str) -> None:
        if tag == "label":
            self._open_labels.pop()

    def nameless(self) -> Iterator[str]:
        """Gives the inputs and selects that neither a label nor `aria-label` names."""
        named = {given["for"] for tag, given in self.tags if tag == "label" and "for" in given}
        for tag, given, is_first in self._controls:
            has_name = is_first or given.get("id") in named or "aria-label" in given
            if tag in {"input", "select"} and not has_name:
                yield given.get("id", tag)


def _name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_a_page_has_what_every_page_needs(page: Path) -> None:
    """A language, a title, the width of the screen, names for its controls, and links."""
    reader = Reader(page)
    assert ("html", {"lang": "en"}) in reader.tags
    assert any(tag == "title" for tag, _ in reader.tags)
    metas = {
        given["name"]: given["content"] for tag, given in reader.tags if tag == "meta" and "name" in given
    }
    assert metas.get("viewport", "").startswith("width=device-width")
    assert list(reader.nameless()) == []
    links = {given.get("href") for tag, given in reader.tags if tag == "a"}
    assert links >= ({"./examples/", "./bench/"} if page.parent == DEMO else {"../"})


def test_a_label_that_names_nothing_is_found(tmp_path: Path) -> None:
    """An <output> before the control takes the label's name away from it."""
    page = tmp_path / "page.html"
    page.write_text('<label>a <output></output><input id="b"></label><label>c <input id="d"></label>')
    assert list(Reader(page).nameless()) == ["b"]


def _luminance(colour: str) -> float:
    """Gives the relative luminance of `#rrggbb`, as WCAG 2 defines it."""
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(first: str, second: str) -> float:
    high, low = sorted([_luminance(first), _luminance(second)], reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("style", STYLES, ids=_name)
def test_colours_can_be_read(style: Path, scheme: str) -> None:
    """Text has a contrast of 4.5 to 1 to what it stands on (WCAG 2, level AA), in both colour schemes."""
    text = style.read_text(encoding="utf-8")
    light, _, dark = text.partition("@media (prefers-color-scheme: dark)")
    assert dark, f"{_name(style)} has no dark colours"
    block = re.search(r":root \{(.*?)\}", light if scheme == "light" else dark, re.DOTALL)
    assert block is not None
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block[1]))
    foregrounds, backgrounds = (names.split() for names in STYLES[style])
    weak = {
        (front, back): round(_contrast(colours[front], colours[back]), 2)
        for front in foregrounds
        for back in backgrounds
        if _contrast(colours[front], colours[back]) < 4.5
    }
    assert weak == {}
