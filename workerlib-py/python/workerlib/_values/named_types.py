"""Collects the library types that a frame names instead of numbering them: docs/wire-format.md, section 4.6.

The table of types takes its rows from here. A further type needs a row of kind `Named`, and no number. A
name chooses among these rows and nothing else: no other module is imported because a frame has its name.
"""

from __future__ import annotations

from typing import Any, Final

from workerlib._values import additional_types, javascript_objects, time_zones
from workerlib._values.libraries import families
from workerlib._values.row import Built, Named

NAMED: Final = 78
"""The extension type of all of them."""

_NAMED: dict[str, Named] = {
    row.name: row
    for row in (*additional_types.ROWS, *time_zones.ROWS, *javascript_objects.ROWS, *families.NAMED)
}


def _row_of(named: Named) -> Built:
    name, take_apart = named.name, named.take_apart
    return Built(NAMED, named.type_name, lambda value: (name, *take_apart(value)), named.build)


def build_named(name: object, *values: Any) -> Any:
    """Builds an object of the type that a frame names.

    Args:
        name: The type's name, or whatever a frame has in its place.
        values: The values that the type's row gave.

    Raises:
        ValueError: If no type of this version has that name.
    """
    row = _NAMED.get(name) if isinstance(name, str) else None
    if row is None:
        raise ValueError(f"no library type of this version is named {name!r}")
    return row.build(*values)


ROWS = (*map(_row_of, _NAMED.values()), Built(NAMED, "named", lambda _value: (), build_named))
"""The rows by which objects of these types are sent, and last the one by which all of them are built."""
