"""The gallery: each page does what it shows, in a few lines of Python, for everybody.

A page is opened once for all tests of it (`shown`): first a visitor uses it, then it is looked at, as it is left then.

WORKERLIB_AXE is the program of axe-core, which looks for what keeps people out; `cargo xtask test --only patterns` sets it.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Page

EXAMPLES = Path(__file__).parents[2] / "examples"
MOST_LINES = 60
READY = "() => document.querySelector('#status').textContent.match(/^(Ready|Painted|[\\d,]+ pixels)/)"

# A visitor's actions in each page, as the body of an async function, and a pattern for what the page says then.
VISITS = {
    "progress": ('click("#start"); return says(/is about 3\\.\\d+\\.$/)', r"^π is about 3\.\d{4}\.$"),
    "notebook": (
        """
        set("#code", "x = 6\\nprint('six')\\nx * 7");
        click("#run");
        await says(/Done/);
        const first = document.querySelector("#output").textContent;
        set("#code", "1 / 0");
        document.querySelector("#status").textContent = "";
        click("#run");
        await says(/Done/);
        return first + document.querySelector("#output").textContent;
        """,
        r"^six\n42\nTraceback .*ZeroDivisionError: division by zero",
    ),
    "fractal": (
        """
        // Without a click all three workers paint in the end, each of which has a button then.
        while (document.querySelectorAll("#workers button").length < 3) {
          await new Promise((resolve) => setTimeout(resolve, 50));
        }
        return says(/^Painted/);
        """,
        r"^Painted 30 stripes; workers started anew: 0\.$",
    ),
    "stream": (
        """
        click("#start");
        const rows = () => document.querySelectorAll("#rows tr").length;
        while (rows() < 3) await new Promise((resolve) => setTimeout(resolve, 20));
        click("#stop");
        await says(/Stopped/);
        click("#start");
        await says(/Done/);
        return document.querySelector("table").innerText + ` rows: ${rows()}`;
        """,
        r"6\s+perfect\s+6\s.*220\s+amicable\s+284\s.*8128\s+perfect\s+8128\s.* rows: 12$",
    ),
    "image": (
        """
        const pixel = () => [...document.querySelector("#picture").getContext("2d").getImageData(320, 180, 1, 1).data];
        const before = pixel();
        set("#filter", "invert");
        while (String(pixel()) === String(before)) await new Promise((resolve) => setTimeout(resolve, 50));
        return `${before} ${pixel()}`;
        """,
        r"^255,241,201,255 0,14,54,255$",
    ),
    "csv": (
        'click("#sample"); await says(/Done/); return document.querySelector("table").innerText',
        r"seattle-weather\.csv: 6 columns.*temp_max\s+1461\s+\d+\s+-1\.6\s+35\.6\s+16\.4",
    ),
    "javascript": (
        """
        set("#calendar", "julian");
        click("#ask");
        const told = await says(/days ago/);
        set("#date", "2999-01-01");
        click("#ask");
        return `${told} ${await says(/Error/)}`;
        """,
        r"^16 February 2000 was a Tuesday, [\d,]+ days ago\. ValueError: 2999-01-01 is in the future$",
    ),
}
HELP = """
const says = async (pattern) => {
  const status = document.querySelector("#status");
  while (!pattern.test(status.textContent)) await new Promise((resolve) => setTimeout(resolve, 20));
  return status.textContent;
};
const click = (selector) => document.querySelector(selector).click();
const set = (selector, value) => {
  const element = document.querySelector(selector);
  element.value = value;
  element.dispatchEvent(new Event("change", { bubbles: true }));
};
"""
# Of every page: light and dark, and by a phone.
ALL_PAGES = [
    "",
    "bench/",
    "examples/",
    *(f"examples/{name}/" for name in (*VISITS, "plain_pyodide", "comlink_rpc")),
]
ALL_PAGES += ["examples/vite-typescript/", "examples/workers/comlink_rpc.html"]


def _address(name: str) -> str:
    return f"examples/{name}/"


@pytest.fixture(scope="module")
def shown(request: pytest.FixtureRequest, open_page: Callable[[], Page]) -> Page:
    """The page of a path, which is open until the tests of another page begin."""
    page = open_page()
    request.addfinalizer(page.close)
    is_visited = request.param in map(_address, VISITS)
    if is_visited:
        page.start_from_snapshot()
    page.open(request.param, READY if is_visited else "() => document.readyState === 'complete'")
    return page


# On an isolated page only the notebook does something else: it interrupts the cell that runs.
_VISITED = [
    pytest.param(
        _address(name), name, id=name, marks=[] if name == "notebook" else pytest.mark.repeated("isolated")
    )
    for name in VISITS
]


# Without the scope, pytest would close the page behind each of these tests, since `name` is not a fixture.
@pytest.mark.parametrize(("shown", "name"), _VISITED, indirect=["shown"], scope="module")
@pytest.mark.isolation("chromium")
def test_a_page_does_what_it_shows(shown: Page, name: str) -> None:
    """A visitor gets what the page promises, with and without isolation."""
    visit, pattern = VISITS[name]
    told = shown.run(HELP + visit)
    assert re.search(pattern, told, re.DOTALL), told


@pytest.mark.parametrize("shown", [_address("notebook")], indirect=True)
@pytest.mark.isolation("chromium")
def test_stop_ends_an_endless_loop(shown: Page) -> None:
    """The cell that loops for ever is stopped, and the next one runs: on an isolated page with the names that it left."""
    told = shown.run(
        HELP
        + """
        set("#code", "x = 5\\nwhile True: pass");
        click("#run");
        await says(/Running/);
        await new Promise((resolve) => setTimeout(resolve, 300));
        click("#stop");
        await says(/Stopped|Done/);
        set("#code", "'x' in globals()");
        document.querySelector("#status").textContent = "";
        click("#run");
        await says(/Done/);
        return [crossOriginIsolated, document.querySelector("#output").textContent];
        """
    )
    assert told in ([True, "True\n"], [False, "False\n"])


COLOURS = "{ runOnly: ['color-contrast', 'link-in-text-block'] }"
"""The options by which axe looks at the colours of a page only: in dark mode all else is the same."""


@pytest.mark.parametrize(("scheme", "options"), [("light", "{}"), ("dark", COLOURS)], ids=["light", "dark"])
@pytest.mark.parametrize("shown", ALL_PAGES, indirect=True)
def test_axe_finds_nothing_serious(shown: Page, scheme: str, options: str) -> None:
    """Contrast, labels, roles and the order of headings let everybody use the page, in light and dark mode."""
    axe = Path(os.environ["WORKERLIB_AXE"]).read_text(encoding="utf-8")
    shown.show_as(scheme)
    shown.run(f"{axe}\n;return true;")
    found = shown.run(
        f"const {{ passes, violations }} = await axe.run(document, {options});"
        """
        if (!passes.some(({ id }) => id === "color-contrast")) return ["no colours were compared"];
        return violations
          .filter(({ impact }) => ["serious", "critical"].includes(impact))
          .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 120)).join(" | ")}`);
    """
    )
    assert found == []


@pytest.mark.parametrize("shown", ALL_PAGES, indirect=True)
def test_a_phone_shows_the_whole_page(shown: Page) -> None:
    """Nothing is wider than a phone, so nobody scrolls sideways."""
    shown.show_as("light", width=390, height=844)
    wide = shown.run("return document.documentElement.scrollWidth - innerWidth")
    assert wide <= 0


@pytest.mark.parametrize(
    ("shown", "name"),
    [(_address(name), name) for name in (*VISITS, "plain_pyodide", "comlink_rpc")],
    indirect=["shown"],
    scope="module",
)
def test_a_page_is_small_and_shows_its_source(shown: Page, name: str) -> None:
    """A reader sees the whole program: under sixty lines of Python, beside the page that runs it."""
    scripts = sorted((EXAMPLES / name).glob("*.py"))
    lines = [line for script in scripts for line in code_lines(script.read_text(encoding="utf-8"))]
    assert len(lines) < MOST_LINES, f"{name} has {len(lines)}"
    texts = "() => [...document.querySelectorAll('details pre')].every((pre) => pre.textContent)"
    shown.wait_for(texts)
    visible = shown.run("return [...document.querySelectorAll('details pre')].map((pre) => pre.textContent)")
    assert {script.read_text(encoding="utf-8") for script in scripts} <= set(visible)


@pytest.mark.parametrize("shown", [_address("fractal")], indirect=True)
def test_a_visitor_kills_a_worker_of_the_pool(shown: Page) -> None:
    """A worker that is killed in the middle of a stripe costs none: the picture is painted whole, and a new worker paints too."""
    told = shown.run(
        HELP
        + """
        const canvas = document.querySelector("#picture");
        const pixels = () => canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
        const wait = () => new Promise((resolve) => setTimeout(resolve, 50));
        // The page paints again until all workers are there, and disables the button meanwhile.
        while (document.querySelectorAll("#workers button").length < 3) await wait();
        while (document.querySelector("#paint").disabled) await wait();
        click("#paint");
        await says(/^Painting/);
        click("#workers button");
        const told = await says(/^Painted/);
        const isWhole = pixels().every((value, index) => index % 4 < 3 || value === 255);
        // Each worker has its number when its first stripe arrives, perhaps only in a later picture.
        const names = () => [...document.querySelectorAll("#workers button")].map(({ textContent }) => textContent);
        while (!names().includes("Kill worker 4")) {
          click("#paint");
          await says(/^Painting/);
          await says(/^Painted/);
        }
        return [told, isWhole, names()];
        """
    )
    assert told[0].startswith("Painted 30 stripes")
    assert told[1] is True
    assert told[2] == ["Kill worker 2", "Kill worker 3", "Kill worker 4"]


# Each page shows the error of its worker's start by the same lines of its main.py, and those of its files by trouble.js.
_STARTED = [
    pytest.param(path, refused, marks=[] if is_apart else pytest.mark.repeated)
    for path, refused, is_apart in [
        *((_address(name), "worker.py", name in ("progress", "javascript")) for name in VISITS),
        (_address("progress"), "workerlib*.whl", True),
        (_address("progress"), "pyodide.asm.wasm", True),
        (_address("progress"), "style.css", True),
        ("bench/", "worker.py", True),
        ("", "pyodide.asm.wasm", True),
    ]
]


_TRY_AGAIN = "() => [...document.querySelectorAll('#trouble button')].some((one) => one.checkVisibility())"


@pytest.mark.parametrize(("path", "refused"), _STARTED)
def test_a_start_that_fails_is_told(new_page: Page, path: str, refused: str) -> None:
    """The page names the file that is missing, also one without which Python starts, and has a button that tries again."""
    new_page.refuse(f"**/{refused}")
    new_page.open(path, _TRY_AGAIN)
    told = new_page.run("return document.querySelector('#trouble[role=alert]').textContent")
    assert refused.partition("*")[0] in told


def test_a_network_that_is_lost_is_told(new_page: Page) -> None:
    """The demo has a button that tries again if the connection of Pyodide's module broke off, for which Pyodide waits for ever."""
    new_page.cut_off("**/pyodide.asm.wasm")
    new_page.open("", _TRY_AGAIN)
    told = new_page.run("return document.querySelector('#trouble[role=alert]').textContent")
    assert "pyodide.asm.wasm" in told or "Failed to fetch" in told


@pytest.mark.parametrize(
    ("path", "until"),
    [
        ("", "() => document.querySelector('#again:enabled')"),
        (_address("progress"), READY),
        pytest.param("bench/", READY, marks=pytest.mark.repeated),
    ],
    ids=["demo", "gallery", "bench"],
)
def test_the_site_in_a_folder_of_its_host(new_page: Page, path: str, until: str) -> None:
    """The demo, the gallery and the benchmark ask for no file outside of the folder that has them."""
    new_page.move_site("a/folder")
    new_page.open(f"a/folder/{path}", until)


def code_lines(source: str) -> Iterator[str]:
    """Gives the lines of a script without blank ones and docstrings."""
    texts = set()
    for node in ast.walk(ast.parse(source)):
        if (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        ):
            texts |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    for number, line in enumerate(source.splitlines(), 1):
        if line.strip() and number not in texts:
            yield line


def test_each_page_leads_back(new_page: Page) -> None:
    """From each example a link leads to the gallery, and from there to the demo, the documentation and the benchmark."""
    new_page.open("examples/", "() => document.readyState === 'complete'")
    links = new_page.run(
        "return [...document.querySelectorAll('nav a')].map(({ href }) => new URL(href).pathname)"
    )
    assert links == ["/", "/docs/", "/bench/"]
    for path in ALL_PAGES[3:]:
        html = new_page.run("return (await fetch(`/${given}`)).text()", path)
        assert re.search(r'<nav aria-label="Gallery"><a href="\.\./">', html), path
