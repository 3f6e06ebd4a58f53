"""Reads a CSV or JSON file into typed columns.

Invariant: all columns of a table have the same length, and a column's values are None or of the one Python type
that its kind stands for. What is wrong with a file is a ValueError that says where.
It does not aggregate, and it does not know where the bytes came from.
"""

import csv
import json
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from steps import Steps

ROWS_PER_STEP = 2000
DELIMITERS = ",;\t|"
MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "-"})
YES_NO = {"true": True, "false": False, "yes": True, "no": False}
INTEGER = re.compile(r"[+-]?(0|[1-9]\d{0,17})")
NUMBER = re.compile(r"[+-]?(0|[1-9]\d*)?(\.\d*)?([eE][+-]?\d+)?")
DATE = re.compile(r"\d{4}[-/](0[1-9]|1[0-2])[-/](0[1-9]|[12]\d|3[01])([T ].*)?")
BLANK = re.compile(r"[ \t\r\n]*")


@dataclass(frozen=True)
class Column:
    """One column: its kind is "integer", "number", "yes/no", "date" (ISO text), "text" or "empty"."""

    name: str
    kind: str
    values: list[Any]


@dataclass(frozen=True)
class Table:
    """A file's columns by name, in the file's order."""

    name: str
    rows: int
    columns: dict[str, Column]


def read_table(name: str, data: bytes | bytearray) -> Steps[Table]:
    """Reads a file's bytes; its name's ending tells the format, else its first character does."""
    text = decode(data)
    first = text.lstrip()[:1]
    if not first:
        raise ValueError(f"{name} is empty")
    typed: Callable[[str, list[Any]], Column]
    ending = name.rpartition(".")[2].lower()
    if ending == "json" or (ending not in ("csv", "tsv", "txt") and first in "[{"):
        cells, typed = (yield from _json_cells(text)), _typed_json
    else:
        cells, typed = (yield from _csv_cells(text)), _typed_text
    columns: dict[str, Column] = {}
    for number, (column, values) in enumerate(cells.items()):
        yield "finding the columns' types", 0.8 + 0.2 * number / len(cells)
        columns[column] = typed(column, values)
    rows = len(next(iter(columns.values())).values) if columns else 0
    if not rows:
        raise ValueError(f"{name} holds no rows")
    return Table(name, rows, columns)


def decode(data: bytes | bytearray) -> str:
    """Turns the bytes into text: UTF-8 or UTF-16 by its mark, else Windows-1252 as spreadsheets write it."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16")
    if b"\x00" in data[:4096]:
        raise ValueError("this looks like a binary file; a CSV or JSON file is needed")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def _json_cells(text: str) -> Steps[dict[str, list[Any]]]:
    """Parses JSON and turns any of its usual tabular shapes into columns."""
    try:
        document = yield from _parse_json(text)
    except json.JSONDecodeError as error:
        raise ValueError(
            f"not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}"
        ) from error
    except RecursionError:
        raise ValueError("this JSON is nested too deeply to be a table") from None
    if isinstance(document, dict):
        document = _unwrap(document)
    if isinstance(document, dict):
        return dict(document)
    if not isinstance(document, list) or not document:
        raise ValueError("this JSON holds no rows")
    kinds = {type(item) for item in document}
    if kinds == {dict}:
        names = dict.fromkeys(name for record in document for name in record)
        cells = {}
        for number, name in enumerate(names):
            yield "turning records into columns", 0.7 + 0.1 * number / len(names)
            cells[name] = [record.get(name) for record in document]
        return cells
    if kinds == {list}:
        return _columns_of_rows(document)
    if kinds & {dict, list}:
        raise ValueError(
            "this JSON mixes records, lists and plain values; a table needs one of them throughout"
        )
    return {"value": document}


def _parse_json(text: str) -> Steps[Any]:
    """Parses a list item by item, so that the progress is real; anything else in one go."""
    position = BLANK.match(text).end()  # type: ignore[union-attr]
    if text[position] != "[":
        yield "parsing JSON", 0.0
        return json.loads(text)
    blank_end, parse, length = BLANK.match, json.JSONDecoder().raw_decode, len(text)
    items: list[Any] = []
    position = blank_end(text, position + 1).end()  # type: ignore[union-attr]
    while text[position : position + 1] != "]":
        item, position = parse(text, position)
        items.append(item)
        position = blank_end(text, position).end()  # type: ignore[union-attr]
        separator = text[position : position + 1]
        if separator == ",":
            position = blank_end(text, position + 1).end()  # type: ignore[union-attr]
            if text[position : position + 1] == "]":
                raise json.JSONDecodeError("a comma before the closing bracket", text, position)
        elif separator != "]":
            raise json.JSONDecodeError("a comma or a closing bracket is missing", text, position)
        if not len(items) % ROWS_PER_STEP:
            yield "parsing JSON", 0.7 * position / length
    end = blank_end(text, position + 1).end()  # type: ignore[union-attr]
    if end != length:
        raise json.JSONDecodeError("something follows the end of the list", text, end)
    return items


def _unwrap(document: dict[str, Any]) -> list[Any] | dict[str, list[Any]]:
    """Finds the table in a JSON object: its columns, or the list or the object that it wraps."""
    lists = {key: value for key, value in document.items() if isinstance(value, list)}
    if "data" in document and isinstance(document["data"], (list, dict)):
        inner = document["data"]
        return inner if isinstance(inner, list) else _unwrap(inner)
    if len(lists) == len(document) > 0 and len({len(values) for values in lists.values()}) == 1:
        return lists
    if len(lists) == 1:
        (only,) = lists.values()
        if {type(item) for item in only} == {dict}:
            return only
    if document and all(isinstance(value, dict) for value in document.values()):
        return [{"key": key, **record} for key, record in document.items()]
    raise ValueError(
        "no table found in this JSON; it may be a list of records, a list of lists, an object of columns of one "
        'length, or an object with its rows under "data"'
    )


def _columns_of_rows(rows: list[list[Any]]) -> dict[str, list[Any]]:
    """Turns rows into columns; a first row of texts that are not numbers is the header."""
    width = max(map(len, rows))
    first = rows[0]
    has_header = (
        len(rows) > 1
        and len(first) == width
        and all(isinstance(c, str) and _number(c) is None for c in first)
    )
    body = rows[1:] if has_header else rows
    cells: dict[str, list[Any]] = {}
    for index in range(width):
        name = (first[index].strip() if has_header else "") or f"column {index + 1}"
        # Two columns of one name are both kept.
        name = name if name not in cells else f"{name} ({index + 1})"
        cells[name] = [row[index] if index < len(row) else None for row in body]
    return cells


def _csv_cells(text: str) -> Steps[dict[str, list[Any]]]:
    """Parses CSV with the delimiter that fits its first lines; short rows are filled up with None."""
    rows: list[list[Any]] = []
    lines = _CountedLines(text)
    reader = csv.reader(lines, delimiter=_delimiter(text), strict=True)
    width = 0
    try:
        for row in reader:
            if not row:
                continue
            width = width or len(row)
            if len(row) > width:
                raise ValueError(
                    f"line {reader.line_num} has {len(row)} fields, but the first line has {width}"
                )
            rows.append(row)
            if not len(rows) % ROWS_PER_STEP:
                yield "reading rows", 0.8 * lines.characters / len(text)
    except csv.Error as error:
        raise ValueError(f"not valid CSV: {error} (line {reader.line_num})") from error
    if len(rows) < 2 and width < 2:
        raise ValueError("this is neither JSON nor a CSV file with a header line and rows")
    return _columns_of_rows(rows)


class _CountedLines:
    """The text's lines, and how many characters of it have been read."""

    def __init__(self, text: str) -> None:
        self.characters = 0
        self._lines = iter(text.splitlines(keepends=True))

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.characters += len(line)
        return line


