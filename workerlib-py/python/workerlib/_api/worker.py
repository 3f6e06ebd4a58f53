"""`Worker`: the functions that a worker exports, as async methods.

`connect()` and `spawn()` return it. It binds arguments to the signatures of the worker's functions; the calls
themselves are made by the connection (`_rpc/connection.py`).
"""

from __future__ import annotations

import asyncio
import warnings
import weakref
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import ContextVar
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from workerlib._api.dropped import Closing, close_when_dropped
from workerlib._api.remote_side import RemoteSide
from workerlib._errors import ConnectionClosedError, ConnectTimeoutError, WorkerDiedError
from workerlib._exports import ExportDescription
from workerlib._pool.restarts import Restarts
from workerlib._rpc.connection import Connection
from workerlib._rpc.incoming_call import current_call
from workerlib._rpc.outgoing_call import errors_of_end
from workerlib._rpc.references import Reference
from workerlib._rpc.remote_functions import learn
from workerlib._rpc.timers import sleep
from workerlib._users.line import Line, stacklevel, users_line, warn
from workerlib._values.safe_text import class_name, text_of

is_of_pool = ContextVar("is_of_pool", default=False)
"""Whether a worker that is started in this context is one of a pool, whose user never has the `Worker`."""

OWN_NAMES = frozenset({"close", "closed", "name", "references", "restart", "terminate", "worker"})
"""The public names that a Worker has for itself."""


@dataclass(slots=True, eq=False)
class _Restart:
    """A restart of a worker that is under way."""

    task: asyncio.Task[None]
    is_asked: bool
    """Whether `restart()` has begun it, so that further calls of it wait for it; otherwise a death has."""
    waiters: int = 0
    """How many calls of `restart()` wait for it."""


