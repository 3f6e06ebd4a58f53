"""spawn() of the ES module: a worker whose methods are Python's functions, and how each call ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pace import PACE

if TYPE_CHECKING:
    from conftest import Page


@pytest.mark.every_engine
@pytest.mark.isolation("chromium")
def test_exported_functions_are_methods(page: Page) -> None:
    """By position, by keyword, sync and async; the worker tells what it exports."""
    assert page.run("""
        const worker = await sharedWorker();
        const results = [await worker.mean([1, 2.5]), await worker.sleep(0.001, "slept")];
        results.push(await worker.call("keywords", [1], { second: 5 }), worker.name, worker.exports.slice(0, 2));
        return results;
    """) == [1.75, "slept", [1, 5, 3], "shared", ["mean", "keywords"]]


def test_callbacks_and_transfers(page: Page) -> None:
    """A function is an argument as it is, or by Comlink.proxy; a buffer moves by Comlink.transfer, results always."""
    assert page.run("""
        const worker = await sharedWorker();
        const data = new Float64Array([0.5, 1.5]);
        const sum = await worker.total(Comlink.transfer(data, [data.buffer]));
        const doubled = await worker.each([1, 2], async (item, { twice }) => item + twice);
        const made = await worker.make_bytes(100_000);
        return [sum, data.length, doubled, made.constructor.name, made.length];
    """) == [["memoryview", 2, 2.0], 0, [3, 6], "Uint8Array", 100_000]


def test_a_callback_that_throws(page: Page) -> None:
    """The error of the page's function goes through Python and comes back."""
    error = page.run("""
        const worker = await sharedWorker();
        return failure(worker.each([1], () => { throw new RangeError("not here"); }));
    """)
    assert "not here" in error["message"]


def test_python_exceptions(page: Page) -> None:
    """name is the class, message the text with its notes, traceback the worker's own frames only."""
    error = page.run('return failure((await sharedWorker()).fail("KeyError", "nowhere"))')
    assert (error["name"], error["message"]) == ("KeyError", "'nowhere'")
    assert 'File "functions.py"' in error["traceback"]
    assert "_javascript/comlink.py" not in error["traceback"]
    error = page.run("return failure((await sharedWorker()).fail_with_a_note())")
    assert error["message"] == "not there\nlook elsewhere"
    for kind in ("SystemExit", "KeyboardInterrupt", "StopIteration", "GeneratorExit"):
        error = page.run("return failure((await sharedWorker()).fail(given))", kind)
        assert error["name"] == kind
    assert page.run("return (await sharedWorker()).mean([4])") == 4


def test_names_that_are_not_exported(page: Page) -> None:
    """A typo is an error that lists what there is."""
    error = page.run("return failure((await sharedWorker()).maen([1]))")
    assert error["name"] == "NotExportedError"
    assert "'maen'" in error["message"]
    assert "mean" in error["message"]


def test_values_that_javascript_has_nothing_for(page: Page) -> None:
    """A result that cannot be sent is an error with the path to it, and the worker lives on."""
    error = page.run("""return failure((await sharedWorker()).evaluate("{'rows': [1, {2: 1j}]}"))""")
    assert error["name"] == "UnsendableError"
    assert "result['rows'][1][2]" in error["message"]
    assert "complex" in error["message"]
    error = page.run("""
        return failure((await sharedWorker()).evaluate("[a := [], [a := [a] for _ in range(300)]][1][-1]"));
    """)
    assert "nested deeper" in error["message"]


@pytest.mark.isolation("chromium")
def test_a_time_limit(page: Page) -> None:
    """The call rejects with a TimeoutError, and its function is cancelled in the worker."""
    limit = round(500 * PACE)
    error = page.run(
        """
        const worker = await sharedWorker();
        return failure(worker.with({ timeout: given }).hold("limited"));
        """,
        limit,
    )
    assert error["name"] == "TimeoutError"
    assert f"hold() did not end within {limit} ms" in error["message"]
    assert "limited was cancelled" in page.run("return (await sharedWorker()).how_they_ended()")


