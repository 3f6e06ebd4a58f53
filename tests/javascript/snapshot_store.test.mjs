// Tests of workerlib-py/javascript/src/snapshot/store.ts, which keeps images, over Cache Storages that are objects and in Node's folder: node --test.
import assert from "node:assert/strict";
import { mkdtemp, readdir, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { createRequire, syncBuiltinESMExports } from "node:module";
import os, { tmpdir } from "node:os";
import { join } from "node:path";
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

test("there is no store in a sandboxed frame, where Cache Storage must not be named", async () => {
  const get = () => {
    throw new DOMException("sandboxed", "SecurityError");
  };
  Object.defineProperty(globalThis, "caches", { get, configurable: true });
  assert.equal(await openStore(), undefined);
});

/** Opens Node's store, in a folder of the test's own. */
async function openFolder(t) {
  delete globalThis.self;
  const home = await mkdtemp(join(tmpdir(), "workerlib-"));
  const before = process.env.XDG_CACHE_HOME;
  process.env.XDG_CACHE_HOME = home;
  t.after(async () => {
    if (before === undefined) delete process.env.XDG_CACHE_HOME;
    else process.env.XDG_CACHE_HOME = before;
    await rm(home, { recursive: true });
  });
  return { store: await openStore(), folder: join(home, "workerlib") };
}

test("a folder keeps images as the browser's storage does", async (t) => {
  const { store, folder } = await openFolder(t);
  for (const [at, key] of ["1", "2", "3", "4", "5"].entries()) {
    await store.write(key, IMAGE);
    // Files have dates, and these are written within one of them.
    await utimes(join(folder, `${key}.snapshot`), at + 1, at + 1);
  }
  assert.deepEqual((await store.keys()).sort(), ["2", "3", "4", "5"]);
  assert.deepEqual(await store.read("5"), IMAGE);
  await writeFile(join(folder, "5.snapshot"), "damaged");
  await assert.rejects(store.read("5"), /damaged/);
  assert.equal(await store.has("5"), false);
});

test("files that programs have left unfinished are removed, but not those that one is writing", async (t) => {
  const { store, folder } = await openFolder(t);
  for (const name of ["left", "begun"]) await writeFile(join(folder, `key.snapshot.1.${name}`), "");
  await utimes(join(folder, "key.snapshot.1.left"), 1, 1);
  await store.write("key", IMAGE);
  assert.deepEqual((await readdir(folder)).sort(), ["key.snapshot", "key.snapshot.1.begun"]);
});

test("a file that another program removes meanwhile does not matter", async (t) => {
  const { store, folder } = await openFolder(t);
  // It is listed, and is not there.
  await symlink(join(folder, "nowhere"), join(folder, "gone.snapshot"));
  await store.write("key", IMAGE);
  assert.deepEqual(await store.keys(), ["key"]);
});

test("there is no store for a user without a home", async (t) => {
  delete globalThis.self;
  const { homedir } = os;
  const before = process.env.XDG_CACHE_HOME;
  delete process.env.XDG_CACHE_HOME;
  t.after(() => {
    os.homedir = homedir;
    syncBuiltinESMExports();
    if (before !== undefined) process.env.XDG_CACHE_HOME = before;
  });
  os.homedir = () => {
    throw new Error("uv_os_homedir returned ENOENT");
  };
  syncBuiltinESMExports();
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
