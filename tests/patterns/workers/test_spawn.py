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
    """Calls go by position and by keyword, to sync and async functions; the worker tells what it exports."""
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


def test_an_answer_that_cannot_be_sent(page: Page) -> None:
    """The error names the function of the page that returned an element, and says what to write instead."""
    told = page.run("""
        const exports = { element: () => document.body };
        const worker = await spawn({ script: "./functions.py", name: "answering", exports });
        const errors = [await failure(worker.each([1], () => document.body)), await failure(worker.ask_page("element"))];
        worker.terminate();
        return errors.map(({ message }) => message);
    """)
    remedy = (
        " returned something that cannot be sent, such as an element or a function; "
        "return a plain value, or nothing: (value) => { … }"
    )
    assert [message.partition(remedy)[0].rpartition(": ")[2] for message in told] == [
        "the callback",
        "element() of the page",
    ]
    assert all(remedy in message for message in told)


def test_a_callback_is_called_from_sync_code(page: Page) -> None:
    """A sync function's calls start at once and arrive in order; the first comes while the function computes."""
    assert page.run("""
        const worker = await sharedWorker();
        const heard = [];
        let whileItRan = false, isOver = false;
        const steps = worker.train(50, (step) => { heard.push(step); whileItRan ||= !isOver; });
        const returned = await steps;
        isOver = true;
        return [returned, heard.length, heard.every((step, index) => step === index), whileItRan];
    """) == [50, 50, True, True]


def test_an_answer_of_a_callback_is_no_value(page: Page) -> None:
    """Code that uses the answer as a value gets a TypeError that says what to write."""
    told = page.run("return (await sharedWorker()).misuse((item) => item)")
    assert "await" in told
    assert ".result()" in told


def test_an_error_that_nobody_takes_ends_the_call(page: Page) -> None:
    """The function that has dropped the answer is ended, and the page's call rejects with the callback's error."""
    error = page.run("""
        const worker = await sharedWorker();
        return failure(worker.train_for_ever(() => { throw new RangeError("nobody takes this"); }));
    """)
    assert "nobody takes this" in error["message"]


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


def test_a_worker_is_an_object_of_its_exports(page: Page) -> None:
    """`in`, `Object.keys` and a spread see the functions; nothing of Object.prototype does, and nothing can be changed."""
    told = page.run("""
        const worker = await sharedWorker();
        return {
          has: ["mean", "terminate", "maen", "toString", "hasOwnProperty"].filter((name) => name in worker),
          keys: Object.keys(worker),
          exports: worker.exports,
          spread: await { ...worker }.mean([1, 2.5]),
          same: worker.mean === worker.mean,
          ofObjects: [await worker.constructor(), typeof worker.hasOwnProperty, typeof worker.toJSON, typeof worker.then],
          text: [String(worker), Object.prototype.toString.call(worker), JSON.stringify({ worker: { name: worker.name } })],
          changed: [Reflect.set(worker, "name", "x"), Reflect.deleteProperty(worker, "mean"), worker.name],
          limited: ["mean" in worker.with({}), "terminate" in worker.with({})],
        };
    """)
    assert told["has"] == ["mean", "terminate"]
    assert told["keys"] == told["exports"]
    assert told["spread"] == 1.75
    assert told["same"] is True
    assert told["ofObjects"] == ["the function", "undefined", "undefined", "undefined"]
    assert told["text"] == ["[PythonWorker shared]", "[object PythonWorker]", '{"worker":{"name":"shared"}}']
    assert told["changed"] == [False, False, "shared"]
    assert told["limited"] == [True, False]


def test_an_export_that_a_member_hides(page: Page) -> None:
    """The console names it and the way to call it, and the way works."""
    result = page.run("""
        const worker = await spawn({ script: "./hiding.py", name: "hiding" });
        const result = await worker.call("call", [1]);
        worker.terminate();
        return result;
    """)
    assert result == ["the function", 1]
    [told] = [text for text in page.console if "worker hiding exports" in text]
    assert "exports call, which is a member of every worker" in told
    assert 'worker.call("call", args)' in told


