"""A host of static files, such as GitHub Pages.

It knows nothing of workerlib: the wheel lies among the files of the page, as it would for a user. `cdn.py` has the host that
such a page takes PyScript and Pyodide from.
"""

from __future__ import annotations

import functools
import http.server
import re
import threading
import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import ClassVar

# The folder under which the host serves its files: a project's site on GitHub Pages is never at the root.
SUB_PATH = "project"
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
    """Serves a folder on this machine under a sub-path, with no header but the type and `seconds_kept` in the cache."""

    def __init__(self, root: Path, types: dict[str, str] | None = None) -> None:
        self.folder = root / SUB_PATH
        self.folder.mkdir(parents=True)
        self.fetched: list[str] = []
        self.seconds_late: dict[str, float] = {}
        """How long an answer takes, by the name of the file, where it does not come at once."""
        self.seconds_kept = [600]
        """How long browsers may keep an answer."""
        fetched, seconds_late, seconds_kept = self.fetched, self.seconds_late, self.seconds_kept

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
                self.send_header("Cache-Control", f"max-age={seconds_kept[0]}")
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


def blocks(document: str) -> dict[str, str]:
    """Gives the code blocks of a document that have a file's name behind their language: ```` ```python worker.py ````."""
    text = (Path(__file__).parents[2] / document).read_text(encoding="utf-8")
    found = re.findall(r"^```\w+ (\S+\.\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert len({name for name, _ in found}) == len(found), f"{document} has two blocks of one name"
    return dict(found)
