"""The code that snapshot.mjs runs in Pyodide under Node: a function for each visit, each a process of its own."""

from __future__ import annotations

import ast
import asyncio
import importlib
import os
import sys
import traceback
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

import js
import pyodide_js
import workerlib
from workerlib._hosts.spawned.snapshots import snapshots
from workerlib._location.package_files import folder

_CACHE = Path("/cache")
_SCRIPT = """
import json, logging, os, random, secrets, sys, tempfile, threading, time, uuid
import workerlib

@workerlib.export
def draw() -> list[object]:
    import email.generator, multiprocessing.process

    return [
        random.random(), random.Random().random(), random.SystemRandom().random(), random.sample(range(10**9), 2),
        tempfile.mktemp(), str(uuid.uuid4()), str(uuid.uuid1()), uuid.getnode(), os.urandom(8), secrets.token_hex(),
        email.generator.Generator._make_boundary(), bytes(multiprocessing.process.current_process().authkey),
        str(uuid.uuid7()) if hasattr(uuid, "uuid7") else os.urandom(8),
    ]

@workerlib.export
def state() -> dict[str, object]:
    return {
        "path": sys.path, "argv": sys.argv, "version": sys.version, "flags": str(sys.flags), "cwd": os.getcwd(),
        "environment": dict(os.environ), "zone": [time.tzname, time.timezone], "limit": sys.getrecursionlimit(),
        "meta": [getattr(finder, "__name__", type(finder).__name__) for finder in sys.meta_path],
        "main": sorted(name for name in vars(sys.modules["__main__"]) if not name.startswith("_")),
        "threads": threading.active_count(), "temporary": tempfile.gettempdir(),
    }

@workerlib.export
def age() -> float:
    # The time that logging takes for the start of the program.
    record = logging.LogRecord("", 0, "", 0, "", None, None)
    return record.relativeCreated / 1000

@workerlib.export
def modules() -> list[str]:
    return sorted(sys.modules)

@workerlib.export
def newer(a: str, b: str) -> bool:
    from packaging.version import Version
    return Version(a) > Version(b)

@workerlib.export
def echo(value: object) -> object:
    return value

@workerlib.export
async def wait(seconds: float) -> None:
    import asyncio
    await asyncio.sleep(seconds)
"""


def spawn(**options: Any) -> Any:
    """Starts a worker; how it started is in `steps`."""
    script = Path("/script.py")
    script.write_text(_SCRIPT)
    return workerlib.spawn(script, **options)


class Steps(list[Any]):
    """The steps of a start."""

    @property
    def had_snapshot(self) -> bool:
        """Whether it was from a snapshot, to the end."""
        return any("from a snapshot of" in step.what for step in self)


async def made(timeout: float = 60) -> None:
    """Waits until the snapshot is there, and is kept."""
    async with asyncio.timeout(timeout * float(os.environ.get("WORKERLIB_TEST_PACE", "1"))):
        while not snapshots.is_ready or snapshots._maker is not None:
            assert not snapshots.is_given_up
            await asyncio.sleep(0.05)


def warnings() -> list[str]:
    """Returns what was written to the log, each line once."""
    return [line for text in js.warnings for line in str(text).splitlines() if "workerlib" in line]


async def first() -> None:
    """The first visit: a plain start, then starts from the snapshot, which is as a plain start in all that counts."""
    plain = Steps()
    async with spawn(on_progress=plain.append) as worker:
        assert not plain.had_snapshot
        expected = await worker.state()
        imported = set(await worker.modules())
        # Each takes longer to import than most of workerlib's own modules.
        assert not {"email.message", "pickle", "tomllib"} & imported
        # The maker has the processor after calls that are in flight.
        while snapshots._maker is None:
            await asyncio.sleep(0.01)
        await worker.wait(3)
        assert snapshots._soon is None and not snapshots.is_ready
    await made()
    steps, others = Steps(), Steps()
    async with (
        spawn(on_progress=steps.append, packages=["packaging"]) as one,
        spawn(on_progress=others.append) as other,
    ):
        assert steps.had_snapshot and others.had_snapshot
        # Packages are installed after the start, extension modules among them: workerlib's own is one.
        assert await one.newer("2.0", "1.0")
        assert await one.echo({"a": [1, 2.5, None, b"x" * 100_000]}) == {"a": [1, 2.5, None, b"x" * 100_000]}
        told = await one.state()
        assert told == expected, [key for key in told if told[key] != expected[key]]
        assert imported <= set(await one.modules())
        # importlib.invalidate_caches() imports it, and has the archive of the standard library read again.
        assert "importlib.metadata" not in await other.modules()
        draws = list(zip(await one.draw(), await other.draw(), strict=True))
        assert all(mine != yours for mine, yours in draws), draws
        assert 0 <= await one.age() < 60
    assert warnings() == []


