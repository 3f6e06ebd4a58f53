"""The view of the demo page: every line that writes to the document, and the readings of the controls.

Invariant: it only shows what it is given; it asks nothing of the desk and computes no result.
"""

import json
import traceback
from typing import Any

from js import performance
from pyscript import document
from pyscript.js_modules import chart, pulse

from clock import Timed, now

FORMATS = {
    "mean": {"unit": "min", "digits": 1},
    "median": {"unit": "min", "digits": 1},
    "late": {"percent": True, "digits": 1},
    "flights": {"digits": 0},
}
METRIC_NAMES = {
    "mean": "Mean delay",
    "median": "Median delay",
    "late": "Share 15 minutes late or more",
    "flights": "Number of flights",
}
HOW_NAMES = {"min": "smallest", "max": "largest"}
NUMERIC = ("integer", "number")


def element(name: str) -> Any:
    """Finds an element of the page by its id."""
    return document.getElementById(name)


def text(name: str, words: object) -> None:
    """Sets an element's text."""
    element(name).textContent = str(words)


def stage(which: str, state: str, words: str) -> None:
    """Says how far the page's or the worker's Python is."""
    item = element(f"stage-{which}")
    item.dataset.state = state
    item.querySelector("b").textContent = words


def trouble(error: BaseException) -> None:
    """Shows an error that the page cannot go on after, and what caused it."""
    element("trouble").hidden = False
    chain = [error] if error.__cause__ is None else [error, error.__cause__]
    text("trouble-text", " ← ".join(f"{type(link).__name__}: {link}" for link in chain))


def enable() -> None:
    """Lets the visitor use the controls."""
    for item in document.querySelectorAll("fieldset, .sample, #file-input"):
        item.disabled = False


async def action() -> None:
    """Begins a new action: the longest frame is counted from here, after what was changed is on the screen."""
    await pulse.painted()
    pulse.mark()


# The controls


def on_page() -> bool:
    """Tells whether the visitor wants the page's own Python to work."""
    return bool(document.querySelector('[name="where"][value="page"]').checked)


def where() -> str:
    """Says whose Python the visitor wants to work."""
    return "on the page" if on_page() else "in the worker"


def question() -> dict[str, Any]:
    """Reads the question that the controls ask about the flights."""
    least = element("least-delay")
    return {
        "distance": (
            int(element("distance-from").value),
            int(element("distance-to").value),
        ),
        "hours": (int(element("hour-from").value), int(element("hour-to").value)),
        "least_delay": None if least.value == least.min else int(least.value),
        "metric": element("metric").value,
        "resamples": int(element("resamples").value),
    }


def grouping() -> tuple[str, str | None, str]:
    """Reads the question that the controls ask about the visitor's file: by, value, how."""
    how = element("how").value
    return element("by").value, None if how == "count" else element("value").value, how


# Progress and times


def progress(panel: str, words: str, done: float) -> None:
    """Shows how far something is, between 0 and 1."""
    bar = element(f"{panel}-progress")
    bar.dataset.active = ""
    bar.style.setProperty("--done", f"{100 * done:.1f}%")
    bar.setAttribute("aria-valuenow", f"{100 * done:.0f}")
    # So many small changes are not for reading aloud.
    element(f"{panel}-status").ariaBusy = "true"
    text(f"{panel}-status", f"{words[:1].upper()}{words[1:]} … {100 * done:.0f} %")


def finished(panel: str, words: str) -> None:
    """Takes the progress away and says how it ended."""
    bar = element(f"{panel}-progress")
    del bar.dataset.active
    element(f"{panel}-status").ariaBusy = "false"
    text(f"{panel}-status", words)


def timing(call: Timed, drawn: float, where: str) -> None:
    """Shows how long each part of a call took; `where` says whose Python worked."""
    parts = [
        ("send", "encode and send", call.sent - call.began),
        ("way", "on the way", call.work_began - call.sent),
        ("work", f"work {where}", call.work_ended - call.work_began),
        ("back", "return and decode", call.received - call.work_ended),
        ("draw", "draw", drawn - call.received),
    ]
    bar, words = element("timing-bar"), element("timing-list")
    bar.replaceChildren()
    words.replaceChildren()
    for part, name, milliseconds in parts:
        shown = max(milliseconds, 0.0)
        piece = document.createElement("i")
        piece.dataset.part = part
        piece.title = name
        piece.style.setProperty("--ms", str(shown))
        bar.append(piece)
        row = document.createElement("div")
        row.dataset.part = part
        for tag, content in (("dt", name), ("dd", duration(shown))):
            cell = document.createElement(tag)
            cell.textContent = content
            row.append(cell)
        words.append(row)
    text("timing-total", duration(drawn - call.began))


