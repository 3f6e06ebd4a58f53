"""Workers as subprocesses: how they start, fail, print, die and end, whatever happens to whom."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
import textwrap
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
import workerlib
from workerlib import ConnectionClosedError, NoSuchWorkerError, WorkerDiedError, WorkerStartError
from workerlib._hosts.subprocess import parent
from workerlib._rpc import connection

from pace import PACE

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes a script into the current folder, which is one of the test's own."""
    monkeypatch.chdir(tmp_path)

    def write_script(text: str, name: str = "worker.py") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return path

    return write_script


def run(script: str, *, ends_with: int = 0) -> subprocess.CompletedProcess[str]:
    """Runs a program that uses the library, in the way that shows every warning."""
    # Not `-X dev`: asyncio's debug mode tells of slow callbacks, and a busy machine has those.
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(script)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50 * PACE, check=False)
    assert done.returncode == ends_with, done.stdout + done.stderr
    return done


def is_running(pid: int) -> bool:
    """Tells whether there is such a process; a zombie is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def until_there_is(name: str) -> None:
    """Waits for a file of the worker's."""
    while not Path(name).exists():
        await asyncio.sleep(0.01)


async def until_ended(pid: int) -> None:
    """Waits for the end of a process that is not this one's child."""
    async with asyncio.timeout(20 * PACE):
        while is_running(pid):
            await asyncio.sleep(0.01)


# Starting.


def test_a_call_from_another_event_loop_fails_before_it_is_sent(write: Write) -> None:
    """It could never be answered there; the connection's own loop goes on."""
    write(
        "import workerlib\ncalls = []\n@workerlib.export\ndef count():\n    calls.append(1)\n    return len(calls)\n"
    )
    own, other = asyncio.new_event_loop(), asyncio.new_event_loop()
    try:
        worker = own.run_until_complete(workerlib.connect("worker.py"))
        with pytest.raises(
            RuntimeError, match=r"count\(\) belongs to was made in another event loop: connect in"
        ):
            other.run_until_complete(worker.count())
        assert own.run_until_complete(worker.count()) == 1, "the other call was not sent"
        own.run_until_complete(worker.__aexit__(None, None, None))
    finally:
        own.close()
        other.close()


async def test_terminate_ends_a_worker_that_computes(write: Write) -> None:
    """At once, whatever it is doing: its calls raise WorkerDiedError, and the process is gone."""
    write(
        """
        import pathlib, workerlib

        @workerlib.export
        def compute():
            pathlib.Path("begun").touch()
            while True:
                try:
                    while True:
                        pass
                except BaseException:
                    pass
        """
    )
    worker = await workerlib.connect("worker.py")
    call = asyncio.ensure_future(worker.compute())
    await until_there_is("begun")
    pid = worker.worker.pid
    worker.terminate()
    with pytest.raises(WorkerDiedError, match=r"was ended by worker\.terminate\(\)"):
        await call
    assert worker.closed
    with pytest.raises(WorkerDiedError):
        await worker.compute()
    await worker.__aexit__(None, None, None)
    await until_ended(pid)


