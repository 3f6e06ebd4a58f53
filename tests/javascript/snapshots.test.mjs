// Tests of workerlib-py/javascript/src/snapshots.ts, when a page has a snapshot made, with a maker that is an object: node --test.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { afterEach, test } from "node:test";
import { fileURLToPath } from "node:url";

const modules = process.env.WORKERLIB_NODE_MODULES;
const { buildSync } = createRequire(`${modules}/snapshots.js`)("esbuild");
const stdin = {
  contents: 'export * from "./snapshots.js"; export * as Comlink from "comlink";',
  resolveDir: fileURLToPath(new URL("../../workerlib-py/javascript/src", import.meta.url)),
  loader: "ts",
};
// The module that is tested has timers of its own: Node's test runner needs the others. All its ports can be closed.
const define = { setTimeout: "timerOfTheTest", MessageChannel: "ChannelOfTheTest" };
const options = { stdin, define, bundle: true, format: "esm", write: false, nodePaths: [modules] };
const [{ text }] = buildSync(options).outputFiles;
const { Snapshots, Comlink } = await import(`data:text/javascript;base64,${Buffer.from(text).toString("base64")}`);

const LIMIT = 20_000 * Number(process.env.WORKERLIB_TEST_PACE ?? 1);
const STEPS = ["load", "write", "check", "keep"];
const OPTIONS = { base: "https://example.org/" };
/** A worker that has found no snapshot. */
const remote = { takeSnapshot: () => Promise.resolve({}) };

/** The timers of the module that is tested: a test says how much time has passed. */
let timers = [];
let now = 0;
/** The ports of makers, and of the functions that they are given: one that is open keeps Node from ending. */
const ports = [];

globalThis.ChannelOfTheTest = class {
  constructor() {
    const channel = new MessageChannel();
    ports.push(channel.port1, channel.port2);
    return channel;
  }
};
globalThis.timerOfTheTest = (callback, milliseconds) => void timers.push({ at: now + milliseconds, callback });

afterEach(() => {
  timers = [];
  for (const port of ports.splice(0)) port.close();
});

/** Waits for messages: until something is true. */
async function until(condition) {
  for (const end = performance.now() + LIMIT; !condition(); ) {
    assert.ok(performance.now() < end, `${condition} is not true`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

/** Has time pass, in small steps. */
async function pass(milliseconds) {
  for (const end = now + milliseconds; now < end; ) {
    now += 50;
    const due = timers.filter(({ at }) => at <= now);
    timers = timers.filter(({ at }) => at > now);
    for (const { callback } of due) callback();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/**
 * A page whose first worker has started. `makers` has the maker when it has been made, `asked` the steps for which it has asked,
 * `done` those that it has begun. It does not go on from the step `standsAt`.
 */
async function startedPage(standsAt = "") {
  const { port1, port2 } = new globalThis.ChannelOfTheTest();
  const [makers, asked, done] = [[], [], []];
  const image = new Uint8Array([1]);
  Comlink.expose(
    {
      async makeSnapshot(_options, _compiled, before) {
        for (const step of STEPS) {
          asked.push(step);
          await before(step);
          done.push(step);
          if (step === standsAt) await new Promise(() => {});
        }
        return { image };
      },
    },
    port2,
  );
  port1.terminate = () => {
    port1.close();
    port2.close();
  };
  const snapshots = new Snapshots();
  const makeWorker = () => {
    makers.push(port1);
    return port1;
  };
  const follow = () => snapshots.follow(remote, makeWorker, OPTIONS);
  await follow();
  return { snapshots, follow, makers, asked, done };
}

/** A page that has no maker yet, since a call is in flight. `end` notes that the called worker has ended. */
async function pageWithACall() {
  const caller = { isCalling: true };
  const end = Snapshots.note(caller);
  const page = await startedPage();
  await pass(500);
  // The page looks again later.
  await until(() => timers.length === 1);
  return { ...page, caller, end };
}

test("the maker and each of its steps wait for calls in flight", async () => {
  const { snapshots, makers, done, caller, end } = await pageWithACall();
  await pass(1000);
  assert.deepEqual(makers, [], "a call is in flight");
  caller.isCalling = false;
  await pass(50);
  await until(() => done.length === 4);
  assert.deepEqual(done, STEPS);
  assert.ok((await snapshots.offer()).snapshot);
  end();
});

test("a step waits for some seconds only, and not for a worker that has ended", async () => {
  const { makers, asked, done, end } = await pageWithACall();
  await pass(4950);
  assert.deepEqual(makers, []);
  await pass(50);
  await until(() => asked.length === 1 && timers.length === 1);
  await pass(4950);
  assert.deepEqual(done, []);
  await pass(50);
  await until(() => asked.length === 2);
  assert.deepEqual(done, ["load"]);
  await until(() => timers.length === 1);
  end();
  await pass(50);
  await until(() => done.length === 4);
});

test("a step does not wait while a worker starts, which waits for the snapshot", async () => {
  const { snapshots, asked, done, end } = await pageWithACall();
  await pass(5000);
  await until(() => asked.length === 1 && timers.length === 1);
  assert.deepEqual(done, []);
  const started = snapshots.begin();
  await pass(50);
  await until(() => done.length === 4);
  started();
  end();
});

test("a maker that stands still delays the start of a worker once", async () => {
  const { snapshots, done } = await startedPage("write");
  await pass(500);
  await until(() => done.length === 2);
  let offers = 0;
  const offer = () => snapshots.offer().then(() => (offers += 1));
  const first = offer();
  await pass(4950);
  assert.equal(offers, 0, "the snapshot is nearly made");
  await pass(50);
  await first;
  await offer();
  assert.equal(offers, 2);
});

test("no maker is made while a worker starts: the start needs the processor, and leads to a maker by itself", async () => {
  const { snapshots, makers, caller, end } = await pageWithACall();
  const started = snapshots.begin();
  await pass(50);
  caller.isCalling = false;
  await pass(1000);
  assert.deepEqual(makers, []);
  started();
  end();
});

test("a page whose workers start again and again gets a snapshot at the fifth start", async () => {
  const { snapshots, follow, makers, done } = await startedPage();
  const started = snapshots.begin();
  for (let starts = 2; starts < 5; starts++) {
    await pass(1000);
    await follow();
  }
  await pass(1000);
  assert.deepEqual(makers, [], "a pool of four starts its workers first");
  await follow();
  assert.equal(makers.length, 1);
  await until(() => done.length === 4);
  started();
});
