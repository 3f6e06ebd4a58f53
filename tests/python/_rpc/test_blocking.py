"""Finds out which functions may block, from the objects that their code can reach: `_rpc/blocking.py`, `_rpc/starts.py`."""

from __future__ import annotations

import _thread
import asyncio
import contextvars
import dis
import importlib.util
import re
import sys
import threading
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import workerlib
from workerlib import _exports
from workerlib._rpc import blocking, starts
from workerlib._rpc.blocking import reason_to_block
from workerlib._rpc.starts import Starts

SOURCE = """
import asyncio, contextlib, functools, time
import blocking_host
import blocking_host as host

def add(a, b): return a + b
def names_alone(text): return text.block(), text.append(2)
async def neighbours():
    blocking_host.harmless()
    await asyncio.sleep(0)
    return time.time()
from blocking_trusted import wait
async def event(event): await event.wait()
def standard_library():
    import wave
    return wave.open

def block(): blocking_host.block()
def far(): return [middle() for _ in range(3)]
def middle(): block()
def late():
    from blocking_host import harmless, block
    harmless()
    block()
def late_under_another_name():
    import blocking_host as b
    b.block()
def after_a_text():
    text = "a text"
    import blocking_host as b
    b.block(text)
def local_name():
    mine = host
    mine.block()
def one_of_two(other): (other or host).block()
def within():
    import blocking_host
    def inner(): blocking_host.block()
    return inner()
class Thing:
    def method(self): late()
    @property
    def value(self): return late()
def method_of_argument(thing): thing.method()
def property_of_argument(thing): return thing.value
thing = Thing()
def method_of_global(): thing.method()
TABLE = {"late": [late]}
def from_a_table(key): TABLE[key][0]()
partial = functools.partial(late)
def by_partial(): partial()
@functools.lru_cache
def cached(): late()
def by_cache(): cached()
@contextlib.contextmanager
def context():
    late()
    yield
def by_context():
    with context(): pass
def passed_on(): return list(map(late, [1]))
def computed_name(name): return getattr(thing, name)()
def code(text): return eval(text)
def unknown_loop(loop): return loop.run_until_complete(None)
def executor(pool): return pool.executor.submit(pow, 1, 2).result()
def scheduler(pool, bag): return bag.compute(scheduler=pool.scheduler)
def default(f=late): f()
async def coroutine(): late()

import blocking_trusted, blocking_trusted as trusted
async def argument_beside(job):
    await blocking_trusted.calm()
    return job.wait()
def attribute_beside(job):
    blocking_trusted.calm()
    return job.parts.wait(), job.made().wait(), [part.wait() for part in job]
def import_beside(job):
    import blocking_trusted
    blocking_trusted.calm()
    return job.wait()
def name_beside(job):
    mine = blocking_trusted
    mine.calm()
    return job.wait()
def other_of_two(other): (trusted or other).wait()
def either(flag, other): (trusted if flag else other).wait()
def name_for_two(flag, other):
    if flag:
        mine = trusted
    else:
        mine = other
    mine.wait()
def in_a_container(key): {1: trusted}[key].wait()
def in_a_loop():
    for one in (1, trusted): one.wait()
def passed_through(function): function(trusted).wait()
def passed_with_another(function):
    mine, other = trusted, 1
    return function(mine, other).wait()
"""
HARMLESS = [
    "add",
    "neighbours",
    "standard_library",
    "event",
    "argument_beside",
    "attribute_beside",
    "import_beside",
    "name_beside",
]
BLOCKING = [
    "block",
    "far",
    "late",
    "late_under_another_name",
    "local_name",
    "one_of_two",
    "within",
    "method_of_argument",
    "property_of_argument",
    "method_of_global",
    "from_a_table",
    "by_partial",
    "by_cache",
    "by_context",
    "passed_on",
    "computed_name",
    "code",
    "unknown_loop",
    "executor",
    "scheduler",
    "default",
    "coroutine",
    "other_of_two",
    "either",
    "name_for_two",
    "in_a_container",
    "in_a_loop",
    "passed_through",
    "passed_with_another",
]


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A user's module, and a host's with a function that blocks."""
    host = types.ModuleType("blocking_host")
    exec("def block(): ...\ndef harmless(): ...", host.__dict__)  # noqa: S102 - a module without a file
    user = types.ModuleType("blocking_user")
    monkeypatch.setitem(sys.modules, "blocking_host", host)
    monkeypatch.setitem(sys.modules, "blocking_user", user)
    monkeypatch.setattr(blocking, "BLOCKERS", dict(blocking.BLOCKERS))
    blocking.declare_blocker(host.block, "host.block")
    # A function of workerlib's that blocks, as `workerlib.wait` does.
    trusted = types.ModuleType("blocking_trusted")
    source = "def wait(): ...\ndef calm(): ..."
    exec(source, {"__name__": "workerlib._rpc.waiting", "made": trusted}, trusted.__dict__)  # noqa: S102
    monkeypatch.setitem(sys.modules, "blocking_trusted", trusted)
    blocking.declare_blocker(trusted.wait, "workerlib.wait")
    exec(SOURCE, user.__dict__)  # noqa: S102
    yield user
    for name in list(_exports.functions):
        if getattr(_exports.functions[name], "__module__", None) == "blocking_user":
            del _exports.functions[name]
            _exports.blocking.pop(name, None)


@pytest.mark.parametrize("name", HARMLESS)
def test_functions_that_cannot_block_are_known(module: Any, name: str) -> None:
    """Names alone are no reason: `time.time` stands beside `asyncio.sleep`, and `job.run()` is not `asyncio.run()`."""
    assert reason_to_block([getattr(module, name)]) is None


@pytest.mark.parametrize("name", BLOCKING)
def test_functions_that_block_are_found_however_they_reach_it(module: Any, name: str) -> None:
    """A helper, an import within a function, a method, a table, a decorator: no first call may fail."""
    reason = reason_to_block([getattr(module, name)])
    assert reason is not None and reason.is_final, name


def test_imports_are_understood_as_python_3_15_compiles_them(
    module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It loads None by an instruction of its own: a function with an import ended the connection there."""
    original = dis.get_instructions

    def as_in_3_15(code: types.CodeType) -> list[Any]:
        return [
            step._replace(opname="LOAD_COMMON_CONSTANT")
            if step.opname == "LOAD_CONST" and step.argval is None
            else step
            for step in original(code)
        ]

    monkeypatch.setattr(dis, "get_instructions", as_in_3_15)
    for name in ("late_under_another_name", "after_a_text"):
        reason = reason_to_block([getattr(module, name)])
        assert reason is not None and "block" in reason.text
    assert reason_to_block([module.standard_library]) is None


