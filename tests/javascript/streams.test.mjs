// Tests of the consumer's end of a stream, workerlib-py/javascript/src/streams.ts: node --test.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const modules = process.env.WORKERLIB_NODE_MODULES;
const { buildSync } = createRequire(`${modules}/streams.js`)("esbuild");
const source = fileURLToPath(new URL("../../workerlib-py/javascript/src/streams.ts", import.meta.url));
const built = buildSync({ entryPoints: [source], bundle: true, format: "esm", nodePaths: [modules], write: false });
const [{ text }] = built.outputFiles;
const { BatchedStream } = await import(`data:text/javascript;base64,${Buffer.from(text).toString("base64")}`);

/** A stream of these batches, and what its producer hears. */
function streamOf(...batches) {
  const heard = [];
  const stream = new BatchedStream({
    next: async () => batches.shift(),
    close: async () => void heard.push("close"),
    forget: () => void heard.push("forget"),
  });
  return { stream, heard };
}

test("the end of a block of `await using` closes the generator, once", async () => {
  const { stream, heard } = streamOf([[1, 2], false]);
  assert.deepEqual(await stream.next(), { done: false, value: 1 });
  await stream[Symbol.asyncDispose]();
  assert.deepEqual(heard, ["close", "forget"]);
  assert.equal((await stream.next()).done, true);
  await stream[Symbol.asyncDispose]();
  assert.deepEqual(heard, ["close", "forget"]);
});

test("a stream that has ended is not closed again", async () => {
  const { stream, heard } = streamOf([[1], true]);
  const items = [];
  for await (const item of stream) items.push(item);
  await stream[Symbol.asyncDispose]();
  assert.deepEqual([items, heard], [[1], ["forget"]]);
});

test("an exception in the loop closes the generator before it goes on", async () => {
  const { stream, heard } = streamOf([[1, 2], false]);
  const loop = async () => {
    for await (const item of stream) throw new RangeError(`not ${item}`);
  };
  await assert.rejects(loop(), /^RangeError: not 1$/);
  assert.deepEqual(heard, ["close", "forget"]);
});
