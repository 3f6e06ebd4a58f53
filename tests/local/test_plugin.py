"""`workerlib.testing`: a project of a user's, tested by pytest in a process of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from pace import PACE

Project = Callable[..., str]

FILES = {
    "pyproject.toml": """
        [tool.pytest.ini_options]
        filterwarnings = ["error"]
        """,
    "conftest.py": """
        pytest_plugins = ["workerlib.testing"]
        """,
    "site/lib/prices.py": """
        RATE = 1.19
        """,
    "site/worker.toml": """
        packages = ["workerlib"]

        [files]
        "./lib/prices.py" = ""

        [workerlib]
        strict = true
        """,
    "site/worker.py": """
        import asyncio

        import workerlib
        from prices import RATE

        @workerlib.export
        def gross(net: float, *, digits: int = 2) -> float:
            '''Adds the tax.'''
            return round(net * RATE, digits)

        @workerlib.export
        async def later(value):
            await asyncio.sleep(0.01)
            return value

        @workerlib.export
        async def never():
            await asyncio.Event().wait()

        @workerlib.export
        def fail():
            return {}["no such key"]

        calls = []

        @workerlib.export
        def count():
            calls.append(1)
            return len(calls)

        ended = []

        @workerlib.export
        def down(start):
            try:
                while start:
                    yield start
                    start -= 1
            finally:
                ended.append(True)

        @workerlib.export
        def has_ended():
            return bool(ended)

        @workerlib.export
        class Basket:
            def __init__(self, *fruits):
                self.fruits = list(fruits)

            def add(self, fruit):
                self.fruits.append(fruit)
                return len(self.fruits)

            def each(self):
                yield from self.fruits

            def close(self):
                ended.append(True)

        @workerlib.export
        def size(basket):
            return len(basket.fruits)

        @workerlib.export
        def tell(progress):
            for number in workerlib.progress(range(3)):
                progress(number)

        @workerlib.export
        def adder(first):
            return workerlib.callback(lambda second: first + second)
        """,
}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Writes the project with a test file, runs pytest on it, and gives what that prints."""

    def run(tests: str, *options: str, fails: bool = False) -> str:
        for path, text in {**FILES, "tests/test_worker.py": tests}.items():
            file = tmp_path / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(textwrap.dedent(text))
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "no:cacheprovider",
            "--color=no",
            *(options or NO_ASYNCIO),
        ]
        environment = {**os.environ, "PYTEST_ADDOPTS": "", "PYTEST_PLUGINS": ""}
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=100 * PACE,
            check=False,
        )
        assert (done.returncode != 0) == fails, done.stdout + done.stderr
        assert done.stderr == ""
        return done.stdout

    return run


def test_sync_tests(project: Project) -> None:
    """Plain pytest, plain calls: results, errors, signatures, strictness, a worker for each test."""
    printed = project(
        """
        import inspect

        import pytest
        import workerlib

        @pytest.fixture
        def worker(start_worker):
            return start_worker("site/worker.py", config="site/worker.toml")

        def test_results(worker):
            assert worker.gross(100) == 119
            assert worker.gross(1.2345, digits=1) == 1.5
            assert worker.later((1, {2})) == (1, {2})
            assert worker["later"](b"x") == b"x"
            assert "later" in worker and "nothing" not in worker and "later" in list(worker)
            assert worker.later.options(timeout=600)(1) == 1
            with pytest.raises(TimeoutError):
                worker.never.options(timeout=0.001)()

        def test_errors(worker):
            with pytest.raises(KeyError, match="no such key") as caught:
                worker.fail()
            assert caught.traceback[-1].name == "fail"
            with pytest.raises(TypeError, match="net"):
                worker.gross(nett=1)
            with pytest.raises(workerlib.NotExportedError, match="gross"):
                worker.prices
            with pytest.raises(workerlib.UnsendableError):
                worker.later(n for n in [1])

        def test_what_it_shows(worker):
            assert "gross" in dir(worker)
            assert "gross" in repr(worker)
            assert list(inspect.signature(worker.gross).parameters) == ["net", "digits"]
            assert worker.gross.__doc__ == "Adds the tax."
            assert not worker.closed

        @pytest.mark.parametrize("number", [1, 2])
        def test_each_test_has_its_own(worker, number):
            assert worker.count() == 1

        def test_closing(start_worker):
            worker = start_worker("../site/worker.py", config="../site/worker.toml")
            worker.close()
            worker.close()
            assert worker.closed
            assert worker.worker.returncode == 0
            with pytest.raises(workerlib.ConnectionClosedError):
                worker.count()

        def test_failing_starts(start_worker):
            with pytest.raises(workerlib.NoSuchWorkerError):
                start_worker("missing.py")
            with pytest.raises(workerlib.WorkerStartError) as caught:
                start_worker("site/worker.py")
            assert isinstance(caught.value.__cause__, ModuleNotFoundError)
        """
    )
    assert "7 passed" in printed


