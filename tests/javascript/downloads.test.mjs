// Tests of workerlib-py/javascript/src/downloads.ts, which counts the bytes that a worker downloads: node --test.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const { buildSync } = createRequire(`${process.env.WORKERLIB_NODE_MODULES}/downloads.js`)("esbuild");
const source = fileURLToPath(new URL("../../workerlib-py/javascript/src/downloads.ts", import.meta.url));
const [{ text }] = buildSync({ entryPoints: [source], bundle: true, format: "esm", write: false }).outputFiles;
const { countDownloads } = await import(`data:text/javascript;base64,${Buffer.from(text).toString("base64")}`);

/**
 * Fetches files of these sizes, one after the other, and returns what is told of each at its end.
 *
 * @param expected announces files, by names or by promises of names
 */
async function told(files, ...expected) {
  const original = globalThis.fetch;
  const base = "https://example.org/";
  globalThis.self ??= { location: { href: base } };
  globalThis.fetch = async (address, { method = "GET" } = {}) => {
    const { length, headers, wait } = files[String(address).replace(base, "")];
    if (method === "GET" && wait) await new Promise((resolve) => setTimeout(resolve, wait));
    return new Response(method === "HEAD" ? null : new Uint8Array(length), { headers });
  };
  const steps = [];
  const downloads = countDownloads((_file, downloaded) => steps.push(downloaded));
  for (const names of expected) {
    downloads.expect(Promise.resolve(names).then((known) => known?.map((name) => base + name)));
  }
  // A file that has to wait is asked for at once, and the others when all sizes are known.
  const begun = Object.keys(files).filter((name) => files[name].wait).map((name) => [name, globalThis.fetch(name)]);
  await new Promise((resolve) => setTimeout(resolve));
  const ends = [];
  try {
    for (const name of Object.keys(files)) {
      const response = await (Object.fromEntries(begun)[name] ?? globalThis.fetch(name));
      await response.arrayBuffer();
      ends.push(steps.at(-1));
    }
  } finally {
    downloads.end();
    globalThis.fetch = original;
  }
  return ends;
}

const file = (length) => ({ length, headers: { "content-length": String(length) } });

test("the total is the sum of the sizes that servers tell", async () => {
  assert.deepEqual((await told({ a: file(5), b: file(7) })).at(-1), { loadedBytes: 12, totalBytes: 12 });
});

test("the total counts files that have not begun, so no bar is full before the last byte", async () => {
  const files = { a: file(5), b: file(7), c: file(100) };
  assert.deepEqual(await told(files, ["a", "c"], ["b"]), [
    { loadedBytes: 5, totalBytes: 112 },
    { loadedBytes: 12, totalBytes: 112 },
    { loadedBytes: 112, totalBytes: 112 },
  ]);
});

test("a file that begins while its size is asked for is counted all the time", async () => {
  const files = { a: file(5), b: { ...file(7), wait: 20 } };
  assert.deepEqual((await told(files, ["a", "b"]))[0], { loadedBytes: 5, totalBytes: 12 });
});

test("there is no total while nobody can name a file that is to come, or its size", async () => {
  assert.deepEqual(await told({ a: file(5) }, ["a"], undefined), [{ loadedBytes: 5 }]);
  assert.deepEqual(await told({ a: file(5) }, ["a"], new Promise(() => {})), [{ loadedBytes: 5 }]);
  assert.deepEqual(await told({ a: file(5) }, ["a"], Promise.reject(new Error("no lock file"))), [{ loadedBytes: 5 }]);
  const unknown = { length: 7, headers: {} };
  assert.deepEqual((await told({ a: file(5), b: unknown }, ["a", "b"]))[0], { loadedBytes: 5 });
});

test("a file that is compressed makes the total unknown", async () => {
  const headers = { "content-length": "5", "content-encoding": "gzip" };
  assert.deepEqual(await told({ a: { length: 50, headers } }), [{ loadedBytes: 50 }]);
});

test("no more bytes arrive than there are in all, also if a server hides that it compresses", async () => {
  // Of another origin, `Content-Length` can be seen and `Content-Encoding` cannot.
  assert.deepEqual(await told({ a: { length: 50, headers: { "content-length": "5" } } }), [{ loadedBytes: 50 }]);
});
