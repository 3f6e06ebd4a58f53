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
from types import TracebackType
from typing import Any, Protocol, TypeVar, cast

import pytest

from workerlib._api.connect import Connecting, connect
from workerlib._api.worker import Worker
from workerlib._hosts.host import is_file_name
from workerlib._hosts.subprocess.parent import is_text
from workerlib._rpc.remote_functions import RemoteFunction

__all__ = ["BlockingFunction", "BlockingWorker", "start_worker"]

_T = TypeVar("_T")


class BlockingFunction(Protocol):
    """A function of the worker as sync code sees it: a call returns its result."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Makes a call, and waits for its result."""

    def options(self, *, timeout: float | None = None) -> BlockingFunction:
        """Returns the function with other options: `worker.f.options(timeout=5)(1, x=2)`.

        Args:
            timeout: How many seconds a call may run in the worker, None for any.
        """


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
        return self._blocking(self._worker[name])

    def _blocking(self, function: RemoteFunction) -> BlockingFunction:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            return self._loop.run(function(*args, **kwargs))

        def options(**chosen: Any) -> BlockingFunction:
            return self._blocking(function.options(**chosen))

        call.options = options  # type: ignore[attr-defined]
        return cast("BlockingFunction", call)

    def __getattr__(self, name: str) -> BlockingFunction:
        # As Worker has it: protocols of Python's own ask for these.
        if name.startswith("__") or name in ("_loop", "_worker"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return self[name]

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *dir(self._worker)})

    def __repr__(self) -> str:
        return f"<blocking {self._worker!r}>"


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
            return future.result()
        except BaseException:
            # If it is Ctrl-C that ends the waiting, nobody waits for the call any longer.
            future.cancel()
            raise

    def stop(self) -> None:
        """Ends the loop and the thread."""
        self.stopped = True
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


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
def _start_worker(request: pytest.FixtureRequest) -> Iterator[Callable[..., BlockingWorker]]:
    """`start_worker("worker.py", …)` starts a worker for one test; its functions are called without `await`.

    Relative paths are looked up beside the test's file, then in pytest's root folder.
    """
    with contextlib.ExitStack() as started:

        def start(name: str | os.PathLike[str], **options: Any) -> BlockingWorker:
            return started.enter_context(start_worker(_script(name, request), **_options(options, request)))

        yield start


@pytest.fixture(name="connect_worker")
def _connect_worker(request: pytest.FixtureRequest) -> Callable[..., Connecting[Any]]:
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


def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Runs an async test, if no other plugin has taken it (pytest-asyncio and anyio come first)."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    asyncio.run(pyfuncitem.obj(**arguments))
    return True
