"""`RemoteSide`: the functions that the other side of a connection exports, as attributes.

`Worker` is one for a page, and `Page` for a worker. The functions are made in `_rpc/remote_functions.py`.
"""

from __future__ import annotations

from collections.abc import Iterator

from workerlib._rpc.connection import Connection
from workerlib._rpc.remote_functions import RemoteFunction, not_exported


class RemoteSide:
    """The other side of a connection; its attributes are the functions that it exports."""

    def __init__(self, connection: Connection) -> None:
        """Wraps an open connection.

        Args:
            connection: The connection, whose `functions_there` are the attributes.
        """
        self._connection = connection
        self._functions = connection.functions_there

    @property
    def _title(self) -> str:
        """The other side's title in messages."""
        raise NotImplementedError

    @property
    def _role(self) -> str:
        """Which side the other one is, for messages."""
        raise NotImplementedError

    @property
    def closed(self) -> bool:
        """Whether the connection has ended."""
        return self._connection.closed.done()

    def __getitem__(self, name: str) -> RemoteFunction:
        """Returns an exported function, also if its name is one of this class's own.

        Args:
            name: The name by which the other side exports the function.

        Raises:
            NotExportedError: If the other side does not export it.
        """
        function: RemoteFunction | None = self._functions.get(name)
        if function is None:
            raise not_exported(name, self._functions, self._role)
        return function

    def __contains__(self, name: object) -> bool:
        return name in self._functions

    def __iter__(self) -> Iterator[str]:
        return iter(self._functions)

    def __getattr__(self, name: str) -> RemoteFunction:
        # copy, pickle and inspect ask for these names: a list of exports would be no help to them.
        if name.startswith("__") or name in ("_functions", "_connection"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return self[name]

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._functions})