async def test_the_classes_of_a_workers_module_are_known_by_themselves(
    write: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`connect("mylib.worker")` imports the module on this side too, and this side exports nothing of it."""
    from workerlib import _exports

    write("", "known_by_itself/__init__.py")
    write(
        """
        import dataclasses, workerlib

        @dataclasses.dataclass
        class Point:
            x: int

        @workerlib.export
        def point():
            return Point(1)

        @workerlib.export
        def twice(point):
            return Point(2 * point.x)
        """,
        "known_by_itself/worker.py",
    )
    monkeypatch.syspath_prepend(tmp_path)
    async with workerlib.connect("known_by_itself.worker") as worker:
        point = await worker.point()
        assert type(point).__module__ == "known_by_itself.worker"
        assert await worker.twice(point) == type(point)(2)
    assert "point" not in _exports.functions


async def test_an_unknown_class_says_what_makes_it_known(write: Write, tmp_path: Path) -> None:
    """Where the value stands, the class, and the remedy: a reader of Python has no use for the byte."""
    write(
        """
        import dataclasses, workerlib
        from other_side import Thing

        @dataclasses.dataclass
        class Point:
            x: int

        @workerlib.export
        def give(kind):
            return [{"Point": Point, "Thing": Thing}[kind](1)]
        """
    )
    write("import dataclasses\n@dataclasses.dataclass\nclass Thing:\n    x: int\n", "other_side.py")
    async with workerlib.connect("worker.py") as worker:
        with pytest.raises(workerlib.FrameError) as caught:
            await worker.give("Point")
        assert str(caught.value) == (
            "result[0]: the class Point is not known here: it is defined in the script of the other side. Move the"
            " class into a module that both scripts import, or define it in both"
        )
        with pytest.raises(workerlib.FrameError) as caught:
            await worker.give("Thing")
        assert str(caught.value) == (
            "result[0]: the class Thing is not known here: import other_side on this side too"
        )


async def test_a_script_runs_as_it_does_under_pyscript(write: Write) -> None:
    """The script runs as `__main__`, inside of a running loop, with await at the top level, and with the modules beside it."""
    write("answer = 42", "beside.py")
    write(
        """
        import asyncio, sys
        from beside import answer
        import workerlib

        await asyncio.sleep(0)
        task = asyncio.create_task(asyncio.sleep(0, "from a task"))

        @workerlib.export
        async def tell():
            return __name__, sys.modules["__main__"].answer, sys.argv, await task, sys.stdin.read()
        """
    )
    async with workerlib.connect("worker.py") as worker:
        path = str(Path("worker.py").absolute())
        assert await worker.tell() == ("__main__", 42, [path], "from a task", "")


@pytest.mark.parametrize(
    "name", ["worker.py", "./worker.py", Path("worker.py"), "folder/worker.py", "worker"]
)
async def test_the_names_of_a_script(write: Write, monkeypatch: pytest.MonkeyPatch, name: str | Path) -> None:
    """A file, as text or as a path, absolute or not; or a module that this Python could import."""
    write(
        "import workerlib\nworkerlib.export(name='own')(lambda: __name__)",
        str(name).removesuffix(".py") + ".py",
    )
    monkeypatch.syspath_prepend(".")
    for given in (name, Path(name).absolute() if str(name).endswith(".py") else name):
        async with workerlib.connect(given) as worker:
            assert await worker.own() == ("worker" if name == "worker" else "__main__")
            assert str(name) in worker.name.replace(str(Path.cwd()), ".") + str(name)[:2]


async def test_a_module_of_a_package(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its classes have the same name on both sides, so that instances arrive as such."""
    monkeypatch.syspath_prepend(".")
    write("", "shop_of_test/__init__.py")
    write(
        """
        import dataclasses
        import workerlib

        @dataclasses.dataclass
        class Order:
            item: str

        @workerlib.export
        def order(item):
            return Order(item)
        """,
        "shop_of_test/orders.py",
    )
    import importlib

    orders = importlib.import_module("shop_of_test.orders")
    async with workerlib.connect("shop_of_test.orders") as worker:
        assert await worker.order("tea") == orders.Order("tea")


async def test_what_is_not_there(write: Write) -> None:
    """A missing file and a missing module are told apart from a script that misses something."""
    with pytest.raises(NoSuchWorkerError, match=r"'wrong\.py'.*looked for in"):
        await workerlib.connect("wrong.py")
    with pytest.raises(NoSuchWorkerError, match=r"no module 'wrong_module'.*\./wrong_module\.py"):
        await workerlib.connect("wrong_module")
    with pytest.raises(NoSuchWorkerError, match="wrong_module.part"):
        await workerlib.connect("wrong_module.part")
    with pytest.raises(workerlib.ConnectError, match=r"connect\('worker\.py'\)"):
        await workerlib.connect()
    write("import wrong_module")
    with pytest.raises(WorkerStartError) as caught:
        await workerlib.connect("worker.py")
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)


@pytest.mark.parametrize(
    ("script", "kind", "shows"),
    [
        ("import workerlib\n\ndef f():\n    return 1 / 0\n\nf()\n", ZeroDivisionError, "line 4, in f"),
        ("x = (\n", SyntaxError, "never closed"),
        ("from workerlib import nothing\n", ImportError, "line 1"),
        ("import asyncio\nawait asyncio.sleep(0)\nraise LookupError('late')\n", LookupError, "line 3"),
        ("import sys\nsys.exit(3)\n", workerlib.RemoteError, "SystemExit: 3"),
        ("class Own(Exception): ...\nraise Own('x')\n", workerlib.RemoteError, "line 2"),
        ("import workerlib\nworkerlib.export(1)\n", TypeError, "line 2"),
    ],
)
async def test_scripts_that_fail(write: Write, script: str, kind: type, shows: str) -> None:
    """WorkerStartError has the script's own error as its cause, with the traceback to the script's line."""
    write(script)
    with pytest.raises(WorkerStartError, match=r"worker\.py' failed") as caught:
        await workerlib.connect("worker.py")
    cause = caught.value.__cause__
    assert isinstance(cause, kind)
    shown = "".join(traceback.format_exception(cause))
    assert shows in shown
    assert "_hosts/subprocess/worker.py" not in shown


