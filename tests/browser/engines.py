"""The engines that pages are tested and measured in: Chromium, Firefox and WebKit."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from playwright.sync_api import Browser, sync_playwright

from firefox import firefox
from webdriver import WebDriverBrowser
from webkit import webkit

AnyBrowser = Browser | WebDriverBrowser
ENGINE = os.environ.get("WORKERLIB_ENGINE", "chromium")
"""The engine of this run."""

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
"""The program of Chromium, as the machine has it."""
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


# The certificate of the CDN's stand-in (cdn.py) is nobody's; the sites of the tests have none.
_ANY_CERTIFICATE = "--ignore-certificate-errors"
# The pages of a site in a browser context run in one process, which compiles Pyodide's module once for all of them.
_ONE_PROCESS = "--process-per-site"


@contextlib.contextmanager
def launch(engine: str, shares_processes: bool = False) -> Iterator[AnyBrowser]:
    """Starts a browser for as long as the block runs.

    Args:
        engine: chromium, firefox or webkit.
        shares_processes: Whether the pages of a site share a process where they share a browser context; in Chromium only.
    """
    if engine == "firefox":
        yield firefox()
    elif engine == "webkit":
        with webkit() as browser:
            yield browser
    else:
        with sync_playwright() as playwright:
            flags = [*CHROMIUM_FLAGS, _ANY_CERTIFICATE, *([_ONE_PROCESS] if shares_processes else [])]
            chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
            yield chromium
            chromium.close()
