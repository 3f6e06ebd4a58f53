"""Makes the pictures of the documents: docs/demo.png, and docs/trace.png, which shows traced calls in Chromium's developer tools.

Each has a second picture for the dark colour scheme, such as docs/demo-dark.png.

Run by `cargo xtask docs --pictures` as `python pictures.py URL FOLDER`: the address of the site, which has the page of `trace/` as
`/pictures/trace/`, and the folder of the pictures. CHROMIUM, if it is set, is the program.

The calls of that page are recorded, and the recording is opened in the developer tools, which Chromium serves to its debuggers.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import Browser, sync_playwright

Scheme = Literal["light", "dark"]

FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
CATEGORIES = [
    "-*",
    "blink.user_timing",
    "devtools.timeline",
    "disabled-by-default-devtools.timeline",
    "v8.execute",
]
LIMIT = 120_000
# The end of a picture's name, by the colour scheme that it is for.
ENDS: dict[Scheme, str] = {"light": ".png", "dark": "-dark.png"}
# Where the panel paints the heads of two tracks, in pixels from the top.
CALLS_TRACK, MAIN_TRACK = 129, 150


def show_demo(browser: Browser, url: str, file: Path, scheme: Scheme) -> None:
    """Takes a picture of the demo page that has counted its flights."""
    page = browser.new_page(viewport={"width": 1200, "height": 820}, color_scheme=scheme)
    page.goto(url, timeout=LIMIT)
    page.wait_for_function(
        "/counted in the worker/.test(document.querySelector('#flights-status').textContent)", timeout=LIMIT
    )
    # The line across the page's head has room for six seconds.
    page.wait_for_timeout(7000)
    page.screenshot(path=file)
    page.close()


def record(browser: Browser, url: str) -> dict[str, Any]:
    """Records the calls of the page that traces."""
    page = browser.new_page()
    page.goto(f"{url}/pictures/trace/", timeout=LIMIT)
    page.wait_for_function("document.querySelector('#status').textContent === 'ready'", timeout=LIMIT)
    browser.start_tracing(page=page, categories=CATEGORIES)
    page.evaluate("makeCalls()")
    recorded: dict[str, Any] = json.loads(browser.stop_tracing())
    page.close()
    return recorded


def show_panel(browser: Browser, tools: str, recorded: dict[str, Any], file: Path, scheme: Scheme) -> None:
    """Takes a picture of the performance panel with a recording: the calls' track is open, and an entry is chosen."""
    content = json.dumps(recorded).encode()
    page = browser.new_page(viewport={"width": 1200, "height": 560}, color_scheme=scheme)
    page.set_default_timeout(LIMIT)
    page.goto(f"{tools}?panel=timeline")
    with page.expect_file_chooser() as chooser:
        page.locator("button[aria-label^='Load trace']").first.click()
    chooser.value.set_files({"name": "trace.json", "mimeType": "application/json", "buffer": content})
    # At their first use the tools explain the keyboard, in a window before everything else. Escape closes that and opens the
    # console, which it closes too.
    page.locator("button[aria-label='Hide sidebar']").first.wait_for()
    page.wait_for_timeout(1000)
    page.keyboard.press("Escape")
    page.locator("button[aria-label='Hide sidebar']").first.click()
    page.keyboard.press("Escape")
    # The tracks are painted, so they are clicked by their places: first the main thread's, then the calls' above it.
    page.wait_for_timeout(1000)
    for y in (MAIN_TRACK, CALLS_TRACK):
        page.mouse.click(10, y)
        page.wait_for_timeout(500)
    page.mouse.click(200, CALLS_TRACK + 17)
    page.mouse.move(600, 40)
    page.wait_for_timeout(1000)
    page.screenshot(path=file)
    page.close()


def main() -> int:
    """Makes the pictures."""
    url, folder = sys.argv[1].rstrip("/"), Path(sys.argv[2])
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"),
            args=[*FLAGS, f"--remote-debugging-port={port}"],
        )
        tools = f"http://127.0.0.1:{port}/devtools/devtools_app.html"
        recorded = record(browser, url)
        for scheme, end in ENDS.items():
            show_demo(browser, url, folder / f"demo{end}", scheme)
            show_panel(browser, tools, recorded, folder / f"trace{end}", scheme)
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