def duration(milliseconds: float) -> str:
    """Writes a time as a person would."""
    if milliseconds < 10:
        return f"{milliseconds:.1f} ms"
    return f"{milliseconds:.0f} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.1f} s"


def since_start() -> str:
    """Tells the time since the visitor opened the page."""
    return duration(now() - performance.timeOrigin)


# The flights


def delays(answer: dict[str, Any], metric: str) -> None:
    """Draws the summary of the flights."""
    overall = answer["overall"]
    text("figure-matching", f"{answer['matching']:,}")
    for name in ("mean", "median"):
        text(
            f"figure-{name}",
            "–" if overall[name] is None else f"{overall[name]:.1f} min",
        )
    text("figure-late", "–" if overall["late"] is None else f"{overall['late']:.1%}")
    name = METRIC_NAMES[metric]
    text("hours-caption", f"{name} by hour of departure")
    flights = answer["hours"]["flights"]
    _draw(
        "hours-chart",
        kind="columns",
        labels=[f"{hour:02}" for hour in range(len(flights))],
        values=[
            value if count else None for value, count in zip(answer["hours"][metric], flights, strict=True)
        ],
        band=answer["band"],
        format=FORMATS[metric],
        notes=[f"{count:,} flights" for count in flights],
        about=f"{name} for each hour of departure, from {answer['matching']:,} flights",
    )
    spread = answer["histogram"]
    edges = [spread["start"] + spread["width"] * number for number in range(len(spread["counts"]))]
    notes = [f"{edge} to {edge + spread['width']} min" for edge in edges]
    notes[0], notes[-1] = f"less than {edges[1]} min", f"{edges[-1]} min and more"
    _draw(
        "delays-chart",
        kind="columns",
        labels=[str(edge) for edge in edges],
        values=spread["counts"],
        format={"digits": 0, "unit": "flights"},
        notes=notes,
        edges=True,
        about="Number of flights by their delay in minutes",
    )


# The table by distance


def table_begins() -> None:
    """Empties the table, and offers to stop it."""
    element("table-rows").replaceChildren()
    element("table-start").disabled, element("table-stop").disabled = True, False
    element("table-stop").focus()
    element("table-status").ariaBusy = "true"
    text("table-status", "The worker computes the first row …")


def add_row(row: dict[str, Any]) -> None:
    """Adds a row behind the others; the table scrolls with it, unless the visitor looks at an earlier row."""
    box, (first, last), (low, high) = element("table-box"), row["miles"], row["range"]
    follows = box.scrollHeight - box.scrollTop - box.clientHeight < 40
    line = element("table-rows").insertRow()
    head = document.createElement("th")
    head.scope = "row"
    head.textContent = f"{first:,}–{last:,}"
    line.append(head)
    for words in (
        f"{row['flights']:,}",
        f"{row['mean']:.1f} min",
        f"{low:.1f} to {high:.1f}",
        f"{row['late']:.1%}",
    ):
        line.insertCell().textContent = words
    line.style.setProperty("--late", f"{100 * row['late']:.1f}%")
    if follows:
        box.scrollTop = box.scrollHeight
    text("table-status", f"{_rows()} here, the next one is being computed …")


def table_stops() -> None:
    """Says that the visitor has stopped the table."""
    element("table-stop").disabled = True


def table_ends(is_stopped: bool, begun: int) -> None:
    """Says whether the visitor has stopped the table, and how many rows the worker had begun."""
    element("table-start").disabled, element("table-stop").disabled = False, True
    element("table-start").focus()
    element("table-status").ariaBusy = "false"
    if is_stopped:
        text(
            "table-status", f"Stopped after {_rows()}. The worker had begun {begun}, and computes no further."
        )
    else:
        text("table-status", f"All {_rows()}.")


