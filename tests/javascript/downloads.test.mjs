// Tests of workerlib-py/javascript/src/downloads.ts, which counts the bytes that a worker downloads: node --test.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const { buildSync } = createRequire(`${process.env.WORKERLIB_NODE_MODULES}/downloads.js`)("esbuild");
const source = fileURLToPath(new URL("../../workerlib-py/javascript/src/downloads.ts", import.meta.url));
const [{ text }] = buildSync({ entryPoints: [source], bundle: true, format: "esm", write: false }).outputFiles;
const { countDownloads } = await import(`data:text/javascript;base64,${Buffer.from(text).toString("base64")}`);

/** Fetches files of these sizes, one after the other, and returns what is told at the end of each. */
async function told(files) {
  const original = globalThis.fetch;
  globalThis.self ??= { location: { href: "https://example.org/" } };
  globalThis.fetch = async (name) => new Response(new Uint8Array(files[name].length), { headers: files[name].headers });
  const steps = [];
  const stop = countDownloads((_file, downloaded) => steps.push(downloaded));
  try {
    for (const name of Object.keys(files)) await (await globalThis.fetch(name)).arrayBuffer();
  } finally {
    stop();
    globalThis.fetch = original;
  }
  return steps.at(-1);
}

test("the total is the sum of the sizes that servers tell", async () => {
  const files = { a: { length: 5, headers: { "content-length": "5" } }, b: { length: 7, headers: { "content-length": "7" } } };
  assert.deepEqual(await told(files), { loadedBytes: 12, totalBytes: 12 });
});

test("a file that is compressed makes the total unknown", async () => {
  const headers = { "content-length": "5", "content-encoding": "gzip" };
  assert.deepEqual(await told({ a: { length: 50, headers } }), { loadedBytes: 50 });
});

test("no more bytes arrive than there are in all, also if a server hides that it compresses", async () => {
  // Of another origin, `Content-Length` can be seen and `Content-Encoding` cannot.
  assert.deepEqual(await told({ a: { length: 50, headers: { "content-length": "5" } } }), { loadedBytes: 50 });
});
