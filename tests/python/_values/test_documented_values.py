"""Reads the tables of docs/values.md: what the document says about a value is what happens to it.

A row is a Python expression in backquotes, then `same`, another expression or the name of an error. Code blocks of the
document that start with `python` are executed first, as the module `documented`: rows may use the classes in them.
"""

from __future__ import annotations

import array
import collections
import contextlib
import datetime
import decimal
import enum
import fractions
import functools
import importlib
import io
import ipaddress
import pathlib
import platform
import re
import sys
import time
import types
import uuid
import warnings
import weakref
import zoneinfo
from typing import Any

import pytest
import workerlib
from workerlib import ConversionWarning
from workerlib._values import likenesses

from alike import assert_alike
from library_values import BERLIN
from same import assert_same_arrow, assert_same_image, assert_same_table
from trip import round_trip

DOCUMENT = (pathlib.Path(__file__).parents[3] / "docs" / "values.md").read_text(encoding="utf-8")
SECTIONS = re.split(r"^## ", DOCUMENT, flags=re.MULTILINE)
LIBRARIES = {
    "np": "numpy",
    "pd": "pandas",
    "Image": "PIL.Image",
    "pa": "pyarrow",
    "pytz": "pytz",
    "pl": "polars",
    "sparse": "scipy.sparse",
    "sqlite3": "sqlite3",
}
ROW = re.compile(r"^\| `(.+?)` \| (same|`.+?`) \|", re.MULTILINE)
ROWS = [
    (section.partition("\n")[0], expression, outcome)
    for section in SECTIONS
    for expression, outcome in ROW.findall(section)
]
CONVERSIONS = "Look-alikes"
LIBRARY_SECTIONS = {
    "numpy": "np",
    "pandas": "pd",
    "Pillow": "Image",
    "pyarrow": "pa",
    "polars": "pl",
    "scipy": "sparse",
}


def _names() -> dict[str, Any]:
    """Makes what the document's expressions may use."""
    module = types.ModuleType("documented")
    sys.modules["documented"] = module
    for source in (collections, decimal, fractions, ipaddress, pathlib, uuid, zoneinfo, datetime):
        module.__dict__.update({name: one for name, one in vars(source).items() if isinstance(one, type)})
    module.__dict__["UTC"] = datetime.UTC
    module.__dict__.update(
        re=re, types=types, array=array.array, TEXT="w" if sys.version_info >= (3, 13) else "u"
    )
    module.__dict__.update(MappingProxyType=types.MappingProxyType, SimpleNamespace=types.SimpleNamespace)
    module.__dict__.update(
        email=importlib.import_module("email"),
        functools=functools,
        io=io,
        platform=platform,
        struct_time=time.struct_time,
    )
    for base in (list, str, dict, datetime.date):
        name = f"Own{base.__name__.title()}"
        module.__dict__[name] = type(name, (base,), {"__module__": "documented"})
    module.__dict__.update(_libraries())
    for block in re.findall(r"^```python\n(.+?)^```", DOCUMENT, re.MULTILINE | re.DOTALL):
        exec(block, module.__dict__)  # noqa: S102 - the document is ours
    return module.__dict__


def _libraries() -> dict[str, Any]:
    """Imports those of the document's libraries that are here."""
    found: dict[str, Any] = {}
    for name, path in LIBRARIES.items():
        with contextlib.suppress(ImportError):
            found[name] = importlib.import_module(path)
    if numpy := found.get("np"):
        found["OwnArray"] = type("OwnArray", (numpy.ndarray,), {"__module__": "documented"})
    if pandas := found.get("pd"):
        found["OwnFrame"] = type("OwnFrame", (pandas.DataFrame,), {"__module__": "documented"})
    if image := found.get("Image"):
        file = io.BytesIO()
        image.new("RGB", (4, 3), "red").save(file, "PNG")
        found |= {"BytesIO": io.BytesIO, "PNG": file.getvalue()}
    return found


NAMES = _names()


def test_the_tables_were_read() -> None:
    """Protects the tests of this file, which would pass with an empty table."""
    assert len(ROWS) > 100
    sections = {section for section, _, _ in ROWS}
    assert {"Scalars", "Buffers", "numpy", "Containers", "Standard library", CONVERSIONS} < sections
    assert {"same", "`UnsendableError`"} < {outcome for _, _, outcome in ROWS}


@pytest.mark.parametrize(("section", "expression", "outcome"), ROWS, ids=[row[1] for row in ROWS])
def test_the_document_is_right(
    section: str, expression: str, outcome: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The value in column 1 arrives as column 2 says, with a warning where the section says so."""
    for name, library in LIBRARIES.items():
        if name not in NAMES and (f"{name}." in expression or LIBRARY_SECTIONS.get(section) == name):
            pytest.skip(f"{library} is not here: its wheel for Pyodide is neither in npm nor in PyPI")
    if "ZoneInfo" in expression and BERLIN is None:
        pytest.skip("this Python has no time zones: the package tzdata is missing")
    monkeypatch.setattr(likenesses, "_warned", weakref.WeakSet())
    value = _evaluate(expression)
    if outcome.strip("`").endswith("Error"):
        with pytest.raises(getattr(workerlib, outcome.strip("`"))):
            round_trip(value)
        if connection := getattr(value, "connection", None):
            # A database that nobody closes would warn in a later test.
            connection.close()
        return
    # Made anew: an iterator is used up by now.
    expected = _evaluate(expression if outcome == "same" else outcome.strip("`"))
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        arrived = round_trip(value)
    assert [warning.category for warning in warned] == [ConversionWarning] * _is_converted(
        section, expression
    )
    _compare(arrived, expected)


def _evaluate(expression: str) -> Any:
    with warnings.catch_warnings():
        # numpy would rather have no matrix, Python no array of 'u'.
        warnings.simplefilter("ignore")
        return eval(expression, NAMES)


def _is_converted(section: str, expression: str) -> bool:
    return section == CONVERSIONS or expression.startswith("OwnFrame")


def _compare_images(arrived: Any, expected: Any) -> None:
    if isinstance(expected, enum.Enum):
        assert arrived is expected
    else:
        assert_same_image(arrived, expected)


def _compare_frames(arrived: Any, expected: Any) -> None:
    assert type(arrived) is type(expected)
    assert repr(arrived) == repr(expected)


def _compare_sparse(arrived: Any, expected: Any) -> None:
    assert type(arrived) is type(expected)
    assert (arrived != expected).nnz == 0


COMPARED = {
    "pandas": assert_same_table,
    "PIL": _compare_images,
    "pyarrow": assert_same_arrow,
    "polars": _compare_frames,
    "scipy": _compare_sparse,
}


def _compare(arrived: Any, expected: Any) -> None:
    library = type(expected).__module__.partition(".")[0]
    if library in COMPARED:
        COMPARED[library](arrived, expected)
        return
    if library != "numpy":
        if type(expected).__module__ == "documented":
            assert type(arrived) is type(expected)
            assert arrived == expected
        else:
            assert_alike(arrived, expected)
        return
    assert type(arrived) is type(expected)
    if type(expected).__name__ == "MaskedConstant":
        assert arrived is expected
    elif type(expected).__name__ == "MaskedArray":
        assert repr(arrived) == repr(expected)
    elif hasattr(expected, "tobytes"):
        assert arrived.dtype == expected.dtype
        assert arrived.shape == expected.shape
        assert arrived.tobytes() == expected.tobytes()
        assert arrived.flags.c_contiguous == expected.flags.c_contiguous
        assert arrived.flags.writeable == expected.flags.writeable
    else:
        assert arrived == expected