def test_the_end_of_a_block_ends_the_worker(page: Page) -> None:
    """`using` and `await using` call these methods; a browser that lacks the symbols has neither."""
    told = page.run("""
        const ended = [];
        for (const name of ["dispose", "asyncDispose"]) {
          if (!(name in Symbol)) continue;
          const worker = await spawn({ script: "./functions.py" });
          await worker[Symbol[name]]();
          ended.push([await worker.closed, (await failure(worker.mean([1]))).name]);
        }
        return ended;
    """)
    assert told == [["it was terminated", "WorkerDiedError"]] * 2


def test_an_argument_that_cannot_be_sent(page: Page) -> None:
    """The error says which function, which argument and which part of it; nothing was sent, and the worker lives on."""
    messages = page.run("""
        const worker = await sharedWorker();
        const wrong = [
          [1, { rows: [{ done: () => {} }] }],
          [Promise.resolve(1)],
          [Symbol("x")],
          [new Map([["key", document.body]])],
          [{ "a b": new WeakMap() }],
        ];
        const told = [];
        for (const args of wrong) {
          const error = await failure(worker.echo(...args));
          told.push(`${error.name}: ${error.message}`);
        }
        const kwargs = await failure(worker.call("echo", [], { value: document }));
        return [...told, kwargs.message, await worker.mean([1])];
    """)
    assert messages == [
        "DataCloneError: echo(): args[1].rows[0].done is a function, which can be sent only as an argument of its own",
        "DataCloneError: echo(): args[0] is of the class Promise, which cannot be sent; await it first",
        "DataCloneError: echo(): args[0] is a symbol, which cannot be sent",
        'DataCloneError: echo(): args[0].get("key") is of the class HTMLBodyElement, which cannot be sent',
        'DataCloneError: echo(): args[0]["a b"] is of the class WeakMap, which cannot be sent',
        "echo(): kwargs.value is of the class HTMLDocument, which cannot be sent",
        1,
    ]


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


def test_relative_addresses_start_at_the_script(page: Page) -> None:
    """The script that Python's spawn() and PyScript run too: it reads the file that lies beside it."""
    found = page.run("""
        const worker = await spawn({ script: "/shared/relative/reader.py" });
        try {
          return [...(await worker.read_by_url()), ...(await worker.read_as_written())];
        } finally {
          worker.terminate();
        }
    """)
    assert set(found) == {"beside the script"}


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


@pytest.mark.every_engine
@pytest.mark.isolation
def test_a_function_that_computes_is_interrupted(page: Page) -> None:
    """On an isolated page the worker is free soon after a time limit or an abort; other calls are left alone."""
    outcome = page.run("""
        if (!crossOriginIsolated) return "not isolated";
        const worker = await sharedWorker();
        const began = performance.now();
        const limited = await failure(worker.with({ timeout: 100 }).compute(600));
        const controller = new AbortController();
        const aborted = failure(worker.with({ signal: controller.signal }).compute(600));
        const next = worker.mean([1, 2.5]);
        controller.abort(new RangeError("enough"));
        const code = failure(worker.runPython("while True: pass", { timeout: 100 }));
        const errors = [limited, await aborted, await code].map(({ name }) => name);
        return { errors, next: await next, free: performance.now() - began < 600_000 };
    """)
    if outcome != "not isolated":
        assert outcome["errors"] == ["TimeoutError", "RangeError", "TimeoutError"]
        assert outcome["next"] == 1.75
        assert outcome["free"] is True


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


