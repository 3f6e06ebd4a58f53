"""Groups a table by one column and aggregates another: the numbers behind the chart of the visitor's own file.

Invariant: every row is in exactly one group, or counted as left out; groups come in the order in which they
are drawn. It does not read files and does not draw.
"""

import math
from collections.abc import Callable
from statistics import median
from typing import Any

from steps import Steps
from tables import Column, Table

MOST_GROUPS = 20
MOST_BINS = 24
MOST_DATES = 64
ROWS_PER_STEP = 10_000
AGGREGATIONS: dict[str, Callable[[list[Any]], float]] = {
    "mean": lambda values: sum(values) / len(values),
    "median": median,
    "sum": sum,
    "min": min,
    "max": max,
}
NUMERIC = ("integer", "number")


def group(table: Table, by: str, value: str | None, how: str) -> Steps[dict[str, Any]]:
    """Groups the rows by a column and counts them, or aggregates the numbers of another column."""
    column = _column(table, by)
    if how == "count":
        amounts = None
    elif how in AGGREGATIONS:
        amounts = _column(table, value or "")
        if amounts.kind not in NUMERIC:
            raise ValueError(f"{how} needs numbers, but {amounts.name} is a column of {amounts.kind}")
    else:
        raise ValueError(f"the aggregation must be count, {', '.join(AGGREGATIONS)}, not {how!r}")

    label, labels, binned = _labelling(column)
    groups: dict[Any, list[Any]] = {key: [] for key in labels}
    left_out = 0
    for start in range(0, table.rows, ROWS_PER_STEP):
        yield "grouping", 0.9 * start / table.rows
        rows = slice(start, start + ROWS_PER_STEP)
        keys = column.values[rows]
        for key, amount in zip(keys, amounts.values[rows] if amounts else keys, strict=True):
            if key is None or amount is None:
                left_out += 1
            else:
                groups.setdefault(label(key), []).append(amount)
    yield "aggregating", 0.9
    counts = {key: len(values) for key, values in groups.items()}
    if amounts is None:
        results: dict[Any, float | None] = dict(counts)
    else:
        measure = AGGREGATIONS[how]
        results = {key: measure(values) if values else None for key, values in groups.items()}
    keys_in_order, left_off = _order(column, results, counts, binned)
    return {
        "binned": binned,
        "ordered": binned or column.kind != "text",
        "labels": [labels.get(key, str(key)) for key in keys_in_order],
        "values": [results[key] for key in keys_in_order],
        "counts": [counts[key] for key in keys_in_order],
        "rows": table.rows,
        "groups": len(results),
        "groups_left_off": left_off,
        "rows_left_out": left_out,
    }


def _column(table: Table, name: str) -> Column:
    try:
        return table.columns[name]
    except KeyError:
        raise ValueError(f"{table.name} has no column {name!r}; it has {', '.join(table.columns)}") from None


def _labelling(column: Column) -> tuple[Callable[[Any], Any], dict[Any, str], bool]:
    """Tells how a value becomes a group: by itself, by a bin of numbers, or by a span of time."""
    present = [value for value in column.values if value is not None]
    if column.kind in NUMERIC and len(set(present)) > MOST_GROUPS:
        return *_bins(min(present), max(present), column.kind == "integer"), True
    if column.kind == "yes/no":
        return bool, {False: "no", True: "yes"}, False
    if column.kind == "date":
        # A date's text begins with year, month and day: a cut of it is a span of time.
        length = next((n for n in (10, 7) if len({text[:n] for text in present}) <= MOST_DATES), 4)
        return (lambda text: text[:length]), {}, False
    if column.kind in NUMERIC:
        return (
            (lambda number: number),
            {key: f"{key:,}" for key in sorted(set(present))},
            False,
        )
    return (lambda text: text), {}, False


def _bins(low: float, high: float, whole: bool) -> tuple[Callable[[float], int], dict[int, str]]:
    """Cuts a range of numbers into bins whose width is 1, 2 or 5 times a power of ten."""
    rough = (high - low) / MOST_BINS
    power = 10.0 ** math.floor(math.log10(rough))
    width = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    width = max(width, 1.0) if whole else width
    digits = max(0, -math.floor(math.log10(width)))
    first, last = math.floor(low / width), math.floor(high / width)
    labels = {number: f"{number * width:,.{digits}f}" for number in range(first, last + 1)}
    return (lambda number: math.floor(number / width)), labels


def _order(
    column: Column,
    results: dict[Any, float | None],
    counts: dict[Any, int],
    binned: bool,
) -> tuple[list[Any], int]:
    """Puts texts in falling order of their result and keeps the largest groups; all else in its own order."""
    if binned:
        return list(results), 0
    if column.kind != "text":
        return sorted(results), 0
    kept = sorted(results, key=lambda key: counts[key], reverse=True)[:MOST_GROUPS]
    kept.sort(key=lambda key: results[key] or 0, reverse=True)
    return kept, len(results) - len(kept)
