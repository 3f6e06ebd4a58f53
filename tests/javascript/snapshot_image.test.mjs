// Tests of workerlib-py/javascript/src/snapshot/image.ts, the form in which memory snapshots are kept: node --test.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const { buildSync } = createRequire(`${process.env.WORKERLIB_NODE_MODULES}/image.js`)("esbuild");
const source = fileURLToPath(new URL("../../workerlib-py/javascript/src/snapshot/image.ts", import.meta.url));
const [{ text }] = buildSync({ entryPoints: [source], bundle: true, format: "esm", write: false }).outputFiles;
const { pack, read, unpack } = await import(`data:text/javascript;base64,${Buffer.from(text).toString("base64")}`);

const PAGE = 4096;
const LARGE = 1 << 16;
const HEAD = 32;

/** A header and a memory of two of WebAssembly's pages; some of its pages have bytes that are not zero. */
function snapshot() {
  const bytes = new Uint8Array(HEAD + 2 * LARGE);
  bytes.set(Array.from({ length: HEAD }, (_, at) => at + 1));
  const memory = bytes.subarray(HEAD);
  // The first byte and the last one, two pages side by side, a page whose last byte alone is not zero.
  for (const at of [0, 3 * PAGE + 5, 4 * PAGE, 9 * PAGE - 1, 2 * LARGE - 1]) memory[at] = 200 + (at % 50);
  return bytes;
}

/** A memory in which another program has written. */
function usedMemory(used) {
  const memory = new WebAssembly.Memory({ initial: 2 });
  new Uint8Array(memory.buffer).fill(7, 0, used);
  return memory;
}

for (const [form, made] of [
  ["its bytes", (image) => image],
  ["a compiled module", (image) => new WebAssembly.Module(image)],
]) {
  test(`${form}: the memory is written as it was, and nothing of an earlier content stays`, () => {
    const original = snapshot();
    const image = read(made(pack(original, HEAD)));
    assert.deepEqual(image.head, original.slice(0, HEAD));
    assert.equal(image.length, 2 * LARGE);
    for (const used of [0, 1, 4 * PAGE + 100, 2 * LARGE]) {
      const memory = usedMemory(used);
      image.write(memory, used);
      assert.deepEqual(new Uint8Array(memory.buffer), original.slice(HEAD), `of ${used} used bytes something stays`);
    }
  });

  test(`${form}: a byte that an earlier content has left is cleared, wherever it is in its page`, () => {
    const original = snapshot();
    const image = read(made(pack(original, HEAD)));
    for (const at of [0, 7, 8, 19, 28, 31, 32, 4064, PAGE - 1]) {
      const memory = new WebAssembly.Memory({ initial: 2 });
      // Of the pages between the runs the first one, one in their midst, and the last.
      for (const page of [1, 6, 30]) new Uint8Array(memory.buffer)[page * PAGE + at] = 1;
      image.write(memory, 2 * LARGE);
      assert.deepEqual(new Uint8Array(memory.buffer), original.slice(HEAD), `byte ${at} of a page stays`);
    }
  });

  test(`${form}: the whole snapshot can be had`, () => {
    assert.deepEqual(unpack(read(made(pack(snapshot(), HEAD)))), snapshot());
  });

  test(`${form}: a memory that is too small is refused`, () => {
    const image = read(made(pack(snapshot(), HEAD)));
    assert.throws(() => image.write(new WebAssembly.Memory({ initial: 1 }), 0));
  });
}

test("an image has the pages that are not zero, and no others", () => {
  // Five of 32 pages are in use.
  assert.ok(pack(snapshot(), HEAD).length < 6 * PAGE);
});

test("a snapshot of zeros has an image", () => {
  const empty = new Uint8Array(HEAD + LARGE);
  assert.deepEqual(unpack(read(pack(empty, HEAD))), empty);
  assert.deepEqual(unpack(read(new WebAssembly.Module(pack(empty, HEAD)))), empty);
});

test("files that are not images are refused", () => {
  const image = pack(snapshot(), HEAD);
  const foreign = new WebAssembly.Module(new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]));
  for (const other of [new Uint8Array(), new Uint8Array(100), image.slice(1), foreign]) {
    assert.throws(() => read(other), /not an image of a snapshot/);
  }
});

test("damaged images are refused", () => {
  const image = pack(snapshot(), HEAD);
  assert.throws(() => read(image.slice(0, -1)), /cut off/);
  assert.throws(() => read(image.slice(0, 60)), /cut off/);
  const longer = new Uint8Array(image.length + 1);
  longer.set(image);
  assert.throws(() => read(longer), /too long/);
});
