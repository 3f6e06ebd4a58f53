"""`pool.executor`: a pool as an executor of the standard library, for code that knows `concurrent.futures`.

Its futures can be waited for in any thread but that of the pool's event loop: there `result()` suspends the
caller where the host can (JSPI in a browser), and is refused where it would wait for ever.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import sys
import threading
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from typing import Any

from workerlib._errors import CannotBlockError, NotSupportedError
from workerlib._rpc.waiting import suspended, ways
from workerlib._users.line import noted, users_line

Call = Callable[
    [Callable[..., Any], tuple[Any, ...], dict[str, Any], Callable[[], object]], asyncio.Future[Any]
]
"""Runs a function on the pool: the function, its arguments, and what is called when it begins."""


class _Waiters(list[Any]):
    """The waiters of a future: `concurrent.futures.wait` and `as_completed` add theirs before they block."""

    def __init__(self, future: PoolFuture) -> None:
        super().__init__()
        self._future = future

    def append(self, waiter: Any) -> None:
        self._future.check_blocking("concurrent.futures.wait() and as_completed()")
        super().append(waiter)


class PoolFuture(concurrent.futures.Future[Any]):
    """The outcome of a task on a pool."""

    def __init__(self, loop: asyncio.AbstractEventLoop, thread: int) -> None:
        """Makes one that is pending. Users get one by `executor.submit()`.

        Args:
            loop: The pool's event loop.
            thread: The thread in which it runs.
        """
        super().__init__()
        self._loop = loop
        self._thread = thread
        self._waiters = _Waiters(self)

    def result(self, timeout: float | None = None) -> Any:
        """Returns the result; waits for it if necessary.

        Args:
            timeout: The number of seconds to wait; None for any.

        Raises:
            CannotBlockError: If sync code cannot wait here.
            TimeoutError: If it is not there in time.
            BaseException: Any exception of the function.
        """
        self._wait(timeout)
        return super().result(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Returns what the function raised, or None; waits for it if necessary: see `result()`."""
        self._wait(timeout)
        return super().exception(timeout)

    def begin(self) -> bool:
        """Marks it as running; returns whether it was not cancelled before."""
        # Any thread may cancel it. The lock is one that its thread may take again.
        with self._condition:
            return self.running() or (not self.cancelled() and self.set_running_or_notify_cancel())

    def check_blocking(self, what: str) -> None:
        """Raises if a thread that waits here would keep the pool from working.

        Raises:
            CannotBlockError: If this is the thread of the pool's event loop.
        """
        if not self.done() and (sys.platform == "emscripten" or threading.get_ident() == self._thread):
            raise CannotBlockError(
                f"{what} would wait for ever: the pool works in the event loop of this thread; await"
                " asyncio.wrap_future(future) instead, or call pool.f(…) and await it"
            )

    def _wait(self, timeout: float | None) -> None:
        if self.done() or (sys.platform != "emscripten" and threading.get_ident() != self._thread):
            return
        suspend = ways.suspend()
        if suspend is None:
            self.check_blocking("result()")
            return
        suspended(asyncio.wait([asyncio.wrap_future(self, loop=self._loop)], timeout=timeout), suspend)
        if not self.done():
            raise TimeoutError


