"""Opens the demo page in Chromium, uses it as a person would, and prints what it shows.

Run as `python drive.py URL [--screenshot FILE]`; the environment's CHROMIUM names the browser, and WORKERLIB_TEST_PACE says
how many times slower than usual the machine is. The exit code is not 0 if anything was wrong: a number other than the one
recomputed here from the same files, an error or a warning in the console, a failed request, or a request that leaves the site.
Invariant: what is expected is computed from the served data by the code of this file alone, not by the page's.
It judges no absolute speed; it only checks that the page's frames went on while the worker worked.
"""

import argparse
import csv
import io
import json
import math
import os
import re
import statistics
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, Error, Page, sync_playwright

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# PyScript's own words on every page that is not isolated; its `sync_main_only`, which should silence them, is not
# seen in a worker whose tag has a config attribute.
WARNING_WITHOUT_ISOLATION = "Unable to use `window` or `document` in worker. This requires SharedArrayBuffer"
# How many times slower this machine is than a quiet, fast one (`cargo xtask test` measures it).
PACE = max(1.0, float(os.environ.get("WORKERLIB_TEST_PACE", "1")))
START_TIMEOUT_MS = 180_000 * PACE
ANSWER_TIMEOUT_S = 120.0 * PACE
READ_BARS = """id => [...document.querySelectorAll(`#${id} .bar`)].map(bar => ({
    label: bar.dataset.label, value: bar.dataset.value === "" ? null : Number(bar.dataset.value),
    size: Number(bar.getAttribute("height"))}))"""
READ_BAND = """() => [...document.querySelectorAll("#hours-chart .whisker")].map(
    whisker => [Number(whisker.dataset.low), Number(whisker.dataset.high)])"""
# Counts the page's frames by itself, so that the page's own readout can be checked against it.
COUNT_FRAMES = """() => { const counted = {frames: 0, longest: 0, last: performance.now()}; window.counted = counted;
    const count = at => { counted.frames += 1; counted.longest = Math.max(counted.longest, at - counted.last);
        counted.last = at; if (window.counted === counted) requestAnimationFrame(count); };
    requestAnimationFrame(count); }"""
# The controls that a screen reader could not announce. A label names the first control inside it, and <output> counts as one.
NAMELESS = """() => [...document.querySelectorAll("input, select, button, [role=progressbar]")].filter(item =>
    !item.ariaLabel && !item.labels?.length && !item.textContent.trim()).map(item => item.id || item.outerHTML)"""
READ_FRAMES = "() => { const counted = window.counted; window.counted = null; return counted; }"
DROP = """async ([name, text]) => { const files = new DataTransfer();
    files.items.add(new File([text], name)); const at = document.querySelector("#drop-zone");
    for (const type of ["dragenter", "dragover", "drop"])
        at.dispatchEvent(new DragEvent(type, {dataTransfer: files, bubbles: true, cancelable: true})); }"""

# Presses buttons when the table has so many rows, in the same moment: a click from here might come too late.
PRESS_AT = """([number, ...buttons]) => new MutationObserver((_, observer) => {
    if (document.querySelector("#table-rows").rows.length < number) return;
    observer.disconnect(); buttons.forEach(name => document.querySelector(name).click());
}).observe(document.querySelector("#table-rows"), {childList: true})"""
# Notes how many rows the table had when the model first answered.
NOTE_ANSWER = """() => new MutationObserver((_, observer) => { observer.disconnect();
    window.rowsAtAnswer = document.querySelector("#table-rows").rows.length;
}).observe(document.querySelector("#model-flights"), {childList: true})"""
READ_TABLE = "() => [...document.querySelector('#table-rows').rows].map(row => [...row.cells].map(cell => cell.textContent))"

