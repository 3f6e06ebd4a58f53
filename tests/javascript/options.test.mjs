// Tests of workerlib-py/javascript/src/options.ts, which checks what a page gives to spawn(), spawnPool(), calls and maps: node --test.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const { buildSync } = createRequire(`${process.env.WORKERLIB_NODE_MODULES}/options.js`)("esbuild");
const source = fileURLToPath(new URL("../../workerlib-py/javascript/src/options.ts", import.meta.url));
const [{ text }] = buildSync({ entryPoints: [source], bundle: true, format: "esm", write: false }).outputFiles;
const { checkCallOptions, checkMap, checkName, checkOptions, checkPoolOptions, checkTaskOptions } = await import(`data:text/javascript;base64,${Buffer.from(text).toString("base64")}`);

test("each option may be what the documents say, or be left out", () => {
  checkOptions({});
  checkOptions(
    {
      script: new URL("https://example.org/worker.py"),
      packages: ["numpy", "./own.whl"],
      indexURLs: [],
      pyodide: { indexURL: "/pyodide/" },
      name: undefined,
      onProgress() {},
      timeout: 0,
      signal: new AbortController().signal,
      heartbeat: 1000,
      heartbeatInCalls: false,
      isolated: true,
      snapshot: false,
      exports: { ask: () => "" },
      workerlib: "./workerlib.whl",
      worker: "./worker.js",
    },
  );
});

for (const [options, message] of [
  ["./worker.py", 'spawn("./worker.py"): write spawn({ script: "./worker.py" })'],
  [null, 'spawn(null): write spawn({ script: "./worker.py" })'],
  [{ script: 5 }, 'script: 5: write an address, such as "./worker.py"'],
  [{ packages: "numpy" }, 'packages: "numpy": write an array of texts, such as ["numpy"]'],
  [{ indexURLs: [5] }, 'indexURLs: 5: write an array of texts, such as ["https://example.org/simple"]'],
  [{ timeout: "5" }, 'timeout: "5": write a number of milliseconds from 0 on'],
  [{ heartbeat: NaN }, "heartbeat: NaN: write a number of milliseconds from 0 on"],
  [{ isolated: "no" }, 'isolated: "no": write true or false'],
  [{ onProgress: "bar" }, 'onProgress: "bar": write a function'],
  [{ exports: { ask: 5 } }, "exports: [object Object]: write an object of functions"],
  [{ signal: new AbortController() }, "signal: [object AbortController]: write the signal of an AbortController"],
  [{ pyodide: "/pyodide/" }, 'pyodide: "/pyodide/": write an object, such as { indexURL: "/pyodide/" }'],
  [{ onprogress() {} }, "spawn() has no option onprogress; it has script, packages,"],
  [{ toString: 5 }, "spawn() has no option toString"],
]) {
  test(`a slip says what to write: ${message}`, () => {
    assert.throws(() => checkOptions(options), (error) => error instanceof TypeError && error.message.startsWith(message));
  });
}

test("each option of a call may be what the documents say, or be left out", () => {
  checkCallOptions({}, "with");
  checkCallOptions({ signal: AbortSignal.timeout(5), timeout: 5, onReport() {} }, "with");
  checkCallOptions({ signal: undefined, timeout: undefined, onReport: undefined }, "with");
});

// A misspelt limit would otherwise be none, and a controller in place of its signal an error that names neither.
for (const [options, message] of [
  [{ tiemout: 500 }, "with() has no option tiemout; it has signal, timeout, onReport"],
  [{ timeout: "5" }, 'timeout: "5": write a number of milliseconds from 0 on'],
  [{ timeout: -1 }, "timeout: -1: write a number of milliseconds from 0 on"],
  [{ signal: new AbortController() }, "signal: [object AbortController]: write the signal of an AbortController, controller.signal"],
  [{ onReport: "bar" }, 'onReport: "bar": write a function'],
  [new AbortController().signal, "with(): the options are [object AbortSignal]: write { timeout: 500 } or { signal }"],
  [500, "with(): the options are 500: write { timeout: 500 } or { signal }"],
  [null, "with(): the options are null: write"],
]) {
  test(`a slip of a call says what to write: ${message}`, () => {
    assert.throws(() => checkCallOptions(options, "with"), (error) => error instanceof TypeError && error.message.startsWith(message));
  });
}

test("each option of a pool, of its tasks and of its maps may be what the documents say, or be left out", () => {
  checkPoolOptions({ script: "./worker.py", size: 2, maxRestarts: Infinity, backoff: [0, 100], poisonAfter: 1, timeout: 5 });
  checkPoolOptions({ size: undefined, backoff: undefined });
  checkTaskOptions({ signal: AbortSignal.timeout(5), timeout: 5, onReport() {}, retries: Infinity }, "with");
  const { signal } = new AbortController();
  checkMap("f", [1], { ordered: false, errors: "yield", ahead: 3, timeout: 5, retries: 1, signal, onProgress() {} });
  checkMap("f", "text", { ahead: undefined });
  checkMap("f", (async function* () {})(), {});
});

// A misspelt `retries` would be none, and results in the wrong order a surprise.
for (const [check, message] of [
  [() => checkPoolOptions({ poolSize: 2 }), "spawnPool() has no option poolSize; it has size, maxRestarts, backoff, poisonAfter, script,"],
  [() => checkPoolOptions({ size: "2" }), 'size: "2": write a number of workers from 1 on'],
  [() => checkPoolOptions({ backoff: 100 }), "backoff: 100: write the first and the longest delay in milliseconds, such as [100, 5000]"],
  [() => checkPoolOptions({ backoff: [100] }), "backoff: 100: write the first and the longest delay"],
  [() => checkPoolOptions({ maxRestarts: null }), "maxRestarts: null: write a number of restarts from 0 on, or Infinity"],
  [() => checkPoolOptions("./worker.py"), 'spawnPool("./worker.py"): write spawnPool({ script: "./worker.py" })'],
  [() => checkTaskOptions({ retrys: 1 }, "with"), "with() has no option retrys; it has signal, timeout, onReport, retries"],
  [() => checkTaskOptions({ retries: true }, "with"), "retries: true: write a number of retries from 0 on"],
  [() => checkMap("f", [1], { order: false }), "map() has no option order; it has ordered, errors, ahead, timeout, retries, signal, onProgress"],
  [() => checkMap("f", [1], { onReport() {} }), "map() has no option onReport"],
  [() => checkMap("f", [1], { ahead: "3" }), 'ahead: "3": write a number of items from 1 on'],
  [() => checkMap("f", [1], { onProgress: 5 }), "onProgress: 5: write a function"],
  [() => checkMap("f", [1], new AbortController().signal), "map(): the options are [object AbortSignal]: write"],
  [() => checkMap("f", 5, {}), "map(): the items are 5: write an iterable, such as an array, or an async iterable"],
  [() => checkMap("f", undefined, {}), "map(): the items are undefined: write an iterable"],
  [() => checkMap(() => {}, [1], {}), 'map(): the name of the function is a function: write a text, such as map("f", items)'],
  [() => checkName(undefined, "submit", ", …args"), 'submit(): the name of the function is undefined: write a text, such as submit("f", …args)'],
]) {
  test(`a slip of a pool says what to write: ${message}`, () => {
    assert.throws(check, (error) => error instanceof TypeError && error.message.startsWith(message));
  });
}
