"""The worker's script: reads a CSV file, and describes its columns."""

import csv
import io

import workerlib


def number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


@workerlib.export
def describe(content: bytes) -> list[tuple]:
    """Describes each column: name, how many values, how many different ones, smallest, largest, mean."""
    rows = csv.DictReader(io.StringIO(content.decode("utf-8-sig")))
    columns: dict[str, list[str]] = {name: [] for name in rows.fieldnames or ()}
    for row in rows:
        for name, values in columns.items():
            if row[name]:
                values.append(row[name])
    described = []
    for name, texts in columns.items():
        numbers = [number(text) for text in texts]
        values = numbers if texts and None not in numbers else texts or [""]
        mean = sum(values) / len(values) if values is numbers else None
        described.append((name, len(texts), len(set(texts)), min(values), max(values), mean))
    return described