@pytest.mark.isolation("chromium")
def test_an_abort_signal(page: Page) -> None:
    """An abort rejects with the signal's reason, cancels in the worker, and touches no other call."""
    outcome = page.run("""
        const worker = await sharedWorker();
        const controller = new AbortController();
        const other = worker.hold("other");
        const call = failure(worker.call("hold", ["aborted"], {}, { signal: controller.signal }));
        while (!(await worker.have_begun()).includes("aborted"));
        controller.abort(new RangeError("enough"));
        const late = failure(call.then(() => worker.with({ signal: controller.signal }).mean([1])));
        const errors = [await call, await late];
        await worker.release("other");
        return [...errors, await other, await worker.how_they_ended()];
    """)
    assert (outcome[0]["name"], outcome[0]["message"]) == ("RangeError", "enough")
    assert outcome[1]["message"] == "enough"
    assert outcome[2] == "other"
    assert "aborted was cancelled" in outcome[3]


def test_a_wheel_beside_the_page(page: Page) -> None:
    """A relative address of a wheel starts at the page, as the script's does."""
    installed = page.run("""
        const steps = [];
        const lock = await (await fetch("/pyodide/pyodide-lock.json")).json();
        const wheel = lock.packages.packaging.file_name.split("/").at(-1);
        const onProgress = (step) => steps.push(step);
        const worker = await spawn({ script: "./functions.py", packages: [`../pyodide/${wheel}`], onProgress });
        worker.terminate();
        return steps.filter(({ stage }) => stage === "install").map(({ what }) => what);
    """)
    assert installed[-1].startswith(page.site)
    assert "/pyodide/packaging-" in installed[-1]


def test_progress(page: Page) -> None:
    """download, install, import, ready: in this order, and packages with their number."""
    steps = page.run("""
        const steps = [];
        const onProgress = (step) => steps.push(step);
        const worker = await spawn({ script: "./functions.py", packages: ["packaging"], onProgress });
        worker.terminate();
        return steps;
    """)
    stages = [step["stage"] for step in steps]
    assert list(dict.fromkeys(stages)) == ["download", "install", "import", "ready"]
    assert {"stage": "install", "what": "packaging", "done": 1, "total": 1} in steps
    assert any("Pyodide" in step["what"] for step in steps)


@pytest.mark.every_engine
def test_calls_of_a_worker_that_is_terminated(page: Page) -> None:
    """Calls that wait reject at once, and so do those that come later; `closed` tells why."""
    errors = page.run("""
        const worker = await spawn({ script: "./functions.py" });
        const call = failure(worker.hold("for ever"));
        worker.terminate();
        return [await call, await failure(worker.mean([1])), await worker.closed];
    """)
    assert [error["name"] for error in errors[:2]] == ["WorkerDiedError"] * 2
    assert errors[2] == "it was terminated"


@pytest.mark.every_engine
def test_calls_of_a_worker_that_dies(page: Page) -> None:
    """A worker that ends itself rejects the calls that wait: Comlink would leave them for ever."""
    error = page.run("""
        const worker = await spawn({ script: "./functions.py" });
        const call = failure(worker.hold("for ever"));
        void failure(worker.runPython("import js; js.close()"));
        return call;
    """)
    assert error["name"] == "WorkerDiedError"


def test_heartbeat(page: Page) -> None:
    """A worker that gives no sign of life is ended; one that only waits is not."""
    heartbeat = round(1000 * PACE)
    outcome = page.run(
        """
        const worker = await spawn({ script: "./functions.py", heartbeat: given });
        const waited = await worker.sleep(given / 500, "alive");
        return [waited, await failure(worker.compute(given)), await worker.closed];
        """,
        heartbeat,
    )
    assert outcome[0] == "alive"
    assert outcome[1]["name"] == "WorkerDiedError"
    assert outcome[2] == f"it gave no sign of life for {heartbeat} ms"