_TAKING = {
    *("urandom", "Random", "SystemRandom", "random", "randrange", "getrandbits", "token_bytes", "uuid1"),
    *("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "now", "today"),
    *("localtime", "gmtime", "getpid", "get_ident", "getcwd", "getenv", "gethostname", "getnode", "uname"),
    *("gettempdir", "mkdtemp"),
}


def _runs_at_import(node: ast.AST) -> Iterator[ast.AST]:
    """Walks the parts of a module that run when it is imported."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        for default in [
            *getattr(node, "decorator_list", ()),
            *node.args.defaults,
            *filter(None, node.args.kw_defaults),
        ]:
            yield from _runs_at_import(default)
        return
    yield node
    for child in ast.iter_child_nodes(node):
        yield from _runs_at_import(child)


def _takes(source: str) -> bool:
    """Tells whether a module takes entropy, time or environment when it is imported."""
    for node in _runs_at_import(ast.parse(source)):
        function = node.func if isinstance(node, ast.Call) else None
        name = getattr(function, "attr", getattr(function, "id", None))
        if name in _TAKING or (isinstance(node, ast.Attribute) and node.attr in {"environ", "environb"}):
            return True
    return False


async def complete() -> None:
    """Modules in the snapshot that take entropy, time or environment at import are known, each with what renews it."""
    known = {
        "random": "its generator is seeded anew",
        "logging": "its start of the program is set anew",
        "multiprocessing.process": "its key is drawn anew",
        "sysconfig": "takes the folder, which is the same in every worker",
        "_sysconfigdata__emscripten_wasm32-emscripten": "takes variables of the build, which nobody sets",
        "_pyodide._core_docs": "takes a variable that is set when Pyodide's documentation is built",
        "datetime": "its minimum and maximum are times of day",
        "_pydatetime": "its minimum and maximum are times of day",
    }
    async with spawn() as worker:
        names = await worker.modules()
    # The snapshot of PyScript's Pythons has more.
    assert "importlib.metadata" in js.interpreterModules
    for name in js.interpreterModules:
        importlib.import_module(name)
    taking = set()
    for name in {*names, *sys.modules}:
        spec = getattr(sys.modules.get(name), "__spec__", None)
        # A module may stand under two names, and a part of JavaScript's has no source.
        source = getattr(getattr(spec, "loader", None), "get_source", lambda _: None)(
            getattr(spec, "name", "")
        )
        if source is not None and not name.startswith("workerlib") and _takes(source):
            taking.add(name)
    assert "random" in taking and "logging" in taking
    assert taking <= known.keys(), taking - known.keys()


async def faster() -> None:
    """A start from a snapshot takes a fraction of a plain one."""
    ratios = []
    # The machine may have been busy with something else during the one and not during the other.
    for _ in range(5):
        start = perf_counter()
        async with spawn(snapshot=False) as worker:
            await worker.echo(1)
        plain = perf_counter() - start
        start = perf_counter()
        async with spawn() as worker:
            await worker.echo(1)
        ratios.append((perf_counter() - start) / plain)
        if ratios[-1] < 0.5:
            return
    raise AssertionError(ratios)


async def off() -> None:
    """Neither the argument nor the configuration takes a snapshot that it does not want."""
    for options in ({"snapshot": False}, {"config": {"workerlib": {"snapshot": False}}}):
        steps = Steps()
        async with spawn(on_progress=steps.append, **options) as worker:
            assert await worker.echo(1) == 1
        assert not steps.had_snapshot
    # The argument wins.
    steps = Steps()
    async with spawn(on_progress=steps.append, snapshot=True, config={"workerlib": {"snapshot": False}}):
        assert steps.had_snapshot


async def broken() -> None:
    """A snapshot that does not start is given up, once and with one line that names the cause."""
    await made()
    before = len(warnings())
    snapshots.keep(js.Uint8Array.new(100), None)
    steps = Steps()
    async with spawn(on_progress=steps.append) as worker:
        assert await worker.echo("x") == "x"
    async with spawn() as worker:
        assert await worker.echo("x") == "x"
    told = warnings()[before:]
    assert len(told) == 1 and "without its memory snapshot: it is not an image" in told[0], told
    assert not snapshots.is_ready


async def restarted() -> None:
    """A worker that is started again starts from the snapshot, and shares nothing with the worker before it."""
    async with spawn(restart=True) as worker:
        before = await worker.draw()
        await worker.restart()
        assert "_workerlib_snapshot" in await worker.modules()
        after = await worker.draw()
        assert all(one != other for one, other in zip(before, after, strict=True))


async def shared() -> None:
    """The shared suite over a worker that started from a snapshot; a plain run has the tests of calls and values."""
    import suite
    import worker_files

    is_full = os.environ["WORKERLIB_FULL"] == "1"
    names = [name for name in suite.TESTS if is_full or name.startswith(("calls: ", "values: "))]
    assert names

    steps = Steps()

    def connect(**options: Any) -> Any:
        return workerlib.spawn(
            "./shared/worker.py", name="bench", config=worker_files.config("./shared/"), **options
        )

    async with connect(on_progress=steps.append) as worker:
        assert steps.had_snapshot
        for name in names:
            async with asyncio.timeout(60 * float(os.environ.get("WORKERLIB_TEST_PACE", "1"))):
                await suite.run(name, worker, connect)


async def second() -> None:
    """The second visit: its first worker finds the snapshot, and the next one gets it from the page."""
    [kept] = _CACHE.glob("*.snapshot")
    # On PyScript's first visit micropip installs workerlib; on later ones Pyodide does, by a lock file that micropip has frozen.
    [metadata] = folder().parent.glob("workerlib-*.dist-info")
    (metadata / "INSTALLER").write_text("another program")
    frozen = js.JSON.parse(js.JSON.stringify(pyodide_js.lockfile.packages.workerlib))
    frozen.file_name = "https://example.org/workerlib.whl"
    pyodide_js.lockfile.packages.workerlib = frozen
    steps = Steps()
    async with spawn(on_progress=steps.append) as worker:
        assert steps.had_snapshot
        first = await worker.draw()
    assert snapshots.is_ready
    kept.unlink()
    steps = Steps()
    async with spawn(on_progress=steps.append) as worker:
        assert steps.had_snapshot
        assert all(mine != yours for mine, yours in zip(first, await worker.draw(), strict=True))
    assert warnings() == []


async def _starts_plainly(cause: str) -> None:
    steps = Steps()
    async with spawn(on_progress=steps.append) as worker:
        assert await worker.echo("x") == "x"
    [told] = warnings()
    assert cause in told, told


async def damaged() -> None:
    """A file with one changed byte is not used, is removed, and is made anew."""
    await _write_one()
    [kept] = _CACHE.glob("*.snapshot")
    content = bytearray(kept.read_bytes())
    content[len(content) // 2] ^= 1
    kept.write_bytes(content)
    snapshots.__init__()
    await _starts_plainly("the kept snapshot is damaged")
    assert not [*_CACHE.glob("*.snapshot")]
    await made()
    [kept] = _CACHE.glob("*.snapshot")


async def foreign() -> None:
    """A file that is whole and holds something else is not used: its digest is right, its content is not a snapshot."""
    import hashlib

    await _write_one()
    [kept] = _CACHE.glob("*.snapshot")
    content = b"something else" * 1000
    kept.write_bytes(hashlib.sha256(content).hexdigest().encode() + content)
    snapshots.__init__()
    await _starts_plainly("it is not an image of a snapshot")


async def _write_one() -> None:
    async with spawn():
        pass
    await made()


async def unwritable() -> None:
    """Where nothing can be kept, the workers of this visit start from a snapshot all the same."""
    await _write_one()
    [kept] = _CACHE.glob("*.snapshot")
    kept.unlink()
    # Neither read nor replaced by a file.
    kept.mkdir()
    snapshots.__init__()
    async with spawn():
        pass
    await made()
    [told] = warnings()
    assert "not kept for the next visit" in told
    steps = Steps()
    async with spawn(on_progress=steps.append):
        assert steps.had_snapshot
    assert [*_CACHE.iterdir()] == [kept]


_VISITS: dict[str, list[Callable[[], Awaitable[None]]]] = {
    "first": [first, complete, faster, off, restarted, shared, broken],
    "second": [second],
    "damaged": [damaged],
    "foreign": [foreign],
    "unwritable": [unwritable],
}


async def run(visit: str, only: str) -> int:
    """Runs the tests of a visit, or the one of this name, and returns how many failed."""
    failed = 0
    for test in _VISITS[visit]:
        if only and test.__name__ != only:
            continue
        try:
            await test()
        # SystemExit would end the other tests.
        except BaseException:  # noqa: BLE001
            failed += 1
            print(f"FAILED {visit}: {test.__name__}")
            traceback.print_exc(file=sys.stdout)
        else:
            print(f"passed {visit}: {test.__name__}")
    return failed
