// Tests of workerlib-py/javascript/src/snapshot/compiled.ts, by which a worker loads Pyodide: node --test.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const { buildSync } = createRequire(`${process.env.WORKERLIB_NODE_MODULES}/compiled.js`)("esbuild");
const source = fileURLToPath(new URL("../../workerlib-py/javascript/src/snapshot/compiled.ts", import.meta.url));
const [{ text }] = buildSync({ entryPoints: [source], bundle: true, format: "esm", write: false }).outputFiles;
const { withModule } = await import(`data:text/javascript;base64,${Buffer.from(text).toString("base64")}`);
const EMPTY = Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0);
const WASM = { "content-type": "application/wasm" };

/** An answer of a server to the request for Pyodide's module. */
function answer(content, init) {
  const response = new Response(content, init);
  return Object.defineProperty(response, "url", { value: "https://a.test/pyodide.asm.wasm" });
}

/** Loads as Pyodide does: a module that cannot be had is a warning, and the load never ends. */
function load(response) {
  return new Promise((resolve) => {
    WebAssembly.instantiateStreaming(response, {}).then(resolve, () => {});
  });
}

for (const [what, respond, said] of [
  ["is not there", () => answer("no", { status: 404, headers: WASM }), /^https:\/\/a\.test\/pyodide\.asm\.wasm cannot be fetched: HTTP 404$/],
  ["is a page", () => answer("<!doctype html>", { headers: { "content-type": "text/html" } }), /sends text\/html, and has to send application\/wasm$/],
  ["is damaged", () => answer("damaged", { headers: WASM }), /pyodide\.asm\.wasm cannot be compiled: ./],
  ["cannot be reached", () => Promise.reject(new TypeError("Failed to fetch")), /^pyodide\.asm\.wasm cannot be fetched: Failed to fetch$/],
]) {
  // Pyodide itself only warns, so the start of a worker ended by its time limit alone.
  test(`a module that ${what} ends the load, with the reason`, { timeout: 30_000 }, async () => {
    const original = WebAssembly.instantiateStreaming;
    let timer;
    const late = new Promise((resolve) => (timer = setTimeout(resolve, 2000, "it goes on for ever")));
    const error = await Promise.race([withModule(undefined, () => load(respond())).catch((reason) => reason), late]);
    clearTimeout(timer);
    assert.match(error.message ?? error, said);
    assert.equal(WebAssembly.instantiateStreaming, original);
  });
}

test("a module that is there is kept", { timeout: 30_000 }, async () => {
  const { loaded, module } = await withModule(undefined, () => load(answer(EMPTY, { headers: WASM })));
  assert.ok(loaded.instance instanceof WebAssembly.Instance);
  assert.ok(module instanceof WebAssembly.Module);
});
