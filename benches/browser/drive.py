"""Opens the benchmark's page in a browser, has it measure, and prints the results as JSON.

    python drive.py ENGINE URL [--quick] [--only PART,…]

`cargo xtask bench --browser ENGINE` runs it. `--only starts,small` measures how workers and pages start, and
small calls, and no more.
"""

from __future__ import annotations

import argparse
import datetime
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

# The engines are those of the tests, whose limits scale by `pace` of the Python tests.
sys.path[:0] = [str(Path(__file__).parents[2] / "tests" / folder) for folder in ("browser", "python")]

import pools
import starts
from engines import AnyBrowser, launch

START_MILLISECONDS = 120_000


def calls(browser: AnyBrowser, url: str, quick: bool, parts: str) -> dict[str, Any]:
    """Has the page of suite.py measure calls: the named parts, or all."""
    context = browser.new_context()
    page = context.new_page()
    page.on("console", lambda message: print(f"{message.type}: {message.text}", file=sys.stderr))
    page.goto(f"{url}/bench/", timeout=START_MILLISECONDS)
    page.wait_for_function("() => window.bench?.isReady", timeout=START_MILLISECONDS)
    measured: dict[str, Any] = json.loads(
        page.evaluate("(chosen) => window.bench.run(...chosen)", [quick, parts])
    )
    context.close()
    return measured


def main() -> None:
    """Does what the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("engine", choices=["chromium", "firefox", "webkit"])
    parser.add_argument("url")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default="", help='parts of suite.py, "starts", "pools", with commas')
    options = parser.parse_args()
    chosen = set(filter(None, options.only.split(",")))
    of_suite = ",".join(sorted(chosen - {"starts", "pools"}))
    results: dict[str, Any] = {"rows": [], "goals": []}

    def add(part: str, measure: Callable[[], dict[str, Any]]) -> None:
        """Adds what a part has measured; its failure is a goal that is not met, and costs no other part."""
        try:
            measured = measure()
        except Exception as error:
            print(f"{part}: {error}", file=sys.stderr)
            measured = {"goals": [pools.not_measured(part, error)]}
        for key, value in measured.items():
            results[key] = results[key] + value if key in ("rows", "goals") else value

    with launch(options.engine) as browser:
        if of_suite or not chosen:
            add("calls", lambda: calls(browser, options.url, options.quick, of_suite))
        if "starts" in chosen or not chosen:
            rounds = 3 if options.quick else 5
            add("starts", lambda: starts.measure(browser, options.url, rounds, options.engine))
        if "pools" in chosen or not chosen:
            add("pools", lambda: pools.measure(browser, options.url, options.quick))
    if not results["rows"]:
        sys.exit("no part has measured anything")
    results["date"] = datetime.datetime.now(datetime.UTC).date().isoformat()
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