class PoolExecutor(concurrent.futures.Executor):
    """A pool as an executor of the standard library."""

    def __init__(self, call: Call, loop: asyncio.AbstractEventLoop, thread: int) -> None:
        """Makes one; users get it by `pool.executor`.

        Args:
            call: Runs a function on the pool.
            loop: The pool's event loop.
            thread: The thread in which it runs.
        """
        self._call = call
        self._loop = loop
        self._thread = thread
        self._lock = threading.Lock()
        self._futures: set[PoolFuture] = set()
        self._answers: dict[PoolFuture, asyncio.Future[Any]] = {}
        self._is_shut_down = False

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> PoolFuture:
        """Runs a function on the pool; any thread may call this.

        Args:
            fn: A function of the pool, such as `pool.f`, or one that `pool.run()` takes.
            args: Its positional arguments.
            kwargs: Its keyword arguments.

        Returns:
            A future of the standard library's.

        Raises:
            RuntimeError: If the executor has been shut down, or the pool's event loop is closed.
            NotSupportedError: If it is a function of dask's, whose scheduler would wait for ever.
        """
        if getattr(fn, "__module__", None) == "dask.local":
            raise NotSupportedError(
                "dask.compute(…, scheduler=pool.executor): dask's own objects cannot be sent; write"
                " scheduler=pool.scheduler, or await pool.compute(…)"
            )
        future = PoolFuture(self._loop, self._thread)
        with self._lock:
            if self._is_shut_down:
                raise RuntimeError("cannot schedule new futures after shutdown")
            self._futures.add(future)
        future.add_done_callback(self._forget)
        if threading.get_ident() == self._thread:
            self._start(future, fn, args, kwargs)
        else:
            context = copy_context()
            context.run(noted.set, users_line())
            try:
                self._loop.call_soon_threadsafe(self._start, future, fn, args, kwargs, context=context)
            except RuntimeError:
                # The loop is closed. `shutdown()` would wait for ever for a future that nobody settles.
                future.cancel()
                raise
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Takes no further tasks. The pool itself goes on.

        Args:
            wait: Whether to wait until all tasks have ended.
            cancel_futures: Whether tasks that have not begun are cancelled.

        Raises:
            CannotBlockError: If sync code cannot wait here, and tasks have not ended.
        """
        with self._lock:
            self._is_shut_down = True
            futures = list(self._futures)
        if cancel_futures:
            for future in futures:
                future.cancel()
        if wait:
            for future in futures:
                if not future.cancelled():
                    # Its error is its caller's.
                    future.exception()

    def _forget(self, future: concurrent.futures.Future[Any]) -> None:
        assert isinstance(future, PoolFuture)
        with self._lock:
            self._futures.discard(future)
        if not future.cancelled():
            return
        # Until then `concurrent.futures.wait` takes it for one that is pending.
        future.set_running_or_notify_cancel()
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._cancel, future)

    def _cancel(self, future: PoolFuture) -> None:
        if (answer := self._answers.get(future)) is not None:
            answer.cancel()

    def _start(
        self, future: PoolFuture, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        if future.cancelled():
            return
        try:
            answer = self._call(fn, args, kwargs, future.begin)
        except BaseException as error:
            _end(future, error, None)
            return
        self._answers[future] = answer
        answer.add_done_callback(lambda answer: self._settle(future, answer))

    def _settle(self, future: PoolFuture, answer: asyncio.Future[Any]) -> None:
        del self._answers[future]
        if answer.cancelled():
            _end(future, concurrent.futures.CancelledError(), None)
        elif (error := answer.exception()) is not None:
            _end(future, error, None)
        else:
            _end(future, None, answer.result())


def _end(future: PoolFuture, error: BaseException | None, result: Any) -> None:
    if not future.begin():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(result)


def run_blocking(
    loop: asyncio.AbstractEventLoop, thread: int, make: Callable[[], Coroutine[Any, Any, Any]]
) -> Any:
    """Runs a coroutine in the pool's event loop and waits for its result.

    Args:
        loop: The pool's event loop.
        thread: The thread in which it runs.
        make: Makes the coroutine; not called where sync code cannot wait.

    Raises:
        CannotBlockError: If sync code cannot wait here.
        BaseException: Any exception of the coroutine.
    """
    if sys.platform != "emscripten" and threading.get_ident() != thread:
        outcome = asyncio.run_coroutine_threadsafe(make(), loop)
        try:
            return outcome.result()
        finally:
            # An interrupt by Ctrl-C ends this wait, and must end the work too.
            outcome.cancel()
    suspend = ways.suspend()
    if suspend is None:
        raise CannotBlockError(
            "the pool works in the event loop of this thread, which cannot wait here: await pool.compute(…)"
            " or await pool.get(…) instead"
        )
    return suspended(make(), suspend)
