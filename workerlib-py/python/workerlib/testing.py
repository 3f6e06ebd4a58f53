"""A pytest plugin, so that users test their workers with plain pytest, outside of a browser.

In `conftest.py`::

    pytest_plugins = ["workerlib.testing"]

In a test::

    def test_mean(start_worker):
        worker = start_worker("worker.py")
        assert worker.mean([1.0, 2.5]) == 1.75

    async def test_mean_as_the_page_calls_it(connect_worker):
        async with connect_worker("worker.py") as worker:
            assert await worker.mean([1.0, 2.5]) == 1.75

In both tests the worker is a subprocess, which `workerlib.connect()` starts; this module gives it to pytest.
It imports pytest, and no other module of the package imports it.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import functools
import inspect
import os
import threading
from collections.abc import Callable, Coroutine, Iterator
from types import ModuleType, TracebackType
from typing import Any, Protocol, Self, TypeVar, cast, overload

import pytest

from workerlib._api.connect import Connecting, connect
from workerlib._api.worker import Worker
from workerlib._config.settings import is_text
from workerlib._hosts.host import is_file_name
from workerlib._rpc.callbacks import Callback
from workerlib._rpc.remote_functions import OnReport, RemoteFunction
from workerlib._rpc.remote_objects import RemoteObject
from workerlib._rpc.streams_consumed import Stream
from workerlib._values.streams import is_awaitable
from workerlib._values.tracebacks import PACKAGE

__all__ = [
    "BlockingFunction",
    "BlockingObject",
    "BlockingStream",
    "BlockingWorker",
    "ConnectWorker",
    "StartWorker",
    "start_worker",
]

_I = TypeVar("_I")
_T = TypeVar("_T")


class BlockingFunction(Protocol):
    """A function of the worker as sync code sees it: a call returns its result."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Makes a call, and waits for its result.

        Functions among the arguments are called in the thread of the connection, while the call waits.

        Returns:
            The result. Of a function with a `yield`, a `BlockingStream`, which waits for each item. In place
            of an object that stays in the worker, a `BlockingObject`.
        """

    def options(
        self, *, timeout: float | None = None, on_report: OnReport | None = None, ahead: int | None = None
    ) -> BlockingFunction:
        """Returns the function with other options: `worker.f.options(timeout=5)(1, x=2)`.

        Args:
            timeout: The time in seconds that a call may run in the worker, None for any.
            on_report: A function that is called with the arguments of each `workerlib.report(...)`, in the
                thread of the connection.
            ahead: The number of items that a stream may be ahead of the loop over it.
        """


class _Blocking:
    """A part of a connection that sync code holds: the loop drops it when nobody has it any more."""

    def __init__(self, loop: _LoopThread, thing: Any) -> None:
        """Wraps an object of the connection. Tests get one by a call.

        Args:
            loop: The event loop of the connection.
            thing: The stream, or the handle.
        """
        self._loop = loop
        self._box = [thing]

    def __enter__(self) -> Self:
        return self

    def __del__(self) -> None:
        if loop := self.__dict__.get("_loop"):
            loop.drop(self._box)

    def __repr__(self) -> str:
        return f"<blocking {self._box[0]!r}>"


class BlockingStream(_Blocking):
    """A stream of the worker as sync code sees it: `for item in worker.rows():`.

    It ends when there are no more items, when it is closed (`close()`, or `with`), and when nobody has it any
    more, as after a `break`.
    """

    def __iter__(self) -> BlockingStream:
        return self

    def __next__(self) -> Any:
        item = self._loop.run(_next(self._box[0]))
        if item is _END:
            raise StopIteration
        return _blocking(self._loop, item)

    def close(self) -> None:
        """Ends the stream, and returns when its generator has cleaned up."""
        self._loop.run(self._box[0].aclose())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None
    ) -> None:
        self.close()


class BlockingObject(_Blocking):
    """A handle of an object in the worker as sync code sees it: its methods return their results.

    Used by `with`, the handle lets the object go at the end of the block.
    """

    def __getattr__(self, name: str) -> BlockingFunction:
        if name.startswith("_"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return _blocking_function(self._loop, getattr(self._box[0], name))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None
    ) -> None:
        self._loop.run(self._box[0].__aexit__(kind, error, frames))

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *dir(self._box[0])})


class BlockingWorker:
    """A worker whose functions are called without `await`: each call returns the result, or raises.

    The connection lives in an event loop of its own, in a thread of its own, so that it works in sync code
    wherever that runs. Used by `with`, the worker ends at the end of the block.
    """

    def __init__(self, loop: _LoopThread, worker: Worker) -> None:
        """Wraps an open connection. Tests get a worker by `start_worker()`.

        Args:
            loop: The event loop of the connection.
            worker: The connection.
        """
        self._loop = loop
        self._worker = worker

    @property
    def name(self) -> str:
        """The worker's name: its script."""
        return self._worker.name

    @property
    def worker(self) -> Any:
        """The worker's process, an `asyncio.subprocess.Process` of the connection's event loop."""
        return self._worker.worker

    @property
    def closed(self) -> bool:
        """Whether the connection has ended."""
        return self._worker.closed

    def close(self) -> None:
        """Ends the worker, and returns when its process has ended."""
        if not self._loop.stopped:
            self._loop.run(self._worker.__aexit__(None, None, None))
            self._loop.stop()

    def __enter__(self) -> BlockingWorker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None
    ) -> None:
        self.close()

    def __getitem__(self, name: str) -> BlockingFunction:
        """Returns an exported function, also if its name is one of this class's own.

        Raises:
            NotExportedError: If the worker does not export it.
        """
        return _blocking_function(self._loop, self._worker[name])

    def __contains__(self, name: object) -> bool:
        return name in self._worker

    def __iter__(self) -> Iterator[str]:
        return iter(self._worker)

    def __getattr__(self, name: str) -> BlockingFunction:
        # As Worker has it: protocols of Python's own ask for these.
        if name.startswith("__") or name in ("_loop", "_worker"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return self[name]

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *dir(self._worker)})

    def __repr__(self) -> str:
        return f"<blocking {self._worker!r}>"


