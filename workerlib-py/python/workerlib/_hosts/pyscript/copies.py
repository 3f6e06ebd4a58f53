"""Starts a worker of PyScript's again: by a copy of its script tag, under a name that no tag has had.

PyScript keeps a worker's name for as long as the page lives, also when the worker is gone.
"""

from __future__ import annotations

import re
from itertools import count

import js

from workerlib._errors import ConnectError
from workerlib._hosts.pyscript.page import tag_named

_numbers = count(2)


def copy_of(name: str) -> str:
    """Replaces the tag of a worker by a copy of it, of which PyScript makes another worker.

    Args:
        name: The name of the worker that is gone.

    Returns:
        The name of the copy: the first name with a number.

    Raises:
        ConnectError: If the page has no such tag: the worker was made by `pyscript.PyWorker(…)`.
    """
    tag = tag_named(name)
    if tag is None:
        raise ConnectError(
            f"the worker {name!r} has no script tag, so workerlib cannot start it again: make a new one by"
            " pyscript.PyWorker(…), and connect() to it"
        )
    copy = js.document.createElement(tag.tagName)
    for attribute in tag.attributes:
        copy.setAttribute(attribute.name, attribute.value)
    copy.textContent = tag.textContent
    first = re.sub(r" #\d+$", "", name)
    copy.setAttribute("name", f"{first} #{next(_numbers)}")
    tag.replaceWith(copy)
    return str(copy.getAttribute("name"))
