// Tests of workerlib-py/javascript/src/snapshot/handover.ts, by which a page hands compiled modules to its workers: node --test.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { afterEach, beforeEach, test } from "node:test";
import { fileURLToPath } from "node:url";

const { buildSync } = createRequire(`${process.env.WORKERLIB_NODE_MODULES}/image.js`)("esbuild");
const source = fileURLToPath(new URL("../../workerlib-py/javascript/src/snapshot/handover.ts", import.meta.url));
const [{ text }] = buildSync({ entryPoints: [source], bundle: true, format: "esm", write: false }).outputFiles;
const { Giver, hasWorkers, receive } = await import(`data:text/javascript;base64,${Buffer.from(text).toString("base64")}`);

const DATA = Object.getOwnPropertyDescriptor(MessageEvent.prototype, "data");
const KEY = "314.0.7-one";
const LIMIT = 20_000 * Number(process.env.WORKERLIB_TEST_PACE ?? 1);
const empty = new WebAssembly.Module(new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]));
const handed = { module: empty, image: empty };
const open = [];

/** A worker's tag, and both ends of PyScript's bridge to its worker, as PyScript 0.6.60 to 0.7.31 have them. */
function makeTag() {
  const { port1, port2 } = new MessageChannel();
  const answers = [];
  const heard = [];
  let calls = 0;
  port1.addEventListener("message", ({ data }) => answers.push(data));
  // The worker has no function of any name.
  port2.addEventListener("message", ({ data }) => {
    heard.push(data);
    port2.postMessage([data[0], data[1], new TypeError(`${data[1]} is not a function`)]);
  });
  port1.start();
  port2.start();
  open.push(port1, port2);
  const call = (name) => (...args) => {
    port1.postMessage([(calls += 1), name, args]);
    return Promise.reject(new TypeError("is not a function"));
  };
  const sync = new Proxy({}, { get: (_, name) => call(name) });
  return { xworker: { sync }, heard, answers };
}

/** Has this thread be a page with these tags. */
function bePage(...tags) {
  globalThis.document = { querySelector: () => tags[0] ?? null, querySelectorAll: () => tags };
}

function give(key = KEY) {
  const giver = new Giver(key);
  open.push(giver);
  return giver;
}

/** Waits for messages: until something is true. */
async function until(condition) {
  for (const end = performance.now() + LIMIT; !condition(); ) {
    assert.ok(performance.now() < end, `${condition} is not true`);
    await new Promise((resolve) => later(resolve, 1));
  }
}

/** Tells what has been received so far; "nothing yet" while the worker waits. */
async function state(received) {
  // Promises and locks go on.
  await new Promise((resolve) => setImmediate(resolve));
  return Promise.race([received, Promise.resolve("nothing yet")]);
}

/** Has time pass for a worker that waits for no page: for one that is late, and once more. */
async function beInVain() {
  for (let turn = 0; turn < 2; turn += 1) {
    await new Promise((resolve) => setImmediate(resolve));
    tick(25);
  }
}

/** The Web Locks of an origin, which Node 20 does not have: each name has a queue. */
class Locks {
  #queues = new Map();

  async request(name, options, callback) {
    const { mode = "exclusive", signal } = options;
    signal?.throwIfAborted();
    const queue = this.#queues.get(name) ?? [];
    this.#queues.set(name, queue);
    const entry = { mode, isHeld: false };
    const granted = new Promise((resolve, reject) => {
      entry.grant = resolve;
      signal?.addEventListener("abort", () => reject(signal.reason));
    });
    queue.push(entry);
    try {
      this.#grant(queue);
      await granted;
      return await callback(entry);
    } finally {
      queue.splice(queue.indexOf(entry), 1);
      this.#grant(queue);
    }
  }

  #grant(queue) {
    for (const [at, entry] of queue.entries()) {
      const before = queue.slice(0, at);
      if (!entry.isHeld && before.every((other) => other.isHeld && [other.mode, entry.mode].every((mode) => mode === "shared"))) {
        entry.isHeld = true;
        entry.grant();
      }
    }
  }
}

/** Node has a `navigator` since version 21. */
function setLocks(locks) {
  Object.defineProperty(globalThis, "navigator", { value: { locks }, configurable: true });
}

/** The timers of the module that is tested: a test says how much time has passed. */
const timers = new Map();
const { setTimeout: later, clearTimeout: never } = globalThis;
let now = 0;