def test_an_option_of_a_call_that_cannot_be_meant(page: Page) -> None:
    """A slip is told where the call is made, also where it is iterated over, and the function does not run."""
    told = page.run("""
        const worker = await sharedWorker();
        const thrown = (act) => { try { act(); } catch (error) { return [error.name, error.message]; } };
        const rejected = async (promise) => { const { name, message } = await failure(promise); return [name, message]; };
        const loop = async () => { for await (const _ of worker.call("mean", [[1]], {}, { tiemout: 1 })); };
        return [
          thrown(() => worker.with({ tiemout: 500 })),
          thrown(() => worker.with(new AbortController().signal)),
          await rejected(worker.call("mean", [[1]], {}, { signal: new AbortController() })),
          await rejected(loop()),
          await rejected(worker.runPython("1", { timeout: "5" })),
          await rejected(worker.install([], { onReport: 5 })),
          await worker.with({ signal: undefined, timeout: undefined, onReport: undefined }).mean([1]),
        ];
    """)
    slips, result = told[:-1], told[-1]
    assert [name for name, _ in slips] == ["TypeError"] * 6
    assert [message.partition(":")[0] for _, message in slips] == [
        "with() has no option tiemout; it has signal, timeout, onReport",
        "with()",
        "signal",
        "call() has no option tiemout; it has signal, timeout, onReport",
        "timeout",
        "onReport",
    ]
    assert result == 1.0


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


def test_progress_in_bytes(page: Page) -> None:
    """The bytes grow, end at the size of what servers told, and name the files."""
    steps, sizes = page.run("""
        const steps = [];
        const options = { script: "./functions.py", packages: ["packaging"], snapshot: false };
        const worker = await spawn({ ...options, onProgress: (step) => steps.push(step) });
        worker.terminate();
        const lock = await (await fetch("/pyodide/pyodide-lock.json")).json();
        const files = ["pyodide.asm.wasm", "python_stdlib.zip", lock.packages.packaging.file_name];
        const sizes = await Promise.all(files.map(async (file) =>
          (await (await fetch(new URL(file, `${location.origin}/pyodide/`))).arrayBuffer()).byteLength));
        return [steps.filter(({ loadedBytes }) => loadedBytes), sizes];
    """)
    loaded = [step["loadedBytes"] for step in steps]
    assert loaded == sorted(loaded)
    assert loaded[-1] >= sum(sizes)
    assert all(step["stage"] == "download" for step in steps)
    assert {"pyodide.asm.wasm", "python_stdlib.zip"} <= {step["what"] for step in steps}
    # A bar is full at the end and not before: the total includes files that have not begun, such as the package.
    totals = [step["totalBytes"] for step in steps if "totalBytes" in step]
    assert set(totals) == {loaded[-1]}


@pytest.mark.every_engine
def test_calls_of_a_worker_that_is_terminated(page: Page) -> None:
    """Calls that wait reject at once, and so do those that come later; the errors and `closed` tell why."""
    errors = page.run("""
        const worker = await spawn({ script: "./functions.py" });
        const call = failure(worker.hold("for ever"));
        worker.terminate();
        return [await call, await failure(worker.mean([1])), await worker.closed];
    """)
    assert [error["name"] for error in errors[:2]] == ["WorkerDiedError"] * 2
    assert [error["message"] for error in errors[:2]] == [
        "the worker functions.py ended: it was terminated"
    ] * 2
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


def test_a_python_that_fails_fatally(page: Page) -> None:
    """A trap ends the worker; the call that brought it about and those that wait reject at once, with the reason."""
    error, pending, reason, milliseconds = page.run("""
        const worker = await spawn({ script: "./functions.py" });
        const pending = failure(worker.sleep(1000));
        await worker.runPython("1");
        const start = performance.now();
        const error = await failure(worker.runPython("import ctypes; ctypes.string_at(0xFFFFFFF0, 64)"));
        return [error, await pending, await worker.closed, performance.now() - start];
    """)
    assert [error["name"], pending["name"]] == ["WorkerDiedError", "WorkerDiedError"]
    assert "its Python has failed fatally" in reason
    assert milliseconds < 5000 * PACE


def test_a_termination_past_the_library(page: Page) -> None:
    """`Worker.prototype.terminate` ends the calls of a worker that computes at once."""
    error, reason, milliseconds = page.run("""
        const worker = await spawn({ script: "./functions.py" });
        const pending = failure(worker.compute(60_000));
        await new Promise((done) => setTimeout(done, 50));
        const start = performance.now();
        Worker.prototype.terminate.call(worker.worker);
        return [await pending, await worker.closed, performance.now() - start];
    """)
    assert error["name"] == "WorkerDiedError"
    assert reason == "it was terminated"
    assert milliseconds < 5000 * PACE


