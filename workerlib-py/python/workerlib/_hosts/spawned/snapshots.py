"""Knows the memory snapshot from which the workers of `spawn()` start, and has it made.

The first worker starts Pyodide anew. When no worker has been starting for a moment, another worker makes the
snapshot, hands it over and ends; its start and each of its steps wait for calls that are in flight. From
then on each worker gets it with its order. If a snapshot has been kept since an earlier visit, the first
worker finds it and hands it over. The workers make and use a snapshot (javascript/src/start.ts).
Its bytes stay in JavaScript.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import js
from pyodide.ffi import create_once_callable, jsnull, to_js

from workerlib._hosts.browser.web_worker import NodeWorker, WebWorker, new_worker
from workerlib._rpc.heartbeat import is_calling

# After how many milliseconds without a start of a worker the snapshot is made.
_QUIET = 500
# After how many starts without a snapshot no such moment is waited for, since workers die and start again all
# the time. A pool of the size that nobody gave has one start fewer.
_MANY = 5
# For how many seconds a worker waits for a snapshot that is nearly made.
_PATIENCE = 5.0
# For how many milliseconds a step of the maker's waits for calls in flight, and how often it looks for them.
_LONGEST_TURN = 5000
_LOOK = 50


class Snapshots:
    """The snapshot of this Python's workers: there is one, or it is being made, or it cannot be made."""

    def __init__(self) -> None:
        """Starts without one."""
        self._kept: Any = None
        self._compiled: Any = None
        """Pyodide's compiled module, for the maker."""
        self._cannot = False
        self._starting = 0
        self._plain_starts = 0
        """The number of workers that have started without a snapshot."""
        self._maker: WebWorker | NodeWorker | None = None
        self._soon: asyncio.Future[None] | None = None
        """There while a snapshot is nearly made: done when it is, or cannot be."""

    @property
    def is_ready(self) -> bool:
        """Whether the next worker starts from a snapshot, if it may."""
        return self._kept is not None

    @property
    def is_given_up(self) -> bool:
        """Whether workers start without a snapshot for as long as this Python lives."""
        return self._cannot

    @contextmanager
    def start(
        self, wanted: bool, script: Callable[[], str], equipment: Callable[[], dict[str, Any]]
    ) -> Iterator[Awaitable[Any]]:
        """Accompanies the start of a worker, and has a snapshot made after it if there is none.

        Args:
            wanted: Whether the worker may start from a snapshot.
            script: Returns the text of the worker's JavaScript.
            equipment: Returns what a maker of snapshots is told: the `Equipment` of python_worker.ts.

        Returns:
            An awaitable of the `Offer` for the worker's order; null where no snapshot is wanted.
        """
        self._starting += 1
        succeeded = False
        try:
            yield self._offer(wanted)
            succeeded = True
        finally:
            self._starting -= 1
        if wanted and succeeded:
            self._make_when_quiet(script, equipment)

    def keep(self, image: Any, module: Any) -> None:
        """Keeps a snapshot that a worker has made or found.

        Args:
            image: Its image: a WebAssembly module, or a Uint8Array with the bytes of one.
            module: Pyodide's compiled WebAssembly module, or JavaScript's undefined.
        """
        self._kept = to_js({"image": image, "module": module}, dict_converter=js.Object.fromEntries)

    def note_compiled(self, module: Any) -> None:
        """Notes Pyodide's compiled module, which the maker of the snapshot need not compile again.

        Args:
            module: The module of a worker that started without a snapshot.
        """
        if self._kept is None and not self._cannot:
            self._compiled = module

    def refuse(self, _cause: str) -> None:
        """Gives up a snapshot from which a worker could not start. The worker has told the log why."""
        self._cannot = True
        self._kept = None

    async def _offer(self, wanted: bool) -> Any:
        if not wanted or self._cannot:
            return jsnull
        if (soon := self._soon) is not None:
            await asyncio.wait([soon], timeout=_PATIENCE)
            if self._soon is soon:
                # The maker may stand still: no further start waits for it.
                self._soon = None
        return {"snapshot": jsnull if self._kept is None else self._kept}

    def _make_when_quiet(self, script: Callable[[], str], equipment: Callable[[], dict[str, Any]]) -> None:
        if self._kept is not None or self._cannot or self._maker is not None:
            return
        self._plain_starts += 1
        if self._plain_starts < _MANY:
            _later(partial(self._make_after_calls, script, equipment), _QUIET)
        else:
            self._make(script(), equipment())

    def _make_after_calls(
        self, script: Callable[[], str], equipment: Callable[[], dict[str, Any]], waited: int = 0
    ) -> None:
        """Has a snapshot made when no call is in flight: the maker's thread needs a processor when it starts.

        Args:
            script: See `start`.
            equipment: See `start`.
            waited: For how many milliseconds this has waited for calls.
        """
        if self._starting or self._kept is not None or self._cannot or self._maker is not None:
            return
        if is_calling() and waited < _LONGEST_TURN:
            _later(partial(self._make_after_calls, script, equipment, waited + _LOOK), _LOOK)
        else:
            self._make(script(), equipment())

    def _make(self, script: str, equipment: dict[str, Any]) -> None:
        def receive(message: Any) -> None:
            kind, *details = message
            if kind == "almost":
                self._soon = asyncio.get_running_loop().create_future()
            elif kind == "turn":
                self._give_turn()
            elif kind == "snapshot":
                self.keep(*details)
                # Workers that start now do not wait until it is kept for the next visit.
                settle()
            elif kind == "done":
                end()
            else:
                fail(*details)

        def fail(cause: str, _has_ended: bool = False) -> None:
            # It may have been made, and could not be kept.
            if self._kept is None:
                self._cannot = True
                js.console.warn(f"workerlib: no memory snapshot can be made, workers start without: {cause}")
            end()

        def settle() -> None:
            if self._soon is not None:
                self._soon.set_result(None)
                self._soon = None

        def end() -> None:
            self._compiled = None
            if self._maker is not None:
                self._maker.terminate()
                self._maker = None
            settle()

        self._maker = new_worker(script, "workerlib's snapshot", receive, fail)
        if isinstance(self._maker, NodeWorker):
            self._maker.worker.unref()
        order = to_js(
            {**equipment, "makeSnapshot": True, "compiled": self._compiled},
            dict_converter=js.Object.fromEntries,
        )
        self._maker.post(order, to_js([]))

    def _give_turn(self, waited: int = 0) -> None:
        """Has the maker go on with its next step, after calls in flight: they may need the processor.

        Args:
            waited: For how many milliseconds the step has waited.
        """
        if self._maker is None:
            return
        # A worker that starts waits for the maker.
        if is_calling() and not self._starting and waited < _LONGEST_TURN:
            _later(partial(self._give_turn, waited + _LOOK), _LOOK)
        else:
            self._maker.post(js.Object.new(), to_js([]))


def _later(function: Callable[[], None], milliseconds: int) -> None:
    """Calls a function after some time, for which Node does not wait."""
    timer = js.setTimeout(create_once_callable(function), milliseconds)
    if hasattr(timer, "unref"):
        timer.unref()


snapshots = Snapshots()
"""That of this Python."""
