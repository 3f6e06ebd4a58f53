"""`Worker`: the functions that a worker exports, as async methods.

`connect()` and `spawn()` return it. It binds arguments to the signatures of the worker's functions; the calls
themselves are made by the connection (`_rpc/connection.py`).
"""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Awaitable, Callable, Coroutine
from types import TracebackType
from typing import Any, Protocol, cast

from workerlib._errors import ProtocolError
from workerlib._exports import ExportDescription
from workerlib._rpc.any_call import NAME as ANY_CALL
from workerlib._rpc.any_call import AnyCall
from workerlib._rpc.connection import Connection, not_exported
from workerlib._values.functions import mark_remote


class RemoteFunction(Protocol):
    """A function of the worker as the page sees it: the result of a call is a coroutine."""

    def __call__(self, *args: Any, **kwargs: Any) -> Coroutine[Any, Any, Any]:
        """Makes a call, which starts when it is awaited or becomes a task."""

    def options(self, *, timeout: float | None = None) -> RemoteFunction:
        """Returns the function with other options: `await worker.f.options(timeout=5)(1, x=2)`.

        Args:
            timeout: The number of seconds that a call may run in the worker; None for any. A call that runs
                for longer is cancelled, and raises TimeoutError. Time in the queue does not count.

        Returns:
            The same function with these options.

        Raises:
            ValueError: If the timeout is not positive.
        """


class Worker:
    """A connection to a worker; its attributes are the functions that the worker exports.

    `await worker.f(1, x=2)` calls `f` in the worker. A function whose name is one of this class's own
    (`close`, `closed`, `name`, `terminate`, `worker`) is reached as `worker["close"]`. `async
    with worker:` closes the connection at the end of the block. Then a page's worker goes on, and a
    subprocess has ended.
    """

    def __init__(  # noqa: PLR0917 - what a host has found
        self,
        connection: Connection,
        exports: list[ExportDescription],
        name: str,
        worker: Any,
        ended: Callable[[], Awaitable[None]] | None = None,
        terminate: Callable[[], object] | None = None,
    ) -> None:
        """Wraps an open connection. Users get a worker by `connect()` or `spawn()`.

        Args:
            connection: The connection, open.
            exports: The descriptions of the worker's functions.
            name: The worker's name, for messages.
            worker: The host's own object for the worker.
            ended: Waits until the worker has ended. None where a worker outlives its connection.
            terminate: Terminates the worker. None where a worker ends with its connection.
        """
        self._connection = connection
        self._functions: dict[str, RemoteFunction] = {}
        connection.functions_there = self._functions
        self._name = name
        self._worker = worker
        self._ended = ended
        self._terminate = terminate
        self._learn(exports)
        connection.on_exports = self._learn

    def _learn(self, exports: list[ExportDescription]) -> None:
        for export in exports:
            if _is_taken(self, export[0]):
                warnings.warn(
                    f"the worker {self._name!r} exports {export[0]}(), a name that each Worker has for"
                    f' itself: it is called by worker["{export[0]}"](…)',
                    stacklevel=2,
                )
            try:
                self._functions[export[0]] = _remote_function(self._connection, self._name, export)
            except (ValueError, TypeError) as error:
                raise ProtocolError(
                    f"the worker {self._name!r} describes its export {export[0]!r} as no function can be:"
                    f" {error}"
                ) from error

    @property
    def name(self) -> str:
        """The worker's name."""
        return self._name

    @property
    def worker(self) -> Any:
        """The host's own object for the worker.

        Under PyScript, the JsProxy that `pyscript.workers[name]` gives, with a `terminate()` that terminates
        the worker. For a spawned worker, the browser's `Worker`. Outside of a browser, the worker's
        process, an `asyncio.subprocess.Process`.
        """
        return self._worker

    @property
    def closed(self) -> bool:
        """Whether the connection has ended."""
        return self._connection.closed.done()

    def close(self) -> None:
        """Closes the connection. Pending calls raise ConnectionClosedError.

        A page's worker goes on. Outside of a browser, the worker's process ends.
        """
        self._connection.close()

    def terminate(self) -> None:
        """Terminates the worker at once, whatever it is doing. Pending calls raise WorkerDiedError.

        This works in every host, also under PyScript, where `close()` leaves the worker running. To start the
        script again there, use a tag with another name.
        """
        self._connection.die(f"the worker {self._name!r} was ended by worker.terminate()")
        if self._terminate is not None:
            self._terminate()

    async def __aenter__(self) -> Worker:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None
    ) -> None:
        self.close()
        if self._ended is not None:
            await self._ended()

    def __getitem__(self, name: str) -> RemoteFunction:
        """Returns an exported function, also if its name is one of this class's own.

        Args:
            name: The name by which the worker exports the function.

        Raises:
            NotExportedError: If the worker does not export it.
        """
        function = self._functions.get(name)
        if function is None:
            raise not_exported(name, self._functions)
        return function

    def __getattr__(self, name: str) -> RemoteFunction:
        # copy, pickle and inspect ask for these names: a list of exports would be no help to them.
        if name.startswith("__") or name == "_functions":
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return self[name]

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._functions})

    def __repr__(self) -> str:
        functions = ", ".join(self._functions) or "nothing"
        return (
            f"<workerlib.Worker {self._name!r}, {'closed' if self.closed else 'open'}, exports {functions}>"
        )