def test_the_reason_names_the_functions_on_the_way(module: Any) -> None:
    """The log tells a user which function it is that blocks."""
    reason = reason_to_block([module.far])
    assert reason is not None
    assert reason.text == "far → middle → block → host.block"


def test_a_module_that_is_not_loaded_counts_as_blocking_until_it_is(
    module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may do anything; when it is there, its functions are looked at."""
    exec("def lazy():\n    from blocking_later import f\n    return f()", module.__dict__)  # noqa: S102
    reason = reason_to_block([module.lazy])
    assert reason is not None and not reason.is_final and "blocking_later" in reason.text
    later = types.ModuleType("blocking_later")
    exec("def f(): return 1", later.__dict__)  # noqa: S102
    monkeypatch.setitem(sys.modules, "blocking_later", later)
    assert reason_to_block([module.lazy]) is None


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Iterator[types.ModuleType]:
    """A library of more functions than can be looked through, of a name that is trusted."""
    made = types.ModuleType("dask")
    made.__file__ = "/lib/python3/site-packages/dask/__init__.py"
    many = "".join(
        f"def helper_{number}(): return helper_{number + 1}\n"
        for number in range(2 * blocking._MOST_FUNCTIONS)
    )
    source = (
        many + "def compute(*values): return helper_0()\nclass Bag:\n def compute(self): return helper_0()\n"
    )
    exec(source, made.__dict__)  # noqa: S102 - a module without a file
    config = types.ModuleType("dask.config")
    config.config = {}  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "dask", made)
    monkeypatch.setitem(sys.modules, "dask.config", config)
    yield made


USES_OF_A_LIBRARY = """
import dask
from dask import compute, Bag
bag = Bag()
def by_function(): return compute(1)
def by_module(): return dask.compute(1)
def by_object(): return bag.compute()
"""


@pytest.mark.parametrize("name", ["by_function", "by_module", "by_object"])
def test_a_trusted_library_is_not_looked_through(
    module: Any, library: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its functions are thousands and none of them blocks, so that they would only cost time, and the short way to the page."""
    exec(USES_OF_A_LIBRARY, module.__dict__)  # noqa: S102
    assert reason_to_block([getattr(module, name)]) is None
    # A module of the user's that happens to have the name may do anything.
    monkeypatch.setattr(library, "__file__", "/home/pyodide/dask.py")
    if name != "by_object":
        reason = reason_to_block([getattr(module, name)])
        assert reason is not None and "more functions than can be looked through" in reason.text


@pytest.mark.parametrize("name", ["by_function", "by_module", "by_object"])
def test_functions_that_a_trusted_library_gets_from_the_user_are_looked_at(
    module: Any, library: Any, name: str
) -> None:
    """Those among arguments and on objects are in sight; dask's settings may name a scheduler, which its functions call."""
    exec(  # noqa: S102
        USES_OF_A_LIBRARY
        + "def passes(): return compute(late)\n"
        + "held = Bag()\nheld.callback = late\ndef by_held(): return held.compute()\n"
        + "class Own(Bag):\n def value(self): return late()\nown = Own()\ndef by_own(): return own.compute()\n",
        module.__dict__,
    )
    for each in ("passes", "by_held", "by_own"):
        reason = reason_to_block([getattr(module, each)])
        assert reason is not None and reason.is_final, each
    settings: Any = sys.modules["dask.config"]
    settings.config["scheduler"] = module.late
    reason = reason_to_block([getattr(module, name)])
    assert reason is not None and "dask.config.config" in reason.text


@pytest.mark.skipif(sys.platform == "emscripten", reason="the same sources as natively, and fewer libraries")
def test_no_trusted_library_names_what_blocks() -> None:
    """The libraries that are installed here are as they are said to be: none of their modules waits for the event loop."""
    waits = re.compile(r"\b(run_sync|syncify|run_until_complete|callPromising)\b|\basyncio\.run\(")
    looked_at = 0
    for name in blocking._TRUSTED_LIBRARIES:
        found = importlib.util.find_spec(name)
        if found is None or found.origin is None:
            continue
        for folder in found.submodule_search_locations or ():
            for path in Path(folder).rglob("*.py"):
                if "tests" in path.parts or path.name in ("conftest.py", "utils_test.py"):
                    continue
                looked_at += 1
                assert waits.search(path.read_text(encoding="utf-8")) is None, path
    assert looked_at > 500


def test_nothing_of_the_users_is_executed(module: Any) -> None:
    """Objects are looked at without their code: a hostile `__getattribute__` or metaclass is not asked."""
    exec(  # noqa: S102
        "class Angry(type):\n"
        "    def __getattribute__(cls, name): raise SystemExit\n"
        "class Hostile(metaclass=Angry):\n"
        "    def __getattribute__(self, name): raise SystemExit\n"
        "hostile = object.__new__(Hostile)\n"
        "def meets(): return hostile, Hostile\n",
        module.__dict__,
    )
    assert reason_to_block([module.meets]) is None


def test_the_first_call_of_an_export_starts_by_the_loop_and_later_ones_as_is_found(module: Any) -> None:
    """Each decision is told once, with its reason."""
    told: list[str] = []
    decide = Starts(told.append)
    assert [decide.at_once("add", module.add) for _ in range(3)] == [False, True, True]
    assert [decide.at_once("far", module.far) for _ in range(3)] == [False, False, False]
    assert decide.at_once("no such export", None)
    assert told == [
        "calls of add() start as soon as their message arrives: nothing that it reaches can block",
        "calls of far() start by the event loop: far → middle → block → host.block",
    ]


def test_the_user_says_which_exports_block(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """`export(blocking=…)` goes before the search, and before the configuration."""
    workerlib.export(blocking=True)(module.add)
    workerlib.export(blocking=False)(module.far)
    decide = Starts(lambda _: None)
    assert [decide.at_once("add", module.add) for _ in range(3)] == [False, False, False]
    assert decide.at_once("far", module.far), "from the first call on"
    monkeypatch.setattr(starts, "_said", True)
    assert not decide.at_once("neighbours", module.neighbours)
    assert not decide.at_once("neighbours", module.neighbours)
    assert decide.may_block()
    assert decide.at_once("far", module.far)
    monkeypatch.setattr(starts, "_said", False)
    assert decide.at_once("late", module.late) and not decide.may_block()


def test_an_export_that_has_blocked_is_started_by_the_loop_from_then_on(module: Any) -> None:
    """A block that was seen overrules the search through the code."""
    workerlib.export(module.neighbours)
    decide = Starts(lambda _: None)
    assert [decide.at_once("neighbours", module.neighbours) for _ in range(2)] == [False, True]
    decide.note_block("neighbours", "run_sync")
    assert not decide.at_once("neighbours", module.neighbours)


async def _asks(callback: Any) -> Any:
    return await callback(1)


async def _asks_in_sync_code(callback: Any) -> Any:
    return _take(callback(1))


def _take(reply: Any) -> Any:
    return reply.result()


def test_input_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The `input()` that asks the page waits for it: an export that calls it starts by the loop, each time."""
    from workerlib._rpc.questions import input_from_page

    monkeypatch.setattr(blocking, "BLOCKERS", dict(blocking.BLOCKERS))
    monkeypatch.setattr("builtins.input", input_from_page)
    blocking.declare_blocker(input_from_page, "input")

    def greet() -> str:
        return f"Hello, {input('Name? ')}"

    decide = Starts(lambda _: None)
    assert not any(decide.at_once("greet", greet) for _ in range(3))


def test_calls_with_a_callback_have_a_decision_of_their_own() -> None:
    """Calls of async code that only awaits answers start at once; those that may wait for `result()` or for room do not."""
    told: list[str] = []
    decide = Starts(told.append)
    assert [decide.at_once("asks", _asks, has_callback=True) for _ in range(3)] == [False, True, True]
    assert not any(decide.at_once("takes", _asks_in_sync_code, has_callback=True) for _ in range(3))
    assert [decide.at_once("takes", _asks_in_sync_code) for _ in range(2)] == [False, True]
    assert not any(decide.at_once("sync", _take, has_callback=True) for _ in range(3))
    assert told == [
        "calls of asks() with a callback start as soon as their message arrives: nothing that it reaches can block",
        "calls of takes() with a callback start by the event loop: _asks_in_sync_code → _take → ….result",
        "calls of takes() start as soon as their message arrives: nothing that it reaches can block",
    ]


def test_an_export_that_has_blocked_is_started_by_the_loop_with_a_callback_too() -> None:
    """`note_block` is about the function, whatever its arguments are."""
    workerlib.export(name="asks_often")(_asks)
    decide = Starts(lambda _: None)
    assert [decide.at_once("asks_often", _asks, has_callback=True) for _ in range(2)] == [False, True]
    decide.note_block("asks_often", "run_sync")
    assert not decide.at_once("asks_often", _asks, has_callback=True)


def test_the_code_of_a_page_is_looked_at(module: Any) -> None:
    """The functions that run, and those beside them in their modules."""
    told: list[str] = []
    decide = Starts(told.append)
    seen: list[Any] = []

    def look() -> None:
        seen.append(sys._getframe(1))

    calm = types.ModuleType("blocking_calm")
    calm.look = look  # type: ignore[attr-defined]
    exec("def run(): look()", calm.__dict__)  # noqa: S102
    calm.run()
    decide._search([seen[0].f_code], seen[0].f_globals)
    assert not decide.may_block()
    module.look = look
    exec("def run(): look()", module.__dict__)  # noqa: S102
    module.run()
    frame = seen[1]
    starts.known_callers.pop(id(frame.f_code), None)
    starts._looked_at.discard(frame.f_code)
    decide.look_at_callers(frame)
    assert decide.may_block(), "another function of its module blocks"
    assert told and told[0].startswith("all code goes through the event loop: ")


def test_code_that_is_computed_anew_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """JavaScript may run the same text again and again, and each time makes code that is equal, and not the same."""
    frames: list[Any] = []
    decide = starts.Starts(lambda _text: None)
    searched: list[object] = []
    monkeypatch.setattr(decide, "_search", lambda functions, _names: searched.append(functions[0]))
    for _ in range(3):
        names = {"__name__": "computed_code", "look": lambda: frames.append(sys._getframe(1))}
        exec(compile("computed_anew = look()", "<exec>", "exec"), names)  # noqa: S102
        decide.look_at_callers(frames[-1])
    assert len({id(frame.f_code) for frame in frames}) == 3
    assert searched.count(frames[0].f_code) == 1


def test_a_page_that_computes_code_keeps_its_speed(module: Any) -> None:
    """Its computed code is looked at when it calls a worker; that of an export never calls one."""
    assert reason_to_block([module.code]) is not None
    assert reason_to_block([module.code], may_compute_code=True) is None


@pytest.mark.skipif(sys.platform == "emscripten", reason="there are no threads, by which C calls a function")
def test_a_caller_without_a_frame_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """JavaScript and Rust call functions of workers and of pools, too; there is no code of theirs to look at."""
    seen: list[Any] = []
    monkeypatch.setattr(starts, "on_new_caller", seen.append)
    ended = threading.Lock()

    def of_pool() -> None:
        try:
            starts.look_at_caller()
        except ValueError as error:
            seen.append(error)
        finally:
            ended.release()

    ended.acquire()
    _thread.start_new_thread(of_pool, ())
    with ended:
        assert seen == []
    ended.acquire()
    of_pool()
    assert [frame.f_code.co_name for frame in seen] == [test_a_caller_without_a_frame_is_none.__name__]


async def test_tasks_of_a_call_that_the_loop_started_know_it() -> None:
    """All that such a call makes ready is left to the loop, tasks that it makes too."""
    context = contextvars.copy_context()
    context.run(starts.started_by_loop.set, True)
    task = asyncio.get_running_loop().create_task(_read(), context=context)
    assert await task
    assert not starts.started_by_loop.get()


async def _read() -> bool:
    return await asyncio.create_task(_read_within())


async def _read_within() -> bool:
    return starts.started_by_loop.get()
