// Tests of workerlib-py/javascript/src/unsendable.ts, which tells which argument cannot be cloned: node --test.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const packages = process.env.WORKERLIB_NODE_MODULES;
const { buildSync } = createRequire(`${packages}/unsendable.js`)("esbuild");
const source = fileURLToPath(new URL("../../workerlib-py/javascript/src/unsendable.ts", import.meta.url));
const options = { entryPoints: [source], bundle: true, format: "esm", write: false, nodePaths: [packages] };
const [{ text }] = buildSync(options).outputFiles;
const { explained } = await import(`data:text/javascript;base64,${Buffer.from(text).toString("base64")}`);

/** What is said of arguments that structured cloning refuses. */
function told(...args) {
  let refusal;
  try {
    structuredClone(args);
  } catch (error) {
    refusal = error;
  }
  return explained(refusal, "f", args, {}).message;
}

const own = () => 0;

test("the path leads through each kind of container", () => {
  assert.match(told([1, { "a b": own }]), /^f\(\): args\[0\]\[1\]\["a b"\] is a function/);
  assert.match(told(1, new Set([1, own])), /^f\(\): args\[1\] \(item 1\) is a function/);
  assert.match(told(new Map([["key", own]])), /^f\(\): args\[0\]\.get\("key"\) is a function/);
});

test("a key of a Map may be anything", () => {
  const ring = {};
  ring.ring = ring;
  for (const [key, shown] of [[1n, "1n"], [ring, "…"], [null, "null"], [undefined, "undefined"], [1.5, "1.5"]]) {
    assert.equal(told(new Map([[key, [own]]])), `f(): args[0].get(${shown})[0] is a function, which can be sent only as an argument of its own`);
    // The other argument is the one that cannot be sent.
    assert.match(told(new Map([[key, 1]]), [own]), /^f\(\): args\[1\]\[0\] is a function/);
  }
});

test("what cannot be searched leaves the error of the browser", () => {
  const error = new DOMException("own", "DataCloneError");
  let deep = [own];
  for (let level = 0; level < 100_000; level++) deep = [deep];
  assert.equal(explained(error, "f", [deep], {}), error);
  const shy = new Proxy({}, { ownKeys: () => { throw new Error("no"); } });
  assert.equal(explained(error, "f", [shy], {}), error);
});