class StartWorker(Protocol):
    """The type of the fixture `start_worker`, for tests that are type-checked."""

    def __call__(self, name: str | os.PathLike[str], **options: Any) -> BlockingWorker:
        """Starts a worker, which ends with the test.

        Args:
            name: The worker's script, beside the test's file or in pytest's root folder; or a module's name.
            options: Those of `workerlib.connect`.
        """


class ConnectWorker(Protocol):
    """The type of the fixture `connect_worker`, for tests that are type-checked."""

    @overload
    def __call__(
        self, name: str | os.PathLike[str], *, interface: Callable[..., _I], **options: Any
    ) -> Connecting[_I]: ...
    @overload
    def __call__(
        self, name: str | os.PathLike[str], *, interface: ModuleType | None = None, **options: Any
    ) -> Connecting[Worker]: ...
    def __call__(self, name: str | os.PathLike[str], **options: Any) -> Connecting[Any]:
        """Connects to a worker as `workerlib.connect` does: by `async with`, or `await`.

        Args:
            name: The worker's script, beside the test's file or in pytest's root folder; or a module's name.
            options: Those of `workerlib.connect`.
        """


class _LoopThread:
    """An event loop that runs in a thread until it is stopped."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="workerlib.testing", daemon=True)
        self._thread.start()
        self.stopped = False

    def run(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        """Runs a coroutine in the loop, and waits for its result."""
        if self.stopped:
            # It finds its connection closed at its first step, and says so.
            with contextlib.closing(asyncio.new_event_loop()) as loop:
                return loop.run_until_complete(coroutine)
        future: concurrent.futures.Future[_T] = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            error = future.exception()
        except BaseException:
            # If it is Ctrl-C that ends the waiting, nobody waits for the call any longer.
            future.cancel()
            raise
        if error is None:
            return future.result()
        try:
            raise error
        finally:
            # The frame would keep the error, and the error keeps the frame.
            del error, future

    def drop(self, box: list[Any]) -> None:
        """Empties a list in the loop's thread: there the connection hears that its things are dropped."""
        if not self.stopped:
            self._loop.call_soon_threadsafe(box.clear)

    def stop(self) -> None:
        """Ends the loop and the thread."""
        self.stopped = True
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


_END = object()
"""Stands for the end of a stream."""


async def _next(stream: Any) -> Any:
    return await anext(stream, _END)


