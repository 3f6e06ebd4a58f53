"""Outside of a browser: the worker is a subprocess that runs the same script, so that users can test it.

This is the side that starts it and sees its end. The other side is `_hosts/subprocess/worker.py`; between
them are a pair of sockets for the session, and the worker's stdin for what has to pass while its script
computes: lines that name a call to interrupt, and its end, at which the worker ends too. The worker's output
goes where this process prints. The subprocess lives as long as the connection, and never longer than
the event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
from asyncio.subprocess import Process
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from workerlib._channels.socket import OnBroken, OnMessage, PipeEndpoint, open_pipe
from workerlib._config.files import files
from workerlib._config.settings import is_text, parse
from workerlib._errors import ConfigError, ConnectError, NoSuchWorkerError, WorkerDiedError
from workerlib._exports import without_exports
from workerlib._hosts.host import Found, Progress, SpawnProgress, is_file_name, is_module_name, script_failed
from workerlib._native import decode, encode
from workerlib._rpc.endpoint import Endpoint, OnDeath
from workerlib._users.options import require_config
from workerlib._values.exceptions import rebuild

Config = str | os.PathLike[str] | Mapping[str, Any]
"""A configuration: the path of a TOML or JSON file, its text, or what such a file says."""

# The seconds that a worker has to end by itself when its connection is closed; one less is its own limit.
_GRACE = 3.0
# The seconds that the reading of a process's last output may take after its end.
_LEFT_OVER = 1.0
# `-c` rather than `-m`: the module is to be found where this process has it, whatever lies in the folder.
_BOOT = (
    "import json, sys; start = json.loads(sys.stdin.readline()); sys.path[:] = start['path'];"
    " from workerlib._hosts.subprocess.worker import main; main(start['socket'])"
)


def read_config(config: Config | None) -> dict[str, Any]:
    """Reads the configuration that both sides of a connection are to have.

    Raises:
        ConfigError: If there is no such file, or it is neither JSON nor TOML.
        TypeError: If it is not a configuration.
    """
    if config is None:
        return {}
    if isinstance(config, Mapping):
        return dict(config)
    require_config(config)
    if is_text(config):
        return parse(str(config))
    try:
        text = Path(config).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ConfigError(f"the configuration {os.fspath(config)!r} cannot be read: {error}") from error
    try:
        return parse(text)
    except ConfigError as error:
        raise ConfigError(f"{os.fspath(config)}: {error}") from error


def _know_classes_of(module: str, path: list[str]) -> None:
    """Imports the worker's module on this side too: so the classes of its values are known here.

    Args:
        module: The module's name, which the user has given.
        path: The worker's `sys.path`.
    """
    if module in sys.modules:
        return
    before, sys.path[:] = sys.path[:], path
    try:
        with without_exports():
            importlib.import_module(module)
    # It may do anything that only a worker can. A value whose class is not known says so when it comes.
    except Exception:
        sys.modules.pop(module, None)
    finally:
        sys.path[:] = before


def _folders_of_files(config: Config | None, parsed: Mapping[str, Any]) -> list[str]:
    """Tells where the modules lie that `[files]` would put beside the worker's script."""
    is_file = config is not None and not isinstance(config, Mapping) and not is_text(config)
    base = Path(os.fspath(config)).absolute().parent if is_file else Path.cwd()  # type: ignore[arg-type]
    sources = [source for source, _ in files(parsed)]
    modules = [source for source in sources if source.endswith(".py") and "://" not in source]
    return list(dict.fromkeys(str((base / source).parent) for source in modules))


_MODULES = (
    "a module beside the script is found; others must stand under [files] in the configuration, be installed"
    " in this Python's environment, or lie on its sys.path"
)
"""The remedy for a module that the process does not find."""


@contextlib.contextmanager
def importable(config: Config | None, parsed: Mapping[str, Any]) -> Iterator[None]:
    """Has this side import the modules that `[files]` lists as the worker does: `[adapters]` names them."""
    folders = _folders_of_files(config, parsed)
    sys.path[:0] = folders
    try:
        yield
    finally:
        for folder in folders:
            sys.path.remove(folder)


