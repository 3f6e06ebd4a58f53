"""`page()`: the functions that the page exports, for the code of a worker.

The page exports by `workerlib.export`, as a worker does. This module finds the page's connection; the calls
are made by the connection (`_rpc/connection.py`).
"""

from __future__ import annotations

from workerlib._api.remote_side import RemoteSide
from workerlib._errors import ConnectError
from workerlib._rpc.connection import Connection
from workerlib._rpc.incoming_call import current_call, serving_connections

OWN_NAMES = frozenset({"closed"})
"""The public names that a Page has for itself."""


class Page(RemoteSide):
    """The page that calls this worker; its attributes are the functions that the page exports.

    `await page.ask("Name?")` calls `ask` in the page; sync code writes `workerlib.wait(page.ask("Name?"))`.
    A function whose name is one of this class's own (`closed`) is reached as `page["closed"]`. Outside of a
    browser, the page is the process that has started this one.
    """

    @property
    def _title(self) -> str:
        return "the page"

    @property
    def _role(self) -> str:
        return "the page"

    def __repr__(self) -> str:
        functions = ", ".join(self._functions) or "nothing"
        return f"<workerlib.Page {'closed' if self.closed else 'open'}, exports {functions}>"


def page() -> Page:
    """Returns the page that calls this worker, whose functions the worker can call.

    Within a call, and in the tasks that the call has started, this is the page that made the call. Elsewhere
    it is the only page that is connected.

    Returns:
        The page.

    Raises:
        ConnectError: If no page is connected; if several are, and no call says which; the message lists them.
    """
    call = current_call.get()
    if call is not None:
        return Page(call.connection)
    connections: list[Connection] = list(serving_connections)
    if len(connections) == 1:
        return Page(connections[0])
    if not connections:
        raise ConnectError(
            "no page is connected to this Python: workerlib.page() is for a worker, in the code of a call or"
            " after a page has connected"
        )
    listed = "; ".join(
        f"{number}. one that exports {', '.join(connection.functions_there) or 'nothing'}"
        for number, connection in enumerate(connections, 1)
    )
    raise ConnectError(
        f"{len(connections)} pages are connected to this worker, and no call says which is meant ({listed}):"
        " use workerlib.page() in the code of a call, or keep what it returned there"
    )
