"""Drives pytest inside Pyodide so that async tests are really awaited.

Node 20 has no JSPI, hence `run_until_complete` returns before its coroutine has run, and pytest's own loop is
synchronous. So this module takes pytest's session apart: everything synchronous stays pytest's (collection, fixtures,
setup, teardown, reports), and only the path from the session's loop to the test function is walked by coroutines.
Hook wrappers (captures, warnings filters, xfail …) surround each step as pluggy would have called them.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import io
import json
import os
import time
import traceback
from collections.abc import Awaitable, Callable, Coroutine, Generator
from pathlib import Path
from typing import Any

import pytest
from _pytest import runner
from _pytest.config import _prepareconfig
from _pytest.main import Session
from pluggy import Result

# Nothing here has a terminal, a file descriptor to duplicate or a signal to handle.
SETTINGS = [
    "-p",
    "no:cacheprovider",
    "-p",
    "no:timeout",
    "-p",
    "no:asyncio",
    "-p",
    "no:faulthandler",
    "--capture=sys",
    "--color=no",
]

_pending: pytest.StashKey[Coroutine[Any, Any, None]] = pytest.StashKey()


class _TakesCoroutines:
    """Keeps the coroutine of an async test function for `_call` to await.

    It knows the settings of the plugins that do this natively, pytest-asyncio and pytest-timeout: these need a loop that
    can be run until something is complete, and a signal or a thread, and Pyodide under Node has none of them.
    """

    def pytest_addoption(self, parser: pytest.Parser) -> None:
        for name in ("asyncio_mode", "asyncio_default_fixture_loop_scope", "timeout"):
            parser.addini(name, "of a plugin that is not here")

    def pytest_configure(self, config: pytest.Config) -> None:
        config.addinivalue_line("markers", "timeout(seconds): how long an async test may take")

    @pytest.hookimpl(tryfirst=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> bool | None:
        if not inspect.iscoroutinefunction(pyfuncitem.obj):
            return None
        names = pyfuncitem._fixtureinfo.argnames
        pyfuncitem.stash[_pending] = pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names})
        return True


async def main(args: list[str], plugins: list[object] | None = None) -> int:
    """Runs pytest with `args` and returns its exit code."""
    os.chdir("/tests/python")
    config = _prepareconfig([*SETTINGS, *args], [_TakesCoroutines(), *(plugins or [])])
    session = Session.from_config(config)
    session.exitstatus = pytest.ExitCode.INTERNAL_ERROR
    try:
        config._do_configure()
        config.hook.pytest_sessionstart(session=session)
        config.hook.pytest_collection(session=session)
        await _around(config.hook.pytest_runtestloop, lambda: _run_all(session), session=session)
        if session.testsfailed:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        elif session.testscollected == 0:
            session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED
        else:
            session.exitstatus = pytest.ExitCode.OK
    except Session.Failed:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    except Session.Interrupted:
        # The summary tells why, but only if it was told so by this hook.
        config.hook.pytest_keyboard_interrupt(excinfo=pytest.ExceptionInfo.from_current())
        session.exitstatus = pytest.ExitCode.INTERRUPTED
    except Exception:  # noqa: BLE001 - an internal error of pytest, whatever it is, must show and fail the run
        traceback.print_exc()
    finally:
        config.hook.pytest_sessionfinish(session=session, exitstatus=session.exitstatus)
        config._ensure_unconfigure()
    return int(session.exitstatus)


async def canary_fails(directory: str) -> bool:
    """Tells whether every test of the canary failed in its call phase, and for the reason that it names."""
    failures = _Failures()
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        code = await main([f"{directory}/must_fail.py", "-o", "timeout=0.5"], [failures])
    expected = json.loads(Path(directory, "expected.json").read_text())
    holds = (
        code == pytest.ExitCode.TESTS_FAILED
        and list(failures.messages) == list(expected)
        and all(failures.messages[name].startswith(start) for name, start in expected.items())
    )
    if not holds:
        print(output.getvalue())
    return holds


class _Failures:
    """Notes the message of each test whose call phase failed."""

    def __init__(self) -> None:
        self.messages: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and report.when == "call":
            name = report.nodeid.partition("::")[2]
            self.messages[name] = report.longrepr.reprcrash.message  # type: ignore[union-attr]


async def _run_all(session: Session) -> None:
    if session.testsfailed and not session.config.option.continue_on_collection_errors:
        raise session.Interrupted(f"{session.testsfailed} errors during collection")
    if session.config.option.collectonly:
        return
    for index, item in enumerate(session.items):
        nextitem = session.items[index + 1] if index + 1 < len(session.items) else None
        hook = item.ihook.pytest_runtest_protocol
        await _around(hook, functools.partial(_protocol, item, nextitem), item=item, nextitem=nextitem)
        if session.shouldfail:
            raise session.Failed(session.shouldfail)
        if session.shouldstop:
            raise session.Interrupted(session.shouldstop)


async def _protocol(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    if hasattr(item, "_request") and not item._request:
        item._initrequest()
    if runner.call_and_report(item, "setup").passed and not item.config.getoption("setupshow", False):
        await _call(item)
    runner.call_and_report(item, "teardown", nextitem=nextitem)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)


async def _call(item: pytest.Item) -> None:
    async def body() -> None:
        for implementation in reversed(item.ihook.pytest_runtest_call.get_hookimpls()):
            if not (implementation.wrapper or implementation.hookwrapper):
                implementation.function(item)
                await _finish(item)

    error: BaseException | None = None
    start = time.perf_counter()
    try:
        await _around(item.ihook.pytest_runtest_call, body, item=item)
    except (Exception, pytest.fail.Exception, pytest.skip.Exception) as caught:  # noqa: BLE001
        error = caught

    def outcome() -> None:
        if error is not None:
            raise error

    call = runner.CallInfo.from_call(outcome, when="call")
    # pytest has timed the outcome, which was known.
    call.duration = time.perf_counter() - start
    report = item.ihook.pytest_runtest_makereport(item=item, call=call)
    item.ihook.pytest_runtest_logreport(report=report)
    if runner.check_interactive_exception(call, report):
        item.ihook.pytest_exception_interact(node=item, call=call, report=report)


async def _finish(item: pytest.Item) -> None:
    """Awaits the coroutine that the item's test function left, if it is async."""
    coroutine = item.stash.get(_pending, None)
    if coroutine is not None:
        del item.stash[_pending]
        mark = item.get_closest_marker("timeout")
        assert mark is not None
        try:
            async with asyncio.timeout(mark.args[0]) as limit:
                await coroutine
        except TimeoutError:
            if not limit.expired():
                raise
            pytest.fail(f"Timeout (>{mark.args[0]}s)")