@pytest.mark.parametrize(
    ("last_words", "fate"),
    [
        ("os._exit(5)", "exit code 5"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "SIGKILL"),
        ("ctypes.string_at(0)", "SIGSEGV"),
    ],
)
async def test_processes_that_die(write: Write, last_words: str, fate: str) -> None:
    """While their script runs, `connect()` ends with how the process did and at which step; later every call does."""
    imports = "import ctypes, os, signal, asyncio, workerlib\n"
    write(imports + last_words, "early.py")
    with pytest.raises(WorkerDiedError, match=f"{fate}.*waiting for the worker's script to run to its end"):
        await workerlib.connect("early.py")
    write(
        imports
        + "@workerlib.export\ndef die():\n    "
        + last_words
        + "\n@workerlib.export\nasync def wait():\n    await asyncio.Event().wait()\n"
    )
    async with workerlib.connect("worker.py") as worker:
        calls = [asyncio.ensure_future(call) for call in (worker.wait(), worker.wait(), worker.die())]
        errors = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(error) for error in errors] == [WorkerDiedError] * 3
        assert all(fate in str(error) for error in errors)
        assert worker.closed
        with pytest.raises(ConnectionClosedError):
            await worker.wait()
        assert not is_running(worker.worker.pid)


async def test_a_process_that_is_killed_from_here(write: Write) -> None:
    """`worker.worker` is the process, and its death ends the calls."""
    write("import workerlib, time\nworkerlib.export(time.sleep)")
    async with workerlib.connect("worker.py") as worker:
        call = asyncio.ensure_future(worker.sleep(100))
        await asyncio.sleep(0)
        worker.worker.kill()
        with pytest.raises(WorkerDiedError, match="SIGKILL"):
            await call


async def test_what_was_answered_before_the_death_arrives(write: Write) -> None:
    """The results of calls that ended are not lost with the process."""
    write(
        """
        import asyncio, os, workerlib

        @workerlib.export
        def large():
            # The answer is written when this has returned, before the loop does anything else.
            asyncio.get_running_loop().call_soon(os._exit, 0)
            return b"x" * 100_000
        """
    )
    async with workerlib.connect("worker.py") as worker:
        assert await worker.large() == b"x" * 100_000
        await worker._connection.closed
    assert worker.closed


async def test_a_start_that_takes_too_long(write: Write) -> None:
    """It says what it was waiting for, and the process is gone."""
    write("import time, os\nopen('pid', 'w').write(str(os.getpid()))\ntime.sleep(100)")
    with pytest.raises(workerlib.ConnectTimeoutError, match="worker's script to run to its end"):
        await workerlib.connect("worker.py", timeout=3 * PACE)
    assert not is_running(int(Path("pid").read_text()))


async def test_a_cancelled_start(write: Write) -> None:
    """A start that is cancelled leaves no process behind."""
    write("import time, os\nopen('pid', 'w').write(str(os.getpid()))\ntime.sleep(100)")
    task = asyncio.ensure_future(workerlib.connect("worker.py"))
    while not Path("pid").exists() or not Path("pid").read_text():
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not is_running(int(Path("pid").read_text()))


# Settings.


async def test_strict_on_either_side(write: Write) -> None:
    """`strict=` is about the arguments, the configuration about both."""
    write("import workerlib\nworkerlib.export(name='give')(lambda *_: (n for n in [1]))")
    async with workerlib.connect("worker.py", strict=True) as worker:
        with pytest.raises(workerlib.UnsendableError, match=r"args\[0\]"):
            await worker.give(n for n in [1])
        assert await worker.give() == [1]
    Path("worker.toml").write_text("[workerlib]\nstrict = true\n")
    for config in (
        "worker.toml",
        Path("worker.toml").absolute(),
        "[workerlib]\nstrict = true\n",
        '{"workerlib": {"strict": true}}',
        {"workerlib": {"strict": True}},
    ):
        async with workerlib.connect("worker.py", config=config) as worker:
            with pytest.raises(workerlib.UnsendableError, match=r"args\[0\]"):
                await worker.give(n for n in [1])
            with pytest.raises(workerlib.UnsendableError, match="result"):
                await worker.give()


