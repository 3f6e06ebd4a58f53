"""Makes the path by which Rust does the commonest steps of a connection without Python code in between.

`src/direct.rs` does these steps, and gets from here the objects and functions that it uses. It hands all
other steps to the functions of `_rpc/serving.py` and `_rpc/invocations.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context, copy_context
from functools import partial
from typing import Any, NamedTuple

from workerlib._exports import Function
from workerlib._native import Direct
from workerlib._rpc.call_log import CallLog
from workerlib._rpc.endpoint import Endpoint
from workerlib._rpc.gathered_calls import Gathered
from workerlib._rpc.incoming_call import Served, current_call
from workerlib._rpc.interruptible import Guard
from workerlib._rpc.invocations import Invocation, fail_invocation, finish_invocation
from workerlib._rpc.references import Given
from workerlib._rpc.serving import fail, finish_later, hand_over
from workerlib._rpc.starts import streams_without_task, without_task
from workerlib._values.streams import is_awaitable

Connection = Any
"""A `Connection`, whose module needs this one."""


def direct_path(connection: Connection) -> Direct:
    """Makes the path of a connection.

    Args:
        connection: The connection, whose handshake has ended.
    """
    guard, functions, wakeup = connection._guard, connection.functions, connection.wakeup
    streams = connection.streams
    may_call = not connection.needs_deferred and connection._table.adapters.find_total() is None
    may_serve = may_call and type(functions) is dict
    endpoint = connection.endpoint
    parts = _Parts(
        connection._calls,
        connection._served,
        connection._brought,
        streams.unsent,
        functions if may_serve else {},
        without_task if may_serve else {},
        streams_without_task if may_serve else {},
        connection.log,
        None if type(guard) is Guard else guard.run,
        connection._loop,
        endpoint,
        wakeup and wakeup.note,
        streams.on_stream,
        streams.on_items,
        streams.begin,
        streams.produce,
        connection.references.given,
    )
    poster = endpoint.shorten(connection._session, connection) if hasattr(endpoint, "shorten") else None
    return Direct(parts, poster, may_call)


class _Parts(NamedTuple):
    """The objects that the native part uses, by their place: see `Part` in `src/direct.rs`."""

    calls: dict[int, Any]
    served: dict[int, Served]
    brought: list[Any]
    unsent: list[int]
    functions: dict[str, Function]
    at_once: dict[str, Function]
    streams_at_once: dict[str, Function]
    log: CallLog
    guard: Callable[..., Any] | None
    event_loop: asyncio.AbstractEventLoop
    endpoint: Endpoint
    note: Callable[..., None] | None
    on_stream: Callable[[int, int], None]
    on_items: Callable[..., None]
    begin_stream: Callable[..., object]
    produce: Callable[..., None]
    given: dict[int, Given]
    # Without `__init__`, which takes as long as the rest.
    make_served: Callable[[], Served] = partial(object.__new__, Served)
    make_invocation: Callable[[], Invocation] = partial(object.__new__, Invocation)
    enter: Callable[[Served], object] = current_call.set
    copy_context: Callable[[], Context] = copy_context
    current_task: Callable[[Any], object] = asyncio.current_task
    is_awaitable: Callable[[object], bool] = is_awaitable
    hand_over: Callable[..., None] = hand_over
    finish_later: Callable[..., None] = finish_later
    fail: Callable[[Connection, Served, BaseException], None] = fail
    finish_invocation: Callable[..., None] = finish_invocation
    fail_invocation: Callable[[Connection, Invocation, BaseException], None] = fail_invocation
    gathered: type[Gathered] = Gathered
    end_gathered: Callable[..., None] = asyncio.Future.set_result
