// Tests of workerlib-py/javascript/src/snapshot/store.ts, which keeps images, over Cache Storages that are objects and in Node's folder: node --test.
import assert from "node:assert/strict";
import files, { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, utimes, writeFile } from "node:fs/promises";
import { createRequire, syncBuiltinESMExports } from "node:module";
import os, { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, mock, test } from "node:test";
import { fileURLToPath } from "node:url";

const { buildSync } = createRequire(`${process.env.WORKERLIB_NODE_MODULES}/store.js`)("esbuild");
const source = fileURLToPath(new URL("../../workerlib-py/javascript/src/snapshot/store.ts", import.meta.url));
const [{ text }] = buildSync({ entryPoints: [source], bundle: true, format: "esm", write: false }).outputFiles;
const { openStore, placeOf } = await import(`data:text/javascript;base64,${Buffer.from(text).toString("base64")}`);

const IMAGE = new Uint8Array([1, 2, 3]);
const { crypto } = globalThis;

/** A key of a kind and a build, such as `spawn-1-a`. */
function keyOf(whole) {
  return { start: whole.split("-").slice(0, 2).join("-"), text: whole };
}

/** Lets everything happen that waits for nothing but its turn. */
async function settle() {
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

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
  await store.write(keyOf("page-1-a"), IMAGE);
  assert.deepEqual(await store.read("page-1-a"), IMAGE);
  assert.deepEqual(await store.keys(), ["page-1-a"]);
  await store.remove("page-1-a");
  assert.deepEqual(await store.keys(), []);
  await assert.rejects(store.read("page-1-a"), /no kept snapshot/);
});

test("the fifth image finds room: the oldest is removed before it is written", async () => {
  const store = await openStore();
  const { put } = cache;
  cache.put = (address, response) => {
    if (cache.entries.size === 4) return Promise.reject(new DOMException("full", "QuotaExceededError"));
    return put.call(cache, address, response);
  };
  const keys = ["a", "b", "c", "d", "e"].map((lock) => `spawn-1-${lock}`);
  for (const key of keys) await store.write(keyOf(key), IMAGE);
  assert.deepEqual(await store.keys(), keys.slice(1));
});

test("the images of older builds go before those that are of use", async () => {
  const store = await openStore();
  for (const key of ["page-2-a", "spawn-2-a", "page-1", "spawn-1-a"]) await store.write(keyOf(key), IMAGE);
  await store.write(keyOf("page-2-b"), IMAGE);
  assert.deepEqual(await store.keys(), ["page-2-a", "spawn-2-a", "spawn-1-a", "page-2-b"]);
  await store.write(keyOf("spawn-2-b"), IMAGE);
  assert.deepEqual(await store.keys(), ["page-2-a", "spawn-2-a", "page-2-b", "spawn-2-b"]);
});

/** Has the browser have room for so many images. */
function limit(most) {
  const { put } = cache;
  cache.put = (address, response) => {
    const others = [...cache.entries.keys()].filter((key) => key !== address);
    if (others.length >= most) return Promise.reject(new DOMException("full", "QuotaExceededError"));
    return put.call(cache, address, response);
  };
}

test("where the browser is full, images of older builds and of older forms of keys make room", async () => {
  const store = await openStore();
  cache.entries.set("https://snapshots.workerlib.invalid/314.0.7-0123-4567", new Response(IMAGE));
  await store.write(keyOf("page-2"), IMAGE);
  await store.write(keyOf("spawn-1-a"), IMAGE);
  limit(2);
  await store.write(keyOf("spawn-2-a"), IMAGE);
  assert.deepEqual(await store.keys(), ["page-2", "spawn-2-a"]);
});

test("where the browser is full, images stay that other pages use", async () => {
  const store = await openStore();
  await store.write(keyOf("page-2"), IMAGE);
  await store.write(keyOf("spawn-2-a"), IMAGE);
  limit(2);
  await assert.rejects(store.write(keyOf("spawn-2-b"), IMAGE), { name: "QuotaExceededError" });
  assert.deepEqual(await store.keys(), ["page-2", "spawn-2-a"]);
  await store.write(keyOf("spawn-2-a"), IMAGE);
});

test("the store tells whether there is room, before an image is made", async (t) => {
  const estimate = (quota, usage) => {
    Object.defineProperty(globalThis, "navigator", {
      value: { storage: { estimate: async () => ({ quota, usage }) } },
      configurable: true,
    });
  };
  const before = Object.getOwnPropertyDescriptor(globalThis, "navigator");
  t.after(() => Object.defineProperty(globalThis, "navigator", before ?? { value: undefined, configurable: true }));
  const store = await openStore();
  estimate(1e9, 0);
  await store.checkRoom(keyOf("page-2"));
  estimate(1e9, 1e9 - 1000);
  await assert.rejects(store.checkRoom(keyOf("page-2")), /no room for it: 1,000 bytes are left/);
  await store.write(keyOf("page-1"), IMAGE);
  // That of an older build goes.
  await store.checkRoom(keyOf("page-2"));
  await assert.rejects(store.checkRoom(keyOf("spawn-2")), /no room/);
  // Some browsers tell nothing.
  estimate(undefined, undefined);
  await store.checkRoom(keyOf("spawn-2"));
});