async def test_files_of_a_configuration(write: Write) -> None:
    """`[files]` puts modules beside the script: those that lie on this disk are found where they lie."""
    write("answer = 42", "site/lib/listed.py")
    write("import listed, workerlib\nworkerlib.export(name='give')(lambda: listed.answer)", "site/worker.py")
    Path("site/worker.toml").write_text(
        'packages = ["x"]\n[files]\n"./lib/listed.py" = ""\n"https://x.y/z.py" = ""\n'
    )
    async with workerlib.connect("site/worker.py", config="site/worker.toml") as worker:
        assert await worker.give() == 42


async def test_wrong_configurations(write: Write) -> None:
    """They are refused before a process is started, with what is wrong."""
    write("import workerlib")
    for config, message in (
        ("missing.toml", r"'missing\.toml' cannot be read"),
        ("[[[\n", "neither JSON nor TOML"),
        ({"workerlib": {"strikt": True}}, "strikt"),
    ):
        with pytest.raises(workerlib.ConfigError, match=message):
            await workerlib.connect("worker.py", config=config)


# The worker's output.


def test_what_a_worker_prints(write: Write) -> None:
    """It goes where this process prints, at once, and whatever happens to the worker."""
    write(
        "import os, sys, workerlib\nprint('printed')\nprint('to stderr', file=sys.stderr)\n"
        "@workerlib.export\ndef die():\n    print('last words')\n    os._exit(1)\n"
    )
    done = run(
        """
        import asyncio, workerlib
        async def main():
            async with workerlib.connect("worker.py") as worker:
                try:
                    await worker.die()
                except workerlib.ConnectionClosedError as error:
                    print(error)
        asyncio.run(main())
        """
    )
    assert done.stdout.splitlines()[:2] == ["printed", "last words"]
    assert "exit code 1" in done.stdout
    assert done.stderr == "to stderr\n"


# The end.


async def test_closing_ends_the_process(write: Write) -> None:
    """After `async with` there is no process, no zombie, no file and no task."""
    write("import workerlib\n@workerlib.export\ndef f(): pass")
    tasks, files = asyncio.all_tasks(), set(os.listdir("/proc/self/fd"))
    async with workerlib.connect("worker.py") as worker:
        await worker.f()
        pid = worker.worker.pid
        assert is_running(pid)
    assert not Path(f"/proc/{pid}").exists()
    assert worker.worker.returncode == 0
    assert asyncio.all_tasks() == tasks
    assert set(os.listdir("/proc/self/fd")) == files


async def test_functions_clean_up_when_the_connection_ends(write: Write) -> None:
    """Functions that run in the worker are cancelled, and their `finally` blocks run."""
    write(
        """
        import asyncio, atexit, workerlib

        atexit.register(lambda: open("at exit", "w").close())

        @workerlib.export
        async def wait():
            try:
                open("begun", "w").close()
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0.01)
                open("cleaned up", "w").close()
        """
    )
    async with workerlib.connect("worker.py") as worker:
        call = asyncio.ensure_future(worker.wait())
        await until_there_is("begun")
    with pytest.raises(ConnectionClosedError):
        await call
    assert Path("cleaned up").exists()
    assert Path("at exit").exists()


@pytest.mark.parametrize("stubborn", ["while True: pass", "time.sleep(100)"])
async def test_a_busy_worker_ends_too(write: Write, stubborn: str) -> None:
    """A sync function that computes or sleeps does not keep its process alive."""
    write(
        f"import time, workerlib\n@workerlib.export\ndef f():\n    open('begun', 'w').close()\n    {stubborn}\n"
    )
    async with workerlib.connect("worker.py") as worker:
        call = asyncio.ensure_future(worker.f())
        await until_there_is("begun")
    with pytest.raises(ConnectionClosedError):
        await call
    assert not is_running(worker.worker.pid)


def test_an_end_without_a_close(write: Write) -> None:
    """The end of asyncio.run() ends the workers that nobody has closed, without a warning."""
    write("import workerlib\n@workerlib.export\ndef f(): pass")
    done = run(
        """
        import asyncio, os, workerlib
        async def main():
            worker = await workerlib.connect("worker.py")
            await worker.f()
            return worker.worker.pid
        pid = asyncio.run(main())
        assert not os.path.exists(f"/proc/{pid}")
        """
    )
    assert done.stderr == ""


