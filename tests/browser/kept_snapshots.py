"""Memory snapshots that pages of this run start from, so that only the first page waits for Pyodide's own start.

Each page has a browser context of its own, whose storage is empty. A second page in that context, `pages/keeper.html`, takes
the snapshots from the `Shelf` and puts them into the context's Cache Storage. There workerlib's interpreter module
(docs/starting.md), `spawn()` and the npm package find them. On the first page of a run the keeper has the snapshot of the
interpreter module made. In Chromium the shelf also gets the snapshots that pages have made for their workers.

WORKERLIB_KEPT_SNAPSHOTS is the folder in which the shelf finds what other parts of the test run have made in this engine, and leaves
its own.

The keeper stays open as long as the context: a session of WebKit's driver forgets what a site has stored when the site's
last page closes.
"""

from __future__ import annotations

import atexit
import functools
import hashlib
import http.server
import json
import os
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import Page

from pace import PACE

LOAD_MILLISECONDS = 120_000 * PACE
INTERPRETER = "/workerlib/workerlib-pyodide.mjs?pyodide=/pyodide"
"""The address of the interpreter module, as keeper.js and the configurations of pages have it."""


class Shelf:
    """Keeps the entries of sites' Cache Storages in a folder: a server for this machine.

    All sites of a run share its entries: they have the same files, and no snapshot knows the address of its site. The folder is that of
    the run, if there is one, so that a part of the test run finds the snapshots of other parts. An entry is a file, written whole: its
    address and digest in the first line, then its content.
    """

    def __init__(self, folder: Path) -> None:
        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

            def do_POST(self) -> None:
                """Takes an entry, whose address and digest are in a header."""
                entry = self.headers["X-Entry"].encode()
                content = self.rfile.read(int(self.headers["Content-Length"]))
                folder.mkdir(parents=True, exist_ok=True)
                with tempfile.NamedTemporaryFile(dir=folder, prefix=".", delete=False) as file:
                    file.write(entry + b"\n" + content)
                # Parts that run side by side may make the same snapshot.
                os.replace(file.name, folder / hashlib.sha256(json.loads(entry)[0].encode()).hexdigest()[:16])
                self._answer(b"")

            def do_OPTIONS(self) -> None:
                """Allows the page to send its header."""
                self._answer(b"")

            def do_GET(self) -> None:
                """Gives the content of an entry by its name, or the list of the names, addresses and digests of all entries."""
                name = self.path.removeprefix("/")
                if name:
                    with (folder / name).open("rb") as file:
                        file.readline()
                        self._answer(file.read())
                else:
                    self._answer(json.dumps(list(self._listed())).encode())

            def _listed(self) -> Iterator[tuple[str, str, str]]:
                for path in sorted(folder.glob("[!.]*")):
                    with path.open("rb") as file:
                        address, digest = json.loads(file.readline())
                    yield path.name, address, digest

            def _answer(self, content: bytes) -> None:
                self.send_response(200)
                self.send_header("Access-Control-Allow-Origin", "*")
                self.send_header("Access-Control-Allow-Headers", "X-Entry")
                self.send_header("Cache-Control", "no-store")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.address = f"http://localhost:{server.server_address[1]}/"


@functools.cache
def _shelf() -> Shelf:
    folder = os.environ.get("WORKERLIB_KEPT_SNAPSHOTS")
    if folder:
        return Shelf(Path(folder))
    own = tempfile.TemporaryDirectory(prefix="workerlib-snapshots-")
    atexit.register(own.cleanup)
    return Shelf(Path(own.name))


_open: list[Page] = []
"""The keepers that are open; only of Chromium, whose driver reaches each page of a context at any time."""


def hold(context: Any, site: str) -> Any:
    """Opens the keeper, without a snapshot, and returns its page."""
    keeper = context.new_page()
    keeper.goto(f"{site}/tests/keeper.html", timeout=LOAD_MILLISECONDS)
    keeper.evaluate("() => window.keeper.hold()")
    return keeper


def provide(context: Any, site: str, has_interpreter: bool = True) -> Any:
    """Puts the run's snapshots into the storage of a browser context for a site, for as long as the context is open.

    Args:
        context: A context of playwright's or of `webdriver.py`, without a page yet.
        site: The address of the site.
        has_interpreter: Whether the snapshot of the interpreter module is wanted: it is made if there is none.

    Returns:
        The keeper, for the other functions.
    """
    for other in _open.copy():
        collect(other)
    keeper = hold(context, site)
    keeper.evaluate("shelf => window.keeper.provide(shelf)", _shelf().address)
    if has_interpreter:
        provide_interpreter(keeper)
    if isinstance(keeper, Page):
        _open.append(keeper)
        keeper.on("close", lambda _: _open.remove(keeper))
    return keeper


def provide_interpreter(keeper: Any) -> None:
    """Has the snapshot of the interpreter module made if the run has none."""
    trouble = keeper.evaluate("shelf => window.keeper.provideInterpreter(shelf)", _shelf().address)
    assert trouble is None, f"no memory snapshot: {trouble}"


def collect(keeper: Any) -> None:
    """Puts the snapshots on the shelf that pages of a context have made, before the context closes; in Chromium only."""
    if not isinstance(keeper, Page):
        return
    try:
        keeper.evaluate("shelf => window.keeper.collect(shelf)", _shelf().address)
    except PlaywrightError:
        # The browser may have ended; a snapshot that is not on the shelf is made once more.
        return
