"""The numbers of the extension types, which Rust and Python each name once: they are the same."""

from __future__ import annotations

import re
from pathlib import Path

from workerlib._values import adapter, named_types, sending, table

MARKER = Path(__file__).parents[2] / "workerlib-codec" / "src" / "marker.rs"
CONSTANT = re.compile(r"/// `([\w. ]+)`[^\n]*\n(?: *///[^\n]*\n)* *pub const (\w+): u8 = (\d+);")


def numbers_in_rust() -> dict[str, int]:
    """Reads `marker::ext`: the number of each type by the name of its row."""
    _, _, module = MARKER.read_text(encoding="utf-8").partition("pub mod ext {")
    module, _, _ = module.partition("\n}\n")
    return {name: int(number) for name, _, number in CONSTANT.findall(module)}


def test_each_row_has_the_number_that_rust_has_for_it() -> None:
    """A row of the table has the same number in `marker::ext`, and no type of section 4.6 is missing on either side."""
    # The types of one number have their names in the frame.
    in_python = {row.type_name: row.kind for row in table._ROWS if row.kind != named_types.NAMED}
    in_rust = numbers_in_rust()
    builtin = {name: number for name, number in in_rust.items() if name not in in_python}
    assert {name: in_rust.get(name) for name in in_python} == in_python
    assert builtin == {"Ellipsis": 8, "NotImplemented": 9}


def test_numbers_that_python_names_are_the_same_in_rust() -> None:
    """The numbers of adapted objects, slots and handles stand in Python's code too."""
    constants = dict(re.findall(r"pub const (\w+): u8 = (\d+);", MARKER.read_text(encoding="utf-8")))
    in_python = {
        "ADAPTED": adapter.ADAPTED,
        "SLOT": sending._SLOT,
        "HANDLE": sending._HANDLE,
        "NAMED": named_types.NAMED,
    }
    assert {name: int(constants[name]) for name in in_python} == in_python