test("an image of which a byte has changed is refused and removed", async () => {
  const store = await openStore();
  for (const content of [new Uint8Array([1, 2, 4]), new Uint8Array([1, 2]), new Uint8Array(), "<!doctype html>"]) {
    await store.write(keyOf("page-1"), IMAGE);
    const [[address, kept]] = cache.entries;
    cache.entries.set(address, new Response(content, { headers: kept.headers }));
    await assert.rejects(store.read("page-1"), /damaged/);
    assert.deepEqual(await store.keys(), []);
  }
});

test("an entry that something else has written is refused and removed", async () => {
  const store = await openStore();
  cache.entries.set("https://snapshots.workerlib.invalid/page-1", new Response("<!doctype html>", { status: 404 }));
  await assert.rejects(store.read("page-1"), /damaged/);
  assert.deepEqual(await store.keys(), []);
});

test("there is no store on a page that is not secure, which has no digests and no Cache Storage", async () => {
  setCrypto({ getRandomValues: () => {} });
  await assert.rejects(openStore(), /the page is not secure.*HTTPS/);
  setCrypto(crypto);
  delete globalThis.caches;
  await assert.rejects(openStore(), /the browser keeps nothing for this page: there is no Cache Storage/);
});

test("there is no store where the browser refuses one, as in some private windows", async () => {
  globalThis.caches = { open: () => Promise.reject(new DOMException("denied", "SecurityError")) };
  await assert.rejects(openStore(), /the browser keeps nothing for this page: SecurityError: denied/);
});

test("there is no store in a sandboxed frame, where Cache Storage must not be named", async () => {
  const get = () => {
    throw new DOMException("sandboxed", "SecurityError");
  };
  Object.defineProperty(globalThis, "caches", { get, configurable: true });
  await assert.rejects(openStore(), /SecurityError: sandboxed/);
});

/** Asserts that something fails since the storage does not answer, within seconds of a thread that is free. */
async function assertUnanswered(t, action, seconds) {
  mock.timers.enable({ apis: ["setTimeout"] });
  t.after(() => mock.timers.reset());
  let error;
  const done = action().catch((caught) => (error = caught));
  await settle();
  // A thread that was busy for an hour has had one turn since.
  for (const milliseconds of [3_600_000, ...Array(10 * seconds - 2).fill(100)]) {
    mock.timers.tick(milliseconds);
    await settle();
  }
  assert.equal(error, undefined);
  mock.timers.tick(100);
  await done;
  assert.match(error.message, new RegExp(`the storage has not answered for ${seconds} seconds`));
}

const never = () => new Promise(() => {});

test("a browser whose storage does not open is one without", async (t) => {
  globalThis.caches = { open: never };
  await assertUnanswered(t, openStore, 3);
});

for (const [name, broken, action, seconds] of [
  ["listed", "keys", (store) => store.keys(), 3],
  ["read", "match", (store) => store.read("page-1"), 10],
  ["written", "put", (store) => store.write(keyOf("page-1"), IMAGE), 60],
  ["removed", "delete", (store) => store.remove("page-1"), 3],
]) {
  test(`a storage that does not answer when an image is ${name} is an error`, async (t) => {
    const store = await openStore();
    cache[broken] = never;
    await assertUnanswered(t, () => action(store), seconds);
  });
}

/** Has Node's store be in a folder of the test's own, and returns this. */
async function makeHome(t) {
  delete globalThis.self;
  const home = await mkdtemp(join(tmpdir(), "workerlib-"));
  const before = process.env.XDG_CACHE_HOME;
  process.env.XDG_CACHE_HOME = home;
  t.after(async () => {
    if (before === undefined) delete process.env.XDG_CACHE_HOME;
    else process.env.XDG_CACHE_HOME = before;
    await rm(home, { recursive: true });
  });
  return home;
}

/** Opens Node's store, in a folder of the test's own. */
async function openFolder(t) {
  const home = await makeHome(t);
  return { store: await openStore(), folder: join(home, "workerlib") };
}

test("a folder keeps images as the browser's storage does", async (t) => {
  const { store, folder } = await openFolder(t);
  for (const [at, key] of ["1", "2", "3", "4", "5"].entries()) {
    await store.write(keyOf(`spawn-1-${key}`), IMAGE);
    // Files have dates, and these are written within one of them.
    await utimes(join(folder, `spawn-1-${key}.snapshot`), at + 1, at + 1);
  }
  assert.deepEqual(await store.keys(), ["spawn-1-2", "spawn-1-3", "spawn-1-4", "spawn-1-5"]);
  assert.deepEqual(await store.read("spawn-1-5"), IMAGE);
});