OWN_CSV = "city,visits,rating,open\n" + "".join(
    f'"{city}, {part}",{visits},{rating},{opened}\n'
    for number, (city, part) in enumerate([("Graz", "north"), ("Linz", "south"), ("Wien", "west")] * 40)
    for visits, rating, opened in [(number * 7 % 50, number % 9 / 2, "yes" if number % 4 else "no")]
)
OWN_JSON = json.dumps(
    {"data": [{"id": n, "size": n % 41 + 50.5 * (n % 3), "ok": n % 3 == 0} for n in range(500)]}
)
BROKEN_JSON = '[{"a": 1},\n {"a": 2},\n {"a": '


class GaveUp(Exception):
    """The page does not work at all: there is nothing more to look at."""


class Visit:
    """One visit to the page: what was found wrong, and how to wait for what should appear."""

    def __init__(self, page: Page, url: str, isolated: bool) -> None:
        self.page = page
        self.url = url
        self.isolated = isolated
        self.wrong: list[str] = []

    def check(self, fact: bool, otherwise: str) -> None:
        """Notes what is wrong if the fact does not hold."""
        if not fact:
            self.wrong.append(otherwise)
            print(f"  WRONG  {otherwise}")

    def wait_for(self, what: str, holds: Callable[[], bool]) -> None:
        """Waits until the page shows something; if it never does, that is noted and the visit goes on."""
        end = time.monotonic() + ANSWER_TIMEOUT_S
        while time.monotonic() < end:
            if holds():
                return
            self.page.wait_for_timeout(50)
        self.check(False, f"{what} did not appear within {ANSWER_TIMEOUT_S:.0f} s")

    def text(self, selector: str) -> str:
        """Reads what an element shows."""
        return " ".join(self.page.inner_text(selector).split())

    def bars(self, chart: str) -> list[dict[str, Any]]:
        """Reads a chart's bars."""
        return list(self.page.evaluate(READ_BARS, chart))

    def shows(self, chart: str, values: list[Any], labels: list[str] | None = None) -> bool:
        """Tells whether a chart shows these values."""
        bars = self.bars(chart)
        return same([bar["value"] for bar in bars], values) and labels in (
            None,
            [bar["label"] for bar in bars],
        )

    @contextmanager
    def counting_frames(self) -> Iterator[dict[str, float]]:
        """Counts the page's frames meanwhile."""
        counted: dict[str, float] = {}
        self.page.evaluate(COUNT_FRAMES)
        began = time.monotonic()
        yield counted
        counted.update(self.page.evaluate(READ_FRAMES), milliseconds=1000 * (time.monotonic() - began))


def same(shown: list[Any], expected: list[Any]) -> bool:
    """Compares numbers as exactly as two orders of summation allow."""
    return len(shown) == len(expected) and all(
        a == b or (a is not None and b is not None and math.isclose(a, b, rel_tol=1e-9))
        for a, b in zip(shown, expected, strict=True)
    )


# The expected values, computed anew


def by_hour(flights: list[dict[str, Any]], passes: Callable[[dict[str, Any]], bool]) -> list[list[int]]:
    """Collects the delays of the flights that pass, hour by hour."""
    hours: list[list[int]] = [[] for _ in range(24)]
    for flight in filter(passes, flights):
        hours[math.floor(flight["time"])].append(flight["delay"])
    return hours


def late_share(delays: list[int]) -> float:
    """Computes the share of flights that were 15 minutes late or more."""
    return len([delay for delay in delays if delay >= 15]) / len(delays)


