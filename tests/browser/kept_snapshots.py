"""Memory snapshots that pages of this run start from, so that only the first page of a site waits for Pyodide's own start.

Each page has a browser context of its own, whose storage is empty. A second page in that context, `pages/keeper.html`, has a
snapshot made when it is the first of its site, and hands it to the `Shelf`. In later contexts it takes the snapshot from the
shelf. workerlib's interpreter module (docs/starting.md) finds it in the context's Cache Storage.

The keeper stays open as long as the context: a session of WebKit's driver forgets what a site has stored when the site's
last page closes.
"""

from __future__ import annotations

import functools
import http.server
import json
import threading
from typing import Any

from pace import PACE

LOAD_MILLISECONDS = 120_000 * PACE


class Shelf:
    """Keeps the entries of sites' Cache Storages: a server for this machine, which knows a site by its origin."""

    def __init__(self) -> None:
        entries: dict[str, tuple[str, str, bytes]] = {}

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

            def do_POST(self) -> None:
                """Takes the entry of a site, whose address and digest are in a header."""
                address, digest = json.loads(self.headers["X-Entry"])
                content = self.rfile.read(int(self.headers["Content-Length"]))
                entries[self.headers["Origin"]] = (address, digest, content)
                self._answer(b"")

            def do_OPTIONS(self) -> None:
                """Allows the page to send its header."""
                self._answer(b"")

            def do_GET(self) -> None:
                """Gives the entry of a site, or nothing."""
                entry = entries.get(self.headers["Origin"])
                self._answer(*(entry[2], json.dumps(entry[:2])) if entry else (b"", ""))

            def _answer(self, content: bytes, entry: str = "") -> None:
                self.send_response(200)
                self.send_header("Access-Control-Allow-Origin", "*")
                self.send_header("Access-Control-Allow-Headers", "X-Entry")
                self.send_header("Access-Control-Expose-Headers", "X-Entry")
                self.send_header("X-Entry", entry)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.address = f"http://localhost:{server.server_address[1]}/"


@functools.cache
def _shelf() -> Shelf:
    return Shelf()


def hold(context: Any, site: str) -> Any:
    """Opens the keeper, without a snapshot, and returns its page."""
    keeper = context.new_page()
    keeper.goto(f"{site}/tests/keeper.html", timeout=LOAD_MILLISECONDS)
    keeper.evaluate("() => window.keeper.hold()")
    return keeper


def provide(context: Any, site: str) -> None:
    """Puts the site's snapshot into the storage of a browser context, for as long as the context is open.

    Args:
        context: A context of playwright's or of `webdriver.py`, without a page yet.
        site: The address of the site.
    """
    trouble = hold(context, site).evaluate("shelf => window.keeper.provide(shelf)", _shelf().address)
    assert trouble is None, f"no memory snapshot: {trouble}"
