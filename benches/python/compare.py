"""Compares two commits' results, and prints what became slower by more than the runs of each lie apart.

    python compare.py BEFORE AFTER [--results benches/results/chromium.json]

BEFORE and AFTER are commits, of which the committed results are read, or files of results with commas between
them, such as three runs of one commit. It ends with 1 if anything became slower, and measures nothing itself.

A time is compared by its ratio to a peer that was measured in the same rounds, since two machines, or one
machine on two days, differ by more than two commits do. A time without a peer, such as that of connecting, is
compared as it is.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RESULTS = "benches/results/chromium.json"
OWN = "workerlib"
PEERS = ("PyScript's own", "JS ping", "pickle 5 over a port", "four memcpys", "Comlink (from JS)")
"""The peers that a time is held against, in this order: the first that both commits have."""
UNKNOWN_SPREAD = 0.1
"""How far results lie apart, as a part of the median, where neither side says."""

Results = dict[str, Any]


@dataclass(frozen=True)
class Samples:
    """The ratios of one side in one row."""

    median: float
    spread: float | None
    """How far its runs, or the rounds of its only run, lie apart; None if it does not tell."""


@dataclass(frozen=True)
class Change:
    """A row that both sides have."""

    row: str
    peer: str | None
    """The peer of which the numbers are multiples."""
    before: float
    after: float
    spread: float

    @property
    def is_slower(self) -> bool:
        """Whether it is slower by more than the runs lie apart."""
        return self.after - self.before > self.spread


def read(source: str, results: str) -> list[Results]:
    """Reads the results of a commit, or of files with commas between them.

    Args:
        source: The commit, or the files.
        results: The path of a commit's results.

    Raises:
        SystemExit: If there are none.
    """
    files = [Path(name) for name in source.split(",")]
    if all(file.is_file() for file in files):
        return [json.loads(file.read_text()) for file in files]
    command = ["git", "show", f"{source}:{results}"]
    shown = subprocess.run(command, capture_output=True, text=True, check=False)
    if shown.returncode:
        raise SystemExit(
            f"{source} is neither a file nor a commit that has {results}: {shown.stderr.strip()}"
        )
    return [json.loads(shown.stdout)]


def rows_of(results: Results) -> dict[str, Results]:
    """Gives the rows by name; each page of a browser has rows of its own."""
    pages = results.items() if "rows" not in results else [("", results)]
    return {
        " / ".join(filter(None, (page, row["group"], row["name"]))): row
        for page, measured in pages
        for row in measured["rows"]
        # Memory is not time.
        if row["unit"] in {"us", "ms"}
    }


def samples(rows: list[Results], peer: str | None) -> Samples:
    """Gives what one side's runs say of one row.

    Args:
        rows: The row in each run.
        peer: The peer that the times are to be multiples of; None for the times themselves.
    """
    values = [row["values"][OWN] if peer is None else row["ratios"][peer] for row in rows]
    if len(rows) > 1:
        return Samples(statistics.median(values), max(values) - min(values))
    # The rounds of one run are runs of the row, in which all peers took turns.
    rounds = rows[0].get("by_round", {}).get(peer or OWN, [])
    return Samples(values[0], max(rounds) - min(rounds) if len(rounds) > 1 else None)


def compare(before: list[Results], after: list[Results]) -> list[Change]:
    """Compares the rows that all runs have."""
    befores, afters = [[rows_of(run) for run in runs] for runs in (before, after)]
    found = []
    for name in befores[0]:
        runs = [*befores, *afters]
        if not all(name in run for run in runs):
            continue
        rows = [run[name] for run in runs]
        peer = next((peer for peer in PEERS if all(peer in row.get("ratios", {}) for row in rows)), None)
        one = samples(rows[: len(befores)], peer)
        other = samples(rows[len(befores) :], peer)
        spreads = [side.spread for side in (one, other) if side.spread is not None]
        spread = max(spreads, default=UNKNOWN_SPREAD * one.median)
        found.append(Change(name, peer, one.median, other.median, spread))
    return found


def tell(changes: Iterable[Change]) -> list[str]:
    """Writes a line for each row that became slower, the worst first."""
    slower = sorted(
        (change for change in changes if change.is_slower), key=lambda one: one.before / one.after
    )
    return [
        f"{change.row}: {change.before:.3g} -> {change.after:.3g}"
        f" ({change.after / change.before - 1:+.0%}; runs lie {change.spread:.2g} apart;"
        f" {'in its unit' if change.peer is None else f'times {change.peer}'})"
        for change in slower
    ]


def main(arguments: list[str] | None = None) -> int:
    """Does what the arguments say; returns 1 if anything became slower."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("before")
    parser.add_argument("after")
    parser.add_argument("--results", default=RESULTS, help="the path of a commit's results")
    options = parser.parse_args(arguments)
    changes = compare(*(read(source, options.results) for source in (options.before, options.after)))
    if not changes:
        raise SystemExit("the results have no row in common")
    lines = tell(changes)
    print("\n".join(lines) if lines else f"none of {len(changes)} rows became slower")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