def _delimiter(text: str) -> str:
    """Finds the delimiter that cuts the first lines into the most fields, the same number in each."""
    sample = text[:20_000].splitlines()[:20]

    def fields(delimiter: str) -> int:
        try:
            widths = [len(row) for row in csv.reader(sample, delimiter=delimiter) if row]
        except csv.Error:
            return 0
        # The sample's last line may be cut off in its middle.
        steady = len(set(widths[:-1] or widths)) == 1
        return widths[0] * 1000 if steady and widths[0] > 1 else widths[0]

    return max(DELIMITERS, key=fields)


def _typed_text(name: str, cells: list[Any]) -> Column:
    """Finds the one type that all of a CSV column's texts have."""
    texts = [None if cell is None or cell.strip().lower() in MISSING else cell.strip() for cell in cells]
    present = [text for text in texts if text is not None]
    if not present:
        return Column(name, "empty", texts)
    if all(text.lower() in YES_NO for text in present):
        return Column(
            name,
            "yes/no",
            [None if text is None else YES_NO[text.lower()] for text in texts],
        )
    if all(map(INTEGER.fullmatch, present)):
        return Column(name, "integer", [None if text is None else int(text) for text in texts])
    if all(_number(text) is not None for text in present):
        return Column(name, "number", [None if text is None else _number(text) for text in texts])
    return Column(name, _date_or_text(present), texts)


def _typed_json(name: str, values: list[Any]) -> Column:
    """Names the type of a JSON column; a mixture becomes text."""
    kinds = {type(value) for value in values} - {type(None)}
    if float in kinds:
        # NaN and Infinity are not numbers that one can group by or draw.
        values = [
            None if isinstance(value, float) and not math.isfinite(value) else value for value in values
        ]
    if not kinds:
        return Column(name, "empty", values)
    if kinds == {bool}:
        return Column(name, "yes/no", values)
    if kinds == {int}:
        return Column(name, "integer", values)
    if kinds <= {int, float}:
        return Column(name, "number", values)
    texts = [value if value is None or isinstance(value, str) else json.dumps(value) for value in values]
    return Column(name, _date_or_text([text for text in texts if text is not None]), texts)


def _number(text: str) -> float | None:
    """Reads a decimal number; a code such as 00501 or 1_000 is not a number."""
    if not NUMBER.fullmatch(text):
        return None
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _date_or_text(texts: list[str]) -> str:
    return "date" if all(map(DATE.fullmatch, texts)) else "text"
