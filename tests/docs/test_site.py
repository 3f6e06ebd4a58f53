"""The documentation site as its readers have it: complete in itself, with a search, on every screen."""

from __future__ import annotations

import contextlib
import html
import os
import re
import time
from pathlib import Path

import pytest
from playwright.sync_api import Browser
from playwright.sync_api import TimeoutError as TooLate

from conftest import LIMIT

SCREENS = {"wide": (1280, 800), "narrow": (390, 844)}
PAGES = ["", "values/", "reference/calls/", "troubleshooting/", "adr/", "changelog/"]
# Elements that load an address when a page is shown, and CSS that does.
LOADED = re.compile(r"<(?:script|img|iframe|source|video|link)\b[^>]*?\b(?:src|href)=[\"']?([^\"'\s>]+)")
LOADED_BY_CSS = re.compile(r"(?:url\(|@import\s+)[\"']?([^\"')\s;]+)")


def test_no_page_and_no_style_loads_anything_from_another_host(folder: Path) -> None:
    """Protects readers without a network, and readers who want no other host to know what they read."""
    pages, styles = sorted(folder.rglob("*.html")), sorted(folder.rglob("*.css"))
    assert len(pages) > 40
    assert styles
    addresses = [(page, address) for page in pages for address in LOADED.findall(page.read_text("utf-8"))]
    addresses += [(style, a) for style in styles for a in LOADED_BY_CSS.findall(style.read_text("utf-8"))]
    assert len(addresses) > len(pages)
    foreign = [(file.name, html.unescape(a)) for file, a in addresses if re.match(r"(https?:)?//", a)]
    assert foreign == []


# Dark colours make nothing wider: one screen shows that.
@pytest.mark.parametrize(("screen", "scheme"), [("wide", "light"), ("narrow", "light"), ("narrow", "dark")])
def test_pages_fit_their_screen_and_ask_this_host_only(
    chromium: Browser, site: str, screen: str, scheme: str
) -> None:
    """Protects readers on phones from a page that scrolls sideways, in both colour schemes."""
    width, height = SCREENS[screen]
    context = chromium.new_context(color_scheme=scheme, viewport={"width": width, "height": height})
    context.set_default_timeout(LIMIT)
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for name in PAGES:
        answer = page.goto(site + name)
        assert answer is not None
        assert answer.ok, name
        assert page.evaluate("document.documentElement.scrollWidth") == width, name
        dark = page.evaluate("document.body.dataset.mdColorScheme") == "slate"
        assert dark == (scheme == "dark"), name
    assert asked
    assert [url for url in asked if not url.startswith((site, "data:", "blob:"))] == []
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_picture_is_the_one_of_the_colour_scheme(
    chromium: Browser, site: str, folder: Path, scheme: str
) -> None:
    """Protects readers of dark pages from a bright picture, and readers of both from a picture that is missing."""
    context = chromium.new_context(color_scheme=scheme, viewport={"width": 1280, "height": 800})
    context.set_default_timeout(LIMIT)
    page = context.new_page()
    for name, picture in (("", "demo"), ("tracing/", "trace")):
        page.goto(site + name)
        # The other picture has no place on the page. A picture is fetched when it is scrolled to.
        shown = page.evaluate_handle(
            "(picture) => [...document.querySelectorAll(`article img[src*='${picture}']`)]"
            ".filter((image) => getComputedStyle(image).display !== 'none')",
            picture,
        )
        page.evaluate("(images) => images[0].scrollIntoView()", shown)
        page.wait_for_function("(images) => images[0].naturalWidth > 0", arg=shown)
        sources = page.evaluate("(images) => images.map((image) => image.getAttribute('src'))", shown)
        end = f"{picture}{'-dark' if scheme == 'dark' else ''}.png#only-{scheme}"
        assert [source.rpartition("/")[2] for source in sources] == [end]
    context.close()
    # The site's own switch does not reach such an element.
    assert [file for file in folder.rglob("*.html") if "<picture>" in file.read_text("utf-8")] == []


# In dark mode axe looks at the colours only, by the two rules that it has for them: all else of a page is the same.
@pytest.mark.parametrize(
    ("scheme", "options"), [("light", {}), ("dark", {"runOnly": ["color-contrast", "link-in-text-block"]})]
)
def test_axe_finds_nothing_serious(
    chromium: Browser, site: str, scheme: str, options: dict[str, list[str]]
) -> None:
    """Protects readers who need contrast or the keyboard: code of each colour, links to names in code, and wide tables."""
    axe = Path(os.environ["WORKERLIB_AXE"]).read_text(encoding="utf-8")
    context = chromium.new_context(color_scheme=scheme, viewport={"width": 1280, "height": 800})
    context.set_default_timeout(LIMIT)
    page = context.new_page()
    for name in ("", "two-way/", "migrating/", "tracing/", "speed/codec/", "reference/calls/"):
        page.goto(site + name)
        # The theme puts a table into its box when its script runs, which is after the page has loaded.
        page.wait_for_function(
            "[...document.querySelectorAll('article table:not([class])')].every((table) =>"
            " table.closest('.md-typeset__scrollwrap')?.tabIndex === 0)"
        )
        page.evaluate(axe)
        found = page.evaluate(
            """async (options) => {
            const { passes, violations } = await axe.run(document, options);
            if (!passes.some(({ id }) => id === "color-contrast")) return ["no colours were compared"];
            return violations
              .filter(({ impact }) => ["serious", "critical"].includes(impact))
              .flatMap(({ id, nodes }) => nodes.map(({ html, any }) => `${id}: ${html.slice(0, 80)} ${any[0]?.message}`));
        }""",
            options,
        )
        assert found == [], f"{name}: {found[:5]}"
    context.close()


def test_the_search_finds_a_page_by_a_word_of_its_text(chromium: Browser, site: str) -> None:
    """Protects the search, whose index and whose worker are part of the site."""
    page = chromium.new_context(viewport={"width": 1280, "height": 800}).new_page()
    page.set_default_timeout(LIMIT)
    page.goto(site)
    box, found = page.locator("input.md-search__input"), page.locator(".md-search-result__link")
    deadline = time.monotonic() + LIMIT / 1000
    while not found.first.is_visible():
        assert time.monotonic() < deadline, "the search found nothing"
        # Nothing shows when the page's script has begun to listen: the word is typed until it has. Each word that
        # is typed starts a search, so a slow one gets its time.
        box.fill("")
        box.fill("UnsendableError")
        with contextlib.suppress(TooLate):
            found.first.wait_for(state="visible", timeout=LIMIT / 8)
            break
        # The search's script can miss its start while the machine is busy, and then no typing wakes it.
        page.reload()
    addresses = [link.get_attribute("href") or "" for link in found.all()]
    assert any("values/" in address or "errors/" in address for address in addresses), addresses
    page.context.close()


def test_files_of_the_repository_that_pages_link_to_are_there(folder: Path) -> None:
    """Protects links to files outside of docs/, such as the starter and the licences."""
    assert (folder / "workerlib-py/python/workerlib/starter/workerlib.py").is_file()
    home = (folder / "index.html").read_text("utf-8")
    assert 'href="contributing/#what-a-machine-needs"' in home
