"""Provides `workerlib.url()`: addresses that are relative to the script, in every host.

Hosts tell the address of the script that they run, by `start_from`. This module knows none of them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

_find: Callable[[], str] | None = None
_given: dict[str, str] = {}


def start_from(find: Callable[[], str]) -> None:
    """Has relative addresses start at an address.

    Args:
        find: Returns the address of the script, or of a folder if it ends with a slash.
    """
    global _find
    _find = find


def base() -> str:
    """Returns the address from which relative addresses start."""
    if _find is not None:
        return _find()
    if sys.platform != "emscripten":
        return address_of(f"{os.getcwd()}{os.sep}")
    import js

    from workerlib._location.scope import is_page

    if is_page():
        return str(js.document.baseURI)
    if hasattr(js, "process") and not hasattr(js, "Worker"):
        return address_of(f"{js.process.cwd()}/")
    return str(js.location.href)


def address_of(path: str) -> str:
    """Returns the `file:` address of a path.

    Args:
        path: An absolute path, with a separator at its end if it is a folder.
    """
    # It takes long to import, and pages never need it.
    from urllib.request import pathname2url

    return f"file:{'' if pathname2url(path).startswith('//') else '//'}{pathname2url(path)}"


def url(address: str) -> str:
    """Makes the whole address of a file that is named relative to the script.

    `await pyfetch(workerlib.url("./data.csv"))` fetches the same file in every host: relative to the worker's
    script in a worker, and to the page in a page. Outside of a browser, and in Node, it is a `file:` address,
    which starts at the working directory where no worker runs.

    Args:
        address: An address, relative or absolute (URL Standard, section 4.4).

    Returns:
        The absolute address.

    Raises:
        ConnectError: If PyScript has not told the worker where its script is.
        TypeError: If the address is not a str.
    """
    if not isinstance(address, str):
        raise TypeError(f'address={address!r}: write a str, such as "./data.csv"')
    from urllib.parse import urljoin

    start = base()
    whole = urljoin(start, address)
    _given.setdefault(address, whole)
    return whole


def given() -> dict[str, str]:
    """Returns the addresses that this Python has asked for, and the answers."""
    return _given
