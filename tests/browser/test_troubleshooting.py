"""docs/troubleshooting.md: each symptom is reproduced, and the text that a user sees is the one that stands there."""

from __future__ import annotations

import io
import json
import re
import time
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import documented_errors
import documents
from cdn import Cdn
from pace import PACE
from pyscript_page import LOAD_MILLISECONDS
from static_host import TYPES, StaticHost

DOCUMENT = (Path(__file__).parents[2] / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
SYMPTOMS: dict[str, str] = dict(
    re.findall(r"^### ([^\n]*)\n\n```text\n(.*?)\n```$", DOCUMENT, re.MULTILINE | re.DOTALL)
)
# The worker has told that it fetches Pyodide before that time is over, on a slow machine too.
SPAWN = f"""import workerlib
await workerlib.spawn("./worker.py", timeout={3 * PACE})
"""
# How long a page is watched after it has told of an error and has said nothing new, on a fast machine.
SILENCE_SECONDS = 15
NEEDED = ["pyodide.mjs", "pyodide.asm.mjs", "pyodide.asm.wasm", "python_stdlib.zip", "pyodide-lock.json"]


@dataclass(frozen=True)
class Setting:
    """README's page with something wrong in it."""

    page: str = "./pyscript.toml"
    """The page's configuration."""
    worker: str = "./pyscript.toml"
    """The worker's."""
    files: Mapping[str, str | bytes] = field(default_factory=dict)
    """The files that are not as README has them."""
    policy: str = ""
    """The page's Content-Security-Policy."""
    types: Mapping[str, str] = field(default_factory=dict)
    """The content types that the host gets wrong."""
    withheld: str = ""
    """The file that the CDN gives to the page and not to the worker."""
    has_worker: bool = True
    """Whether the page has its worker: a mistake that the page alone can make does not wait for one."""
    is_file: bool = False
    """Whether the page is opened from the disk, and not from a server."""
    unreachable: str = ""
    """The addresses, as a pattern, to which the browser has no connection."""
    plain: str = ""
    """What the page does with a plain Pyodide, in JavaScript, instead of PyScript."""


def _named(wheel: str, **more: object) -> str:
    return json.dumps({"packages": [wheel], **more})


# Nothing in the name of this wheel is for the Pyodide of the page.
FOREIGN = "workerlib-0.1.0-cp311-abi3-pyodide_2024_0_wasm32.whl"
PYODIDE = "https://cdn.jsdelivr.net/pyodide/**"
CORE = "https://cdn.jsdelivr.net/npm/@pyscript/core@0.7.31/dist/core.js"
PLAIN = """<!doctype html>
<title>plain</title>
<script type="module">
  import { loadPyodide } from "https://cdn.jsdelivr.net/pyodide/v314.0.7/full/pyodide.mjs";

  const pyodide = await loadPyodide();
  CODE
</script>
"""


# Each takes the wheel's name.
SETTINGS: dict[str, Callable[[str], Setting]] = {
    "Somebody else's workerlib": lambda wheel: Setting(has_worker=False, page=_named("workerlib")),
    "A relative index": lambda wheel: Setting(
        has_worker=False,
        page=_named("workerlib", index_urls=["./simple"]),
        files={"simple/workerlib/index.html": f'<!doctype html><a href="./{wheel}">{wheel}</a>'},
    ),
    "A wheel that is not there": lambda wheel: Setting(has_worker=False, page=_named(f"./elsewhere/{wheel}")),
    "A wheel without `./`": lambda wheel: Setting(
        page="./wrong.toml", worker="./wrong.toml", files={"wrong.toml": f'packages = ["{wheel}"]\n'}
    ),
    "A wheel for another Pyodide": lambda wheel: Setting(has_worker=False, page=_named(f"./{FOREIGN}")),
    "A CDN that cannot be reached": lambda wheel: Setting(
        has_worker=False, unreachable="https://cdn.jsdelivr.net/**"
    ),
    "A Pyodide that cannot be fetched": lambda wheel: Setting(has_worker=False, unreachable=PYODIDE),
    "A package that cannot be fetched": lambda wheel: Setting(
        unreachable=f"{PYODIDE}/micropip-*.whl", plain='await pyodide.loadPackage("micropip");'
    ),
    "A PyPI that cannot be reached": lambda wheel: Setting(
        has_worker=False, page=_named("cowsay"), unreachable="https://pypi.org/**"
    ),
    "No module named 'workerlib'": lambda wheel: Setting(has_worker=False, page="{}"),
    "A worker without workerlib": lambda wheel: Setting(
        # Not inline: where the page's configuration is a file, PyScript 0.7.31 takes that for an inline one.
        worker="./other.toml",
        files={"other.toml": "packages = []\n"},
    ),
    'A "fetching" that stays': lambda wheel: Setting(
        has_worker=False, files={"main.py": SPAWN}, withheld="python_stdlib.zip"
    ),
    "A file that is not there": lambda wheel: Setting(
        has_worker=False, page=_named(f"./{wheel}", files={"./nothing.py": ""})
    ),
    "A page that is opened as a file": lambda wheel: Setting(has_worker=False, is_file=True),
    "A wrong MIME type": lambda wheel: Setting(
        has_worker=False,
        page=_named(f"./{wheel}", interpreter="./pyodide/pyodide.mjs"),
        types={".mjs": "text/plain"},
    ),
    "A wrong MIME type of WebAssembly": lambda wheel: Setting(
        has_worker=False,
        page=_named(f"./{wheel}", interpreter="./pyodide/pyodide.mjs"),
        types={".wasm": "text/plain"},
    ),
    "A warning about SharedArrayBuffer": lambda wheel: Setting(),
    "A policy without `unsafe-eval`": lambda wheel: Setting(
        policy="script-src 'self' https://cdn.jsdelivr.net 'wasm-unsafe-eval'; worker-src blob:"
    ),
    "PyScript in a sandboxed frame": lambda wheel: Setting(
        has_worker=False,
        files={
            "index.html": '<!doctype html><iframe sandbox="allow-scripts" src="./frame.html"></iframe>',
            "frame.html": f'<!doctype html><script type="module" src="{CORE}"></script><script type="py">1</script>',
        },
    ),
    "A policy without workers": lambda wheel: Setting(
        policy="script-src 'self' https://cdn.jsdelivr.net 'unsafe-eval'"
    ),
}


@pytest.fixture
def cdn(browser: Any, site: str) -> Cdn:
    """The CDN of PyScript and Pyodide, and PyPI."""
    cdn = Cdn.of(browser, site)
    cdn.begin()
    return cdn


def test_each_symptom_is_reproduced() -> None:
    """The document has a text for each heading of the third level, and this module a page for each."""
    assert set(SYMPTOMS) == set(re.findall(r"^### ([^\n]*)$", DOCUMENT, re.MULTILINE))
    assert set(SETTINGS) == set(SYMPTOMS)


def _with(setting: Setting) -> dict[str, str | bytes]:
    files: dict[str, str | bytes] = dict(documents.readme()["Install"])
    page = str(files["index.html"])
    for name, config in [("main", setting.page), ("worker", setting.worker)]:
        page = re.sub(
            rf'(src="./{name}\.py") config="[^"]*"', lambda found, c=config: f"{found[1]} config='{c}'", page
        )
    if not setting.has_worker:
        page = re.sub(r".*<script type=\"py\" worker.*\n", "", page)
    if setting.policy:
        meta = f'<meta http-equiv="Content-Security-Policy" content="{setting.policy}">'
        page = page.replace("<title>", f"{meta}<title>")
    if setting.plain:
        page = PLAIN.replace("CODE", setting.plain)
    return {**files, "index.html": page, **setting.files}


def _pypi(cdn: Cdn) -> None:
    """Makes the stand-in list the unrelated package as PyPI does, with what it needs and Pyodide has not."""
    address = "https://files.pythonhosted.org/workerlib-0.5.1-py3-none-any.whl"
    file = {"filename": address.rpartition("/")[2], "url": address, "hashes": {}, "core-metadata": True}
    native = {"filename": "aio_pika-9.5.0.tar.gz", "url": "https://files.pythonhosted.org/a", "hashes": {}}
    for name, version, files in [("workerlib", "0.5.1", [file]), ("aio-pika", "9.5.0", [native])]:
        listed = {"meta": {"api-version": "1.1"}, "name": name, "versions": [version]}
        cdn.index[name] = {**listed, "files": [{"size": 1, **one} for one in files]}
    needs = "Metadata-Version: 2.4\nName: workerlib\nVersion: 0.5.1\nRequires-Dist: aio-pika<10,>=9.0.0\n"
    cdn.files[f"{address}.metadata"] = needs.encode()
    # micropip reads the wheel while it looks for what the wheel needs: a wheel that is not there may be told first.
    wheel = io.BytesIO()
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("workerlib-0.5.1.dist-info/METADATA", needs)
        archive.writestr("workerlib-0.5.1.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
    cdn.files[address] = wheel.getvalue()


# These texts are Pyodide's, PyScript's or the browser's, of versions that are locked: no change of workerlib changes them.
OF_OTHERS = {
    "Somebody else's workerlib",
    "A relative index",
    "A wheel that is not there",
    "A wheel without `./`",
    "A wheel for another Pyodide",
    "No module named 'workerlib'",
    "A CDN that cannot be reached",
    "A Pyodide that cannot be fetched",
    "A package that cannot be fetched",
    "A PyPI that cannot be reached",
    "A file that is not there",
    "A page that is opened as a file",
    "A wrong MIME type of WebAssembly",
    "A warning about SharedArrayBuffer",
    "A policy without `unsafe-eval`",
    "A policy without workers",
}


@pytest.mark.parametrize(
    "symptom",
    [pytest.param(name, marks=pytest.mark.repeated if name in OF_OTHERS else ()) for name in SYMPTOMS],
)
def test_symptom(symptom: str, cdn: Cdn, tmp_path: Path) -> None:
    """A page with that mistake shows that text, on the page or in the console."""
    name, content = cdn.wheel()
    setting = SETTINGS[symptom](name)
    _pypi(cdn)
    cdn.withheld = setting.withheld
    with StaticHost(tmp_path, {**TYPES, **setting.types}) as host:
        host.write({name: content, **_with(setting)})
        if "interpreter" in setting.page:
            host.write({f"pyodide/{needed}": cdn.file_of_pyodide(needed) for needed in NEEDED})
        address = (host.folder / "index.html").as_uri() if setting.is_file else host.address
        pattern = re.compile(_pattern(SYMPTOMS[symptom]), re.DOTALL)
        shown = _shown(cdn, address, pattern, setting.unreachable)
    assert shown is None, shown


@pytest.mark.repeated
@pytest.mark.parametrize(
    ("setting", "text"),
    [
        # The same mistakes without PyScript.
        (
            Setting(plain="", unreachable="https://cdn.jsdelivr.net/**"),
            SYMPTOMS["A CDN that cannot be reached"],
        ),
        (
            Setting(
                plain='await pyodide.loadPackage("micropip");'
                f' await pyodide.pyimport("micropip").install("./{FOREIGN}");'
            ),
            SYMPTOMS["A wheel for another Pyodide"],
        ),
    ],
)
def test_symptom_in_plain_pyodide(setting: Setting, text: str, cdn: Cdn, tmp_path: Path) -> None:
    """A page without PyScript shows the same text."""
    with StaticHost(tmp_path) as host:
        host.write({**_with(setting), "index.html": PLAIN.replace("CODE", setting.plain)})
        shown = _shown(cdn, host.address, re.compile(_pattern(text), re.DOTALL), setting.unreachable)
    assert shown is None, shown


def test_the_remedy_for_a_cdn_that_cannot_be_reached(cdn: Cdn, tmp_path: Path) -> None:
    """With PyScript and Pyodide on its own server, as docs/installing.md says, README's page needs no other host."""
    text = (Path(__file__).parents[2] / "docs" / "installing.md").read_text(encoding="utf-8")
    section = text.partition("## Without a CDN")[2].partition("\n## ")[0]
    tag, configuration = re.findall(r"```(?:html|toml)\n(.*?)```", section, re.DOTALL)
    files = _with(Setting())
    page = str(files["index.html"])
    core = '<script type="module" src="https://cdn.jsdelivr.net/npm/@pyscript/core@0.7.31/dist/core.js"></script>'
    assert page.count(core) == 1
    files.update({"index.html": page.replace(core, tag.strip()), "pyscript.toml": configuration})
    with StaticHost(tmp_path) as host:
        host.write({**files, **cdn.own_copies()})
        shown = _shown(cdn, host.address, re.compile(r"^2\.58", re.MULTILINE), "https://**")
    assert shown is None, shown
    assert cdn.elsewhere == []


def _pattern(shown: str) -> str:
    """Makes a pattern of a text in which `…` stands for anything; it may stand anywhere."""
    return documented_errors.pattern_of(shown).removesuffix(r"\n?\Z")


def _shown(cdn: Cdn, address: str, pattern: re.Pattern[str], unreachable: str = "") -> str | None:
    """Opens the page and waits until the pattern shows.

    Gives all that was shown instead if it does not show in time, or if the page has told of another error and is silent.
    """
    page = cdn.context.new_page()
    said: list[str] = []
    errors: list[str] = []
    page.on("console", lambda message: (errors if message.type == "error" else said).append(message.text))
    page.on("pageerror", lambda error: errors.append(str(error)))
    if unreachable:
        page.route(unreachable, lambda route: route.abort("internetdisconnected"))
    page.goto(address)
    end = time.monotonic() + LOAD_MILLISECONDS / 1000
    everything, since = "", time.monotonic()
    try:
        while time.monotonic() < end:
            before, everything = everything, "\n".join([*said, *errors, page.locator("body").inner_text()])
            if pattern.search(everything):
                return None
            if everything != before:
                since = time.monotonic()
            # Another text than the expected one is not followed by the expected one for ever.
            if (errors or "Error" in everything) and time.monotonic() - since > SILENCE_SECONDS * PACE:
                break
            page.wait_for_timeout(100)
    finally:
        page.close()
    return f"{pattern.pattern}\nis not in\n{everything}"


# The pages of test_page_policies.py have the same remedy.
@pytest.mark.repeated
def test_the_remedy_for_a_policy_without_unsafe_eval(cdn: Cdn, tmp_path: Path) -> None:
    """With PyScript's function away, as docs/migrating.md says, README's page works, however late the module loads."""
    name, content = cdn.wheel()
    files = _with(SETTINGS["A policy without `unsafe-eval`"](name))
    core = "https://cdn.jsdelivr.net/npm/@pyscript/core@0.7.31/dist/core.js"
    files["strict.js"] = f'import {{ hooks }} from "{core}";\nhooks.worker.onBeforeRunAsync.clear();\n'
    page = str(files["index.html"])
    assert page.count(core) == 1
    files["index.html"] = page.replace(core, "./strict.js")
    with StaticHost(tmp_path) as host:
        # PyScript would have met the worker's tag by then.
        host.seconds_late["strict.js"] = 3.0
        host.write({name: content, **files})
        shown = _shown(cdn, host.address, re.compile(r"^2\.58", re.MULTILINE))
    assert shown is None, shown