class Worker(RemoteSide):
    """A connection to a worker; its attributes are the functions that the worker exports.

    `await worker.f(1, x=2)` calls `f` in the worker. A function whose name is one of this class's own
    (`close`, `closed`, `name`, `references`, `restart`, `terminate`, `worker`) is reached as
    `worker["close"]`. `async with worker:` closes the connection at the end of the block. Then a page's
    worker goes on, and a subprocess has ended.
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
        super().__init__(connection)
        self._name = name
        self._worker = worker
        self._ended = ended
        self._terminate = terminate
        self._learn(exports)
        # The connection must not hold its Worker, or nobody could tell when that is dropped.
        this = weakref.ref(self)

        def learn_more(more: list[ExportDescription]) -> None:
            if (worker := this()) is not None:
                worker._learn(more)

        connection.on_exports = learn_more
        close_when_dropped(self, connection, self._title)
        self._start_another: Callable[[str], Awaitable[Worker]] | None = None
        self._adopted: Worker | None = None
        self._restarts: Restarts | None = None
        self._restart: _Restart | None = None
        """The restart that is under way."""
        self._line: Line | None = None
        """The user's line that has started the worker, for warnings."""
        self._is_closed = False
        self._is_terminated = False

    def _restart_by(self, start: Callable[[str], Awaitable[Worker]], restarts: Restarts | None) -> None:
        """Has this worker be started again: by `restart()`, and when it has died.

        Args:
            start: Starts the same script anew; it is given the name of the worker that is gone.
            restarts: Tells when a worker that has died is started again; None if it is not.
        """
        self._start_another, self._restarts = start, restarts
        self._line = users_line()
        self._watch()

    async def restart(self) -> None:
        """Starts the worker's script anew, and returns when its functions can be called.

        The old worker is terminated; its pending calls raise WorkerDiedError. Functions and streams that were
        taken from this object before belong to the old worker, and stay dead: `worker.f` gives the new one's.
        A call during a restart waits for that one, and starts no further worker.

        Raises:
            WorkerStartError: If the script fails; or another `ConnectError`, as `connect()` and `spawn()` do.
            ConnectionClosedError: If `close()` was called, or `terminate()` during the restart.
        """
        if self._is_closed:
            raise self._was_closed()
        served = current_call.get()
        # The end of the old worker cancels its own callbacks, one of which may have asked for this.
        is_asked_by_worker = served is not None and served.connection is self._connection
        restart = self._restart
        if restart is None or not restart.is_asked:
            restart = self._begin_restart(self._start_anew(restart), is_asked=True)
        restart.waiters += 1
        try:
            await asyncio.shield(restart.task)
        except asyncio.CancelledError:
            if not restart.task.cancelled():
                raise
            if self._is_closed:
                raise self._was_closed() from None
            raise ConnectionClosedError(
                f"the worker {self._name!r} was ended by worker.terminate() while it was started again"
            ) from None
        finally:
            restart.waiters -= 1
            if not restart.waiters and not restart.task.done() and not is_asked_by_worker:
                restart.task.cancel()
                await asyncio.wait([restart.task])

    def _was_closed(self) -> ConnectionClosedError:
        return ConnectionClosedError(f"the worker {self._name!r} was closed, and stays closed")

    def _begin_restart(self, steps: Coroutine[Any, Any, None], *, is_asked: bool) -> _Restart:
        restart = self._restart = _Restart(asyncio.get_running_loop().create_task(steps), is_asked)

        # A task that is cancelled before its first step ends, too.
        def forget(_: object) -> None:
            if self._restart is restart:
                self._restart = None

        restart.task.add_done_callback(forget)
        return restart

    async def _start_anew(self, automatic: _Restart | None) -> None:
        """Carries out a restart that was asked for.

        Args:
            automatic: A restart after a death, in whose place this one is.
        """
        assert self._start_another is not None
        if automatic is not None:
            automatic.task.cancel()
            await asyncio.wait([automatic.task])
        if not self.closed:
            self._end()
        old_ended = self._ended
        if old_ended is not None:
            await old_ended()
        self._adopt(await self._start_another(self._name))

    def _cancel_restart(self) -> None:
        if self._restart is not None:
            self._restart.task.cancel()
            # A restart that is asked for from now on is another one.
            self._restart = None

    def _adopt(self, other: Worker) -> None:
        """Becomes the worker that was started in place of this one."""
        self._connection, self._functions = other._connection, other._functions
        self._worker, self._ended, self._terminate = other._worker, other._ended, other._terminate
        # A Worker that is dropped closes its connection.
        self._adopted = other
        self._name = other._name
        self._is_terminated = False
        self._watch()

    def _watch(self) -> None:
        connection, restarts = self._connection, self._restarts
        if restarts is None:
            return

        # As above: the connection must not hold its Worker.
        this = weakref.ref(self)

        def react(_: object) -> None:
            if (worker := this()) is not None:
                worker._react(connection, restarts)

        connection.closed.add_done_callback(react)

    def _react(self, connection: Connection, restarts: Restarts) -> None:
        """Starts the script again if its worker has died: this side has not ended it itself."""
        if connection is not self._connection or not connection.has_died or self._is_terminated:
            return
        loop = asyncio.get_running_loop()
        delay = restarts.delay_after_death(loop.time())
        if delay is None:
            died = errors_of_end(True, connection.cause_of_death)
            self._tell_down("died too often", died(connection.closed.result()))
        else:
            self._begin_restart(self._restart_after(delay), is_asked=False)

    def _tell_down(self, why: str, cause: BaseException) -> None:
        """Warns of a worker that is not started again: its next call says only that it is closed."""
        text = (
            f"the worker {self._name!r} {why}, and stays down; await worker.restart() starts it again; the"
            f" last cause: {class_name(type(cause))}: {text_of(cause)}"
        )
        # A filter may have the warning raised, and what follows a death must be done first.
        asyncio.get_running_loop().call_soon(warn, text, UserWarning, self._line)

    async def _restart_after(self, delay: float) -> None:
        """Starts the script anew after a death, and again if that fails for now."""
        assert self._start_another is not None
        assert self._restarts is not None
        await sleep(delay)
        if self._ended is not None:
            await self._ended()
        while True:
            try:
                other = await self._start_another(self._name)
            except (ConnectTimeoutError, WorkerDiedError) as error:
                next_delay = self._restarts.delay_after_death(asyncio.get_running_loop().time())
                if next_delay is None:
                    self._tell_down("died too often", error)
                    return
                await sleep(next_delay)
            except Exception as error:
                # A script that fails would fail again.
                self._tell_down("died and cannot be started again", error)
                return
            else:
                self._adopt(other)
                return

    def _learn(self, exports: list[ExportDescription]) -> None:
        for export in exports:
            if _is_taken(self, export[0]) and not is_of_pool.get():
                warnings.warn(
                    f"the worker {self._name!r} exports {export[0]}(), a name that each Worker has for"
                    f' itself: it is called by worker["{export[0]}"](…)',
                    stacklevel=stacklevel(),
                )
        learn(self._connection, self._name, self._title, exports)

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

    def references(self) -> list[Reference]:
        """Lists the callbacks that one side holds of the other's.

        A callback is held until the last object that stands for it is freed, or until the connection ends.

        Returns:
            A `Reference` for each, with its owner, its name and how many of its calls have no answer yet.
        """
        return self._connection.references.list()

    def close(self) -> Awaitable[None]:
        """Closes the connection at once. Pending calls raise ConnectionClosedError.

        A page's worker goes on. A spawned worker ends. Outside of a browser, the worker's process ends.
        A worker that is being started again is not.

        Returns:
            An object that may be awaited: `await worker.close()` waits until a worker that ends with its
            connection has ended.
        """
        self._is_closed = True
        self._cancel_restart()
        self._connection.close()
        return Closing(self._ended)

    def terminate(self) -> None:
        """Terminates the worker at once, whatever it is doing. Pending calls raise WorkerDiedError.

        This works in every host, also under PyScript, where `close()` leaves the worker running. `restart()`
        starts its script again. A worker that is being started again is not.
        """
        self._cancel_restart()
        self._end()

    def _end(self) -> None:
        self._is_terminated = True
        self._connection.die(f"the worker {self._name!r} was ended by worker.terminate()")
        if self._terminate is not None:
            self._terminate()

    async def __aenter__(self) -> Worker:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def _title(self) -> str:
        return f"the worker {self._name!r}"

    @property
    def _role(self) -> str:
        return "the worker"

    def __repr__(self) -> str:
        functions = ", ".join(self._functions) or "nothing"
        return (
            f"<workerlib.Worker {self._name!r}, {'closed' if self.closed else 'open'}, exports {functions}>"
        )


_OWN_ATTRIBUTES = frozenset(dir(Worker))


def _is_taken(worker: Worker, name: str) -> bool:
    """Tells whether an attribute of a Worker's own hides the export of that name."""
    return name in _OWN_ATTRIBUTES or name in vars(worker)