def _is_taken(worker: Worker, name: str) -> bool:
    """Tells whether an attribute of a Worker's own hides the export of that name."""
    return name in vars(worker) or hasattr(Worker, name)


class _Default:
    """The default of a remote parameter: this side knows its `repr()` only."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def _remote_function(connection: Connection, worker: str, export: ExportDescription) -> RemoteFunction:
    name, doc, parameters, returns = export
    signature = None if parameters is None else _signature(parameters, returns)
    least, most = (0, math.inf) if signature is None else _positional(signature)

    def with_options(*, timeout: float | None = None) -> RemoteFunction:
        if timeout is not None and timeout <= 0:
            raise ValueError(f"a timeout of {timeout} seconds is over before {name}() can run")

        def function(*args: Any, **kwargs: Any) -> Coroutine[Any, Any, Any]:
            # Binding takes as long as the rest of a small call. Most calls have positional arguments only.
            if signature is not None and (kwargs or not least <= len(args) <= most):
                try:
                    signature.bind(*args, **kwargs)
                except TypeError as error:
                    raise TypeError(f"{name}() {error}") from None
            call: Any = connection.call(name, args, kwargs, timeout)
            if connection.log.is_on():
                call = connection.log.waiting(name, call)
            # Python's warning for a coroutine that was never awaited shows this name.
            call.__qualname__ = called
            return call  # type: ignore[no-any-return]

        called = function.__qualname__ = f"{worker}.{name}"
        function.__name__ = name
        function.__module__ = __name__
        function.__doc__ = doc
        function.options = with_options  # type: ignore[attr-defined]
        mark_remote(function, connection, name)
        if signature is not None:
            function.__signature__ = signature  # type: ignore[attr-defined]
        # Python 3.12 can mark a function as a coroutine function although it is not `async def`.
        mark = getattr(inspect, "markcoroutinefunction", None)
        return cast("RemoteFunction", function if mark is None else mark(function))

    made = with_options()
    return cast("RemoteFunction", AnyCall(made)) if name == ANY_CALL else made


def _positional(signature: inspect.Signature) -> tuple[float, float]:
    """Counts the positional arguments, at least and at most, of a call without keyword arguments."""
    least, most = 0.0, 0.0
    for parameter in signature.parameters.values():
        is_required = parameter.default is parameter.empty
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            least += is_required
            most += 1
        elif parameter.kind is parameter.VAR_POSITIONAL:
            most = math.inf
        elif parameter.kind is parameter.KEYWORD_ONLY and is_required:
            least = math.inf
    return least, most


def _signature(
    parameters: list[tuple[str, int, str | None, str | None]], returns: str | None
) -> inspect.Signature:
    empty = inspect.Parameter.empty
    return inspect.Signature(
        [
            inspect.Parameter(
                name,
                inspect._ParameterKind(kind),
                default=empty if default is None else _Default(default),
                annotation=empty if annotation is None else annotation,
            )
            for name, kind, default, annotation in parameters
        ],
        return_annotation=empty if returns is None else returns,
    )
