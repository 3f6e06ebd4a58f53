"""A host of static files, such as GitHub Pages, and a stand-in for the CDN that its pages take PyScript and Pyodide from.

`tests/browser/test_installing.py` and `test_troubleshooting.py` use both. Neither knows anything of workerlib: the wheel
lies among the files of the page, as it would for a user.
"""

from __future__ import annotations

import functools
import http.server
import json
import re
import threading
import time
import urllib.error
import urllib.request
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar

from playwright.sync_api import BrowserContext, Route

# The folder under which the host serves its files: a project's site on GitHub Pages is never at the root.
SUB_PATH = "project"
_PYODIDE = re.compile(r"https://cdn\.jsdelivr\.net/pyodide/v[\d.]+/full/(?P<file>[^?]+)")
_PYSCRIPT = re.compile(r"https://cdn\.jsdelivr\.net/npm/@pyscript/core@[\d.]+/dist/(?P<file>[^?]+)")
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript",
    ".json": "application/json",
    ".mjs": "text/javascript",
    ".py": "text/x-python",
    ".toml": "application/toml",
    ".wasm": "application/wasm",
    ".whl": "application/octet-stream",
    ".zip": "application/zip",
}


class StaticHost(AbstractContextManager["StaticHost"]):
    """Serves a folder on this machine under a sub-path, with no header but the type and ten minutes in the cache."""

    def __init__(self, root: Path, types: dict[str, str] | None = None) -> None:
        self.folder = root / SUB_PATH
        self.folder.mkdir(parents=True)
        self.fetched: list[str] = []
        self.seconds_late: dict[str, float] = {}
        """How long an answer takes, by the name of the file, where it does not come at once."""
        fetched, seconds_late = self.fetched, self.seconds_late

        class Handler(http.server.SimpleHTTPRequestHandler):
            extensions_map: ClassVar[dict[str, str]] = {
                "": "application/octet-stream",
                **(types or TYPES),
            }

            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                fetched.append(self.path)
                time.sleep(seconds_late.get(self.path.rpartition("/")[2], 0))
                super().do_GET()

            def end_headers(self) -> None:
                self.send_header("Cache-Control", "max-age=600")
                super().end_headers()

        handler = functools.partial(Handler, directory=str(root))
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.address = f"http://localhost:{self._server.server_address[1]}/{SUB_PATH}/"

    def write(self, files: dict[str, str | bytes]) -> None:
        """Puts files into the folder, by their names in it."""
        for name, content in files.items():
            file = self.folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content if isinstance(content, bytes) else content.encode())

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class Cdn:
    """Answers for the CDN of PyScript and Pyodide, and for PyPI, from the files of a site of this suite.

    Pyodide's lock file is the published one but for two things: micropip and packaging have the checksums of the wheels that this
    machine has (npm's package of Pyodide comes without them), and workerlib's entry, which the site has, is taken out.
    """

    def __init__(self, site: str) -> None:
        self._site = site
        self._was_given = False
        self.elsewhere: list[str] = []
        """The requests that were for none of the files of the CDN."""
        self.index: dict[str, dict[str, Any]] = {}
        """The files of PyPI: for each package the answer of its index, and for each file its content."""
        self.files: dict[str, bytes] = {}
        self.withheld = ""
        """The end of an address that is answered once, for the page, and never again."""

    def wheel(self) -> tuple[str, bytes]:
        """Gives the name and the content of the wheel that was built for Pyodide."""
        name = self._lock()["packages"]["workerlib"]["file_name"]
        return name, self._get(f"/pyodide/{name}")

    def file_of_pyodide(self, name: str) -> bytes:
        """Gives a file as the CDN has it."""
        content, _ = self._content(f"https://cdn.jsdelivr.net/pyodide/v0/full/{name}")
        return content

    def answer_for(self, context: BrowserContext) -> None:
        """Takes all requests of a browser context to addresses with https."""
        context.route(re.compile("^https://"), self._answer)

    def _answer(self, route: Route) -> None:
        url = route.request.url
        if self.withheld and url.endswith(self.withheld):
            if self._was_given:
                return
            self._was_given = True
        headers = {"Access-Control-Allow-Origin": "*"}
        try:
            content, kind = self._content(url)
        except KeyError:
            self.elsewhere.append(url)
            route.fulfill(status=404, headers=headers)
        else:
            route.fulfill(body=content, headers={**headers, "Content-Type": kind})

    def _content(self, url: str) -> tuple[bytes, str]:
        if found := _PYSCRIPT.match(url):
            return self._get(f"/pyscript/{found['file']}"), TYPES[".mjs"]
        if found := _PYODIDE.match(url):
            if found["file"] == "pyodide-lock.json":
                lock = self._lock()
                del lock["packages"]["workerlib"]
                return json.dumps(lock).encode(), TYPES[".json"]
            return self._get(f"/pyodide/{found['file']}"), TYPES[Path(found["file"]).suffix]
        if url.startswith("https://pypi.org/simple/"):
            answer = self.index[url.removeprefix("https://pypi.org/simple/").strip("/")]
            return json.dumps(answer).encode(), "application/vnd.pypi.simple.v1+json"
        return self.files[url], "application/octet-stream"

    def _lock(self) -> Any:
        return json.loads(self._get("/pyodide/pyodide-lock.json"))

    def _get(self, path: str) -> bytes:
        return _fetch(self._site + path)


@functools.cache
def _fetch(address: str) -> bytes:
    try:
        with urllib.request.urlopen(address) as answer:
            content: bytes = answer.read()
    except urllib.error.HTTPError as error:
        error.close()
        raise KeyError(address) from None
    return content


def blocks(document: str) -> dict[str, str]:
    """Gives the code blocks of a document that have a file's name behind their language: ```` ```python worker.py ````."""
    text = (Path(__file__).parents[2] / document).read_text(encoding="utf-8")
    found = re.findall(r"^```\w+ (\S+\.\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert len({name for name, _ in found}) == len(found), f"{document} has two blocks of one name"
    return dict(found)
