// Tests of workerlib-py/javascript/src/options.ts, which checks what a page gives to spawn(): node --test.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const { buildSync } = createRequire(`${process.env.WORKERLIB_NODE_MODULES}/options.js`)("esbuild");
const source = fileURLToPath(new URL("../../workerlib-py/javascript/src/options.ts", import.meta.url));
const [{ text }] = buildSync({ entryPoints: [source], bundle: true, format: "esm", write: false }).outputFiles;
const { checkCallOptions, checkOptions } = await import(`data:text/javascript;base64,${Buffer.from(text).toString("base64")}`);

test("each option may be what the documents say, or be left out", () => {
  checkOptions({}, "spawn");
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
    "spawn",
  );
  checkOptions({ size: "two", script: "./worker.py" }, "spawnPool", ["size"]);
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
    assert.throws(() => checkOptions(options, "spawn"), (error) => error instanceof TypeError && error.message.startsWith(message));
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
