"""Opens the benchmark's page in a browser, has it measure, and prints the results as JSON.

    python drive.py ENGINE URL [--quick] [--only PART,…]

`cargo xtask bench --browser ENGINE` runs it. `--only starts` measures how workers and pages start, and no
more.
"""

from __future__ import annotations

import argparse
import datetime
import json
import sys
from pathlib import Path
from typing import Any

# The engines are those of the tests, whose limits scale by `pace` of the Python tests.
sys.path[:0] = [str(Path(__file__).parents[2] / "tests" / folder) for folder in ("browser", "python")]

import pools
import starts
from engines import launch

START_MILLISECONDS = 120_000


def main() -> None:
    """Does what the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("engine", choices=["chromium", "firefox", "webkit"])
    parser.add_argument("url")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default="", help='parts of suite.py, "starts" or "pools"')
    options = parser.parse_args()
    with launch(options.engine) as browser:
        results: dict[str, Any] = {"rows": [], "goals": []}
        if options.only not in ("starts", "pools"):
            context = browser.new_context()
            page = context.new_page()
            page.on("console", lambda message: print(f"{message.type}: {message.text}", file=sys.stderr))
            page.goto(f"{options.url}/bench/", timeout=START_MILLISECONDS)
            page.wait_for_function("() => window.bench?.isReady", timeout=START_MILLISECONDS)
            results = json.loads(
                page.evaluate("(chosen) => window.bench.run(...chosen)", [options.quick, options.only])
            )
            context.close()
        if options.only in ("", "starts"):
            started = starts.measure(browser, options.url, 3 if options.quick else 5, options.engine)
            for key, more in started.items():
                results[key] += more
        if options.only in ("", "pools"):
            for key, more in pools.measure(browser, options.url, options.quick).items():
                results[key] += more
    results["date"] = datetime.datetime.now(datetime.UTC).date().isoformat()
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
