"""Does what the session says of the handshake, and of exports that the other side describes later.

The connection carries these steps out by `DONE_BY`. What the hosts do before the first message is not here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from workerlib._errors import ConfigError, ProtocolError
from workerlib._exports import ExportDescription
from workerlib._rpc.incoming_call import on_serving, serving_connections
from workerlib._rpc.remote_functions import learn
from workerlib._values.adapter import AdapterDescription
from workerlib._values.adapters import check_peer

SIDES = {True: ("the worker", "the page"), False: ("the page", "the worker")}
"""The titles of the other side and of this one, by whether this one connects."""
_MOST_LATE_TEXT = 64 << 20
"""The most characters by which the other side may describe exports after the handshake, all in all."""


def _on_opened(
    connection: Any,
    _version: str,
    exports: list[ExportDescription],
    ours: list[AdapterDescription],
    theirs: list[AdapterDescription],
) -> None:
    session = connection._session
    connection.needs_deferred = any(is_async for _key, _entry, is_async in (*ours, *theirs))
    connection._be_direct()
    try:
        check_peer(ours, theirs, *SIDES[session.connects])
    except ConfigError as error:
        if not connection.opened.done():
            connection.opened.set_exception(error)
        session.close(str(error))
    if not session.connects and not connection.closed.done():
        connection.on_exports = partial(_learn, connection)
        _learn(connection, exports)
        serving_connections.append(connection)
        for listener in on_serving:
            listener(connection)
        connection.closed.add_done_callback(lambda _: serving_connections.remove(connection))
    if not connection.opened.done():
        connection.opened.set_result(exports)


def _learn(connection: Any, exports: list[ExportDescription]) -> None:
    """Makes functions of the exports that a page has described to its worker."""
    try:
        learn(connection, "page", "the page", exports)
    except ProtocolError as error:
        connection._session.close(str(error))


def _on_exports(connection: Any, exports: list[ExportDescription]) -> None:
    session, opened = connection._session, connection.opened
    connection.late_text += len(str(exports))
    try:
        exports = connection.references.classes.hear(exports)
    except ProtocolError as error:
        session.close(str(error))
        return
    if connection.late_text > _MOST_LATE_TEXT:
        session.close("the other side has described exports again and again, with more than 64 MiB of text")
    elif connection.on_exports is None:
        # The task that awaits the handshake has not looked at its result yet.
        if opened.done() and not opened.cancelled() and not opened.exception():
            opened.result().extend(exports)
    else:
        try:
            connection.on_exports(exports)
        except ProtocolError as error:
            session.close(str(error))


DONE_BY: dict[str, Callable[..., None]] = {"opened": _on_opened, "exports": _on_exports}
"""The functions that do the session's steps of a handshake, by name."""