function tick(milliseconds) {
  now += milliseconds;
  for (const [timer, { at, callback }] of timers) {
    if (at > now) continue;
    timers.delete(timer);
    callback();
  }
}

beforeEach(() => {
  setLocks(new Locks());
  globalThis.setTimeout = (callback, milliseconds) => {
    const timer = Symbol("timer");
    timers.set(timer, { at: now + milliseconds, callback });
    return timer;
  };
  globalThis.clearTimeout = (timer) => timers.delete(timer);
});

afterEach(() => {
  Object.assign(globalThis, { setTimeout: later, clearTimeout: never });
  for (const one of open.splice(0)) one.close();
  delete globalThis.document;
  assert.deepEqual(Object.getOwnPropertyDescriptor(MessageEvent.prototype, "data"), DATA, "the platform is as it was");
});

test("a worker gets what its page hands over, whoever of the two is first", async () => {
  const tag = makeTag();
  bePage(tag);
  const early = receive(KEY);
  const giver = give();
  giver.give(handed);
  assert.ok((await early).module instanceof WebAssembly.Module);
  assert.ok((await receive(KEY)).image instanceof WebAssembly.Module, "a worker that asks later");
});

test("a worker waits for a page that gets ready, but not for ever", async () => {
  bePage(makeTag());
  const giver = give();
  const [received, other] = [receive(KEY), receive("314.0.7-other")];
  await beInVain();
  tick(4000);
  assert.equal(await state(received), "nothing yet");
  assert.equal(await state(other), undefined, "no page has this");
  giver.give(handed);
  assert.ok((await received).module instanceof WebAssembly.Module);

  give("314.0.7-never given");
  const vain = receive("314.0.7-never given");
  assert.equal(await state(vain), "nothing yet");
  tick(4999);
  assert.equal(await state(vain), "nothing yet");
  tick(1);
  assert.equal(await vain, undefined);
});

test("a worker waits for a page that is a little later than itself", async () => {
  bePage(makeTag());
  const received = receive(KEY);
  assert.equal(await state(received), "nothing yet");
  const giver = give();
  tick(25);
  assert.equal(await state(received), "nothing yet");
  tick(1000);
  assert.equal(await state(received), "nothing yet");
  giver.give(handed);
  assert.ok(await received);
});

test("a worker goes its own way if its page cannot hand over what it got ready", async () => {
  bePage(makeTag());
  const giver = give();
  const received = receive(KEY);
  assert.equal(await state(received), "nothing yet");
  giver.close();
  await beInVain();
  assert.equal(await received, undefined);
});

test("a worker goes its own way if there is no page, or one with another snapshot", async () => {
  const alone = receive(KEY);
  await beInVain();
  assert.equal(await alone, undefined);
  const tag = makeTag();
  bePage(tag);
  give("314.0.7-other").give(handed);
  const received = receive(KEY);
  await until(() => tag.heard.length === 1);
  await beInVain();
  assert.equal(await received, undefined);
});

test("a worker waits for nobody where the browser refuses locks", async () => {
  setLocks({ request: () => Promise.reject(new DOMException("refused", "SecurityError")) });
  bePage(makeTag());
  give();
  assert.equal(await receive(KEY), undefined);
});

test("other messages and other workers are not disturbed", async () => {
  const [asking, other] = [makeTag(), makeTag()];
  // PyScript has not made the worker of the last tag yet.
  bePage(asking, other, {});
  const giver = give();
  const received = receive(KEY);
  other.xworker.sync.double(21).catch(() => {});
  const { port1, port2 } = new MessageChannel();
  open.push(port1, port2);
  const users = [];
  port2.addEventListener("message", ({ data }) => users.push(data));
  port2.start();
  for (const data of ["text", null, [1, "workerlib handover"], [1, 2, [3]]]) port1.postMessage(data);
  giver.give(handed);
  assert.ok(await received);
  const all = [asking, other];
  await until(() => users.length === 4 && all.every(({ heard, answers }) => heard.length > 1 && heard.length === answers.length));
  assert.deepEqual(users, ["text", null, [1, "workerlib handover"], [1, 2, [3]]]);
  assert.deepEqual(
    other.heard.filter(([, name]) => name === "double").map(([, , args]) => args),
    [[21]],
  );
});

test("a page without workers hands nothing over", () => {
  bePage();
  assert.equal(hasWorkers(), false);
  bePage(makeTag());
  assert.equal(hasWorkers(), true);
  delete globalThis.document;
  assert.equal(hasWorkers(), false, "a worker");
});
