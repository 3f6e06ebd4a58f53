"""Serves the documentation site that `cargo xtask docs` has built, and opens it in Chromium.

WORKERLIB_DOCS is its folder; WORKERLIB_AXE is the program of axe-core; CHROMIUM, if it is set, is the program; WORKERLIB_TEST_PACE is how many times as
long as on a fast machine things may take.
"""

from __future__ import annotations

import functools
import http.server
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from engines import launch
from pace import PACE

# How long a step of a page may take, in milliseconds: the test run measures how slow the machine is.
LIMIT = 30_000 * PACE


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="session")
def folder() -> Path:
    """The folder of the site."""
    return Path(os.environ["WORKERLIB_DOCS"])


@pytest.fixture(scope="session")
def site(folder: Path) -> Iterator[str]:
    """The address of the site, with the slash at its end."""
    handler = functools.partial(_Quiet, directory=os.fspath(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """A Chromium."""
    with launch("chromium") as browser:
        assert isinstance(browser, Browser)
        yield browser