def _call(
    loop: _LoopThread, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Makes a call in the connection's thread, and returns its result as sync code sees it."""

    async def call() -> Any:
        made = function(*map(_plain, args), **{name: _plain(value) for name, value in kwargs.items()})
        return await made if is_awaitable(made) else made

    return _blocking(loop, loop.run(call()))


def _blocking_function(loop: _LoopThread, function: RemoteFunction) -> BlockingFunction:
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        return _call(loop, function, args, kwargs)

    def options(**chosen: Any) -> BlockingFunction:
        return _blocking_function(loop, function.options(**chosen))

    call.options = options  # type: ignore[attr-defined]
    return cast("BlockingFunction", call)


def _plain(value: Any) -> Any:
    """Returns what a test passes back as the connection knows it."""
    return value._box[0] if isinstance(value, BlockingObject | BlockingStream) else value


def _blocking(loop: _LoopThread, value: Any) -> Any:
    """Returns a value of the worker as sync code sees it."""
    if isinstance(value, Stream):
        return BlockingStream(loop, value)
    if isinstance(value, RemoteObject):
        return BlockingObject(loop, value)
    if isinstance(value, Callback):
        return lambda *args, **kwargs: _call(loop, value, args, kwargs)
    return value


def start_worker(name: str | os.PathLike[str], **options: Any) -> BlockingWorker:
    """Starts a worker whose functions are called without `await`.

    The fixture of the same name does this for one test; a fixture of your own, of any scope, does it so::

        @pytest.fixture(scope="module")
        def stats():
            with workerlib.testing.start_worker("worker.py") as worker:
                yield worker

    Args:
        name: The worker's script: a file, or the name of a module.
        options: Those of `workerlib.connect`: `config`, `strict`, `timeout` and so on.

    Raises:
        ConnectError: Or one of its kinds, as `workerlib.connect` does.
        ConfigError: If the configuration cannot be right.
    """
    loop = _LoopThread()
    try:
        worker = loop.run(_connected(connect(name, **options)))
    except BaseException:
        loop.stop()
        raise
    return BlockingWorker(loop, worker)


async def _connected(connecting: Connecting[Worker]) -> Worker:
    return await connecting


@pytest.fixture(name="start_worker")
def _start_worker(request: pytest.FixtureRequest) -> Iterator[StartWorker]:
    """`start_worker("worker.py", …)` starts a worker for one test; its functions are called without `await`.

    Relative paths are looked up beside the test's file, then in pytest's root folder.
    """
    with contextlib.ExitStack() as started:

        def start(name: str | os.PathLike[str], **options: Any) -> BlockingWorker:
            return started.enter_context(start_worker(_script(name, request), **_options(options, request)))

        yield start


@pytest.fixture(name="connect_worker")
def _connect_worker(request: pytest.FixtureRequest) -> ConnectWorker:
    """`async with connect_worker("worker.py", …) as worker:` is `workerlib.connect` for async tests.

    Relative paths are looked up beside the test's file, then in pytest's root folder.
    """

    def connect_to(name: str | os.PathLike[str], **options: Any) -> Connecting[Any]:
        return connect(_script(name, request), **_options(options, request))

    return connect_to


def _script(name: str | os.PathLike[str], request: pytest.FixtureRequest) -> str:
    name = os.fspath(name)
    return _look_up(name, request) if is_file_name(name) else name


def _options(options: dict[str, Any], request: pytest.FixtureRequest) -> dict[str, Any]:
    config = options.get("config")
    if isinstance(config, str | os.PathLike) and not is_text(config):
        return {**options, "config": _look_up(os.fspath(config), request)}
    return options


def _look_up(path: str, request: pytest.FixtureRequest) -> str:
    folders = (request.path.parent, request.config.rootpath)
    return next((str(folder / path) for folder in folders if (folder / path).is_file()), path)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """Leaves this package's own frames out of what a failing test shows; `--full-trace` shows all."""
    if call.excinfo is None or item.config.getoption("fulltrace", False):
        return
    # pytest begins with a frame of its own.
    frame: TracebackType | None = call.excinfo.tb
    while frame is not None:
        while (after := frame.tb_next) is not None and after.tb_frame.f_code.co_filename.startswith(PACKAGE):
            frame.tb_next = after.tb_next
        frame = after


def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Runs an async test, if no other plugin has taken it (pytest-asyncio and anyio come first)."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    asyncio.run(pyfuncitem.obj(**arguments))
    return True