def spread(hours: list[list[int]]) -> list[int]:
    """Counts delays in bins of ten minutes from -60 to 200, the outermost open."""
    counts = [0] * 26
    for delay in (delay for delays in hours for delay in delays):
        counts[min(25, max(0, (delay + 60) // 10))] += 1
    return counts


def measured(hours: list[list[int]], measure: Callable[[list[int]], float]) -> list[float | None]:
    """Measures each hour; an hour without flights shows nothing."""
    return [measure(delays) if delays else None for delays in hours]


def by_band(flights: list[dict[str, Any]]) -> dict[str, list[int]]:
    """Collects the delays of the flights of each hundred miles, under the name that their row has."""
    bands: dict[int, list[int]] = {}
    for flight in flights:
        bands.setdefault(flight["distance"] // 100, []).append(flight["delay"])
    return {f"{band * 100:,}–{band * 100 + 100:,}": bands[band] for band in sorted(bands)}


def like(flights: list[dict[str, Any]], hour: int, miles: int) -> list[str]:
    """Says what the model answers about an hour and a distance."""
    delays = sorted(
        flight["delay"]
        for flight in flights
        if abs(math.floor(flight["time"]) - hour) <= 1 and abs(flight["distance"] // 100 - miles // 100) <= 1
    )
    return [f"{len(delays):,}", f"{late_share(delays):.1%}", f"{delays[len(delays) // 2]} min"]


# The visit, step by step


def arrive(visit: Visit, flights: list[dict[str, Any]]) -> None:
    """Opens the page and reads the first answer."""
    page = visit.page
    page.goto(visit.url)
    try:
        page.wait_for_selector("#again:enabled, #trouble:not([hidden])", timeout=START_TIMEOUT_MS)
    except Error:
        raise GaveUp(f"the page was not ready after {START_TIMEOUT_MS / 1000:.0f} s") from None
    if page.is_visible("#trouble"):
        raise GaveUp(f"the page says: {visit.text('#trouble')}")
    isolated = "yes" if visit.isolated else "no"
    visit.wait_for("the versions", lambda: visit.text("#version-isolated") == isolated)
    everything = by_hour(flights, lambda _: True)
    means = measured(everything, statistics.fmean)
    all_delays = [delay for delays in everything for delay in delays]
    visit.check(
        visit.shows("hours-chart", means), "the first chart does not show the mean delay of each hour"
    )
    visit.check(
        visit.shows("delays-chart", spread(everything)),
        "the second chart does not show how delays are spread",
    )
    check_figures(visit, all_delays)
    bars = visit.bars("hours-chart")
    scale = [abs(bar["value"]) / bar["size"] for bar in bars if bar["value"] and bar["size"]]
    visit.check(
        bool(scale) and max(scale) / min(scale) < 1.001, "the bars are not as long as their values are large"
    )
    show("title", page.title())
    for stage in page.query_selector_all(".stages li"):
        show("stage", " ".join(stage.inner_text().split()))
    nameless = page.evaluate(NAMELESS)
    visit.check(not nameless, f"controls without a name for screen readers: {nameless}")
    report_answer(visit)


def check_figures(visit: Visit, delays: list[int]) -> None:
    """Compares the four figures above the charts."""
    expected = {
        "matching": f"{len(delays):,}",
        "mean": f"{statistics.fmean(delays):.1f} min",
        "median": f"{statistics.median(delays):.1f} min",
        "late": f"{late_share(delays):.1%}",
    }
    for name, figure in expected.items():
        shown = visit.text(f"#figure-{name}")
        visit.check(shown == figure, f"the figure {name} is {shown}, not {figure}")


def filter_flights(visit: Visit, flights: list[dict[str, Any]]) -> None:
    """Changes each of the controls, as a person does, and reads the answers."""
    page = visit.page
    page.select_option("#metric", "late")
    everything = by_hour(flights, lambda _: True)
    visit.wait_for(
        "the share of late flights", lambda: visit.shows("hours-chart", measured(everything, late_share))
    )
    for control, key, times in (
        ("distance-from", "ArrowRight", 10),
        ("hour-from", "PageUp", 3),
        ("hour-to", "ArrowLeft", 2),
    ):
        page.focus(f"#{control}")
        for _ in range(times):
            page.keyboard.press(key)
    page.focus("#least-delay")
    for _ in range(8):
        page.keyboard.press("ArrowRight")
    shortest, longest, first, last, least = (
        int(page.input_value(f"#{name}"))
        for name in ("distance-from", "distance-to", "hour-from", "hour-to", "least-delay")
    )
    visit.check((shortest, longest, least) == (500, 5000, -25), "the sliders did not follow the keys")
    visit.check(0 < first < last < 23, f"the hours are {first} to {last} after the keys were pressed")
    chosen = by_hour(
        flights,
        lambda flight: (
            shortest <= flight["distance"] <= longest
            and first <= math.floor(flight["time"]) <= last
            and flight["delay"] >= least
        ),
    )
    visit.wait_for("the filtered answer", lambda: visit.shows("hours-chart", measured(chosen, late_share)))
    visit.wait_for("the filtered spread", lambda: visit.shows("delays-chart", spread(chosen)))
    check_figures(visit, [delay for delays in chosen for delay in delays])
    show(
        "filters",
        f"{visit.text('#distance-output')}, {visit.text('#hour-output')}, {visit.text('#least-output')}",
    )
    report_answer(visit)


def work_hard(visit: Visit, flights: list[dict[str, Any]]) -> None:
    """Asks for the confidence band in the worker, while the page's frames are counted."""
    page = visit.page
    page.select_option("#metric", "mean")
    for control, key in (
        ("distance-from", "Home"),
        ("hour-from", "Home"),
        ("hour-to", "End"),
        ("least-delay", "Home"),
    ):
        page.focus(f"#{control}")
        page.keyboard.press(key)
    everything = by_hour(flights, lambda _: True)
    visit.wait_for(
        "the unfiltered answer", lambda: visit.shows("hours-chart", measured(everything, statistics.fmean))
    )
    with visit.counting_frames() as counted:
        page.select_option("#resamples", "20")
        visit.wait_for("the confidence band", lambda: len(page.evaluate(READ_BAND)) == 24)
    for hour, (delays, (low, high)) in enumerate(zip(everything, page.evaluate(READ_BAND), strict=False)):
        mean, error = statistics.fmean(delays), statistics.stdev(delays) / math.sqrt(len(delays))
        visit.check(
            mean - 5 * error < low < high < mean + 5 * error,
            f"the band {low:.2f} to {high:.2f} at {hour}:00 is not one of {mean:.2f} with a standard error of {error:.2f}",
        )
    show(
        "the page",
        f"drew {counted['frames']:.0f} frames in {counted['milliseconds']:.0f} ms, longest {counted['longest']:.0f} ms",
    )
    visit.check("work in the worker" in visit.text(".timing"), "the times are not said to be the worker's")
    visit.check(
        counted["frames"] >= 5, f"the page drew only {counted['frames']} frames while the worker worked"
    )
    visit.check(
        counted["longest"] < counted["milliseconds"] / 2, "the page stood still while the worker worked"
    )
    report_answer(visit)


def work_on_the_page(visit: Visit) -> None:
    """Has the page's own Python do the same work: the same numbers, and no frames meanwhile."""
    page = visit.page
    before, band = visit.bars("hours-chart"), page.evaluate(READ_BAND)
    with visit.counting_frames() as counted:
        page.check('[name="where"][value="page"]', force=True)
        visit.wait_for("the page's own answer", lambda: "on the page" in visit.text("#flights-status"))
    visit.check(
        visit.bars("hours-chart") == before, "the page's own Python shows other numbers than the worker's"
    )
    visit.check(
        page.evaluate(READ_BAND) == band, "the page's own Python shows another band than the worker's"
    )
    show(
        "the page",
        f"drew {counted['frames']:.0f} frames in {counted['milliseconds']:.0f} ms, longest {counted['longest']:.0f} ms",
    )
    # Not by the longest frame: the one in which the page stands still may end behind the last that is counted.
    visit.check(
        counted["frames"] < counted["milliseconds"] / 1000 * 30,
        "the page did not stand still although its own Python worked",
    )
    visit.check("work on the page" in visit.text(".timing"), "the times are not said to be the page's")
    report_answer(visit)
    page.select_option("#resamples", "0")
    page.check('[name="where"][value="worker"]', force=True)
    visit.wait_for("the worker's answer", lambda: "in the worker" in visit.text("#flights-status"))


def open_files(visit: Visit, airports: str) -> None:
    """Opens a file of the site, one of one's own, a dropped one and a broken one."""
    page = visit.page
    page.click('.sample[data-name="airports.csv"]')
    visit.wait_for("the airports", lambda: visit.text("#file-status").endswith("bytes"))
    report_file(visit)
    page.select_option("#by", "state")
    rows = list(csv.DictReader(io.StringIO(airports)))
    states: dict[str, int] = {}
    for row in rows:
        if row["state"] != "NA":
            states[row["state"]] = states.get(row["state"], 0) + 1
    largest = sorted(states.values(), reverse=True)[:20]
    visit.wait_for("the airports of each state", lambda: visit.shows("file-chart", largest))
    visit.check(
        all(states[bar["label"]] == bar["value"] for bar in visit.bars("file-chart")),
        "states have wrong counts",
    )
    report_chart(visit)

    page.set_input_files(
        "#file-input", {"name": "own.csv", "mimeType": "text/csv", "buffer": OWN_CSV.encode()}
    )
    visit.wait_for("the chosen file", lambda: visit.text("#file-status").startswith("120 rows, 4 columns"))
    kinds = ["city text", "visits integer", "rating number", "open yes/no"]
    shown = [" ".join(item.inner_text().split()) for item in page.query_selector_all("#columns li")]
    visit.check(shown == kinds, f"the columns are shown as {shown}")
    page.select_option("#by", "city")
    page.select_option("#how", "mean")
    page.select_option("#value", "visits")
    ratings: dict[str, list[float]] = {}
    for row in csv.DictReader(io.StringIO(OWN_CSV)):
        ratings.setdefault(row["city"], []).append(int(row["visits"]))
    means = sorted(((statistics.fmean(values), city) for city, values in ratings.items()), reverse=True)
    visit.wait_for(
        "the mean of each group",
        lambda: visit.shows("file-chart", [mean for mean, _ in means], [city for _, city in means]),
    )
    report_file(visit)
    report_chart(visit)

    page.evaluate(DROP, ["own.json", OWN_JSON])
    visit.wait_for("the dropped file", lambda: visit.text("#file-status").startswith("500 rows, 3 columns"))
    page.select_option("#by", "ok")
    page.select_option("#how", "median")
    page.select_option("#value", "size")
    records = json.loads(OWN_JSON)["data"]
    medians = [
        statistics.median(record["size"] for record in records if record["ok"] == ok) for ok in (False, True)
    ]
    visit.wait_for("the medians", lambda: visit.shows("file-chart", medians, ["no", "yes"]))
    report_file(visit)
    report_chart(visit)

    page.evaluate(DROP, ["broken.json", BROKEN_JSON])
    visit.wait_for("the error of the broken file", lambda: page.is_visible("#file-error"))
    visit.check(
        "line 3" in visit.text("#file-error"), "the error does not say where the broken file is broken"
    )
    visit.check(
        "tables.py" in (page.text_content("#file-error pre") or ""), "the worker's traceback is not shown"
    )
    show("error", visit.text("#file-error > p"))
    page.evaluate(DROP, ["own.json", OWN_JSON])
    visit.wait_for(
        "a good file after the broken one", lambda: visit.text("#file-status").startswith("500 rows")
    )
    visit.check(not page.is_visible("#file-error"), "the last file's error is still shown")


def stream_rows(visit: Visit, flights: list[dict[str, Any]]) -> None:
    """Stops the table by distance after three rows; then has it filled, while the worker's model is asked."""
    page, bands = visit.page, by_band(flights)
    page.evaluate(PRESS_AT, [3, "#table-stop"])
    page.click("#table-start")
    visit.wait_for("the end of the stopped table", lambda: visit.text("#table-status").startswith("Stopped"))
    check_table(visit, bands)
    shown, begun = map(int, re.findall(r"\d+", visit.text("#table-status")))
    visit.check(3 <= shown < len(bands), f"a table that was stopped at its third row has {shown}")
    visit.check(shown <= begun <= shown + 5, f"the worker began {begun} rows of a table stopped at {shown}")
    show("stopped", visit.text("#table-status"))

    page.evaluate(NOTE_ANSWER)
    page.evaluate(PRESS_AT, [1, "#model-open"])
    with visit.counting_frames() as counted:
        page.click("#table-start")
        visit.wait_for("the whole table", lambda: visit.text("#table-status") == f"All {len(bands)} rows.")
    visit.check(len(check_table(visit, bands)) == len(bands), "a row of the table is missing")
    visit.check(
        counted["frames"] >= 5 and counted["longest"] < counted["milliseconds"] / 2,
        f"the page stood still while the rows came: {counted}",
    )
    rows = page.evaluate("window.rowsAtAnswer ?? Infinity")
    visit.check(rows < len(bands), f"the model answered only when the table had {rows} rows")
    show("table", f"{len(bands)} rows; the model answered behind row {rows}")


def check_table(visit: Visit, bands: dict[str, list[int]]) -> list[list[str]]:
    """Compares the rows that are shown, and returns them."""
    rows: list[list[str]] = visit.page.evaluate(READ_TABLE)
    visit.check([row[0] for row in rows] == list(bands)[: len(rows)], "the rows are not in their order")
    for name, *cells in rows:
        delays = bands[name]
        mean, late = statistics.fmean(delays), late_share(delays)
        low, high = map(float, cells.pop(2).split(" to "))
        expected = [f"{len(delays):,}", f"{mean:.1f} min", f"{late:.1%}"]
        visit.check(cells == expected, f"the row {name} shows {cells}, not {expected}")
        slack = 5 * statistics.stdev(delays) / math.sqrt(len(delays)) + 0.1
        visit.check(mean - slack < low <= high < mean + slack, f"{low} to {high} is not a range of {mean}")
    return rows


def ask_model(visit: Visit, flights: list[dict[str, Any]]) -> None:
    """Asks the model that stays in the worker about other flights, and closes it."""
    page = visit.page

    def answers() -> bool:
        wish = int(page.input_value("#model-hour")), int(page.input_value("#model-miles"))
        shown = [visit.text(f"#model-{name}") for name in ("flights", "late", "median")]
        return shown == like(flights, *wish)

    visit.wait_for("the model's first answer", answers)
    visit.check("<remote Model>" in visit.text("#model-status"), "the page does not show its handle")
    for control, key in (("model-hour", "ArrowLeft"), ("model-miles", "ArrowRight")):
        page.focus(f"#{control}")
        for _ in range(4):
            page.keyboard.press(key)
    visit.check(page.input_value("#model-miles") == "1000", "the sliders did not follow the keys")
    visit.wait_for("the model's last answer", answers)
    show("model", f"{visit.text('#model-form .figures')}; {visit.text('#model-status')}")
    page.click("#model-close")
    visit.wait_for("the end of the model", lambda: visit.text("#model-status").startswith("Closed"))
    visit.check("keeps no model" in visit.text("#model-status"), "the worker has kept the model")
    show("closed", visit.text("#model-status"))


def look_around(visit: Visit) -> None:
    """Reads the code that is shown, the pulse and the footer."""
    page = visit.page
    for source, line in (("worker", "@workerlib.export"), ("main", 'await workerlib.connect("flights")')):
        visit.check(line in visit.text(f'code[data-source="./{source}.py"]'), f"{source}.py is not shown")
    visit.wait_for("frames per second", lambda: visit.text("#fps").isdigit() and int(visit.text("#fps")) > 0)
    show("frames", visit.text(".frames"))
    for item in page.query_selector_all("#versions div"):
        show("version", " ".join(item.inner_text().split()))


def show(what: str, words: str) -> None:
    """Prints one line of the report."""
    print(f"  {what:<10} {words}")


def report_answer(visit: Visit) -> None:
    """Prints what the page shows about the flights."""
    show("status", visit.text("#flights-status"))
    show("figures", visit.text(".figures"))
    values = [(bar["label"], bar["value"]) for bar in visit.bars("hours-chart") if bar["value"] is not None]
    show(
        "chart",
        f"{visit.text('#hours-caption')}: " + ", ".join(f"{hour} {value:.3g}" for hour, value in values),
    )
    show("timing", visit.text(".timing"))


def report_file(visit: Visit) -> None:
    """Prints what the page shows about the file that was opened."""
    show(
        "file", f"{visit.text('#file-title')}: {visit.text('#file-status')}; columns {visit.text('#columns')}"
    )


def report_chart(visit: Visit) -> None:
    """Prints the chart of the file that was opened."""
    bars = ", ".join(f"{bar['label']} {bar['value']:.4g}" for bar in visit.bars("file-chart")[:6])
    show("chart", f"{visit.text('#file-caption')}: {bars}, …")


def listen(context: BrowserContext, visit: Visit) -> None:
    """Notes everything that a browser would report, from the page and from its workers."""
    site = urlsplit(visit.url).netloc

    def stays(address: str) -> bool:
        parts = urlsplit(address)
        return parts.scheme in ("data", "blob") or parts.netloc == site

    def worth_reporting(kind: str, text: str) -> bool:
        return kind in ("error", "warning") and (
            visit.isolated or not text.startswith(WARNING_WITHOUT_ISOLATION)
        )

    context.on(
        "console",
        lambda message: visit.check(
            not worth_reporting(message.type, message.text), f"console {message.type}: {message.text}"
        ),
    )
    context.on("weberror", lambda error: visit.check(False, f"page error: {error.error}"))
    context.on("request", lambda request: visit.check(stays(request.url), f"left the site: {request.url}"))
    context.on("requestfailed", lambda request: visit.check(False, f"request failed: {request.url}"))
    context.on(
        "response",
        lambda response: visit.check(response.status < 400, f"{response.url} answered {response.status}"),
    )


def fetch(url: str) -> bytes:
    """Fetches a file of the site, without the browser."""
    with urllib.request.urlopen(url, timeout=60) as response:
        return bytes(response.read())


def main() -> int:
    """Makes the visit; the result is the exit code."""
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("url")
    arguments.add_argument(
        "--screenshot", metavar="FILE", help="where to save a picture of the whole page (PNG)"
    )
    options = arguments.parse_args()
    url = options.url.rstrip("/") + "/"
    flights = json.loads(fetch(f"{url}data/flights-200k.json"))
    airports = fetch(f"{url}data/airports.csv").decode()
    with urllib.request.urlopen(url, timeout=60) as response:
        isolated = "Cross-Origin-Embedder-Policy" in response.headers

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"), args=FLAGS
        )
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        visit = Visit(context.new_page(), url, isolated)
        visit.page.set_default_timeout(1000 * ANSWER_TIMEOUT_S)
        listen(context, visit)
        steps: list[tuple[str, Callable[[], None]]] = [
            ("The page opens", lambda: arrive(visit, flights)),
            ("The filters are changed", lambda: filter_flights(visit, flights)),
            ("The worker works hard", lambda: work_hard(visit, flights)),
            ("The page's own Python does the same", lambda: work_on_the_page(visit)),
            ("Files are opened", lambda: open_files(visit, airports)),
            ("Rows come one by one", lambda: stream_rows(visit, flights)),
            ("A model stays in the worker", lambda: ask_model(visit, flights)),
            ("A look around", lambda: look_around(visit)),
        ]
        for title, step in steps:
            print(f"\n{title}", flush=True)
            try:
                step()
            except (GaveUp, Error) as error:
                visit.check(False, f"{title}: {error}")
                break
        if options.screenshot:
            visit.page.screenshot(path=options.screenshot, full_page=True)
        browser.close()

    print(f"\n{url}: {'all as it should be' if not visit.wrong else f'{len(visit.wrong)} things are wrong'}")
    for line in visit.wrong:
        print(f"  {line}")
    return 1 if visit.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