def test_streams_objects_and_callbacks(project: Project) -> None:
    """Sync tests loop over streams by `for`, call the methods of objects, and pass functions."""
    printed = project(
        """
        import time

        import pytest
        import workerlib

        @pytest.fixture
        def worker(start_worker):
            return start_worker("site/worker.py", config="site/worker.toml")

        def wait_for_end(worker):
            for _ in range(1000):
                if worker.has_ended():
                    return
                time.sleep(0.01)
            raise AssertionError("it has not ended")

        def test_a_stream(worker):
            assert list(worker.down(3)) == [3, 2, 1]
            assert worker.has_ended()

        def test_a_stream_that_is_closed(worker):
            with worker.down.options(ahead=1)(1_000_000) as stream:
                assert next(stream) == 1_000_000
            assert worker.has_ended()
            assert list(stream) == []

        def test_a_loop_that_breaks(worker):
            for number in worker.down.options(ahead=1)(1_000_000):
                break
            wait_for_end(worker)

        def test_an_object(worker):
            with worker.Basket("pear") as basket:
                assert basket.add("fig") == 2
                assert list(basket.each()) == ["pear", "fig"]
                assert worker.size(basket) == 2
                assert "add" in dir(basket)
                with pytest.raises(AttributeError, match="add, close, each"):
                    basket.missing
            wait_for_end(worker)
            with pytest.raises(ValueError, match="closed"):
                basket.add("fig")

        def test_an_object_that_nobody_has(worker):
            worker.Basket()
            wait_for_end(worker)

        def test_functions(worker):
            heard, reported = [], []
            worker.tell.options(on_report=lambda *report: reported.append(report))(workerlib.callback(heard.append))
            assert heard == [0, 1, 2]
            assert reported[-1] == (3, 3)
            assert worker.adder(1)(2) == 3
        """
    )
    assert "6 passed" in printed


def test_a_worker_for_a_module_of_tests(project: Project) -> None:
    """A fixture of the user's own, of any scope."""
    printed = project(
        """
        import pytest
        from workerlib.testing import start_worker

        @pytest.fixture(scope="module")
        def worker():
            with start_worker("site/worker.py", config="site/worker.toml") as worker:
                yield worker

        def test_one(worker):
            assert worker.count() == 1

        def test_two(worker):
            assert worker.count() == 2
        """
    )
    assert "2 passed" in printed


ASYNC_TESTS = """
    import asyncio

    import pytest

    {mark}

    async def test_as_the_page_calls_it(connect_worker):
        async with connect_worker("site/worker.py", config="site/worker.toml") as worker:
            assert await asyncio.gather(worker.gross(100), worker.later(7)) == [119, 7]
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.001):
                    await worker.never()

    async def test_that_must_fail(connect_worker):
        async with connect_worker("site/worker.py", config="site/worker.toml") as worker:
            assert await worker.gross(100) == 120
    """


ANYIO_MARK = """pytestmark = pytest.mark.anyio

    @pytest.fixture
    def anyio_backend():
        return "asyncio"
"""
NO_ASYNCIO = ("-p", "no:asyncio")


@pytest.mark.parametrize(
    ("mark", "options"),
    [
        ("", (*NO_ASYNCIO, "-p", "no:anyio")),
        (ANYIO_MARK, NO_ASYNCIO),
        ("pytestmark = pytest.mark.asyncio", ("-o", "asyncio_default_fixture_loop_scope=function")),
    ],
    ids=["no other plugin", "anyio", "pytest-asyncio"],
)
def test_async_tests(project: Project, mark: str, options: tuple[str, ...]) -> None:
    """They are awaited: without a plugin by this one, with pytest-asyncio or anyio by those."""
    printed = project(ASYNC_TESTS.format(mark=mark), *options, fails=True)
    assert "1 failed, 1 passed" in printed
    assert "assert 119" in printed


def test_what_a_failing_test_shows(project: Project) -> None:
    """The report shows the worker's output, and the line where it failed."""
    printed = project(
        """
        def test_that_fails(start_worker):
            worker = start_worker("site/worker.py", config="site/worker.toml")
            worker.fail()
        """,
        fails=True,
    )
    assert "KeyError: 'no such key'" in printed
    assert re.search(r"worker\.py:\d+: KeyError", printed)


def test_a_failing_test_shows_the_users_lines_alone(project: Project) -> None:
    """An error of the worker, of the call or of the start stands at the line of the test; `--full-trace` shows all."""
    text = """
        def test_of_the_worker(start_worker):
            start_worker("site/worker.py", config="site/worker.toml").fail()

        def test_of_the_call(start_worker):
            start_worker("site/worker.py", config="site/worker.toml").nothing()

        def test_of_the_start(start_worker):
            start_worker("nowhere.py")

        async def test_as_the_page_calls_it(connect_worker):
            async with connect_worker("site/worker.py", config="site/worker.toml") as worker:
                await worker.fail()
        """
    own = re.compile(r"workerlib.(testing|_\w+.\w+)\.py:\d+|concurrent.futures")
    printed = project(text, fails=True)
    assert "4 failed" in printed
    assert own.search(printed) is None
    assert own.search(project(text, *NO_ASYNCIO, "--full-trace", "-k", "the_call", fails=True)) is not None


def test_a_user_who_stops_waiting(project: Project, tmp_path: Path) -> None:
    """Ctrl-C ends a call that never returns, and the worker with it."""
    (tmp_path / "endless.py").write_text(
        "import os, workerlib\n"
        "@workerlib.export\ndef endless():\n    open('begun', 'w').close()\n    while True: pass\n"
        "workerlib.export(os.getpid)\n"
    )
    printed = project(
        """
        import os, pathlib, signal, threading, time

        # A program that was started in the background of a shell ignores Ctrl-C, and so do its children.
        signal.signal(signal.SIGINT, signal.default_int_handler)

        def stop_when_it_has_begun():
            while not os.path.exists("begun"):
                time.sleep(0.01)
            os.kill(os.getpid(), signal.SIGINT)

        def test_endless(start_worker):
            worker = start_worker("endless.py")
            pathlib.Path("pid").write_text(str(worker.getpid()))
            threading.Thread(target=stop_when_it_has_begun).start()
            worker.endless()
        """,
        fails=True,
    )
    assert "KeyboardInterrupt" in printed
    assert not Path("/proc", (tmp_path / "pid").read_text()).exists()
