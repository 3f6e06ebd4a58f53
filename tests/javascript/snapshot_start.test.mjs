// Tests of workerlib-py/javascript/src/snapshot/python.ts, a start from a snapshot, with a Pyodide that is an object: node --test.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

const { buildSync } = createRequire(`${process.env.WORKERLIB_NODE_MODULES}/start.js`)("esbuild");
const stdin = {
  contents: 'export * from "./python.js"; export { pack, read } from "./image.js";',
  resolveDir: fileURLToPath(new URL("../../workerlib-py/javascript/src/snapshot", import.meta.url)),
  loader: "ts",
};
const loader = { ".py": "text" };
const [{ text }] = buildSync({ stdin, bundle: true, format: "esm", write: false, loader }).outputFiles;
const { pack, read, startFromSnapshot } = await import(`data:text/javascript;base64,${Buffer.from(text).toString("base64")}`);

const LARGE = 1 << 16;
const HEAD = 8;

// Node has it since version 21.
Object.defineProperty(globalThis, "navigator", { value: { language: "en" }, configurable: true });

/** A Pyodide that keeps its options, as Pyodide does; its memory has one page. `asked` are its settings of Emscripten's. */
function makePyodide() {
  const memory = new WebAssembly.Memory({ initial: 1 });
  const pyodide = {
    memory,
    version: "314.0.7",
    kept: [],
    emscripten: Promise.resolve((settings) => {
      settings.instantiateWasm({}, () => {});
      return Promise.resolve({ memory, _sbrk: () => 0 });
    }),
    async loadPyodide(options) {
      pyodide.kept.push(options);
      await options.createPyodideModule({ instantiateWasm: (_, succeed) => void succeed("instance", "module") });
      return { pyimport: () => ({ renew() {}, complete: () => true, destroy() {} }) };
    },
  };
  return pyodide;
}

/** The image of a memory whose first byte is 7. */
function makeImage() {
  const snapshot = new Uint8Array(HEAD + LARGE);
  snapshot[HEAD] = 7;
  return pack(snapshot, HEAD);
}

/** Starts as a page does. */
async function start(pyodide, image, onCompiled) {
  globalThis.document = {};
  try {
    return await startFromSnapshot(pyodide, {}, { install() {} }, image, undefined, onCompiled);
  } finally {
    delete globalThis.document;
  }
}

test("a page hears of the compiled module before the image is written", async () => {
  const pyodide = makePyodide();
  const heard = [];
  await start(pyodide, Promise.resolve(read(makeImage())), (module) => {
    heard.push([module, new Uint8Array(pyodide.memory.buffer)[0]]);
  });
  assert.deepEqual(heard, [["module", 0]]);
  assert.equal(new Uint8Array(pyodide.memory.buffer)[0], 7);
});

test("nothing keeps the image of a Python that has started", async () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc");
  const pyodide = makePyodide();
  let bytes = makeImage();
  const image = new WeakRef(bytes);
  let reading = Promise.resolve(read(bytes));
  const started = start(pyodide, reading);
  bytes = reading = undefined;
  await started;
  for (let turn = 0; turn < 100 && image.deref() !== undefined; turn += 1) {
    await new Promise((resolve) => setImmediate(resolve));
    collect();
  }
  assert.equal(image.deref(), undefined);
  assert.equal(pyodide.kept.length, 1);
});