async def _around(hook: Any, body: Callable[[], Awaitable[None]], **arguments: Any) -> None:
    """Awaits `body` inside the hook's wrappers, in the place of its implementations."""
    entered = []
    for implementation in reversed(hook.get_hookimpls()):
        if not (implementation.wrapper or implementation.hookwrapper):
            continue
        wrapper = implementation.function(*(arguments[name] for name in implementation.argnames))
        if implementation.hookwrapper:
            wrapper = _as_new_style(wrapper)
        next(wrapper)
        entered.append(wrapper)
    error: BaseException | None = None
    try:
        await body()
    except BaseException as caught:  # noqa: BLE001
        error = caught
    for wrapper in reversed(entered):
        try:
            if error is None:
                wrapper.send(None)
            else:
                wrapper.throw(error)
        except StopIteration:
            error = None
        except BaseException as caught:  # noqa: BLE001
            error = caught
        else:
            raise RuntimeError(f"a wrapper of {hook.name} yielded twice")
    if error is not None:
        raise error


def _as_new_style(wrapper: Generator[None, Result[None], None]) -> Generator[None, None, None]:
    """Makes an old-style hook wrapper, which is sent a `Result`, one that sees values and exceptions."""
    next(wrapper)
    try:
        yield
        result = Result[None](None, None)
    except BaseException as error:  # noqa: BLE001
        result = Result[None](None, error)
    with contextlib.suppress(StopIteration):
        wrapper.send(result)
    result.get_result()