async def open_channel(progress: Progress, config: Config | None, parsed: Mapping[str, Any]) -> Found:
    """Starts the worker, waits until its script has run, and gives the channel to it.

    Args:
        progress: Names the worker: a file, or a module that this Python could import.
        config: The configuration as `connect()` was given it.
        parsed: The configuration as a mapping.

    Raises:
        NoSuchWorkerError: If there is no such file or module.
        WorkerStartError: If the script failed.
        WorkerDiedError: If the process ended before its script had.
    """
    script = _find_script(progress.name)
    path = [*_folders_of_files(config, parsed), *sys.path]
    progress.enter("starting its process", SpawnProgress("find", script))
    worker = await _start(script, path)
    try:
        step = "waiting for the worker's script to run to its end"
        progress.enter(step, SpawnProgress("import", script))
        await worker.run_script(parsed, f"{progress.caller} was {step}")
        if not is_file_name(script):
            _know_classes_of(script, path)
    except BaseException as error:
        if isinstance(error, asyncio.CancelledError):
            # Nobody waits for the script any longer, whatever it is doing.
            worker.kill()
        await worker.end()
        raise
    return Found(
        script,
        worker,
        worker.process,
        watch=worker.watch,
        ended=worker.end,
        interrupt=worker.interrupt,
        terminate=worker.kill,
    )


def _find_script(name: str | None) -> str:
    if name is None:
        raise ConnectError("connect() outside of a page needs the worker's script: connect('worker.py')")
    if not is_file_name(name):
        if not is_module_name(name):
            raise NoSuchWorkerError(
                f"{name!r} is neither the name of a file, such as 'worker.py', nor that of a module"
            )
        return name
    path = Path(name)
    if not path.is_file():
        where = "" if path.is_absolute() else f", looked for in {Path.cwd()}"
        raise NoSuchWorkerError(f"there is no script {name!r}{where}")
    return str(path.absolute())


async def _start(script: str, path: list[str]) -> Subprocess:
    """Starts the process, which waits for its script then.

    Raises:
        ConnectError: If it cannot be started.
    """
    here, there = socket.socketpair()
    with there:
        try:
            # -P: the current folder is on the path only if it is on this process's.
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *subprocess._args_from_interpreter_flags(),  # type: ignore[attr-defined]
                *("-P", "-c", _BOOT),
                stdin=subprocess.PIPE,
                pass_fds=() if sys.platform == "win32" else (there.fileno(),),
            )
        except (OSError, ValueError) as error:
            here.close()
            raise ConnectError(
                f"the worker's process cannot be started by {sys.executable!r}: {error}"
            ) from error
        except BaseException:
            here.close()
            raise
        try:
            assert process.stdin is not None
            handed = _hand_over(there, process.pid)
            process.stdin.write(json.dumps({"path": path, "socket": handed}).encode() + b"\n")
            pipe = await open_pipe(here)
            if sys.platform == "win32":
                # The socket may be closed here when the other process has opened its own handle of it.
                await pipe.receive()
        except BaseException:
            here.close()
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            raise
        return Subprocess(script, process, pipe)


def _hand_over(sock: socket.socket, pid: int) -> int | str:
    """Describes a socket for another process: by its number, which that process has inherited."""
    if sys.platform == "win32":
        return sock.share(pid).hex()
    return sock.fileno()