FAILURES = {
    "missing script": ('{ script: "./nowhere.py" }', r"script.*/nowhere\.py.*404"),
    "unknown package": ('{ packages: ["no-such-package-at-all"], indexURLs: [location.origin + "/simple"] }',
                        "package no-such-package-at-all"),
    "dead package index": ('{ packages: ["a-package"], indexURLs: ["http://localhost:9/simple"] }',
                           "package a-package.*localhost:9"),
    "dead Pyodide": ('{ pyodide: { indexURL: "http://localhost:9/" } }', "Pyodide.*http://localhost:9/"),
    "no Pyodide there": ('{ pyodide: { indexURL: "/nowhere/" } }', "Pyodide.*/nowhere/"),
    "missing wheel": ('{ workerlib: "/nowhere.whl" }', r"workerlib's wheel.*/nowhere\.whl.*404"),
    "missing worker.js": ('{ worker: "/nowhere.js", name: "lost" }', "script of the worker lost"),
}  # fmt: skip


@pytest.mark.parametrize("case", FAILURES)
def test_what_cannot_be_started(page: Page, case: str) -> None:
    """Each thing that may be missing is named, at once and not by the time limit."""
    import re

    options, message = FAILURES[case]
    error = page.run(f"return failure(spawn({{ timeout: given, ...{options} }}))", 50_000 * PACE)
    assert error is not None
    assert error["name"] == "WorkerStartError"
    assert re.search(message, error["message"]), error["message"]


def test_a_script_that_fails(page: Page) -> None:
    """The script's own error and its traceback."""
    error = page.run('return failure(spawn({ script: "./broken.py" }))')
    assert error["name"] == "WorkerStartError"
    assert "OSError: [Errno 28] no space left" in error["message"]
    assert 'File "broken.py", line 5, in prepare' in error["traceback"]


def test_a_start_that_takes_too_long(page: Page) -> None:
    """The error tells what the worker was doing; an abort ends a start as well."""
    error = page.run("return failure(spawn({ timeout: 1, name: 'slow' }))")
    assert error["name"] == "TimeoutError"
    assert "slow did not get any further within 1 ms" in error["message"]
    error = page.run("return failure(spawn({ signal: AbortSignal.abort(new Error('no more')) }))")
    assert error["message"] == "no more"
    error = page.run("return failure(spawn({ signal: AbortSignal.timeout(30) }))")
    assert error["name"] == "TimeoutError"


@pytest.mark.isolation("chromium")
def test_isolation_that_is_wanted(page: Page) -> None:
    """Everything works with and without; a script that needs shared memory says so, and gets it or an error."""
    outcome = page.run("""
        const started = spawn({ script: "./functions.py", isolated: true });
        const error = await failure(started);
        if (error) return { isolated: crossOriginIsolated, error };
        const worker = await started;
        const shares = await worker.runPython("import js; hasattr(js, 'SharedArrayBuffer')");
        worker.terminate();
        return { isolated: crossOriginIsolated, shares };
    """)
    if outcome["isolated"]:
        assert outcome["shares"] is True
    else:
        assert outcome["error"]["name"] == "WorkerStartError"
        assert "Cross-Origin-Embedder-Policy: require-corp" in outcome["error"]["message"]


@pytest.mark.every_engine
def test_a_memory_snapshot(new_page: Page) -> None:
    """The first worker starts plainly, later ones from a snapshot, unless it is turned off (docs/starting.md)."""
    new_page.open("patterns/blank.html")
    had = new_page.run("""
        const start = async (options = {}) => {
          const steps = [];
          const onProgress = (progress) => steps.push(progress.what);
          const worker = await spawn({ script: "./functions.py", onProgress, timeout: 0, ...options });
          const mean = await worker.mean([1, 2.5]);
          const drawn = await worker.runPython("import random; random.random()");
          worker.terminate();
          return { had: steps.some((what) => what.startsWith("Pyodide from a snapshot of")), mean, drawn };
        };
        const kept = async () => (await (await caches.open("workerlib-snapshots")).keys()).length;
        const told = [await start()];
        while ((await kept()) === 0) await new Promise((resolve) => setTimeout(resolve, 100));
        told.push(...(await Promise.all([start(), start()])), await start({ snapshot: false }));
        return told;
    """)
    assert [start["had"] for start in had] == [False, True, True, False]
    assert all(start["mean"] == 1.75 for start in had)
    assert len({start["drawn"] for start in had}) == 4
    assert new_page.console == []
