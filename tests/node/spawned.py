"""Runs the shared suite over a worker that is spawned from Pyodide under Node, and what configurations say of such workers.

It takes the arguments that `cargo xtask test` gives to pytest, as far as they choose tests, and writes the record of
each test that pytest-reportlog would write. It is not pytest that runs the tests, since all of them share one worker,
whose connection is opened in the loop in which they run.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import json
import os
import sys
import time
import traceback
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import js
import workerlib

import blocking_pools
import configured
import pools
import restarts
import suite
import worker_files

ROOT = "/tests/"
LIMIT_SECONDS = 120 * float(os.environ.get("WORKERLIB_TEST_PACE", "1"))

IS_FULL = os.environ.get("WORKERLIB_FULL") != "0"
"""Whether the tests run that repeat what a plain run checks over subprocesses."""

Test = Callable[[], Awaitable[None]]

MISHAPS: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "a_missing_script": ({"script": "./shared/nowhere.py"}, workerlib.WorkerStartError, "nowhere.py"),
    "an_unknown_package": (
        {"packages": ["no-such-package-at-all"]},
        workerlib.WorkerStartError,
        "no-such-package",
    ),
    "one_text_for_packages": ({"packages": "numpy"}, TypeError, "packages='numpy': write a list of strs"),
    "one_text_for_indexes": (
        {"index_urls": "/simple"},
        TypeError,
        "index_urls='/simple': write a list of strs",
    ),
    "a_name_that_is_none": ({"name": 5}, TypeError, "name=5: write a str"),
    "no_script": ({"script": None}, TypeError, "script=None: write its address"),
    "a_script_that_nobody_can_find": ({"script": "a worker"}, ValueError, "or the name of a module"),
    "a_text_for_a_flag": ({"isolated": "no"}, TypeError, "isolated='no': write True or False"),
    "a_list_as_configuration": ({"config": []}, TypeError, "config=[]: write the path"),
    "an_interface_that_is_none": ({"interface": "Stats"}, TypeError, "write a Protocol"),
    "too_little_time": ({"timeout": 0.001}, workerlib.ConnectTimeoutError, "within 0.001 seconds"),
}


def connect(**options: Any) -> AbstractAsyncContextManager[workerlib.Worker]:
    """Spawns a worker that runs the suite's script."""
    return workerlib.spawn(
        "./shared/worker.py", name="bench", config=worker_files.config("./shared/"), **options
    )


async def test_mishap(options: dict[str, Any], expected: type[Exception], message: str) -> None:
    """The error of a worker that cannot start says why."""
    try:
        await workerlib.spawn(**{"script": "./shared/worker.py", **options})
    except expected as error:
        assert message in str(error), str(error)
    else:
        raise AssertionError(f"{expected.__name__} was not raised")


async def test_old_node() -> None:
    """A Node that cannot give Python its modules is told by its version, and the remedy is another one."""
    process = js.process
    get = process.getBuiltinModule
    process.getBuiltinModule = None
    try:
        await test_mishap({}, workerlib.WorkerStartError, f"and this is Node {process.version}")
        await test_mishap({"config": "file:///no.toml"}, workerlib.WorkerStartError, "Node 20.16 or later")
    finally:
        process.getBuiltinModule = get


async def test_pool(name: str) -> None:
    """A test of pools, each with a pool of its own."""

    def start(**options: Any) -> Any:
        return workerlib.pool("./shared/pool_worker.py", **options)

    async with start(size=2) as pool:
        await pools.run(name, pool, start)


async def test_blocking_pool(name: str) -> None:
    """A test of sync code that waits for a pool."""
    await blocking_pools.TESTS[name](lambda **options: workerlib.pool("./shared/pool_worker.py", **options))


def tests(worker: workerlib.Worker) -> dict[str, Test]:
    """Gives each test by its id."""
    shared = {
        f"shared/shared_{name.replace(': ', '.py::test_')}": functools.partial(
            suite.run, name, worker, connect
        )
        for name in suite.TESTS
    }
    of_configurations = {
        f"shared/configured.py::{name}": functools.partial(function, "./shared/")
        for name, function in vars(configured).items()
        # Node's fetch() opens no files, whatever their address.
        if name.startswith("test_") and name != "test_addresses_are_relative_to_the_script"
    }

    def start(**options: Any) -> AbstractAsyncContextManager[workerlib.Worker]:
        return workerlib.spawn("./shared/pool_worker.py", **options)

    of_restarts = {
        f"shared/restarts.py::test_{name}": functools.partial(test, start)
        for name, test in restarts.TESTS.items()
        if IS_FULL or name != "restarts_are_bounded"
    }
    of_pools = {
        f"shared/{test.__module__}.py::test_{name}": functools.partial(test_pool, name)
        for name, test in pools.TESTS.items()
        if IS_FULL or name in pools.OF_HOSTS
    }
    of_blocking = {
        f"shared/blocking_pools.py::test_{name}": functools.partial(test_blocking_pool, name)
        for name in blocking_pools.TESTS
        # The part `node-jspi` runs them, by a Node that can suspend a stack.
        if blocking_pools.has_jspi()
    }
    mishaps = {
        f"node/spawned.py::test_mishap[{name}]": functools.partial(test_mishap, *mishap)
        for name, mishap in MISHAPS.items()
    }
    of_nodes = {"node/spawned.py::test_old_node": test_old_node}
    return {**shared, **of_configurations, **of_pools, **of_blocking, **of_restarts, **mishaps, **of_nodes}


async def main(args: list[str]) -> int:
    """Runs the tests that the arguments choose, and returns the exit code that pytest would have."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--report-log", required=True)
    parser.add_argument("-k", default="", help="a part of the tests' ids")
    parser.add_argument("chosen", nargs="*")
    parser.add_argument("--color")
    parser.add_argument("-v", action="store_true")
    given = parser.parse_args(args)
    places = [place.removeprefix(ROOT.rstrip("/")).lstrip("/") for place in given.chosen]
    failed = passed = 0
    with open(given.report_log, "w") as record:  # noqa: ASYNC230 - a line is written before the next test starts
        async with connect() as worker:
            for name, test in tests(worker).items():
                if given.k not in name or not any(name.startswith(place) for place in places):
                    continue
                print(name, end=" ", flush=True)
                start = time.monotonic()
                succeeded = await _runs(test)
                seconds = time.monotonic() - start
                print("PASSED" if succeeded else "FAILED", flush=True)
                passed += succeeded
                failed += not succeeded
                outcome = "passed" if succeeded else "failed"
                line = {"$report_type": "TestReport", "nodeid": name, "when": "call", "outcome": outcome}
                print(json.dumps({**line, "duration": seconds}), file=record, flush=True)
    print(f"{passed} passed, {failed} failed in Node")
    return 1 if failed else 0 if passed else 5


async def _runs(test: Test) -> bool:
    try:
        async with asyncio.timeout(LIMIT_SECONDS):
            await test()
    except BaseException:  # noqa: BLE001 - whatever a test raises fails it, and no other
        print("\n=== FAILURES ===")
        with contextlib.suppress(Exception):
            traceback.print_exc(file=sys.stdout)
        return False
    return True
