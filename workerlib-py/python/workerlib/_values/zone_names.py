"""Checks the names of time zones that come in frames.

The builders of time zones call it before `zoneinfo` sees a name: that imports the package below `tzdata` to
which a name leads, whichever that is. No zone is read or made here.
"""

from __future__ import annotations

import functools
import os
import re

_NAME = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*")
"""The form of a zone's name: it leads to no other folder."""
_LONGEST = 255


def check(name: object) -> str:
    """Gives a name if this Python has a time zone of that name.

    Args:
        name: The name in a frame, which may be anything.

    Returns:
        The name.

    Raises:
        ValueError: If it cannot be the name of a zone.
        zoneinfo.ZoneInfoNotFoundError: If there is no such zone here.
    """
    import zoneinfo

    if not isinstance(name, str) or len(name) > _LONGEST or not _NAME.fullmatch(name):
        raise ValueError("the name of a time zone has to be a short str")
    files = (os.path.join(folder, *name.split("/")) for folder in zoneinfo.TZPATH)
    if not any(map(os.path.isfile, files)) and name not in _names_in_tzdata():
        raise zoneinfo.ZoneInfoNotFoundError(f"No time zone found with key {name}")
    return name


@functools.cache
def _names_in_tzdata() -> frozenset[str]:
    """Gives the names of the zones in the package `tzdata`, where it is installed (PEP 615)."""
    # Few programs need it.
    import importlib.resources

    try:
        zones = importlib.resources.files("tzdata").joinpath("zones").read_text(encoding="utf-8")
    except (ImportError, OSError):
        return frozenset()
    return frozenset(zones.split())