def test_heartbeat(page: Page) -> None:
    """A worker that gives no sign of life is ended; one that only waits is not."""
    # A worker that waits may not get to answer in time on a busy machine.
    for heartbeat in (400, round(2000 * PACE)):
        outcome = page.run(
            """
            const worker = await spawn({ script: "./functions.py", heartbeat: given, heartbeatInCalls: true });
            const waited = await worker.sleep(given / 500, "alive").catch(String);
            return [waited, await failure(worker.compute(given)), await worker.closed];
            """,
            heartbeat,
        )
        if outcome[0] == "alive":
            break
    assert outcome[0] == "alive"
    assert outcome[1]["name"] == "WorkerDiedError"
    assert outcome[2] == f"it gave no sign of life for {heartbeat} ms"


FAILURES = {
    "missing script": ('{ script: "./nowhere.py" }', r"script.*/nowhere\.py.*404"),
    "a page for the script": ('{ script: "./blank.html" }', r"script.*/blank\.html, cannot.*a page \(HTML\).*check the"),
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


@pytest.mark.parametrize("file", ["pyodide.asm.wasm", "python_stdlib.zip", "pyodide-lock.json"])
def test_a_file_of_pyodide_that_is_missing(new_page: Page, file: str) -> None:
    """Its address and the server's answer are told at once; Pyodide itself tells neither, or waits for ever."""
    new_page.open("patterns/blank.html")
    new_page.refuse(f"**/{file}")
    error = new_page.run("return failure(spawn({ timeout: given, snapshot: false }))", 50_000 * PACE)
    assert error is not None
    assert error["name"] == "WorkerStartError"
    assert f"/{file}" in error["message"]
    assert "HTTP 404" in error["message"]


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


# In other engines tests/browser/test_snapshot.py has workers that start so; this page's code is the same there.
def test_a_memory_snapshot(untouched_page: Page) -> None:
    """The first worker starts plainly, later ones from a snapshot, unless it is turned off (docs/starting.md)."""
    untouched_page.open("patterns/blank.html")
    had = untouched_page.run("""
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
    assert untouched_page.console == []


def test_the_worker_calls_the_page(page: Page) -> None:
    """Functions of `exports` are those of `workerlib.page()`, with their results and their errors."""
    assert page.run("""
        const exports = { double: (number) => 2 * number, later: async (items) => [...items, "more"],
            fail: () => { throw new RangeError("in the page"); } };
        const worker = await spawn({ script: "./functions.py", name: "asking", exports });
        const results = [await worker.ask_page("double", 21), await worker.ask_page("later", [1, { a: 2.5 }])];
        results.push(await worker.ask_page_and_catch("fail"));
        const missing = await failure(worker.ask_page("duoble", 1));
        const keyword = await failure(worker.call("ask_page", ["double"], { number: 1 }));
        worker.terminate();
        return [...results, missing.name, missing.message, keyword.name];
    """) == [
        42,
        [1, {"a": 2.5}, "more"],
        ["RangeError", "RangeError: in the page"],
        "NotExportedError",
        "the page does not export 'duoble'; it exports double, later, fail",
        "TypeError",
    ]


def test_reports_come_while_the_function_computes(page: Page) -> None:
    """`onReport` hears of each of a few reports, in order, long before the function has computed to its end."""
    # A busy machine may keep the reports from a function that computes for a moment only.
    for seconds in (0.5, 2, 8):
        reports, waited = page.run(
            """
            const worker = await sharedWorker();
            const reports = [];
            let heard;
            const onReport = (...values) => { reports.push(values); heard = performance.now(); };
            await worker.with({ onReport }).report_and_compute(3, given);
            return [reports, performance.now() - heard];
            """,
            seconds,
        )
        assert reports == [[number, {"of": 3}] for number in range(3)]
        if waited > seconds * 500:
            return
    pytest.fail("the reports came when the function had ended")