test("a file that is damaged, cut off or empty is refused and removed", async (t) => {
  const { store, folder } = await openFolder(t);
  const file = join(folder, "page-1.snapshot");
  await store.write(keyOf("page-1"), IMAGE);
  const whole = await readFile(file);
  const changed = Uint8Array.from(whole, (byte, at) => (at === 3 ? byte ^ 1 : byte));
  for (const content of ["damaged", "", whole.subarray(0, 64), whole.subarray(0, -1), changed]) {
    await writeFile(file, content);
    await assert.rejects(store.read("page-1"), /damaged/);
    assert.deepEqual(await store.keys(), []);
  }
});

test("files that programs have left unfinished are removed, but not those that one is writing", async (t) => {
  const { store, folder } = await openFolder(t);
  for (const name of ["left", "begun"]) await writeFile(join(folder, `page-1.snapshot.1.${name}`), "");
  await utimes(join(folder, "page-1.snapshot.1.left"), 1, 1);
  await store.write(keyOf("page-1"), IMAGE);
  assert.deepEqual((await readdir(folder)).sort(), ["page-1.snapshot", "page-1.snapshot.1.begun"]);
});

test("neither a file that another program removes meanwhile nor a folder is an image", async (t) => {
  const { store, folder } = await openFolder(t);
  // It is listed, and is not there.
  await symlink(join(folder, "nowhere"), join(folder, "page-0.snapshot"));
  await mkdir(join(folder, "page-2.snapshot"));
  await store.write(keyOf("page-1"), IMAGE);
  assert.deepEqual(await store.keys(), ["page-1"]);
  await assert.rejects(store.read("page-0"), /ENOENT/);
});

test("a link to a file of somebody else's is replaced, and the file stays", async (t) => {
  const { store, folder } = await openFolder(t);
  const other = join(folder, "other");
  await writeFile(other, "precious");
  await symlink(other, join(folder, "page-1.snapshot"));
  await assert.rejects(store.read("page-1"), /damaged/);
  await symlink(other, join(folder, "page-1.snapshot"));
  await store.write(keyOf("page-1"), IMAGE);
  assert.deepEqual(await store.read("page-1"), IMAGE);
  assert.equal(await readFile(other, "utf8"), "precious");
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
  await assert.rejects(openStore(), /no folder for it: uv_os_homedir returned ENOENT/);
});

test("there is no store where a file has the folder's place", async (t) => {
  const home = await makeHome(t);
  await writeFile(join(home, "workerlib"), "");
  await assert.rejects(openStore(), /no folder for it: EEXIST/);
});

test("there is no store in a folder in which other users could put a snapshot", async (t) => {
  const home = await makeHome(t);
  await mkdir(join(home, "workerlib"));
  await chmod(join(home, "workerlib"), 0o777);
  await assert.rejects(openStore(), /other users may write into the folder .*workerlib/);
  await chmod(join(home, "workerlib"), 0o755);
  await openStore();
  const own = process.geteuid;
  t.after(() => (process.geteuid = own));
  process.geteuid = () => own() + 1;
  syncBuiltinESMExports();
  t.after(() => syncBuiltinESMExports());
  await assert.rejects(openStore(), /other users may write into the folder/);
});

test("a folder that is relative to the program's is none", async (t) => {
  const home = await makeHome(t);
  const before = process.env.HOME;
  t.after(() => (process.env.HOME = before));
  process.env.HOME = home;
  process.env.XDG_CACHE_HOME = "relative";
  await (await openStore()).write(keyOf("page-1"), IMAGE);
  assert.deepEqual(await readdir(join(home, ".cache", "workerlib")), ["page-1.snapshot"]);
  await assert.rejects(stat("relative"), /ENOENT/);
});

test("where the disk is full, images of older builds make room, and nothing unfinished stays", async (t) => {
  const { store, folder } = await openFolder(t);
  await store.write(keyOf("page-1"), IMAGE);
  const { writeFile: write } = files;
  t.after(() => {
    files.writeFile = write;
    syncBuiltinESMExports();
  });
  files.writeFile = async (path, content, options) => {
    const isFull = (await readdir(folder)).includes("page-1.snapshot");
    await write(path, isFull ? content.subarray(0, 10) : content, options);
    if (isFull) throw Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
  };
  syncBuiltinESMExports();
  await assert.rejects(store.write(keyOf("spawn-1"), IMAGE), /ENOSPC/);
  assert.deepEqual(await readdir(folder), ["page-1.snapshot"]);
  await store.write(keyOf("page-2"), IMAGE);
  assert.deepEqual(await readdir(folder), ["page-2.snapshot"]);
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
