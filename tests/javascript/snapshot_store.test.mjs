// Tests of workerlib-py/javascript/src/snapshot/store.ts, which keeps images, over Cache Storages that are objects: node --test.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { afterEach, beforeEach, test } from "node:test";
import { fileURLToPath } from "node:url";

const { buildSync } = createRequire(`${process.env.WORKERLIB_NODE_MODULES}/store.js`)("esbuild");
const source = fileURLToPath(new URL("../../workerlib-py/javascript/src/snapshot/store.ts", import.meta.url));
const [{ text }] = buildSync({ entryPoints: [source], bundle: true, format: "esm", write: false }).outputFiles;
const { openStore, placeOf } = await import(`data:text/javascript;base64,${Buffer.from(text).toString("base64")}`);

const IMAGE = new Uint8Array([1, 2, 3]);
const { crypto } = globalThis;

/** A Cache, by the addresses of its entries. */
class FakeCache {
  entries = new Map();
  async match(address) {
    return this.entries.get(address)?.clone();
  }
  async put(address, response) {
    this.entries.set(address, response);
  }
  async delete(request) {
    return this.entries.delete(request.url ?? request);
  }
  async keys() {
    return [...this.entries.keys()].map((url) => ({ url }));
  }
}

let cache;

/** Has `crypto` be this object: a browser has less of it on a page that is not secure. */
function setCrypto(value) {
  Object.defineProperty(globalThis, "crypto", { value, configurable: true });
}

beforeEach(() => {
  cache = new FakeCache();
  // Without it, the module takes this thread for one of Node's.
  globalThis.self = globalThis;
  globalThis.caches = { open: async () => cache };
});

afterEach(() => {
  delete globalThis.self;
  delete globalThis.caches;
  setCrypto(crypto);
});

test("an image that is kept is read again, and can be removed", async () => {
  const store = await openStore();
  await store.write("one", IMAGE);
  assert.deepEqual(await store.read("one"), IMAGE);
  assert.deepEqual(await store.keys(), ["one"]);
  assert.equal(await store.has("one"), true);
  await store.remove("one");
  assert.equal(await store.has("one"), false);
  await assert.rejects(store.read("one"), /no kept snapshot/);
});

test("of five images the oldest makes room", async () => {
  const store = await openStore();
  for (const key of ["1", "2", "3", "4", "5"]) await store.write(key, IMAGE);
  assert.deepEqual(await store.keys(), ["2", "3", "4", "5"]);
});

test("an image of which a byte has changed is refused and removed", async () => {
  const store = await openStore();
  await store.write("one", IMAGE);
  const [[address, kept]] = cache.entries;
  cache.entries.set(address, new Response(new Uint8Array([1, 2, 4]), { headers: kept.headers }));
  await assert.rejects(store.read("one"), /damaged/);
  assert.equal(await store.has("one"), false);
});

test("there is no store on a page that is not secure, which has no digests and no Cache Storage", async () => {
  setCrypto({ getRandomValues: () => {} });
  assert.equal(await openStore(), undefined);
  setCrypto(crypto);
  delete globalThis.caches;
  assert.equal(await openStore(), undefined);
});

test("there is no store where the browser refuses one, as in some private windows", async () => {
  globalThis.caches = { open: () => Promise.reject(new DOMException("denied", "SecurityError")) };
  assert.equal(await openStore(), undefined);
});

test("a store without room says so to the writer", async () => {
  cache.put = () => Promise.reject(new DOMException("full", "QuotaExceededError"));
  const store = await openStore();
  await assert.rejects(store.write("one", IMAGE), { name: "QuotaExceededError" });
});

test("a folder of the site is named by its path, any other by its whole address", () => {
  const place = (origin, folder) => {
    Object.defineProperty(globalThis, "origin", { value: origin, configurable: true });
    try {
      return placeOf(folder);
    } finally {
      delete globalThis.origin;
    }
  };
  assert.equal(place("http://localhost:1", "http://localhost:1/pyodide/"), "/pyodide/");
  assert.equal(place("http://localhost:1", "http://localhost:12/pyodide/"), "http://localhost:12/pyodide/");
  assert.equal(place("null", "https://cdn.invalid/pyodide/"), "https://cdn.invalid/pyodide/");
  // Node has none.
  assert.equal(placeOf("/pyodide/"), "/pyodide/");
});
