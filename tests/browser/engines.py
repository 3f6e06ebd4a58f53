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

CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextlib.contextmanager
def launch(engine: str) -> Iterator[AnyBrowser]:
    """Starts the browser of an engine (chromium, firefox or webkit) for as long as the block runs."""
    if engine == "firefox":
        yield firefox()
    elif engine == "webkit":
        with webkit() as browser:
            yield browser
    else:
        with sync_playwright() as playwright:
            path = os.environ.get("CHROMIUM", "/usr/bin/chromium")
            chromium = playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
            yield chromium
            chromium.close()
