"""The driver of `cargo xtask soak`: keeps a page busy for minutes, samples what it holds, and judges the curves.

Usage: soak.py ENGINE SITE MINUTES FOLDER. It writes `soak-ENGINE.json`, `.md` and `.svg` into the folder.
"""

from __future__ import annotations

import itertools
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from fault_page import FaultPage

from engines import launch

SAMPLE_SECONDS = 6.0
# The curves, and how much each may grow from the second quarter of the run to the last: a share, and a constant.
CURVES = {
    "page's heap, MB": (0.05, 2),
    "worker's heap, MB": (0.05, 8),
    "JavaScript's heap, MB": (0.2, 20),
    "PyProxies": (0, 5),
    "objects of Python": (0.01, 200),
    "open ports": (0, 1),
}


def soak(engine: str, site: str, minutes: float) -> list[dict[str, Any]]:
    """Returns the samples."""
    samples = []
    with launch(engine) as browser, FaultPage(browser, site, "spawn.html") as page:
        page.page.evaluate(
            "([name, source]) => window.harness.add_module(name, source)",
            ["soaking", (Path(__file__).parent / "soaking.py").read_text()],
        )
        page.call("soaking.begin", seed=int(time.time()))
        start = time.monotonic()
        while time.monotonic() - start < 60 * minutes:
            sample = page.call("soaking.soak", limit=300, seconds=SAMPLE_SECONDS)
            sample["seconds"] = time.monotonic() - start
            samples.append(sample)
            print(json.dumps(sample), flush=True)
    return samples


def grown(samples: list[dict[str, Any]]) -> list[str]:
    """Names the curves that grow: compares the medians of the second and of the last quarter."""
    quarter = max(1, len(samples) // 4)
    early, late = samples[quarter : 2 * quarter] or samples[:1], samples[-quarter:]
    found = []
    for name, (share, constant) in CURVES.items():
        before = statistics.median(sample[name] for sample in early)
        after = statistics.median(sample[name] for sample in late)
        if after > before * (1 + share) + constant:
            found.append(f"{name}: {before:.6g} in the second quarter, {after:.6g} in the last")
    return found


def chart(samples: list[dict[str, Any]], title: str) -> str:
    """Draws each curve in a panel of its own."""
    width, height, left, top = 760, 110, 190, 40
    rate = [
        {"calls in a second": (later["calls"] - sooner["calls"]) / (later["seconds"] - sooner["seconds"])}
        for sooner, later in itertools.pairwise(samples)
    ]
    panels = [("calls in a second", [sample["calls in a second"] for sample in rate])]
    panels += [(name, [sample[name] for sample in samples]) for name in CURVES]
    total = top + height * len(panels)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {total}" width="{width}" height="{total}" role="img">',
        f"<title>{title}</title>",
        "<style>text{font:13px system-ui,sans-serif;fill:#1c2024}.value{fill:#555c66}</style>",
        f'<rect width="{width}" height="{total}" fill="#fff"/><text x="12" y="24">{title}</text>',
    ]
    for number, (name, values) in enumerate(panels):
        base = top + height * number
        most = max([*values, 1e-9])
        step = (width - left - 20) / max(1, len(values) - 1)
        points = " ".join(
            f"{left + index * step:.1f},{base + 90 - 80 * value / most:.1f}"
            for index, value in enumerate(values)
        )
        lines += [
            f'<text x="12" y="{base + 30}">{name}</text>',
            f'<text x="12" y="{base + 50}" class="value">at most {most:.6g}</text>',
            f'<line x1="{left}" y1="{base + 90}" x2="{width - 20}" y2="{base + 90}" stroke="#c9ced6"/>',
            f'<polyline points="{points}" fill="none" stroke="#2a6fdb" stroke-width="1.5"/>',
        ]
    return "\n".join([*lines, "</svg>", ""])


def main(engine: str, site: str, minutes: float, folder: Path) -> int:
    """Soaks, writes the results, and returns 0 if nothing grows and every call settled."""
    samples = soak(engine, site, minutes)
    last = samples[-1]
    problems = grown(samples)
    if last["unsettled"]:
        problems.append(f"{last['unsettled']} calls did not settle")
    verdict = "nothing grows, and every call settled" if not problems else "; ".join(problems)
    rate = last["calls"] / last["seconds"]
    text = (
        f"# A soak of {last['seconds'] / 60:.1f} minutes in {engine}\n\n"
        f"{last['calls']} calls ({rate:.0f} in a second), {last['streams']} streams, {last['callbacks']} callbacks,"
        f" {last['objects']} objects, {last['cancels']} cancels, {last['restarts']} restarts, {last['faults']} faults;"
        f" {last['unsettled']} calls that did not settle; the slowest settling after a fault took {last['slowest settling of a death, s']:.2f} s.\n\nVerdict: {verdict}.\n\n"
        f"| | first | last |\n| --- | ---: | ---: |\n"
        + "".join(f"| {name} | {samples[0][name]:.6g} | {last[name]:.6g} |\n" for name in CURVES)
        + f"\n![curves](soak-{engine}.svg)\n"
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"soak-{engine}.md").write_text(text)
    (folder / f"soak-{engine}.json").write_text(json.dumps(samples, indent=1) + "\n")
    (folder / f"soak-{engine}.svg").write_text(chart(samples, f"A soak of {minutes:g} minutes in {engine}"))
    print(text)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], float(sys.argv[3]), Path(sys.argv[4])))
