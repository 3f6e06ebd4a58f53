"""Forwards what a worker's program writes to its page: `[workerlib] forward = ["print", "log", "warnings"]`.

The text is still written where it was before. Existing streams get another `write`, so that also who has kept
the stream forwards. Text that is written in a call goes to the page that made the call, other text to every
page; text that was written before a page has connected goes to the first one. Nothing is lost: what comes too
fast is put together.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from workerlib._rpc.incoming_call import current_call, on_serving, serving_connections
from workerlib._rpc.pace import Pace

KINDS = ("print", "log", "warnings")
"""The kinds of output that can be forwarded."""

# The number of characters that are kept together, and before a page has connected.
_TOGETHER = 8 << 10
_EARLY = 64 << 10

_forwarded: set[str] = set()
_early: list[tuple[str, str]] = []
_is_paused = False


class _Outlet:
    """The output to one connection that has not been sent yet."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._pace = Pace()
        self._held: list[tuple[str, str]] = []
        self._length = 0
        self._timer: asyncio.Handle | None = None

    def write(self, stream: str, text: str) -> None:
        """Sends text, or keeps it for a moment."""
        if self._held and self._held[-1][0] == stream:
            self._held[-1] = stream, self._held[-1][1] + text
        else:
            self._held.append((stream, text))
        self._length += len(text)
        # `print` writes a line in several parts, which go together.
        if self._length > _TOGETHER or (text.endswith("\n") and self._pace.may_send()):
            self.flush()
        elif self._timer is None:
            # It runs when the loop turns, since a function that computes has no timers.
            self._timer = self._connection._loop.call_soon(self.flush)

    def flush(self) -> None:
        """Sends what is kept."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        held, self._held, self._length = self._held, [], 0
        for stream, text in held:
            # The envelope has UTF-8, and lone surrogates have none.
            self._connection.output(stream, text.encode("utf-8", "backslashreplace").decode("utf-8"))


def _outlet(connection: Any) -> _Outlet:
    if connection.outlet is None:
        connection.outlet = _Outlet(connection)
    outlet: _Outlet = connection.outlet
    return outlet


def _write(stream: str, text: str) -> None:
    if _is_paused or not text:
        return
    call = current_call.get()
    connections = serving_connections if call is None or call.has_ended else [call.connection]
    with _paused():
        if not connections and sum(len(text) for _, text in _early) < _EARLY:
            _early.append((stream, text))
        for connection in connections:
            _outlet(connection).write(stream, text)


@contextmanager
def _paused() -> Iterator[None]:
    """Forwards nothing meanwhile: what is being forwarded may be written in several places."""
    global _is_paused
    before, _is_paused = _is_paused, True
    try:
        yield
    finally:
        _is_paused = before


def forward(kinds: Iterable[str]) -> None:
    """Forwards output of these kinds from now on, for as long as this Python lives.

    Args:
        kinds: Some of `KINDS`: what is written to `sys.stdout` and `sys.stderr`; the records of `logging`, as
            the formatter of the root logger's first handler shows them; warnings, as Python shows them.
    """
    new = [kind for kind in kinds if kind not in _forwarded]
    if new and not _forwarded:
        on_serving.append(_deliver_early)
    for kind in new:
        _forwarded.add(kind)
        {"print": _forward_streams, "log": _forward_log, "warnings": _forward_warnings}[kind]()


def _deliver_early(connection: Any) -> None:
    early = _early.copy()
    _early.clear()
    for stream, text in early:
        _outlet(connection).write(stream, text)


def _forward_streams() -> None:
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None:
            _wrap(stream, name)


def _wrap(stream: Any, name: str) -> None:
    write: Callable[[str], Any] = stream.write

    def write_and_forward(text: str) -> Any:
        written = write(text)
        if isinstance(text, str):
            _write(name, text)
        return written

    stream.write = write_and_forward


class _Handler(logging.Handler):
    """Forwards the records of the root logger."""

    def emit(self, record: logging.LogRecord) -> None:
        others = [one for one in logging.getLogger().handlers if one is not self]
        try:
            text = (others[0] if others else logging.lastResort or self).format(record)
        except Exception:
            self.handleError(record)
            return
        _write("log", f"{text}\n")


def _forward_log() -> None:
    root = logging.getLogger()
    had_handlers = bool(root.handlers)
    root.addHandler(_Handler())
    if not had_handlers and logging.lastResort is not None:
        # With a handler of its own the root logger would write nothing here any more.
        root.addHandler(logging.lastResort)
    emit = logging.StreamHandler.emit

    def emit_unforwarded(self: logging.StreamHandler[Any], record: logging.LogRecord) -> None:
        # The record is forwarded as a record, and not once more as text of the stream.
        with _paused():
            emit(self, record)

    logging.StreamHandler.emit = emit_unforwarded  # type: ignore[assignment,method-assign]


def _forward_warnings() -> None:
    show = warnings.showwarning

    def show_and_forward(message: Any, category: Any, filename: str, lineno: int, *more: Any) -> None:
        with _paused():
            show(message, category, filename, lineno, *more)
        if not (more and more[0] is not None):
            _write("warnings", warnings.formatwarning(message, category, filename, lineno, *more[1:]))

    warnings.showwarning = show_and_forward  # type: ignore[assignment]
