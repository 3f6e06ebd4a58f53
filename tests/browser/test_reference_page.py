"""A page written for the reference library runs with only the installation changed.

Its files are in pages/reference, as a user of that library has them: both options, adapters with async encoders, an
Enum, the order of subclasses. `workerlib.py` beside them is the starter that the wheel has.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from pathlib import Path

import pytest

from engines import AnyBrowser
from pyscript_page import PYSCRIPT, PyScriptPage

PAGES = Path(__file__).parent / "pages" / "reference"

# The lines of the configurations that installed workerlib.py when it was that library itself.
BESIDE_THE_PAGE = ""
REMOTE = (
    'experimental_remote_packages = true\npackages = ["https://jolaf.github.io/workerlib/workerlib.toml"]\n'
)
# These are the only lines that differ, but for Pyodide, which the page takes from the test's own server and a snapshot.
INSTALLED = 'packages = ["workerlib"]\npackages_cache = "passthrough"\n'
INTERPRETER = 'interpreter = "/workerlib/workerlib-pyodide.mjs?pyodide=/pyodide"\n'


@pytest.fixture(scope="module")
def moved(browser: AnyBrowser, site: str) -> Iterator[PyScriptPage]:
    """The page, when its script has run to its end."""
    if PYSCRIPT < (0, 7, 15):
        pytest.skip("PyScript before 0.7.15 cannot read a comma before a closing bracket in a worker's TOML")
    with PyScriptPage(browser, site, "reference/index.html", has_harness=False, has_snapshot=True) as page:
        page.wait_for("() => document.getElementById('refused').textContent")
        yield page


def shown(page: PyScriptPage, name: str) -> str:
    """Returns what the page's script has written into one of its elements."""
    return str(page.page.evaluate("name => document.getElementById(name).textContent", name))


@pytest.mark.parametrize(
    ("name", "original"),
    [("main", BESIDE_THE_PAGE), ("gallery", BESIDE_THE_PAGE), ("painter", REMOTE)],
)
def test_only_the_installation_is_changed(name: str, original: str) -> None:
    """The configurations differ from those for the reference library in the lines of docs/migrating.md alone."""
    text = (PAGES / f"{name}.toml").read_text()
    before = original + text.replace(INTERPRETER, "").replace(INSTALLED, "").lstrip("\n")
    changes = [line for line in difflib.ndiff(before.split("\n"), text.split("\n")) if line[0] in "+-"]
    added = "".join(f"{line[2:]}\n" for line in changes if line[0] == "+" and line[2:])
    removed = "".join(f"{line[2:]}\n" for line in changes if line[0] == "-" and line[2:])
    assert added == (INTERPRETER if name == "main" else "") + INSTALLED
    assert removed == original


@pytest.mark.every_pyscript
def test_option_1_serves_modules_that_know_nothing_of_workers(moved: PyScriptPage) -> None:
    """`src="./workerlib.py"` with [exports]: an adapted object goes there and comes back."""
    assert shown(moved, "turned") == "Picture L (3, 2) 030201060504"


@pytest.mark.every_pyscript
def test_option_2_exports_functions_of_its_own_script(moved: PyScriptPage) -> None:
    """`export(f, …)`, twice: functions of the worker's script and of a module."""
    assert shown(moved, "areas") == "3.14 4"


@pytest.mark.every_pyscript
def test_adapters_with_async_encoders(moved: PyScriptPage) -> None:
    """Adapted values pass as arguments by position and by keyword, nested in lists and dicts, both ways."""
    assert shown(moved, "film") == "FILM ['Picture', 'Picture'] 030201060504"


@pytest.mark.every_pyscript
def test_an_enum_needs_neither_encoder_nor_decoder(moved: PyScriptPage) -> None:
    """["Transpose", "None", "None"]: the worker was given a Transpose, and so is the page."""
    assert shown(moved, "back") == "Transpose ROTATE_270"


@pytest.mark.every_pyscript
def test_the_order_of_subclasses(moved: PyScriptPage) -> None:
    """The subclass that is listed higher arrives as itself, one without an adapter as its superclass."""
    assert shown(moved, "names") == "Circle, Shape, Shape"
    assert shown(moved, "enlarged") == "Circle circle 2, Shape square 4, Shape triangle 6"


@pytest.mark.every_pyscript
def test_what_a_function_raises_is_caught_as_before(moved: PyScriptPage) -> None:
    """`except Exception` around a call, which says what the function said; nothing else has gone wrong."""
    assert shown(moved, "refused") == "nothing can be turned sideways"
    assert moved.faults == []
