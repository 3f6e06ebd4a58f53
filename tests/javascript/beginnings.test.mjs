// Tests of workerlib-py/javascript/src/beginnings.ts, which lets few calls of a page begin at a time: node --test.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const { buildSync } = createRequire(`${process.env.WORKERLIB_NODE_MODULES}/beginnings.js`)("esbuild");
const source = fileURLToPath(new URL("../../workerlib-py/javascript/src/beginnings.ts", import.meta.url));
const [{ text }] = buildSync({ entryPoints: [source], bundle: true, format: "esm", write: false }).outputFiles;
const { Beginnings } = await import(`data:text/javascript;base64,${Buffer.from(text).toString("base64")}`);
const MOST = 64;

/** An event loop as Pyodide's: callbacks run in their order, in events of their own. */
class Loop {
  #callbacks = [];
  /** The most callbacks that have been ready at a time, and the number of turns that were asked for. */
  most = 0;
  turns = 0;

  soon() {
    return new Promise((resolve) => {
      this.#callbacks.push(resolve);
      this.most = Math.max(this.most, this.#callbacks.length);
      setImmediate(() => this.#callbacks.shift()());
    });
  }

  async turn() {
    this.turns += 1;
    await this.soon();
    await this.soon();
  }
}

test("few of many calls are about to begin at a time, in their order, and each has its outcome", async () => {
  const loop = new Loop();
  const beginnings = new Beginnings(() => loop.turn());
  const begun = [];
  const call = async (number) => {
    await loop.soon();
    begun.push(number);
    if (number % 7 === 0) throw new RangeError(String(number));
    return number;
  };
  const numbers = Array.from({ length: 20_000 }, (_, number) => number);
  const outcomes = await Promise.allSettled(numbers.map((number) => beginnings.run(0, () => call(number))));
  assert.deepEqual(begun, numbers);
  outcomes.forEach(({ value, reason }, number) => assert.equal(value ?? Number(reason.message), number));
  assert.ok(loop.most <= 2 * MOST, `${loop.most} callbacks at a time`);
  assert.ok(loop.turns <= numbers.length / MOST + 1);
});

test("calls one after the other wait for no turn", async () => {
  const loop = new Loop();
  const beginnings = new Beginnings(() => loop.turn());
  for (let number = 0; number < 1000; number += 1) await beginnings.run(0, async () => loop.soon());
  assert.equal(loop.turns, 0);
});

test("functions that wait keep no others from beginning", async () => {
  const loop = new Loop();
  const beginnings = new Beginnings(() => loop.turn());
  let release;
  const released = new Promise((resolve) => (release = resolve));
  const waiting = Array.from({ length: 1000 }, () => beginnings.run(0, () => released));
  await beginnings.run(0, async () => release());
  await Promise.all(waiting);
  for (let number = 0; number < 1000; number += 1) await beginnings.run(0, async () => loop.soon());
  assert.ok(loop.turns < 20, `${loop.turns} turns`);
});

test("a call hears that it was cancelled while it waited, and only then", async () => {
  const loop = new Loop();
  const beginnings = new Beginnings(() => loop.turn());
  const told = Array.from({ length: 200 }, (_, at) => beginnings.run(at + 1, async (isCancelled) => isCancelled));
  assert.equal(beginnings.cancel(1), false);
  assert.equal(beginnings.cancel(150), true);
  assert.equal(beginnings.cancel(999), false);
  const cancelled = (await Promise.all(told)).flatMap((isCancelled, at) => (isCancelled ? [at + 1] : []));
  assert.deepEqual(cancelled, [150]);
  assert.equal(beginnings.cancel(150), false);
});

test("a loop that fails makes no call hang", async () => {
  const beginnings = new Beginnings(async () => {
    throw new Error("its Python has failed fatally");
  });
  const failing = Array.from({ length: 200 }, () => beginnings.run(0, async () => Promise.reject(new Error("gone"))));
  const outcomes = await Promise.allSettled(failing);
  assert.ok(outcomes.every(({ reason }) => reason.message === "gone"));
});