def _rows() -> str:
    number = element("table-rows").rows.length
    return f"{number} row" if number == 1 else f"{number} rows"


# The model


def flight() -> tuple[int, int]:
    """Reads the hour and the distance of the visitor's flight."""
    return int(element("model-hour").value), int(element("model-miles").value)


def model_begins() -> None:
    """Says that the worker makes its model."""
    element("model-open").disabled, element("model-close").disabled = True, False
    element("model-close").focus()
    text("model-status", "The worker makes the model …")


def model_answers(model: object, answer: dict[str, Any], asked: int) -> None:
    """Shows an answer of the model, the handle that the page holds, and how often the model was asked."""
    text("model-status", f"The page holds {model!r}. Questions so far: {asked}.")
    late, median = answer["late"], answer["median"]
    text("model-flights", f"{answer['flights']:,}")
    text("model-late", "–" if late is None else f"{late:.1%}")
    text("model-median", "–" if median is None else f"{median} min")


def model_ends(left: int) -> None:
    """Says that the model is closed, and how many the worker still has."""
    element("model-open").disabled, element("model-close").disabled = False, True
    element("model-open").focus()
    text("model-status", f"Closed. The worker has let it go, and keeps {left or 'no'} model.")
    for name in ("flights", "late", "median"):
        text(f"model-{name}", "–")


# The visitor's file


def file(table: dict[str, Any]) -> None:
    """Shows a file's columns and offers the questions that can be asked about it."""
    text("file-title", table["name"])
    chips = element("columns")
    chips.replaceChildren()
    for name, kind in table["columns"]:
        chip = document.createElement("li")
        kind_of = document.createElement("small")
        kind_of.textContent = kind
        chip.append(name, kind_of)
        chips.append(chip)
    usable = [(name, kind) for name, kind in table["columns"] if kind != "empty"]
    numbers = [name for name, kind in usable if kind in NUMERIC]
    _offer("by", [name for name, _ in usable])
    _offer("value", numbers)
    # A column of names that differ in every row makes a dull first chart.
    kinds = dict(usable)
    first = next(
        (name for kind in ("date", "yes/no", "number", "integer") for name in kinds if kinds[name] == kind),
        None,
    )
    element("by").value = first or usable[0][0]
    for option in element("how").options:
        option.disabled = option.value != "count" and not numbers
    element("how").value = "count"
    element("questions").hidden = False


def groups(answer: dict[str, Any], by: str, value: str | None, how: str) -> None:
    """Draws the groups of the visitor's file."""
    what = "Number of rows" if value is None else f"{HOW_NAMES.get(how, how).capitalize()} of {value}"
    left_off, left_out = answer["groups_left_off"], answer["rows_left_out"]
    caption = f"{what} by {by}"
    if left_off:
        caption += f" · the {len(answer['labels'])} largest of {answer['groups']:,} groups"
    if left_out:
        caption += f" · {left_out:,} rows without a value left out"
    text("file-caption", caption)
    element("value-field").hidden = how == "count"
    element("file-figure").hidden = False
    _draw(
        "file-chart",
        kind="columns" if answer["ordered"] else "rows",
        labels=answer["labels"],
        values=answer["values"],
        edges=answer["binned"],
        format={"digits": 0 if how == "count" else 2},
        notes=[f"{count:,} rows" for count in answer["counts"]],
        about=caption,
    )


def no_file_error() -> None:
    """Takes the last file's error away."""
    element("file-error").hidden = True


def file_error(name: str, error: Exception) -> None:
    """Shows kindly why a file could not be read; the last good chart goes."""
    box = element("file-error")
    box.hidden = False
    box.querySelector("b").textContent = f"{name} could not be read"
    box.querySelector("p").textContent = f"{type(error).__name__}: {error}"
    box.querySelector("pre").textContent = "".join(traceback.format_exception(error))
    text("file-title", name)
    element("columns").replaceChildren()
    element("file-figure").hidden = True
    element("questions").hidden = True


def _offer(name: str, choices: list[str]) -> None:
    select = element(name)
    select.replaceChildren()
    for choice in choices:
        option = document.createElement("option")
        option.value = option.textContent = choice
        select.append(option)


def _draw(name: str, **spec: Any) -> None:
    chart.draw(name, json.dumps(spec))