@pytest.mark.parametrize("doing", ["await asyncio.Event().wait()", "while True: pass"])
async def test_a_parent_that_dies(write: Write, doing: str) -> None:
    """Its worker sees the end of the channel, and ends, even if it is computing."""
    write(
        f"import asyncio, os, workerlib\n@workerlib.export\nasync def f():\n    open('pid', 'w').write(str(os.getpid()))\n    {doing}\n"
    )
    run(
        """
        import asyncio, os, signal, workerlib
        async def main():
            worker = await workerlib.connect("worker.py")
            call = asyncio.ensure_future(worker.f())
            while not os.path.exists("pid") or not open("pid").read():
                await asyncio.sleep(0.01)
            os.kill(os.getpid(), signal.SIGKILL)
        asyncio.run(main())
        """,
        ends_with=-signal.SIGKILL,
    )
    await until_ended(int(Path("pid").read_text()))


async def test_a_child_of_the_worker_does_not_keep_the_channel_open(write: Write) -> None:
    """The death of the worker is seen although a process that it started lives on."""
    write(
        """
        import os, subprocess, sys, workerlib

        @workerlib.export
        def die():
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"])
            open("pid", "w").write(str(child.pid))
            os._exit(3)
        """
    )
    async with workerlib.connect("worker.py") as worker:
        with pytest.raises(WorkerDiedError, match="exit code 3"):
            await worker.die()
    os.kill(int(Path("pid").read_text()), signal.SIGKILL)


async def test_a_fork_of_the_worker_does_not_keep_it_alive(write: Write) -> None:
    """The same where the other process has the worker's socket."""
    write(
        """
        import os, time, workerlib

        @workerlib.export
        def die():
            child = os.fork()
            if not child:
                time.sleep(100)
            open("pid", "w").write(str(child))
            os._exit(3)
        """
    )
    async with workerlib.connect("worker.py") as worker:
        with pytest.raises(WorkerDiedError, match="exit code 3"):
            await worker.die()
    os.kill(int(Path("pid").read_text()), signal.SIGKILL)


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="processes cannot be stopped")
async def test_a_process_that_is_stopped(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not dead: its calls wait for as long as their caller does. Closing ends it, although it does not hear of it."""
    monkeypatch.setattr(connection, "_GRACE", 0.1)
    monkeypatch.setattr(parent, "_GRACE", 0.1)
    write("import workerlib\n\n@workerlib.export\ndef add(x, y):\n    return x + y\n")
    worker = await workerlib.connect("worker.py")
    pid = worker.worker.pid
    os.kill(pid, signal.SIGSTOP)
    # The second is larger than the socket's room.
    waiting = [asyncio.ensure_future(worker.add(*values)) for values in ((1, 2), (bytes(8 << 20), b""))]
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await worker.add(1, 2)
    assert not any(call.done() for call in waiting)
    await worker.close()
    assert not is_running(pid)
    ends = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(end) for end in ends] == [ConnectionClosedError] * 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot be forked")
@pytest.mark.parametrize("kind", ["def", "async def"])
async def test_a_fork_that_returns_answers_nobody(write: Write, kind: str) -> None:
    """The other process of a fork serves nothing and ends; the worker itself answers, to this call and to later ones."""
    write(
        f"""
        import asyncio, os, time, workerlib

        @workerlib.export
        {kind} fork():
            child = os.fork()
            if not child:
                return "the child"
            # It has answered and goes on serving, or has ended.
            end = time.monotonic() + {2 * PACE}
            while (ended := os.waitpid(child, os.WNOHANG)[0]) == 0 and time.monotonic() < end:
                time.sleep(0.01)
            if not ended:
                os.kill(child, 9)
            return "the worker" if ended else "the child lives"

        @workerlib.export
        async def wake():
            return await asyncio.to_thread(lambda: 42)
        """
    )
    async with workerlib.connect("worker.py") as worker:
        assert await worker.fork() == "the worker"
        assert await worker.wake() == 42


async def test_many_workers(write: Write) -> None:
    """They compute side by side, each in a process of its own."""
    write("import os, workerlib\nworkerlib.export(os.getpid)")
    workers = await asyncio.gather(*(workerlib.connect("worker.py") for _ in range(4)))
    pids = await asyncio.gather(*(worker.getpid() for worker in workers))
    assert len(set(pids)) == 4
    assert [worker.worker.pid for worker in workers] == pids
    for worker in workers:
        async with worker:
            pass
    assert not any(map(is_running, pids))
    gc.collect()