class Subprocess(Endpoint):
    """A worker's process, which is the endpoint of the channel to it too."""

    def __init__(self, script: str, process: Process, pipe: PipeEndpoint) -> None:
        """Watches over a process until it has ended.

        Args:
            script: Its script, for messages.
            process: The process.
            pipe: The channel to it, which nobody else listens to.
        """
        self.process = process
        self.pipe = pipe
        self._script = script
        self._on_death: OnDeath | None = None
        self._closing = asyncio.Event()
        # A task, because the end of asyncio.run() cancels tasks, and thereby ends what nobody has closed.
        self._life = asyncio.create_task(self._live(), name=f"workerlib: the process of {script}")

    async def run_script(self, config: Mapping[str, Any], during: str) -> None:
        """Has the process run the worker's script.

        Args:
            config: The worker's configuration.
            during: What waits for the script, for the error if the process ends.

        Raises:
            NoSuchWorkerError: If there is no such module.
            WorkerStartError: If the script failed.
            WorkerDiedError: If the process ended before.
        """
        self.pipe.post(*encode({"script": self._script, "config": dict(config)}))
        received = await self.pipe.receive()
        if received is None:
            await self._life
            raise WorkerDiedError(
                f"the worker {self._script!r} is gone: {self._fate()}; {during}"
            ) from self._exit_error()
        answer = decode(*received)
        if answer is None:
            return
        kind, description = answer
        if kind == "missing":
            raise NoSuchWorkerError(f"there is no module {self._script!r} to import; {description}")
        raise script_failed(f"the script of the worker {self._script!r}", rebuild(description), _MODULES)

    def kill(self) -> None:
        """Ends the process at once, if it has not ended yet."""
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()

    async def end(self) -> None:
        """Closes the channel, and returns when the process has ended."""
        self.close()
        await asyncio.shield(self._life)

    def watch(self, on_death: OnDeath) -> None:
        """Has `on_death` called with how the process ended, if nobody has closed the channel before."""
        self._on_death = on_death
        self._life.add_done_callback(self._tell_fate)

    def interrupt(self, call: int, cancels: int) -> None:
        """Interrupts a call, by its id, that was cancelled so many times, if its code is running then."""
        stdin = self.process.stdin
        assert stdin is not None
        if not stdin.is_closing():
            stdin.write(b"%d %d\n" % (call, cancels))

    # The protocol `Endpoint`, for a connection.

    def starts_at_once(self, _name: str, _function: object, _has_callback: bool) -> bool:
        """Tells that each call may: `Endpoint.starts_at_once`."""
        return True

    def listen(
        self, on_message: OnMessage, on_broken: OnBroken, on_death: Callable[[str], None] | None = None
    ) -> None:
        """Starts to deliver; a channel that breaks ends the process, and of that `watch` tells."""
        self.pipe.listen(on_message, lambda _reason: None)

    def post(self, frame: bytes, buffers: list[Any]) -> None:
        """Sends."""
        self.pipe.post(frame, buffers)

    def post_all(self, messages: list[tuple[bytes, list[Any]]]) -> None:
        """Sends several."""
        self.pipe.post_all(messages)

    def close(self) -> None:
        """Has the process end; what was posted is sent before."""
        self._on_death = None
        self.pipe.close()
        self._closing.set()

    async def _live(self) -> None:
        """Waits for whatever ends the worker, and sees to it that nothing is left of it."""
        loop = asyncio.get_running_loop()
        exiting = loop.create_task(self.process.wait())
        closing = loop.create_task(self._closing.wait())
        ends: set[asyncio.Future[Any]] = {exiting, closing, self.pipe.ended}
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            exiting.cancel()
            closing.cancel()
            await self._finish()

    def _tell_fate(self, _life: asyncio.Task[None]) -> None:
        if self._on_death is not None:
            self._on_death(self._fate(), self._exit_error())

    async def _finish(self) -> None:
        self.pipe.close()
        stdin = self.process.stdin
        assert stdin is not None
        stdin.close()
        try:
            async with asyncio.timeout(_GRACE):
                await self.process.wait()
        except TimeoutError:
            self.kill()
            await self.process.wait()
        # The last bytes of the process are still to be read; another process may hold its end open.
        await asyncio.wait({self.pipe.ended}, timeout=_LEFT_OVER)
        self.pipe.abort("the process has ended")
        with contextlib.suppress(OSError):
            await stdin.wait_closed()
        # The transports say in the loop's next turns that they are closed.
        for _ in range(3):
            await asyncio.sleep(0)

    def _exit_error(self) -> subprocess.CalledProcessError | None:
        """Makes the error that Python has for a process with such an exit code; None if it ended well."""
        code = self.process.returncode
        return subprocess.CalledProcessError(code, [sys.executable, self._script]) if code else None

    def _fate(self) -> str:
        code = self.process.returncode
        if code is not None and code < 0:
            try:
                name = signal.Signals(-code).name
            except ValueError:
                name = f"signal {-code}"
            how = f"was killed by {name}"
        else:
            # A process that ended well has a reason, and the channel knows it.
            how = f"ended with exit code {code}" + ("" if code else f": {self.pipe.ended.result()}")
        return f"its process {self.process.pid} {how}"
